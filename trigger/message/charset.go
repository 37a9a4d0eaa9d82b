package message

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"

	"mailtrigger/codepage"
)

// decodeAs decodes bytes of a header that have a declared charset, by the policy.
func (r *reader) decodeAs(label string, b []byte) string {
	s, c := r.opts.Policy.Decode(label, b)
	r.defects.add(c.Defect)
	r.mention("a header", c)
	return valid(s)
}

// A mention is a choice of page that was not the sender's, and where it was made.
type mention struct {
	where string
	codepage.Choice
}

// mention remembers a choice that has a defect, the first of each page, a few pages in all.
func (r *reader) mention(where string, c codepage.Choice) {
	const most = 4
	if c.Defect == "" || len(r.mentions) == most ||
		slices.ContainsFunc(r.mentions, func(m mention) bool { return m.Page == c.Page }) {
		return
	}
	r.mentions = append(r.mentions, mention{where, c})
}

// withMentions adds to the reason for the text's page what else was read with another.
func (r *reader) withMentions(p CodePage) CodePage {
	used := p.Used
	for _, m := range r.mentions {
		if m.Page.Name != used {
			p.Why += "; in " + m.where + " " + m.Page.Name + ": " + m.Why
		}
	}
	return p
}

// large is from how many bytes on a text is decoded piece by piece. A policy
// decodes a text as a whole with each page it tries, which is fine for what a
// person writes, not for megabytes.
const large = 256 << 10

// text decodes a body's bytes by the policy to at most limit bytes; label is the
// charset declared. all is false if there would be more.
func (r *reader) text(label string, data []byte, limit int) (s string, c codepage.Choice, all bool) {
	if len(data) < large {
		s, c = r.opts.Policy.Decode(label, data)
		s, all = cut(lines(valid(s)), limit)
	} else {
		c = r.opts.Policy.Choose(label, sample(data))
		s, all = decodeLarge(c.Page.Encoding, data, limit)
	}
	r.defects.add(c.Defect)
	r.mention("a text", c)
	if strings.IndexByte(s, '\n') < 0 {
		s = strings.ReplaceAll(s, "\u0085", "\n") // NEL, by which mainframes end their lines
	}
	return s, c, all
}

// sample is the part of a large text that says most of its charset: what
// follows the first character that is not ASCII.
func sample(data []byte) []byte {
	for i, c := range data {
		if c >= utf8.RuneSelf || c == 0x1b || c == 0 {
			i &^= 3 // a unit's border in UTF-16 and UTF-32
			for i > 0 && data[i-1] >= utf8.RuneSelf {
				i-- // and a character's
			}
			return data[i:min(len(data), i+large)]
		}
	}
	return data[:large]
}

// decodeLarge decodes twice, first to know the size: what grows as it is
// written takes three times its memory.
func decodeLarge(e encoding.Encoding, data []byte, limit int) (s string, all bool) {
	size := 0
	pieces(e, data, func(p []byte) bool { size += len(p); return size <= limit })
	var b strings.Builder
	b.Grow(min(size, limit))
	all = true
	pieces(e, data, func(p []byte) bool {
		if b.Len()+len(p) > limit {
			part, _ := cut(string(p), limit-b.Len())
			b.WriteString(part)
			all = false
			return false
		}
		b.Write(p)
		return true
	})
	return valid(b.String()), all
}

// pieces decodes data in small pieces, line ends made LF, until put has enough.
func pieces(e encoding.Encoding, data []byte, put func(p []byte) bool) {
	var (
		d   = e.NewDecoder()
		buf [16 << 10]byte
		crs int // carriage returns not yet put
		end = []byte("\n")
	)
	for done := false; !done; {
		n, used, err := d.Transform(buf[:], data, true)
		data = data[used:]
		done = err != transform.ErrShortDst || n == 0 && used == 0
		for p := buf[:n]; len(p) > 0; {
			if p[0] == '\r' {
				crs++
				p = p[1:]
				continue
			}
			if p[0] != '\n' {
				for ; crs > 0; crs-- {
					if !put(end) {
						return
					}
				}
			}
			crs = 0
			i := bytes.IndexByte(p, '\r')
			if i < 0 {
				i = len(p)
			}
			if !put(p[:i]) {
				return
			}
			p = p[i:]
		}
	}
	for ; crs > 0 && put(end); crs-- {
	}
}

// header decodes bytes of a header field, encoded words untouched. Raw bytes are
// taken to be in the charset that the message declares for its body, since one
// program wrote both. What is ASCII stays ASCII, whatever the code page: a page that is
// no superset of it (EBCDIC, UTF-16) is meant for bodies.
func (r *reader) header(b []byte) string {
	escapes := false
	if ascii(b) {
		if escapes = bytes.IndexByte(b, 0x1b) >= 0; !escapes {
			return string(b)
		}
		r.defects.add(DefectHeader8Bit) // ISO-2022 as old mailers wrote it
	}
	if !r.policySet {
		r.policySet = true
		r.headerPolicy = r.opts.Policy
		if c := r.opts.Policy; c.Page != nil && !asciiSuperset(c.Page) {
			r.headerPolicy = codepage.Policy{}
		}
		if p, err := codepage.Lookup(r.headerLabel); err != nil || !asciiSuperset(p) {
			r.headerLabel = ""
		}
	}
	s, c := r.headerPolicy.Decode(r.headerLabel, b)
	if escapes || !utf8.Valid(b) {
		r.defects.add(DefectHeader8Bit)
		r.mention("a header", c)
	}
	if c.Defect == codepage.Undecodable {
		r.defects.add(c.Defect)
	}
	return valid(s)
}

// asciiSuperset reports whether printable ASCII means ASCII in the page.
func asciiSuperset(p *codepage.Page) bool {
	var b []byte
	for c := byte(' '); c < 0x7f; c++ {
		b = append(b, c)
	}
	out, err := p.Encoding.NewDecoder().Bytes(b)
	return err == nil && bytes.Equal(out, b)
}

func ascii[T []byte | string](b T) bool {
	for i := 0; i < len(b); i++ {
		if b[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// valid makes s fit for JSON whatever a decoder did, and takes off a byte order mark.
func valid(s string) string {
	return strings.ToValidUTF8(strings.TrimPrefix(s, "\ufeff"), "\ufffd")
}

// lines gives s line ends of LF. CR CR LF is one line end, a CR alone is another.
func lines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for {
		i := strings.IndexByte(s, '\r')
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		rest := strings.TrimLeft(s[i:], "\r")
		if !strings.HasPrefix(rest, "\n") {
			b.WriteString(strings.Repeat("\n", len(s)-i-len(rest)))
		}
		s = rest
	}
}

// tame makes a header's text one line: what an encoded word hides must not
// become a line of its own in mail that is made of it.
func tame(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}
