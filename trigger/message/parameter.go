package message

import (
	"slices"
	"strconv"
	"strings"
)

// A parameter is one piece of a MIME field's parameters as it stands: RFC 2231
// names it with an index where it is a piece of a longer one, and extended
// where its text is percent-encoded.
type parameter struct {
	name     string // lower-case
	index    int    // -1: no continuation
	extended bool
	value    string // raw bytes, quotes taken off
}

// A parameters is a MIME field taken apart: Content-Type, Content-Disposition.
type parameters struct {
	value string // what stands before the parameters, lower-case
	list  []parameter
}

// raw returns the value of the plain parameter of that name, not decoded, or "".
func (p *parameters) raw(name string) string {
	for i := range p.list {
		if q := &p.list[i]; q.name == name && q.index < 0 && !q.extended {
			return q.value
		}
	}
	return ""
}

// parameters takes a MIME field apart (RFC 2045, section 5.1; RFC 2231), with
// what mailers do to it: no semicolons, no quotes around blanks, quotes that
// never end, backslashes that are path separators.
func (r *reader) parameters(value []byte) parameters {
	s := string(unfold(value, &r.defects))
	i := strings.IndexAny(s, "; \t,(")
	if i < 0 {
		i = len(s)
	}
	p := parameters{value: strings.ToLower(strings.Trim(s[:i], `"' `))}
	s = s[i:]
	for {
		s = strings.TrimLeft(s, "; \t,")
		if s == "" {
			return p
		}
		if s[0] == '(' {
			n := strings.IndexByte(s, ')')
			if n < 0 {
				return p
			}
			s = s[n+1:]
			continue
		}
		n := strings.IndexAny(s, "=;")
		if n < 0 || s[n] == ';' {
			if n < 0 {
				n = len(s)
			}
			r.defects.add(DefectParameter)
			s = s[n:]
			continue
		}
		if len(p.list) == MaxParameters {
			r.defects.add(DefectParameterLimit)
			return p
		}
		q := newParameter(s[:n])
		q.value, s = r.parameterValue(q.name, strings.TrimLeft(s[n+1:], " \t"))
		p.list = append(p.list, q)
	}
}

// newParameter reads a parameter's name: name, name*, name*0, name*0*.
func newParameter(name string) parameter {
	p := parameter{index: -1}
	name = strings.ToLower(strings.TrimSpace(name))
	if i := strings.LastIndexAny(name, " \t"); i >= 0 {
		name = name[i+1:] // junk before it
	}
	if n, ok := strings.CutSuffix(name, "*"); ok {
		p.extended, name = true, n
	}
	if n, index, ok := strings.Cut(name, "*"); ok {
		if i, err := strconv.ParseUint(index, 10, 16); err == nil {
			p.index, name = int(i), n
		}
	}
	p.name = name
	return p
}

// parameterValue cuts a value off s.
func (r *reader) parameterValue(name, s string) (value, rest string) {
	if s == "" || s[0] != '"' {
		n := strings.IndexByte(s, ';')
		if n < 0 {
			n = len(s)
		}
		value, rest = strings.TrimRight(s[:n], " \t"), s[n:]
		// Blanks without quotes are common in file names. In others a blank
		// begins a comment or a parameter whose semicolon was forgotten.
		if i := strings.IndexAny(value, " \t("); i >= 0 {
			if name != "name" && name != "filename" && name != "boundary" {
				value, rest = value[:i], s[i:]
			} else {
				r.defects.add(DefectParameter)
			}
		}
		if len(value) > 1 && value[0] == '\'' && value[len(value)-1] == '\'' && name != "boundary" {
			value = value[1 : len(value)-1]
		}
		return strings.TrimRight(value, `"`), rest
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s) && (s[i+1] == '\\' || s[i+1] == '"' && strings.IndexByte(s[i+2:], '"') >= 0):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	// The quote never ends: take what stands before the next semicolon.
	r.defects.add(DefectParameter)
	value, rest, _ = strings.Cut(s[1:], ";")
	return strings.TrimRight(value, " \t\""), rest
}

// get returns the parameter decoded to characters. An extended one goes before
// a plain one of the same name, which is there for old readers.
func (r *reader) parameter(p parameters, name string) string {
	var pieces []parameter
	plain, extended := -1, -1
	for i, q := range p.list {
		switch {
		case q.name != name:
		case q.index >= 0:
			pieces = append(pieces, q)
		case q.extended && extended < 0:
			extended = i
		case !q.extended && plain < 0:
			plain = i
		}
	}
	switch {
	case extended >= 0:
		charset, value := r.charsetOf(p.list[extended].value)
		return tameName(r.words(r.decodeAs(charset, r.unpercent(nil, value))))
	case len(pieces) > 0:
		return r.continued(pieces)
	case plain >= 0:
		v := p.list[plain].value
		if strings.Contains(v, "=?") {
			r.defects.add(DefectEncodedWord) // RFC 2047, section 5: not in parameters
		}
		return tameName(r.words(r.header([]byte(v))))
	}
	return ""
}

// continued joins the pieces of a parameter (RFC 2231, section 3) in the order
// of their numbers, before their bytes become characters.
func (r *reader) continued(pieces []parameter) string {
	slices.SortStableFunc(pieces, func(a, b parameter) int { return a.index - b.index })
	if pieces[0].index != 0 {
		r.defects.add(DefectParameter)
	}
	var (
		b       []byte
		charset string
	)
	for i, q := range pieces {
		if i > 0 && q.index == pieces[i-1].index {
			r.defects.add(DefectParameter)
			continue
		}
		if !q.extended {
			b = append(b, q.value...)
			continue
		}
		if i == 0 {
			charset, q.value = r.charsetOf(q.value)
		}
		b = r.unpercent(b, q.value)
	}
	if charset == "" {
		return tameName(r.words(r.header(b)))
	}
	return tameName(r.words(r.decodeAs(charset, b)))
}

// charsetOf splits charset'language'text.
func (r *reader) charsetOf(s string) (charset, text string) {
	charset, text, ok := strings.Cut(s, "'")
	if ok {
		_, text, ok = strings.Cut(text, "'")
	}
	if !ok {
		r.defects.add(DefectParameter)
		return "", s
	}
	return charset, text
}

// unpercent appends s with its %XX undone.
func (r *reader) unpercent(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if i+2 < len(s) {
				if h, ok := hexByte(s[i+1], s[i+2]); ok {
					b = append(b, h)
					i += 2
					continue
				}
			}
			r.defects.add(DefectParameter)
		}
		b = append(b, s[i])
	}
	return b
}

// tameName takes line ends and NUL out of a name and keeps all else.
func tameName(s string) string {
	if strings.ContainsAny(s, "\r\n\x00") {
		s = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(s)
	}
	return strings.TrimSpace(s)
}

// The parameters of an attachment's content type that are kept.
const maxKept, maxKeptValue = 10, 100

// kept returns the parameters of a content type that a reader of the bytes needs. Names
// of files are elsewhere (Attachment.Name), and boundaries are none of a single part.
func kept(p parameters) (m map[string]string) {
	for _, q := range p.list {
		switch {
		case q.index >= 0, q.extended, len(m) >= maxKept, !isPlain(q.name), !isPlain(q.value), strings.Contains(q.value, "=?"):
			continue
		case q.name == "name", q.name == "boundary", m[q.name] != "":
			continue
		case m == nil:
			m = make(map[string]string)
		}
		m[q.name] = q.value
	}
	return m
}

// isPlain reports whether s is short and printable ASCII.
func isPlain(s string) bool {
	return s != "" && len(s) <= maxKeptValue && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
