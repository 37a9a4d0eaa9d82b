package authres

import (
	"errors"
	"strings"
)

// The limits of a field. One beyond them is not believed.
const (
	maxField   = 32 << 10 // bytes
	maxResults = 100      // and properties of a result
	maxComment = 20       // comments in comments
)

// A Field is an Authentication-Results field taken apart.
type Field struct {
	ServerID string // authserv-id
	Results  []Result
}

// A Result is what one method found.
type Result struct {
	Method     string            // lower case: dkim, spf, dmarc
	Value      string            // lower case: pass, fail, none
	Properties map[string]string // by ptype.property in lower case: header.d
}

// errSyntax is any way in which a field breaks the rules. Which one is of no use
// to anybody: the field is not believed.
var errSyntax = errors.New("it is not written by the rules of RFC 8601")

// Parse takes the value of a field apart (RFC 8601, section 2.2), unfolded but not
// decoded. Of what servers really write it takes properties without a type
// (action=none), and unquoted values with characters that should be quoted, up to
// the next blank, semicolon or comment.
func Parse(value string) (*Field, error) {
	if len(value) > maxField {
		return nil, errors.New("it is too long")
	}
	p := &parser{s: value}
	f := &Field{}
	p.blanks()
	if f.ServerID = p.value(); f.ServerID == "" {
		return nil, errSyntax
	}
	p.blanks()
	if version := p.word(); version != "" && version != "1" {
		return nil, errors.New("it is of a version that is not known")
	}
	for p.blanks(); !p.end(); p.blanks() {
		if !p.take(';') {
			return nil, errSyntax
		}
		if p.blanks(); p.end() {
			break // a last semicolon
		}
		r, none := p.result()
		if none {
			continue
		}
		if f.Results = append(f.Results, r); p.bad || len(f.Results) > maxResults {
			return nil, errSyntax
		}
	}
	if p.bad {
		return nil, errSyntax
	}
	return f, nil
}

// A parser goes once over a field.
type parser struct {
	s   string
	i   int
	bad bool
}

func (p *parser) end() bool { return p.i >= len(p.s) || p.bad }

func (p *parser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

// blanks skips blanks and comments (RFC 5322, section 3.2.2).
func (p *parser) blanks() {
	depth := 0
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '(':
			if depth++; depth > maxComment {
				p.bad = true
				return
			}
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			p.i++
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return
		}
	}
	p.bad = p.bad || depth > 0
}

// word reads a keyword, "" if there is none.
func (p *parser) word() string {
	begin := p.i
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			break
		}
		p.i++
	}
	return strings.ToLower(p.s[begin:p.i])
}

// value reads a value: text and quoted text up to a blank, semicolon or comment.
func (p *parser) value() string {
	var b strings.Builder
	for p.i < len(p.s) {
		switch c := p.s[p.i]; c {
		case ' ', '\t', '\r', '\n', ';', '(':
			return b.String()
		case '"':
			p.quoted(&b)
		default:
			b.WriteByte(c)
			p.i++
		}
	}
	return b.String()
}

func (p *parser) quoted(b *strings.Builder) {
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			return
		case '\\':
			if p.i++; p.i < len(p.s) {
				b.WriteByte(p.s[p.i])
			}
		default:
			b.WriteByte(c)
		}
	}
	p.bad = true // it never ends
}

// result reads a method, what it found, the reason and the properties. none is
// the word that stands for no result at all.
func (p *parser) result() (r Result, none bool) {
	r.Method = p.word()
	p.blanks()
	if r.Method == "none" && (p.end() || p.s[p.i] == ';') {
		return r, true
	}
	if p.take('/') { // the method's version
		p.blanks()
		if version := p.word(); version != "1" {
			p.bad = true
		}
		p.blanks()
	}
	if r.Method == "" || !p.take('=') {
		p.bad = true
		return r, false
	}
	p.blanks()
	if r.Value = p.word(); r.Value == "" {
		p.bad = true
	}
	for p.blanks(); !p.end() && p.s[p.i] != ';'; p.blanks() {
		p.property(&r)
	}
	return r, false
}

// property reads ptype.property=value, or reason=value and the like, which say nothing.
func (p *parser) property(r *Result) {
	name := p.word()
	p.blanks()
	typed := p.take('.')
	if typed {
		p.blanks()
		name += "." + p.word()
		p.blanks()
	}
	if name == "" || !p.take('=') {
		p.bad = true
		return
	}
	p.blanks()
	value := p.value()
	if !typed {
		return
	}
	if r.Properties == nil {
		r.Properties = make(map[string]string)
	}
	if _, twice := r.Properties[name]; twice || len(r.Properties) >= maxResults {
		p.bad = true // which of them counts?
		return
	}
	r.Properties[name] = value
}
