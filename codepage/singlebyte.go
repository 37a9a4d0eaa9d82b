package codepage

import (
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// A singleByte is a page of one byte a character. Its table is made when it is
// first used, so that the pages nobody uses cost nothing.
type singleByte struct {
	name string
	maps func() *byteMaps
}

// byteMaps is the table of a singleByte in the form each direction needs.
type byteMaps struct {
	ascii  bool // bytes below 0x80 are ASCII
	sub    byte // what replaces a rune that the page lacks
	decode [256]struct {
		len  uint8
		utf8 [3]byte
	}
	encode []uint32 // rune<<8 | byte, sorted
}

// newSingleByte returns the page whose byte b means table()[b], U+FFFD for none.
func newSingleByte(name string, table func() [256]rune) *singleByte {
	return &singleByte{name, sync.OnceValue(func() *byteMaps {
		m := &byteMaps{ascii: true, sub: 0x1A}
		for b, r := range table() {
			d := &m.decode[b]
			d.len = uint8(utf8.EncodeRune(d.utf8[:], r))
			if r != utf8.RuneError {
				m.encode = append(m.encode, uint32(r)<<8|uint32(b))
			}
			if b < utf8.RuneSelf && r != rune(b) {
				m.ascii = false
			}
			if r == 0x1A {
				m.sub = byte(b) // SUB, wherever the page has it: 0x3F in EBCDIC
			}
		}
		// Where two bytes mean one rune, the lower byte encodes it.
		slices.Sort(m.encode)
		m.encode = slices.CompactFunc(m.encode, func(a, b uint32) bool { return a>>8 == b>>8 })
		return m
	})}
}

// withC1 is c with the control characters that the standards put at 0x80-0x9F,
// where c leaves these bytes undefined. For ISO 8859 that is ISO 6429; for the
// Windows pages it is what Windows does with the bytes its tables leave free.
func withC1(c *charmap.Charmap) *singleByte {
	return newSingleByte(c.String(), func() (t [256]rune) {
		for b := range t {
			t[b] = c.DecodeByte(byte(b))
			if t[b] == utf8.RuneError && 0x80 <= b && b <= 0x9F {
				t[b] = rune(b)
			}
		}
		return t
	})
}

// usASCII is seven-bit ASCII: every byte above 0x7F is U+FFFD.
var usASCII = newSingleByte("US-ASCII", func() (t [256]rune) {
	for b := range t {
		t[b] = utf8.RuneError
		if b < utf8.RuneSelf {
			t[b] = rune(b)
		}
	}
	return t
})

func (s *singleByte) String() string { return s.name }

// NewDecoder implements encoding.Encoding.
func (s *singleByte) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: byteDecoder{m: s.maps()}}
}

// NewEncoder implements encoding.Encoding.
func (s *singleByte) NewEncoder() *encoding.Encoder {
	return &encoding.Encoder{Transformer: byteEncoder{m: s.maps()}}
}

type byteDecoder struct {
	transform.NopResetter
	m *byteMaps
}

func (d byteDecoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		c := src[nSrc]
		if c < utf8.RuneSelf && d.m.ascii {
			if nDst >= len(dst) {
				return nDst, nSrc, transform.ErrShortDst
			}
			dst[nDst] = c
			nDst++
			nSrc++
			continue
		}
		e := &d.m.decode[c]
		n := int(e.len)
		if nDst+n > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		for i := range n { // quicker than copy for three bytes
			dst[nDst+i] = e.utf8[i]
		}
		nDst += n
		nSrc++
	}
	return nDst, nSrc, nil
}

type byteEncoder struct {
	transform.NopResetter
	m *byteMaps
}

func (e byteEncoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if nDst >= len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		r, size := rune(src[nSrc]), 1
		if r >= utf8.RuneSelf {
			if r, size, err = nextRune(src[nSrc:], atEOF, e.m.sub); err != nil {
				return nDst, nSrc, err
			}
		}
		if r < utf8.RuneSelf && e.m.ascii {
			dst[nDst] = byte(r)
		} else {
			i, _ := slices.BinarySearch(e.m.encode, uint32(r)<<8)
			if i == len(e.m.encode) || rune(e.m.encode[i]>>8) != r {
				return nDst, nSrc, missing(e.m.sub)
			}
			dst[nDst] = byte(e.m.encode[i])
		}
		nDst++
		nSrc += size
	}
	return nDst, nSrc, nil
}

// nextRune reads the rune that src begins with. The error is ErrShortSrc if more
// bytes may complete it, and missing(sub) if it is not UTF-8.
func nextRune(src []byte, atEOF bool, sub byte) (rune, int, error) {
	r, size := utf8.DecodeRune(src)
	if r == utf8.RuneError && size <= 1 {
		if !atEOF && !utf8.FullRune(src) {
			return 0, 0, transform.ErrShortSrc
		}
		return 0, 0, missing(sub)
	}
	return r, size, nil
}

// missing is the error of an encoder that meets a rune its page lacks. Its byte
// replaces the rune; encoding.ReplaceUnsupported and HTMLEscapeUnsupported know it.
type missing byte

func (missing) Error() string { return "codepage: rune not supported by encoding" }

// Replacement is the byte that stands for the rune.
func (m missing) Replacement() byte { return byte(m) }
