package codepage

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// An iso2022 is a page that shifts between sets of characters in the way of ISO 2022:
// escapes designate sets to the four places G0 to G3; SO and SI bring G1 or G0 to
// the bytes 0x21-0x7E, and a single shift brings G2 or G3 there for one character.
type iso2022 struct {
	name     string
	start    [4]*charset      // what is designated at the start of each line
	escapes  []designated     // the usual ones first; none is the beginning of another
	kana     bool             // bytes 0xA1-0xDF are katakana, as in Shift JIS
	spelling func() *spelling // nil if it encodes by another encoding
}

// A designated is what an escape does: it puts a set in a place, or nothing.
type designated struct {
	sequence string // after ESC
	place    byte
	set      *charset
}

// A charset is a set of one byte a character or of two; ASCII has neither table.
type charset struct {
	single func(b byte) rune
	double func() *doubleSet
	escape string // that designates it when encoding
	place  byte   // where to
}

// The sets. JIS X 0201's letters are taken for ASCII, as programs for Windows and x/text do:
// its yen sign is the backslash of Japanese systems.
var (
	setASCII    = &charset{}
	setKatakana = &charset{single: func(b byte) rune {
		if b > 0x5F {
			return utf8.RuneError
		}
		return rune(b) - 0x21 + 0xFF61
	}}
	setLatin1  = &charset{single: func(b byte) rune { return rune(b | 0x80) }}
	setGreek   = &charset{single: func(b byte) rune { return charmap.ISO8859_7.DecodeByte(b | 0x80) }}
	setJIS0208 = &charset{double: part(japanese.EUCJP, "")}
	setJIS0212 = &charset{double: part(japanese.EUCJP, "\x8F")}
	setKS      = &charset{double: part(korean.EUCKR, ""), place: 1}
	setGB      = &charset{double: part(simplifiedchinese.GBK, ""), escape: "$)A", place: 1}
	setISOIR   = &charset{double: doubles("isoir165"), escape: "$)E", place: 1}
	setCNS1    = &charset{double: cns[1], escape: "$)G", place: 1}
	setCNS2    = &charset{double: cns[2], escape: "$*H", place: 2}
	setCNS3    = &charset{double: cns[3], escape: "$+I", place: 3}
	setCNS4    = &charset{double: cns[4], escape: "$+J", place: 3}
	setCNS5    = &charset{double: cns[5], escape: "$+K", place: 3}
	setCNS6    = &charset{double: cns[6], escape: "$+L", place: 3}
	setCNS7    = &charset{double: cns[7], escape: "$+M", place: 3}
)

// iso2022JP decodes ISO-2022-JP with all that its successors added (RFC 1468, 1554, 2237) and
// what .NET reads besides: katakana after SO and in bytes above 0xA0. It encodes
// what every reader of ISO-2022-JP knows.
var iso2022JP = oneWay{&iso2022{
	name:  "ISO-2022-JP",
	start: [4]*charset{setASCII, setKatakana},
	kana:  true,
	escapes: []designated{
		{"(B", 0, setASCII}, {"$B", 0, setJIS0208}, {"(J", 0, setASCII}, {"(H", 0, setASCII}, {"(I", 0, setKatakana}, {")I", 1, setKatakana},
		{"$@", 0, setJIS0208}, {"$(@", 0, setJIS0208}, {"$(B", 0, setJIS0208}, {"$(D", 0, setJIS0212},
		{"$A", 0, setGB}, {"$(C", 0, setKS}, {".A", 2, setLatin1}, {".F", 2, setGreek},
		{"&@", 0, nil}, // announces that JIS X 0208 is that of 1990
	},
}, japanese.ISO2022JP}

// iso2022KR is ISO-2022-KR (RFC 1557). The designation at its start is written, but not asked for.
var iso2022KR = &iso2022{
	name:     "ISO-2022-KR",
	start:    [4]*charset{setASCII, setKS},
	escapes:  []designated{{"$)C", 1, setKS}},
	spelling: sync.OnceValue(func() *spelling { return spell2022("\x1b$)C", setKS) }),
}

// iso2022CN is ISO-2022-CN and ISO-2022-CN-EXT (RFC 1922), which adds to it.
var iso2022CN = &iso2022{
	name:  "ISO-2022-CN-EXT",
	start: [4]*charset{setASCII},
	escapes: []designated{
		{"$)A", 1, setGB}, {"$)G", 1, setCNS1}, {"$*H", 2, setCNS2}, {"$)E", 1, setISOIR},
		{"$+I", 3, setCNS3}, {"$+J", 3, setCNS4}, {"$+K", 3, setCNS5}, {"$+L", 3, setCNS6}, {"$+M", 3, setCNS7},
	},
	spelling: sync.OnceValue(func() *spelling {
		return spell2022("", setGB, setCNS1, setCNS2, setISOIR, setCNS3, setCNS4, setCNS5, setCNS6, setCNS7)
	}),
}

func (e *iso2022) String() string { return e.name }

// NewDecoder implements encoding.Encoding.
func (e *iso2022) NewDecoder() *encoding.Decoder {
	d := &shifter{iso2022: e}
	for place, set := range e.start {
		d.initial[place] = set.load()
	}
	d.Reset()
	return &encoding.Decoder{Transformer: decoder{d}}
}

// A loaded is a set whose table is at hand.
type loaded struct {
	set   *charset
	table *doubleSet // nil for a set of single bytes
}

func (c *charset) load() loaded {
	if c == nil || c.double == nil {
		return loaded{c, nil}
	}
	return loaded{c, c.double()}
}

