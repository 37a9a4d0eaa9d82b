package codepage

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
)

// A host is a page of IBM's hosts that mixes EBCDIC with a set of double bytes:
// SO shifts to the latter and SI back.
type host struct {
	name   string
	single func() [256]rune
	double func() *doubleSet
	byRune func() *inverse
}

const (
	shiftOut = 0x0E
	shiftIn  = 0x0F
)

// newHost returns the page with the set of double bytes in the file named double.
func newHost(name string, double func() *doubleSet) *host {
	h := &host{name: name, double: double}
	h.single = sync.OnceValue(func() [256]rune {
		t := single(name)
		t[shiftOut], t[shiftIn] = utf8.RuneError, utf8.RuneError
		return t
	})
	h.byRune = sync.OnceValue(func() *inverse { return invert(h.single(), h.double()) })
	return h
}

func (h *host) String() string { return h.name }

// NewDecoder implements encoding.Encoding.
func (h *host) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: decoder{&hostStepper{single: h.single(), double: h.double()}}}
}

// NewEncoder implements encoding.Encoding.
func (h *host) NewEncoder() *encoding.Encoder {
	return &encoding.Encoder{Transformer: encoder{&hostSpeller{byRune: h.byRune()}, 0x3F}}
}

type hostStepper struct {
	single [256]rune
	double *doubleSet
	out    bool // shifted out: two bytes a character
}

func (h *hostStepper) end() rune { return none }
func (h *hostStepper) Reset()    { h.out = false }

func (h *hostStepper) run(dst, src []byte) (nDst, nSrc int) {
	if h.out {
		return h.double.pairs(dst, src)
	}
	for nSrc < len(src) && src[nSrc] >= 0x40 && len(dst)-nDst >= utf8.UTFMax {
		nDst += utf8.EncodeRune(dst[nDst:], h.single[src[nSrc]])
		nSrc++
	}
	return nDst, nSrc
}

func (h *hostStepper) step(src []byte, atEOF bool) (rune, int) {
	a := src[0]
	switch {
	case a == shiftOut || a == shiftIn:
		h.out = a == shiftOut
		return none, 1
	case !h.out || a < 0x40: // controls are single everywhere
		return h.single[a], 1
	case len(src) < 2 && atEOF:
		return utf8.RuneError, 1
	case len(src) < 2:
		return more, 0
	}
	r := h.double.rune(a, src[1])
	if src[1] < 0x40 {
		return r, 1 // the second byte is a control
	}
	return r, 2
}

type hostSpeller struct {
	byRune *inverse
	out    bool
}

func (h *hostSpeller) Reset() { h.out = false }

func (h *hostSpeller) spell(dst []byte, r rune) ([]byte, bool) {
	c := h.byRune.code(r)
	if c == 0 {
		return dst, false
	}
	if c >= 1<<16 {
		return append(h.finish(dst), byte(c)), true
	}
	if !h.out {
		dst = append(dst, shiftOut)
		h.out = true
	}
	return append(dst, byte(c>>8), byte(c)), true
}

func (h *hostSpeller) finish(dst []byte) []byte {
	if h.out {
		dst = append(dst, shiftIn)
		h.out = false
	}
	return dst
}
