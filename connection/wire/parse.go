package wire

import (
	"bytes"
	"unicode"
)

// parser reads values of a response whose text, small literals included, is all
// there: RFC 9051, section 4. It never recurses. A method that returns false has
// not found what it looks for; where the parser then stands is undefined, except
// where said.
type parser struct {
	b     []byte
	i     int
	depth int  // deepest nesting allowed
	deep  bool // it was exceeded
}

// blanks skips blanks.
func (p *parser) blanks() { p.i = blanks(p.b, p.i) }

// peek returns the next byte, 0 at the end of the text.
func (p *parser) peek() byte {
	if p.i >= len(p.b) || p.b[p.i] == '\r' || p.b[p.i] == '\n' {
		return 0
	}
	return p.b[p.i]
}

// take consumes c if it comes next.
func (p *parser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.i++
	return true
}

// word reads up to a blank, a parenthesis or the end; "" if there is none.
func (p *parser) word() []byte {
	from := p.i
	for c := p.peek(); c != 0 && c != ' ' && c != '\t' && c != '(' && c != ')'; c = p.peek() {
		p.i++
	}
	if p.i < len(p.b) && p.b[p.i] == 0 {
		// NUL is no part of anything, and must not stop us for good.
		p.i++
		return p.b[from : p.i-1]
	}
	return p.b[from:p.i]
}

// str reads a quoted string or a literal; it stays in place if there is neither.
func (p *parser) str() (s []byte, ok bool) {
	start := p.i
	switch p.peek() {
	case '"':
		p.i++
		from, plain := p.i, true
		for p.i < len(p.b) {
			switch p.b[p.i] {
			case '\n':
				p.i = start
				return nil, false
			case '\\':
				plain = false
				p.i++
			case '"':
				s = p.b[from:p.i]
				p.i++
				if !plain {
					s = unquote(s)
				}
				return s, true
			}
			p.i++
		}
	case '~', '{':
		end := bytes.IndexByte(p.b[p.i:], '\n')
		if end < 0 {
			break
		}
		header := p.b[p.i : p.i+end+1]
		before, n, ok := literalHeader(header)
		if !ok || before != 0 || n > int64(len(p.b)-p.i-len(header)) {
			break
		}
		from := p.i + len(header)
		p.i = from + int(n)
		return p.b[from:p.i], true
	}
	p.i = start
	return nil, false
}

func unquote(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return out
}

// astring reads a string or a word.
func (p *parser) astring() (s []byte, ok bool) {
	if s, ok = p.str(); ok {
		return s, true
	}
	if c := p.peek(); c == '"' || c == '{' {
		return nil, false
	}
	s = p.word()
	return s, len(s) > 0
}

// nstring reads NIL or a string.
func (p *parser) nstring() (s []byte, null, ok bool) {
	if s, ok = p.str(); ok {
		return s, false, true
	}
	if bytes.EqualFold(p.word(), []byte("NIL")) {
		return nil, true, true
	}
	return nil, false, false
}

// skip passes over one value of any kind, with all that is nested in it.
func (p *parser) skip() bool {
	nested := 0
	for {
		p.blanks()
		switch c := p.peek(); {
		case c == '(':
			p.i++
			if nested++; nested > p.depth {
				p.deep = true
				return false
			}
			continue
		case c == ')':
			if nested == 0 {
				return false
			}
			p.i++
			nested--
		case c == '"' || c == '{' || c == '~':
			if _, ok := p.str(); !ok {
				return false
			}
		default:
			from := p.i
			p.word()
			if p.i == from {
				return false
			}
		}
		if nested == 0 {
			return true
		}
	}
}

// isAtomChar reports whether go-imap takes c for a part of an atom. Bytes from
// 0x80 to 0x9f are control characters to it.
func isAtomChar(c byte) bool {
	switch c {
	case '(', ')', '{', ' ', '%', '*', '"', '\\', ']':
		return false
	}
	return !unicode.IsControl(rune(c))
}

// appendAtom appends w with whatever an atom may not hold replaced by "?".
func appendAtom(dst, w []byte) []byte {
	for _, c := range w {
		if !isAtomChar(c) {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// appendQuoted appends s as a quoted string. CR, LF and NUL, which it may not
// hold, become blanks.
func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch c {
		case '\r', '\n', 0:
			c = ' '
		case '"', '\\':
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
