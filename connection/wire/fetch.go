package wire

import (
	"bytes"
	"strconv"
	"time"
)

// fetch rewrites one FETCH response (RFC 9051, section 7.5.2) for go-imap: the
// items that a program needs which reads mail as it was sent, each in the one
// form that go-imap takes. Items that it does not know, that nobody asked for
// (ENVELOPE and BODYSTRUCTURE, whose grammar is a stack of traps) or that make no
// sense (MODSEQ -1) are left out; an INTERNALDATE in a wrong form is mended.
// Parentheses too many (Domino) are passed over.
type fetch struct {
	seq  uint32
	open bool // "* n FETCH (" has been written
	dead bool // nothing more can be understood
}

// piece rewrites the text of a response up to its end, or up to a body literal
// of size bytes (-1: there is none). It reports whether that literal is wanted.
func (f *fetch) piece(dst []byte, p *parser, size int64) (out []byte, wanted bool) {
	for !f.dead {
		for c := p.peek(); c == ' ' || c == '\t' || c == '(' || c == ')'; c = p.peek() {
			p.i++
		}
		if p.peek() == 0 {
			break
		}
		from := p.i
		section, name := p.itemName()
		if name == nil {
			f.dead = true
			break
		}
		p.blanks()
		if section && p.i >= len(p.b) && size >= 0 {
			dst = append(f.item(dst, name), '{')
			dst = strconv.AppendInt(dst, size, 10)
			return append(dst, "}\r\n"...), true
		}
		if out, ok := f.value(dst, p, section, name); ok {
			dst = out
		} else if p.i = from; !p.skipItem() {
			f.dead = true
		}
	}
	if size >= 0 {
		return dst, false // of a section that is not understood
	}
	if f.open {
		dst = append(dst, ")\r\n"...)
	}
	return dst, false
}

// itemName reads the name of an item with its section, upper case and in
// go-imap's form if it is a body section. nil: no name.
func (p *parser) itemName() (section bool, name []byte) {
	from := p.i
	for c := p.peek(); c != 0 && c != ' ' && c != '(' && c != ')' && c != '[' && c != '{' && c != '"'; c = p.peek() {
		p.i++
	}
	name = bytes.ToUpper(p.b[from:p.i])
	if len(name) == 0 {
		return false, nil
	}
	switch string(name) {
	case "RFC822":
		return true, []byte("BODY[]")
	case "RFC822.HEADER":
		return true, []byte("BODY[HEADER]")
	case "RFC822.TEXT":
		return true, []byte("BODY[TEXT]")
	}
	if p.peek() != '[' {
		return false, name
	}
	p.i++
	spec, ok := p.sectionSpec()
	if !ok {
		return false, name
	}
	if string(name) != "BODY" && string(name) != "BINARY" {
		return false, name
	}
	if string(name) == "BINARY" && bytes.ContainsFunc(spec, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		return false, []byte("?")
	}
	name = append(append(append(name, '['), spec...), ']')
	if p.take('<') {
		from := p.i
		for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
			p.i++
		}
		n := p.b[from:p.i]
		if !p.take('>') || !isNumber32(n) || name[1] == 'I' {
			return false, []byte("?")
		}
		name = append(append(append(name, '<'), n...), '>')
	}
	return true, name
}

// sectionSpec reads what stands between BODY[ and ], and returns it in go-imap's
// form. If ok, the parser stands behind the bracket, also if the section is unknown.
func (p *parser) sectionSpec() (spec []byte, ok bool) {
	from := p.i
	for c := p.peek(); c != 0 && c != ']' && c != ' ' && c != '('; c = p.peek() {
		p.i++
	}
	spec = bytes.ToUpper(p.b[from:p.i])
	rest := spec
	for len(rest) > 0 && rest[0] >= '1' && rest[0] <= '9' {
		n, after, dot := bytes.Cut(rest, []byte("."))
		if !isNumber32(n) {
			return nil, false
		}
		if rest = after; dot && len(rest) == 0 {
			return nil, false
		}
	}
	switch string(rest) {
	case "", "HEADER", "TEXT", "MIME":
		p.blanks()
		return spec, p.take(']')
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
	default:
		return nil, false
	}
	p.blanks()
	if !p.take('(') {
		return nil, false
	}
	spec = append(spec, " ("...)
	for n := 0; ; n++ {
		p.blanks()
		if p.take(')') {
			p.blanks()
			return append(spec, ')'), p.take(']')
		}
		if p.peek() == '(' {
			return nil, false
		}
		field, ok := p.astring()
		if !ok {
			return nil, false
		}
		if n > 0 {
			spec = append(spec, ' ')
		}
		spec = appendQuoted(spec, field)
	}
}

