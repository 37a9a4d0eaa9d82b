package config

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// A place is where one key, table or item of an array stands in the text. The
// places of a file are a tree of the same form as its values.
//
// The toml package tells positions only of its own errors. A failing
// UnmarshalText can be made to tell the line of a value, but the package files
// positions under the key's name alone, so that all tables of an array, and all
// items, have the position of the last one; the mistakes in a trigger's
// conditions and actions are just those. This scanner reads only text that the
// toml package has found valid, and decodes nothing: it skips values and counts
// lines.
type place struct {
	line  int
	raw   string            // the text of a number, boolean or date
	keys  map[string]*place // of a table
	order []string          // the keys as they come
	items []*place          // of an array
}

// child returns the place of key below p, made at line if there is none.
func (p *place) child(key string, line int) *place {
	if c := p.keys[key]; c != nil {
		return c
	}
	c := &place{line: line}
	if p.keys == nil {
		p.keys = map[string]*place{}
	}
	p.keys[key] = c
	p.order = append(p.order, key)
	return c
}

// open returns p itself, or the last table of an array of tables.
func (p *place) open() *place {
	if n := len(p.items); n > 0 {
		return p.items[n-1]
	}
	return p
}

// maxNesting is how deep arrays and inline tables may nest. The deepest that
// means anything is 4: conditions in groups in groups.
const maxNesting = 32

var (
	errScan   = errors.New("not TOML")
	errNested = errors.New("nested too deeply")
)

// locate returns the places of all that stands in text. It ends with an error,
// and with what it found until then, where the text is not TOML.
func locate(text string) (*place, error) {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"} { // byte order marks, as the toml package skips them
		if rest, found := strings.CutPrefix(text, mark); found {
			text = rest
			break
		}
	}
	s := &scanner{text: text, line: 1}
	root := &place{line: 1}
	err := s.document(root)
	return root, err
}

type scanner struct {
	text string
	at   int
	line int
	deep int
}

// document reads tables and keys until the text ends.
func (s *scanner) document(root *place) error {
	table := root
	for {
		s.blank(true)
		if s.at >= len(s.text) {
			return nil
		}
		var err error
		if s.text[s.at] == '[' {
			table, err = s.header(root)
		} else {
			err = s.pair(table)
		}
		if err != nil {
			return err
		}
	}
}

// header reads [a.b] or [[a.b]] and returns the table it opens.
func (s *scanner) header(root *place) (*place, error) {
	line := s.line
	s.at++
	array := s.take('[')
	path, err := s.key()
	if err != nil {
		return nil, err
	}
	if !s.take(']') || array && !s.take(']') {
		return nil, errScan
	}
	t := root
	for _, k := range path[:len(path)-1] {
		t = t.child(k, line).open()
	}
	t = t.child(path[len(path)-1], line)
	if array {
		t.items = append(t.items, &place{line: line})
		return t.open(), nil
	}
	t.line = line // a table that was implied by one below it is opened here
	return t, nil
}

// pair reads key = value into table.
func (s *scanner) pair(table *place) error {
	line := s.line
	path, err := s.key()
	if err != nil {
		return err
	}
	if !s.take('=') {
		return errScan
	}
	for _, k := range path {
		table = table.child(k, line).open()
	}
	return s.value(table)
}

// key reads a dotted key.
func (s *scanner) key() ([]string, error) {
	var path []string
	for {
		s.blank(false)
		if s.at >= len(s.text) {
			return nil, errScan
		}
		var part string
		var err error
		if c := s.text[s.at]; c == '"' || c == '\'' {
			part, err = s.quoted(c)
		} else if part = s.run(isBare); part == "" {
			err = errScan
		}
		if err != nil {
			return nil, err
		}
		if path = append(path, part); len(path) > maxNesting {
			return nil, errNested
		}
		s.blank(false)
		if !s.take('.') {
			return path, nil
		}
	}
}

