package codepage

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// read chooses a page for data and reads it: the whole of the policy.
func (p Policy) read(label string, data []byte) (Choice, reading) {
	page := p.Page
	if page == nil || page.Encoding == nil {
		page = Windows1252
	}
	if p.Mode == Override {
		r := readWith(page, data)
		c := Choice{page, "override", ""}
		if r.lost > 0 {
			c.Defect = Undecodable
		}
		return c, r
	}

	what, defect := "declared "+shown(label), Contradicted
	var stated *Page
	switch e := known(label); {
	case squeeze(label) == "":
		what, defect = "undeclared", Undeclared
	case e == nil:
		what, defect = what+", which is not known", Unknown
	case e.Encoding == nil:
		what, defect = what+", which cannot be read", Unknown
	default:
		stated = &e.Page
		if stated == utf16lePage || stated == utf32lePage {
			if key := squeeze(label); !strings.HasSuffix(key, "le") && !strings.HasSuffix(key, "00") {
				stated = ordered(stated, data)
			}
		}
		if r, ok := believe(stated, data); ok {
			return Choice{stated, "declared", ""}, r
		}
	}
	return p.mend(what, defect, stated, page, data)
}

// believe reads data as stated, if the bytes do not contradict it.
func believe(stated *Page, data []byte) (reading, bool) {
	switch m := marked(data); {
	case m != nil && m != stated && stated.kind != ebcdic && (m == utf8Page || bytes.IndexByte(data, 0) >= 0) && readWith(m, data).clean():
		return reading{}, false // the marks of UTF-16 alone are letters in some pages
	case stated.kind == asciiBased && isASCII(data):
		if _, ok := escaped(data); ok {
			return reading{}, false
		}
	case stated.kind == wide || stated.kind == ebcdic:
		if looksASCII(data) && len(data) > 0 {
			return reading{}, false
		}
	}
	r := readWith(stated, data)
	return r, r.clean() && (stated == utf8Page || !isUTF8(stated, r, data))
}

// mend reads data whose label is missing, unknown or wrong. what and defect say
// which; stated is the label's page, nil if it has none.
func (p Policy) mend(what, defect string, stated, fallback *Page, data []byte) (Choice, reading) {
	but := func(page *Page, why string) Choice { return Choice{page, what + ", but " + why, defect} }

	if m := marked(data); m != nil {
		if r := readWith(m, data); r.clean() {
			return but(m, "there is a byte order mark"), r
		}
	}
	if isASCII(data) {
		if r, ok := escaped(data); ok {
			return but(r.page, "the escapes are those of "+r.page.Name), r
		}
		switch {
		case stated != nil && stated.kind == sevenBit:
		case stated != nil && looksASCII(data):
			return but(asciiPage, "the bytes are ASCII"), readWith(asciiPage, data)
		case stated == nil && plainIn(fallback, data):
			if defect == Undeclared {
				defect = "" // ASCII needs no declaration (RFC 2045, section 5.2)
			}
			return Choice{asciiPage, what + ", all ASCII", defect}, readWith(asciiPage, data)
		}
	}
	best := reading{}
	if r := readWith(utf8Page, data); r.good > 0 && r.clean() {
		return but(utf8Page, "the bytes are UTF-8"), r
	} else if r.damaged() {
		best = r
	}
	if stated != nil {
		for _, page := range supersets[stated] {
			r := readWith(page, data)
			if r.clean() {
				return but(page, "the bytes are "+page.Name), r
			}
			if r.damaged() && (best.page == nil || r.bad < best.bad) {
				best = r
			}
		}
		if r := readWith(stated, data); r.damaged() && (best.page == nil || r.bad < best.bad || r.bad == best.bad && !slices.Contains(latin, stated)) {
			best = r
		}
	}
	switch {
	case best.page == nil:
	case best.page == stated:
		c := Choice{stated, what + ", though " + places(best.bad) + " cannot be", ""}
		if best.lost > 0 {
			c.Defect = Undecodable
		}
		return c, best
	default:
		c := but(best.page, "most of the bytes are "+best.page.Name)
		if best.lost > 0 {
			c.Defect = Undecodable
		}
		return c, best
	}
	c := Choice{fallback, what + "; the fallback", defect}
	if stated != nil {
		c.Why = what + ", but the bytes are not; the fallback"
	}
	r := readWith(fallback, data)
	if r.lost > 0 {
		c.Defect = Undecodable
	}
	return c, r
}

// plainIn says that data of seven bits is ASCII even to those whose page is fallback:
// not if it is a text with that page's escapes, or in its wide units.
func plainIn(fallback *Page, data []byte) bool {
	switch fallback.kind {
	case asciiBased:
		return true
	case sevenBit:
		return string(data) == readWith(fallback, data).string()
	}
	return looksASCII(data)
}

// places is "1 place" or "n places".
func places(n int) string {
	if n == 1 {
		return "1 place"
	}
	return fmt.Sprintf("%d places", n)
}

// shown is a label as people may see it, whatever it holds.
func shown(label string) string {
	const most = 40
	if len(label) > most {
		return fmt.Sprintf("%.*q...", most, label)
	}
	for _, c := range []byte(label) {
		if c <= ' ' || c > '~' || c == '"' {
			return fmt.Sprintf("%q", label)
		}
	}
	return label
}