// item begins an item: the response's head if it is the first, and its name.
func (f *fetch) item(dst, name []byte) []byte {
	if f.open {
		dst = append(dst, ' ')
	} else {
		f.open = true
		dst = append(dst, "* "...)
		dst = strconv.AppendUint(dst, uint64(f.seq), 10)
		dst = append(dst, " FETCH ("...)
	}
	dst = append(dst, name...)
	return append(dst, ' ')
}

// value rewrites an item's value. If !ok nothing of it is to be written.
func (f *fetch) value(dst []byte, p *parser, section bool, name []byte) (out []byte, ok bool) {
	if section {
		s, null, ok := p.nstring()
		if !ok {
			return dst, false
		}
		dst = f.item(dst, name)
		if null {
			return append(dst, "NIL"...), true
		}
		dst = append(dst, '{')
		dst = strconv.AppendInt(dst, int64(len(s)), 10)
		dst = append(dst, "}\r\n"...)
		return append(dst, s...), true
	}
	switch string(name) {
	case "UID":
		n, ok := number32(p.word())
		if !ok || n == 0 {
			return dst, false
		}
		return strconv.AppendUint(f.item(dst, name), uint64(n), 10), true
	case "RFC822.SIZE":
		n, ok := number64(p.word())
		if !ok {
			return dst, false
		}
		return strconv.AppendInt(f.item(dst, name), n, 10), true
	case "FLAGS":
		flags, ok := appendFlags(nil, p)
		if !ok {
			return dst, false
		}
		return append(f.item(dst, name), flags...), true
	case "INTERNALDATE":
		s, ok := p.astring()
		if !ok {
			return dst, false
		}
		t, ok := parseInternalDate(string(s))
		if !ok {
			return dst, false
		}
		return append(f.item(dst, name), t.Format(`"_2-Jan-2006 15:04:05 -0700"`)...), true
	case "MODSEQ":
		if !p.take('(') {
			return dst, false
		}
		p.blanks()
		n, ok := number64(p.word())
		p.blanks()
		if !ok || !p.take(')') {
			return dst, false
		}
		dst = append(f.item(dst, name), '(')
		return append(strconv.AppendInt(dst, n, 10), ')'), true
	}
	return dst, false
}

// skipItem passes over an item that is left out, and its value.
func (p *parser) skipItem() bool {
	if c := p.peek(); c == '"' || c == '{' || c == '~' {
		return p.skip() // a value without a name
	}
	from := p.i
	for c := p.peek(); c != 0 && c != ' ' && c != '(' && c != ')' && c != '['; c = p.peek() {
		p.i++
	}
	if p.take('[') { // a section that is not understood: up to its bracket
		for c := p.peek(); c != 0 && c != ']'; c = p.peek() {
			if c == '"' || c == '{' {
				if _, ok := p.str(); ok {
					continue
				}
			}
			p.i++
		}
		p.take(']')
		for c := p.peek(); c != 0 && c != ' ' && c != '(' && c != ')'; c = p.peek() {
			p.i++
		}
	}
	if p.i == from {
		return false
	}
	p.blanks()
	if c := p.peek(); c == ')' || c == 0 {
		return true // a name without a value
	}
	return p.skip()
}

// dateForms are the spellings of INTERNALDATE seen, the right one first.
var dateForms = []string{
	"_2-Jan-2006 15:04:05 -0700",
	"2-Jan-2006 15:04:05 -07:00",
	"2-Jan-2006 15:04:05 MST",
	"2-Jan-2006 15:04:05",
	"2-Jan-06 15:04:05 -0700",
	"2 Jan 2006 15:04:05 -0700",
	"Mon, 2 Jan 2006 15:04:05 -0700",
	"Mon, 2 Jan 2006 15:04:05 MST",
	time.RFC3339,
}

func parseInternalDate(s string) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil && t.Year() > 0 && t.Year() < 10000 && !t.IsZero() {
			return t, true
		}
	}
	return time.Time{}, false
}
