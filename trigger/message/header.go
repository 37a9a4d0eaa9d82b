package message

import (
	"bytes"
	"strings"
)

// A field is one header field as it stands in the raw bytes.
type field struct {
	name  []byte // without the colon
	value []byte // with its folds
}

// is reports whether the field has that name, in any case.
func (f *field) is(name string) bool {
	return len(f.name) == len(name) && strings.EqualFold(string(f.name), name)
}

// get returns the first field's value of that name.
func get(fields []field, name string) ([]byte, bool) {
	for i := range fields {
		if fields[i].is(name) {
			return fields[i].value, true
		}
	}
	return nil, false
}

// A section reads one header section, tolerantly (RFC 5322, section 2.2).
type section struct {
	raw       []byte
	maxSize   int
	maxFields int
	top       bool                   // a message's own: may have an mbox line or junk above
	stop      func(line []byte) bool // a line that ends the section without being part of it; nil: none

	fields  []field
	defects *defects
}

// read returns where the body begins, from pos on.
func (s *section) read(pos int) int {
	begin := pos
	value := -1 // where the value of a field that may go on begins
	extend := func(to int) {
		if to-begin > s.maxSize {
			s.defects.add(DefectHeaderLimit)
			return
		}
		s.fields[len(s.fields)-1].value = s.raw[value:to]
	}
	for pos < len(s.raw) {
		line, next := lineAt(s.raw, pos)
		if len(line) == 0 {
			if at := s.skipEmpty(next); s.top && len(s.fields) == 0 && s.fieldsAhead(at) == at && at < len(s.raw) {
				s.defects.add(DefectHeaderLine) // empty lines above the header
				pos = at
				continue
			}
			return next
		}
		if s.stops(line) {
			s.defects.add(DefectHeaderEnd)
			return pos
		}
		switch name, _, ok := splitField(line); {
		case line[0] == ' ' || line[0] == '\t':
			switch blank := len(bytes.TrimLeft(line, " \t")) == 0; {
			case blank && !s.continues(next):
				s.defects.add(DefectHeaderEnd)
				return next // an empty line with blanks in it
			case value >= 0:
				extend(pos + len(line))
			case len(s.fields) == 0 && !s.top:
				s.defects.add(DefectHeaderEnd)
				return pos
			case len(s.fields) == 0:
				s.defects.add(DefectHeaderLine)
			}
		case ok && pos-begin < s.maxSize && len(s.fields) < s.maxFields:
			if bad(name) {
				s.defects.add(DefectHeaderName)
			}
			value = pos + bytes.IndexByte(line, ':') + 1
			s.fields = append(s.fields, field{name: name})
			extend(pos + len(line))
		case ok:
			s.defects.add(DefectHeaderLimit)
			value = -1
		case pos == begin && s.top && isMbox(line):
			s.defects.add(DefectMbox)
		default:
			ahead := s.fieldsAhead(pos)
			switch {
			case ahead > 0:
				s.defects.add(DefectHeaderLine)
				if next = ahead; value >= 0 {
					extend(len(trimEOL(s.raw[:ahead])))
				}
			case s.top && len(s.fields) == 0:
				s.defects.add(DefectHeaderMissing)
				return pos
			default:
				s.defects.add(DefectHeaderEnd)
				return pos
			}
		}
		pos = next
	}
	if len(s.fields) == 0 && s.top && begin < len(s.raw) {
		s.defects.add(DefectHeaderMissing)
		return begin
	}
	return pos
}

// stops reports whether a line ends the section without being part of it.
func (s *section) stops(line []byte) bool {
	return s.stop != nil && line[0] == '-' && s.stop(line)
}

// skipEmpty returns where the empty lines from pos on end.
func (s *section) skipEmpty(pos int) int {
	for n := 0; n < 50 && pos < len(s.raw); n++ {
		line, next := lineAt(s.raw, pos)
		if len(line) > 0 {
			break
		}
		pos = next
	}
	return pos
}

