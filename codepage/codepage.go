package codepage

import (
	"fmt"

	"golang.org/x/text/encoding"
)

// A Page is one character encoding.
type Page struct {
	Number   int               // Windows code page number; 0 if it has none
	Name     string            // .NET name if it has one, else the IANA name; canonical
	Title    string            // for people: "IBM EBCDIC US-Canada"
	Encoding encoding.Encoding // decodes and encodes; safe for concurrent use, its decoders and encoders are not

	kind kind
}

// A kind says what bytes below 0x80 mean in a page.
type kind uint8

const (
	asciiBased  kind = iota // ASCII, at least where no byte above 0x7F is near
	nearlyASCII             // ASCII but for a few signs
	sevenBit                // characters beyond ASCII too, by escapes or in the place of signs
	wide                    // parts of 16-bit or 32-bit units
	ebcdic                  // something else
)

// String returns "1252 (windows-1252)", or the name alone where there is no number.
func (p *Page) String() string {
	switch {
	case p.Number == 0:
		return p.Name
	case p.Name == "":
		return fmt.Sprint(p.Number)
	}
	return fmt.Sprintf("%d (%s)", p.Number, p.Name)
}

// Windows1252 is the default page.
var Windows1252 = numbered(1252)

// numbered finds a page of the table that is known to be there.
func numbered(number int) *Page {
	for i := range entries {
		if entries[i].Number == number {
			return &entries[i].Page
		}
	}
	panic(fmt.Sprintf("codepage: no code page %d", number))
}

// Ref is a page named in a configuration.
type Ref struct{ *Page }

// MarshalText returns the page's name; "" for none.
func (r Ref) MarshalText() ([]byte, error) {
	if r.Page == nil {
		return nil, nil
	}
	return []byte(r.Name), nil
}

// UnmarshalText implements encoding.TextUnmarshaler by Lookup.
func (r *Ref) UnmarshalText(text []byte) (err error) {
	r.Page, err = Lookup(string(text))
	return err
}
