package codepage

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
)

// The planes of CNS 11643, by number; nil where none is in use.
var cns = [16]func() *doubleSet{
	1: doubles("cns1"), 2: doubles("cns2"), 3: doubles("cns3"), 4: doubles("cns4"),
	5: doubles("cns5"), 6: doubles("cns6"), 7: doubles("cns7"), 15: doubles("cns15"),
}

// eucTW is EUC-TW: plane 1 of CNS 11643 in two bytes, any plane in four, the first of them 0x8E.
type eucTW struct{ byRune func() *inverse }

var eucTWPage = eucTW{sync.OnceValue(func() *inverse {
	v := new(inverse)
	for plane, set := range cns {
		if set != nil {
			set().all(func(a, b byte, r rune) { v.add(r, uint32(plane)<<16|uint32(a)<<8|uint32(b)|0x8080) })
		}
	}
	return v
})}

func (eucTW) String() string { return "EUC-TW" }

// NewDecoder implements encoding.Encoding.
func (eucTW) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: decoder{eucTWStepper{plane1: cns[1]()}}}
}

// NewEncoder implements encoding.Encoding.
func (e eucTW) NewEncoder() *encoding.Encoder {
	return &encoding.Encoder{Transformer: encoder{eucTWSpeller{byRune: e.byRune()}, 0x1A}}
}

type eucTWStepper struct {
	stateless
	plane1 *doubleSet
}

func (e eucTWStepper) run(dst, src []byte) (nDst, nSrc int) { return printable(dst, src) }

func (e eucTWStepper) step(src []byte, atEOF bool) (rune, int) {
	const singleShift = 0x8E
	plane, size := byte(1), 2
	switch a := src[0]; {
	case a < utf8.RuneSelf:
		return rune(a), 1
	case a == singleShift:
		size = 4
		if len(src) > 1 {
			plane = src[1] - 0xA0
		}
	case a < 0xA1:
		return utf8.RuneError, 1
	}
	for i := 1; i < size; i++ {
		switch {
		case i < len(src) && src[i] >= 0xA1:
		case i >= len(src) && !atEOF:
			return more, 0
		default: // cut short: what follows begins anew
			return utf8.RuneError, i
		}
	}
	if size == 2 {
		return e.plane1.rune(src[0]&0x7F, src[1]&0x7F), size
	}
	if int(plane) >= len(cns) || cns[plane] == nil {
		return utf8.RuneError, size
	}
	return cns[plane]().rune(src[size-2]&0x7F, src[size-1]&0x7F), size
}

type eucTWSpeller struct {
	endless
	byRune *inverse
}

func (e eucTWSpeller) spell(dst []byte, r rune) ([]byte, bool) {
	if r < utf8.RuneSelf {
		return append(dst, byte(r)), true
	}
	switch c := e.byRune.code(r); c >> 16 {
	case 0:
		return dst, false
	case 1:
		return append(dst, byte(c>>8), byte(c)), true
	default:
		return append(dst, 0x8E, 0xA0+byte(c>>16), byte(c>>8), byte(c)), true
	}
}