// continues reports whether the line at pos goes on with a header.
func (s *section) continues(pos int) bool {
	line, _ := lineAt(s.raw, pos)
	if len(line) == 0 {
		return false
	}
	if line[0] == ' ' || line[0] == '\t' {
		return len(bytes.TrimLeft(line, " \t")) > 0
	}
	name, _, ok := splitField(line)
	return ok && known(name)
}

// fieldsAhead looks whether a header field that mail is known to have comes
// before the next empty line, and returns where its line begins, else 0. It
// looks at 50 lines and 8 KiB at most: what is no header for longer is a body.
func (s *section) fieldsAhead(pos int) int {
	limit := pos + 8<<10
	for n := 0; n < 50 && pos < len(s.raw) && pos < limit; n++ {
		line, next := lineAt(s.raw, pos)
		if len(line) == 0 {
			return 0
		}
		if s.stops(line) {
			return 0
		}
		if name, _, ok := splitField(line); ok && known(name) {
			return pos
		}
		pos = next
	}
	return 0
}

// lineAt returns the line at pos without its end, and where the next begins.
func lineAt(raw []byte, pos int) (line []byte, next int) {
	i := bytes.IndexByte(raw[pos:], '\n')
	if i < 0 {
		return trimCR(raw[pos:]), len(raw)
	}
	return trimCR(raw[pos : pos+i]), pos + i + 1
}

func trimCR(line []byte) []byte {
	for len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	return line
}

func trimEOL(b []byte) []byte {
	if len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return trimCR(b)
}

// splitField splits a line at its colon. A name has no blanks or controls in
// it; 8-bit characters are let through, and so is blank before the colon.
func splitField(line []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 || i > 1000 {
		return nil, nil, false
	}
	name = line[:i]
	for len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t') {
		name = name[:len(name)-1]
	}
	if len(name) == 0 {
		return nil, nil, false
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7f {
			return nil, nil, false
		}
	}
	return name, line[i+1:], true
}

// bad reports whether a field's name is none by RFC 5322, section 3.6.8.
func bad(name []byte) bool {
	for _, c := range name {
		if c >= 0x7f {
			return true
		}
	}
	return false
}

func isMbox(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}

// known reports whether a field's name is one that mail is known to have.
func known(name []byte) bool {
	var buf [32]byte
	if len(name) > len(buf) {
		return bytes.HasPrefix(name, []byte("X-"))
	}
	lower := buf[:0]
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower = append(lower, c)
	}
	switch string(lower) {
	case "from", "to", "cc", "bcc", "subject", "date", "sender", "reply-to", "message-id", "in-reply-to",
		"references", "received", "return-path", "delivered-to", "mime-version", "importance", "priority",
		"comments", "keywords", "organization", "user-agent", "precedence", "status", "envelope-to",
		"dkim-signature", "authentication-results", "arc-seal", "thread-topic", "thread-index", "errors-to",
		"disposition-notification-to", "auto-submitted", "delivery-date", "resent-from", "resent-date":
		return true
	}
	return bytes.HasPrefix(lower, []byte("content-")) || bytes.HasPrefix(lower, []byte("x-")) ||
		bytes.HasPrefix(lower, []byte("list-")) || bytes.HasPrefix(lower, []byte("received-"))
}

// unfold takes the line ends out of a field's value (RFC 5322, section 2.2.3)
// and the blank around it. A fold's tab becomes a space, and so does a bare CR.
func unfold(value []byte, d *defects) []byte {
	value = bytes.Trim(value, " \t\r\n")
	if bytes.IndexByte(value, '\n') < 0 && bytes.IndexByte(value, '\r') < 0 {
		return value
	}
	out := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		switch c := value[i]; c {
		case '\r', '\n':
			j := i
			for j < len(value) && value[j] == '\r' {
				j++
			}
			if j < len(value) && value[j] == '\n' {
				j++
				// A fold: its blank stays, the tab as a space. A line that was
				// added to the field has none: it gets one.
				if j < len(value) && value[j] == '\t' {
					j++
				} else if j < len(value) && value[j] == ' ' {
					j++
				}
			} else {
				d.add(DefectLineEnd)
			}
			out = append(out, ' ')
			i = j - 1
		default:
			out = append(out, c)
		}
	}
	return out
}
