package codepage

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// A stepper decodes one character at a time; transforming streams is decoder's part.
type stepper interface {
	// step reads what src, which is not empty, begins with. It returns the rune, and how many bytes it
	// took; none for an escape; more, and no change, if the bytes to come decide, never at the end.
	step(src []byte, atEOF bool) (r rune, size int)
	// run reads what is quick to read, many characters at once: maybe none. dst may be too small for all.
	run(dst, src []byte) (nDst, nSrc int)
	// end returns the rune that is due at the end of the text, or none.
	end() rune
	Reset()
}

const (
	none rune = -1 // no rune, go on
	more rune = -2 // no rune without more bytes
)

// A decoder is a stepper as a transformer.
type decoder struct{ stepper }

// Transform implements transform.Transformer.
func (d decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		n, read := d.run(dst[nDst:], src[nSrc:])
		nDst += n
		if nSrc += read; nSrc == len(src) {
			break
		}
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		r, size := d.step(src[nSrc:], atEOF)
		nSrc += size
		switch {
		case r == more:
			return nDst, nSrc, transform.ErrShortSrc
		case r == none:
		case r < utf8.RuneSelf:
			dst[nDst] = byte(r)
			nDst++
		default:
			nDst += utf8.EncodeRune(dst[nDst:], r)
		}
	}
	if atEOF {
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		if r := d.end(); r != none {
			nDst += utf8.EncodeRune(dst[nDst:], r)
		}
	}
	return nDst, nSrc, nil
}

// stateless is the part of a stepper that keeps nothing between characters.
type stateless struct{}

func (stateless) end() rune { return none }
func (stateless) Reset()    {}

// slow is the part of a stepper that has no quick way.
type slow struct{}

func (slow) run(dst, src []byte) (nDst, nSrc int) { return 0, 0 }

// pairs decodes the pairs that src begins with, as far as they are in the set.
func (s *doubleSet) pairs(dst, src []byte) (nDst, nSrc int) {
	width := int(s.second[1]-s.second[0]) + 1
	for nSrc+1 < len(src) && len(dst)-nDst >= utf8.UTFMax {
		a, b := src[nSrc]-s.first[0], src[nSrc+1]-s.second[0]
		if a > s.first[1]-s.first[0] || int(b) >= width {
			break
		}
		r := s.runes[int(a)*width+int(b)]
		if r == 0 {
			break
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += 2
	}
	return nDst, nSrc
}

// printable copies the printable ASCII that src begins with.
func printable(dst, src []byte) (nDst, nSrc int) {
	n := 0
	for n < len(src) && n < len(dst) && ' ' <= src[n] && src[n] < 0x7F {
		dst[n] = src[n]
		n++
	}
	return n, n
}

// A speller encodes one rune at a time.
type speller interface {
	// spell appends the bytes of r, at most maxSpelled, to dst; false, and no change, if there are none.
	spell(dst []byte, r rune) ([]byte, bool)
	// finish appends what ends a text, and may be called again.
	finish(dst []byte) []byte
	Reset()
}

// maxSpelled is the most bytes that one rune or the end of a text take.
const maxSpelled = 16

// An encoder is a speller as a transformer. sub replaces a rune without bytes.
type encoder struct {
	speller
	sub byte
}

// Transform implements transform.Transformer.
func (e encoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if len(dst)-nDst < maxSpelled {
			return nDst, nSrc, transform.ErrShortDst
		}
		r, size, err := nextRune(src[nSrc:], atEOF, e.sub)
		if err != nil {
			return nDst, nSrc, err
		}
		out, ok := e.spell(dst[:nDst], r)
		if !ok {
			return nDst, nSrc, missing(e.sub)
		}
		nDst = len(out)
		nSrc += size
	}
	if atEOF {
		if len(dst)-nDst < maxSpelled {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst = len(e.finish(dst[:nDst]))
	}
	return nDst, nSrc, nil
}

// endless is the part of a speller that keeps nothing between runes.
type endless struct{}

func (endless) finish(dst []byte) []byte { return dst }
func (endless) Reset()                   {}

// A doubleByte is a page of one and two bytes a character, told apart by the first:
// Johab, and the sets of T.61 and ISO 6937 where an accent stands before its letter.
type doubleByte struct {
	name   string
	single func() [256]rune
	double func() *doubleSet
	byRune func() *inverse
	ascii  bool
}

// newDoubleByte returns the page with the generated tables of that name. ascii says that all
// of ASCII is in its table of single bytes.
func newDoubleByte(name string, ascii bool) *doubleByte {
	d := &doubleByte{
		name:   name,
		ascii:  ascii,
		single: sync.OnceValue(func() [256]rune { return single(name) }),
		double: doubles(name),
	}
	d.byRune = sync.OnceValue(func() *inverse { return invert(d.single(), d.double()) })
	return d
}

// invert finds the codes of single and double bytes, the former plus 1<<16 so that none is 0.
func invert(single [256]rune, double *doubleSet) *inverse {
	v := new(inverse)
	for b, r := range single {
		if r != utf8.RuneError {
			v.add(r, 1<<16|uint32(b))
		}
	}
	double.all(func(a, b byte, r rune) { v.add(r, uint32(a)<<8|uint32(b)) })
	return v
}

func (d *doubleByte) String() string { return d.name }

// NewDecoder implements encoding.Encoding.
func (d *doubleByte) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: decoder{&doubleStepper{single: d.single(), double: d.double(), ascii: d.ascii}}}
}

// NewEncoder implements encoding.Encoding.
func (d *doubleByte) NewEncoder() *encoding.Encoder {
	return &encoding.Encoder{Transformer: encoder{doubleSpeller{byRune: d.byRune()}, 0x1A}}
}

type doubleStepper struct {
	stateless
	single [256]rune
	double *doubleSet
	ascii  bool // single has all that is printable in ASCII
}

func (d *doubleStepper) run(dst, src []byte) (nDst, nSrc int) {
	if d.ascii {
		if nDst, nSrc = printable(dst, src); nSrc > 0 {
			return nDst, nSrc
		}
	}
	return d.double.pairs(dst, src)
}

func (d *doubleStepper) step(src []byte, atEOF bool) (rune, int) {
	a := src[0]
	if r := d.single[a]; r != utf8.RuneError || a < d.double.first[0] || a > d.double.first[1] {
		return r, 1
	}
	if len(src) < 2 {
		if atEOF {
			return utf8.RuneError, 1
		}
		return more, 0
	}
	r := d.double.rune(a, src[1])
	if r == utf8.RuneError && src[1] < utf8.RuneSelf {
		return r, 1 // the second byte may be ASCII: a lost byte must not swallow a line's end
	}
	return r, 2
}

type doubleSpeller struct {
	endless
	byRune *inverse
}

func (d doubleSpeller) spell(dst []byte, r rune) ([]byte, bool) {
	switch c := d.byRune.code(r); {
	case c == 0:
		return dst, false
	case c >= 1<<16:
		return append(dst, byte(c)), true
	default:
		return append(dst, byte(c>>8), byte(c)), true
	}
}