// value reads a value whose place is p.
func (s *scanner) value(p *place) error {
	s.blank(false)
	if s.at >= len(s.text) {
		return errScan
	}
	switch c := s.text[s.at]; c {
	case '"', '\'':
		return s.str(c)
	case '[', '{':
		if s.deep++; s.deep > maxNesting {
			return errNested
		}
		defer func() { s.deep-- }()
		s.at++
		if c == '[' {
			return s.array(p)
		}
		return s.inline(p)
	}
	p.raw = strings.TrimRight(s.run(isPlain), " \t")
	if p.raw == "" {
		return errScan
	}
	return nil
}

// array reads the items of an array, whose "[" is read.
func (s *scanner) array(p *place) error {
	for {
		s.blank(true)
		if s.take(']') {
			return nil
		}
		item := &place{line: s.line}
		p.items = append(p.items, item)
		if err := s.value(item); err != nil {
			return err
		}
		s.blank(true)
		if !s.take(',') {
			if !s.take(']') {
				return errScan
			}
			return nil
		}
	}
}

// inline reads the pairs of an inline table, whose "{" is read.
func (s *scanner) inline(p *place) error {
	for {
		s.blank(true)
		if s.take('}') {
			return nil
		}
		if err := s.pair(p); err != nil {
			return err
		}
		s.blank(true)
		if !s.take(',') {
			if !s.take('}') {
				return errScan
			}
			return nil
		}
	}
}

// str skips a string of any of the four forms.
func (s *scanner) str(quote byte) error {
	three := strings.Repeat(string(quote), 3)
	if !strings.HasPrefix(s.text[s.at:], three) {
		_, err := s.quoted(quote)
		return err
	}
	for s.at += 3; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '\n':
			s.line++
		case c == '\\' && quote == '"':
			if s.at++; s.at < len(s.text) && s.text[s.at] == '\n' {
				s.line++
			}
		case strings.HasPrefix(s.text[s.at:], three):
			s.at += 3
			for i := 0; i < 2 && s.take(quote); i++ { // one or two quotes may stand before the closing three
			}
			return nil
		}
	}
	return errScan
}

// quoted reads a string of one line.
func (s *scanner) quoted(quote byte) (string, error) {
	var b strings.Builder
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == quote:
			s.at++
			return b.String(), nil
		case c == '\n':
			return "", errScan
		case c == '\\' && quote == '"':
			s.at++
			b.WriteString(s.escape())
		default:
			b.WriteByte(c)
		}
	}
	return "", errScan
}

// escape returns what the escape sequence at s.at stands for, and leaves s.at at its last byte.
func (s *scanner) escape() string {
	if s.at >= len(s.text) {
		return ""
	}
	digits := 0
	switch c := s.text[s.at]; c {
	case 'b':
		return "\b"
	case 't':
		return "\t"
	case 'n':
		return "\n"
	case 'f':
		return "\f"
	case 'r':
		return "\r"
	case 'e':
		return "\x1b"
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		return string(rune(c))
	}
	var r rune
	for i := 0; i < digits && s.at+1 < len(s.text); i++ {
		d := strings.IndexByte("0123456789abcdef", lower(s.text[s.at+1]))
		if d < 0 {
			break
		}
		r, s.at = r<<4|rune(d), s.at+1
	}
	return string(utf8.AppendRune(nil, r))
}

// blank skips white space, and with lines also line ends and comments.
func (s *scanner) blank(lines bool) {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == ' ' || c == '\t':
		case !lines:
			return
		case c == '\n':
			s.line++
		case c == '\r':
		case c == '#':
			if end := strings.IndexByte(s.text[s.at:], '\n'); end >= 0 {
				s.at += end - 1
			} else {
				s.at = len(s.text) - 1
			}
		default:
			return
		}
	}
}

// take skips c, if it is next, and says whether it was.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// run reads as far as of holds.
func (s *scanner) run(of func(byte) bool) string {
	from := s.at
	for s.at < len(s.text) && of(s.text[s.at]) {
		s.at++
	}
	return s.text[from:s.at]
}

// isBare reports whether c may stand in a key without quotes.
func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// isPlain reports whether c may stand in a number, boolean or date.
func isPlain(c byte) bool {
	return isBare(c) || c == '+' || c == '.' || c == ':' || c == ' '
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