// A shifter is the state of a decoder: the sets in place, and which of them is used.
type shifter struct {
	*iso2022
	initial [4]loaded
	g       [4]loaded
	locked  byte // place of the locking shift: 0 or 1
	once    byte // place of a single shift, or 0
}

func (d *shifter) end() rune {
	if d.once != 0 {
		d.once = 0
		return utf8.RuneError
	}
	return none
}

func (d *shifter) Reset() { d.g, d.locked, d.once = d.initial, 0, 0 }

const escape = 0x1B

func (d *shifter) run(dst, src []byte) (nDst, nSrc int) {
	switch g := &d.g[d.locked]; {
	case d.once != 0:
		return 0, 0
	case g.table != nil:
		return g.table.pairs(dst, src)
	case g.set.single == nil:
		return printable(dst, src)
	}
	return 0, 0
}

func (d *shifter) step(src []byte, atEOF bool) (rune, int) {
	a := src[0]
	if ' ' < a && a < 0x7F {
		return d.graphic(a, src, atEOF)
	}
	if d.once != 0 {
		set := d.g[d.once].set
		d.once = 0
		if set.single != nil && (a == ' ' || a == 0x7F) { // a set of 96
			return set.single(a), 1
		}
		if a < utf8.RuneSelf {
			return utf8.RuneError, 0
		}
	}
	switch {
	case a == escape:
		return d.escape(src, atEOF)
	case a == shiftOut && d.g[1].set != nil:
		d.locked = 1
		return none, 1
	case a == shiftIn:
		d.locked = 0
		return none, 1
	case a == '\n': // every line starts anew: what is lost is lost to one line only
		d.Reset()
		return '\n', 1
	case a < utf8.RuneSelf:
		return rune(a), 1
	case d.kana && 0xA1 <= a && a <= 0xDF:
		return rune(a) - 0xA1 + 0xFF61, 1
	}
	return utf8.RuneError, 1
}

// graphic reads a character of the set in use, whose first byte is a.
func (d *shifter) graphic(a byte, src []byte, atEOF bool) (rune, int) {
	place := d.locked
	if d.once != 0 {
		place = d.once
	}
	switch g := &d.g[place]; {
	case g.table != nil && len(src) > 1:
		d.once = 0
		if b := src[1]; ' ' < b && b < 0x7F {
			return g.table.rune(a, b), 2
		}
		return utf8.RuneError, 1
	case g.table != nil && !atEOF:
		return more, 0
	case g.table == nil && g.set.single == nil:
		return rune(a), 1
	case g.table == nil:
		d.once = 0
		return g.set.single(a), 1
	}
	d.once = 0
	return utf8.RuneError, 1
}

// escape obeys an escape sequence: ESC and up to three bytes.
func (d *shifter) escape(src []byte, atEOF bool) (rune, int) {
	rest := src[1:min(4, len(src))]
	undecided := len(rest) == 0
	for i := range d.escapes {
		e := &d.escapes[i]
		switch {
		case len(e.sequence) > len(rest):
			undecided = undecided || e.sequence[:len(rest)] == string(rest)
		case string(rest[:len(e.sequence)]) == e.sequence:
			if e.set != nil {
				d.g[e.place] = e.set.load()
			}
			return none, 1 + len(e.sequence)
		}
	}
	if len(rest) > 0 && (rest[0] == 'N' && d.g[2].set != nil || rest[0] == 'O' && d.g[3].set != nil) {
		d.once = rest[0] - 'N' + 2
		return none, 2
	}
	if undecided && !atEOF {
		return more, 0
	}
	return utf8.RuneError, 1
}

// A spelling is what an encoder needs: the code and the set of each rune.
type spelling struct {
	header string
	sets   []*charset
	byRune inverse // the index in sets, two bytes up, and the code
}

// spell2022 prefers the first of the sets that have a rune.
func spell2022(header string, sets ...*charset) *spelling {
	s := &spelling{header: header, sets: sets}
	for i, set := range sets {
		set.double().all(func(a, b byte, r rune) { s.byRune.add(r, uint32(i)<<16|uint32(a)<<8|uint32(b)) })
	}
	return s
}

// NewEncoder implements encoding.Encoding.
func (e *iso2022) NewEncoder() *encoding.Encoder {
	d := &speller2022{spelling: e.spelling(), iso2022: e}
	d.Reset()
	return &encoding.Encoder{Transformer: encoder{d, 0x1A}}
}

type speller2022 struct {
	*spelling
	*iso2022
	g       [4]*charset
	out     bool // shifted out
	started bool // the header is written
}

func (s *speller2022) Reset() { s.g, s.out, s.started = s.start, false, false }

func (s *speller2022) spell(dst []byte, r rune) ([]byte, bool) {
	code := uint32(0)
	if r >= utf8.RuneSelf {
		if code = s.byRune.code(r); code == 0 {
			return dst, false
		}
	}
	if !s.started {
		s.started = true
		dst = append(dst, s.header...)
	}
	if code == 0 {
		dst = append(s.finish(dst), byte(r))
		if r == '\n' {
			s.g = s.start
		}
		return dst, true
	}
	set := s.sets[code>>16]
	if s.g[set.place] != set {
		s.g[set.place] = set
		dst = append(append(dst, escape), set.escape...)
	}
	switch {
	case set.place > 1:
		dst = append(dst, escape, 'N'+set.place-2)
	case !s.out:
		s.out = true
		dst = append(dst, shiftOut)
	}
	return append(dst, byte(code>>8), byte(code)), true
}

func (s *speller2022) finish(dst []byte) []byte {
	if s.out {
		s.out = false
		dst = append(dst, shiftIn)
	}
	return dst
}
