package codepage

import (
	"encoding/binary"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// The Unicode pages. A byte order mark is obeyed and dropped when decoding and
// never written when encoding, as .NET's GetString and GetBytes have it.
var (
	utf8NoBOM = oneWay{unicode.UTF8BOM, unicode.UTF8}
	utf16le   = oneWay{unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)}
	utf16be   = oneWay{unicode.UTF16(unicode.BigEndian, unicode.UseBOM), unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)}
	utf32le   = utf32Page{binary.LittleEndian, utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)}
	utf32be   = utf32Page{binary.BigEndian, utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)}
)

// A oneWay decodes with one encoding and encodes with another.
type oneWay struct{ decode, encode encoding.Encoding }

// NewDecoder implements encoding.Encoding.
func (o oneWay) NewDecoder() *encoding.Decoder { return o.decode.NewDecoder() }

// NewEncoder implements encoding.Encoding.
func (o oneWay) NewEncoder() *encoding.Encoder { return o.encode.NewEncoder() }

// utf32Page decodes UTF-32 in the byte order of its mark, else in the given one.
// x/text's decoder fails, where it should say U+FFFD, on a text shorter than a mark.
type utf32Page struct {
	order  binary.ByteOrder
	encode encoding.Encoding
}

// NewDecoder implements encoding.Encoding.
func (u utf32Page) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: decoder{&utf32Stepper{initial: u.order, order: u.order}}}
}

// NewEncoder implements encoding.Encoding.
func (u utf32Page) NewEncoder() *encoding.Encoder { return u.encode.NewEncoder() }

type utf32Stepper struct {
	slow
	initial, order binary.ByteOrder
	begun          bool
}

func (u *utf32Stepper) end() rune { return none }
func (u *utf32Stepper) Reset()    { u.order, u.begun = u.initial, false }

func (u *utf32Stepper) step(src []byte, atEOF bool) (rune, int) {
	const mark, swapped = 0xFEFF, 0xFFFE0000
	if len(src) < 4 {
		if atEOF {
			return utf8.RuneError, len(src)
		}
		return more, 0
	}
	v, first := u.order.Uint32(src), !u.begun
	u.begun = true
	switch {
	case first && v == mark:
		return none, 4
	case first && v == swapped && u.order == binary.ByteOrder(binary.LittleEndian):
		u.order = binary.BigEndian
		return none, 4
	case first && v == swapped:
		u.order = binary.LittleEndian
		return none, 4
	case v > utf8.MaxRune || !utf8.ValidRune(rune(v)):
		return utf8.RuneError, 4
	}
	return rune(v), 4
}
