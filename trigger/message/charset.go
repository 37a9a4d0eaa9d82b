package message

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"mailtrigger/codepage"
)

// decodeAs decodes bytes of a declared charset by the policy.
func (r *reader) decodeAs(label string, b []byte) string {
	s, c := r.opts.Policy.Decode(label, b)
	r.defects.add(c.Defect)
	return valid(s)
}

// text decodes a body's bytes by the policy; label is the charset declared.
func (r *reader) text(label string, data []byte) (string, codepage.Choice) {
	s, c := r.opts.Policy.Decode(label, data)
	r.defects.add(c.Defect)
	return lines(valid(s)), c
}

// header decodes bytes of a header field, encoded words untouched. Its ASCII
// stays ASCII, whatever the code page: a page that is no superset of it (EBCDIC,
// UTF-16) is meant for bodies.
func (r *reader) header(b []byte) string {
	if ascii(b) {
		if bytes.IndexByte(b, 0x1b) < 0 {
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
	}
	if !utf8.Valid(b) {
		r.defects.add(DefectHeader8Bit)
	}
	s, _ := r.headerPolicy.Decode("", b)
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

// lines gives s line ends of LF.
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
		s = s[i:]
		for len(s) > 1 && s[0] == '\r' && s[1] == '\r' {
			s = s[1:] // CR CR LF is one line end
		}
		if len(s) < 2 || s[1] != '\n' {
			b.WriteByte('\n')
		}
		s = s[1:]
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
