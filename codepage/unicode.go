package codepage

import (
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
	utf32le   = oneWay{utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)}
	utf32be   = oneWay{utf32.UTF32(utf32.BigEndian, utf32.UseBOM), utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)}
)

// A oneWay decodes with one encoding and encodes with another.
type oneWay struct{ decode, encode encoding.Encoding }

// NewDecoder implements encoding.Encoding.
func (o oneWay) NewDecoder() *encoding.Decoder { return o.decode.NewDecoder() }

// NewEncoder implements encoding.Encoding.
func (o oneWay) NewEncoder() *encoding.Encoder { return o.encode.NewEncoder() }
