package codepage

import "strings"

// Info is a row of the table of code pages, for people.
type Info struct {
	Name      string   `json:"name,omitempty"`   // canonical, as Page.Name; "" for a few refused ones
	Number    int      `json:"number,omitempty"` // Windows number; 0 if none
	DotNet    string   `json:"dotnet,omitempty"` // .NET name, "" if none
	IANA      []string `json:"iana,omitempty"`   // IANA's names, the preferred one first
	Also      []string `json:"also,omitempty"`   // other names in use
	Title     string   `json:"title"`
	Page      *Page    `json:"-"` // nil if not supported
	Supported bool     `json:"supported"`
	Why       string   `json:"why,omitempty"` // why it is not supported, or what to know about it
}

// All returns every page known, by number, then those without one by name.
func All() []*Info {
	all := make([]*Info, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		info := &Info{Name: e.Name, Number: e.Number, Title: e.Title, IANA: strings.Fields(e.iana), Also: strings.Fields(e.also), Why: e.why()}
		switch e.Number {
		case 0, 50229, 50930, 50933, 50935, 50937, 50939, 51950: // named by IANA, IBM or custom
		default:
			info.DotNet = e.Name
		}
		if e.Encoding != nil {
			info.Page, info.Supported = &e.Page, true
		}
		all = append(all, info)
	}
	return all
}

// why is what to know about an entry: the reason why it is refused, if it is.
func (e *entry) why() string {
	if note, ok := notes[e.Number]; ok && e.Number != 0 {
		return note
	}
	if e.Encoding == nil {
		return "there is no published table to check one against"
	}
	return ""
}

// notes are what to know about a page, by number.
var notes = map[int]string{
	708:   "the letters of ISO 8859-6; no published table says what Windows adds at 0x80-0x9F",
	709:   "no published table; .NET does not offer it either",
	710:   "no published table; .NET does not offer it either",
	10001: "no published table; mail made on a Mac is labelled shift_jis (932)",
	10002: "no published table; mail made on a Mac is labelled big5 (950)",
	10003: "the table of 949, as .NET reads it with that of 20949",
	10008: "the table of 936, as .NET reads it with that of 20936",
	20936: "the table of 936, which has all of GB 2312",
	20949: "the table of 949, which has all of KS X 1001",
	50227: "the table of 936, as in .NET; ISO-2022-CN itself is found by that name",
	51936: "the table of 936, as in .NET",
	51949: "the table of 949, which has all of KS X 1001",
	950:   "with the Hong Kong characters (HKSCS) and those of ETEN",
	50936: "no published table; 50935 reads the double-byte half",
	50931: "no published table; 50930 and 50939 read the double-byte half",
}
