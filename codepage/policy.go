package codepage

import "fmt"

// Mode says when a Policy's page is used.
type Mode uint8

// The modes.
const (
	Fallback Mode = iota // where the message declares none, an unknown one, or one its bytes contradict
	Override             // always
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "fallback":
		*m = Fallback
	case "override":
		*m = Override
	default:
		return fmt.Errorf("unknown code page mode %q; use \"fallback\" or \"override\"", text)
	}
	return nil
}

// String returns the mode's name in the configuration.
func (m Mode) String() string {
	if m == Override {
		return "override"
	}
	return "fallback"
}

// A Policy decides which page a text is read with. The zero value falls back to Windows-1252.
// Policies are comparable; equal policies decode alike.
type Policy struct {
	Page *Page // nil: Windows1252
	Mode Mode
}

// A Choice is what a Policy decided, and why.
type Choice struct {
	Page   *Page
	Why    string // for people: "declared", "undeclared, all ASCII", "declared us-ascii, but the bytes are UTF-8" ...
	Defect string // one of Defects if something had to be mended, else ""
}

// The defects of a text, as a Choice names them.
const (
	// Undeclared: bytes above 0x7F or escapes, but no charset declared.
	Undeclared = "charset-undeclared"
	// Unknown: the declared charset is not known, or has no table.
	Unknown = "charset-unknown"
	// Contradicted: the bytes cannot be in the declared charset, and were read with another.
	Contradicted = "charset-contradicted"
	// Undecodable: some bytes mean nothing in the page used; each became U+FFFD.
	Undecodable = "charset-undecodable"
)

// Defects is every word that Choice.Defect may be, besides "".
var Defects = []string{Undeclared, Unknown, Contradicted, Undecodable}

// Choose decides how to read data whose declared charset is label ("" if none).
//
// In mode Override that is always the policy's page, whatever the label and the
// bytes say: it is for senders that declare what is not so, UTF-8 included.
//
// In mode Fallback the label is believed unless the bytes contradict it. Then,
// and where there is no label or an unknown one, the text is read with the first of these
// that reads it cleanly, that is without U+FFFD and without C1 control characters:
//
//   - Unicode with a byte order mark
//   - UTF-8, if there are bytes above 0x7F
//   - ISO-2022 by its escapes, if there are none
//   - the label's superset (ISO-8859-1: Windows-1252; GB 2312: GB 18030 ...)
//   - the label itself, though some of the text is damaged, as when it was cut
//     in the middle of a character: most of it must still read well
//   - the policy's page, cleanly or not.
//
// Valid UTF-8 contradicts a label that can read the same bytes, too: at once if
// that is ASCII or one of the Latin pages, where such letters make no words, else if
// there are enough characters that chance is ruled out.
// Text of ASCII alone is read as declared, or as ASCII.
func (p Policy) Choose(label string, data []byte) Choice {
	c, _ := p.read(label, data)
	return c
}

// Decode returns data as UTF-8 by the page that Choose chooses. It never fails:
// what cannot be decoded becomes U+FFFD.
func (p Policy) Decode(label string, data []byte) (string, Choice) {
	c, text := p.read(label, data)
	return text.string(), c
}
