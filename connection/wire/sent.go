package wire

import (
	"bytes"
	"strings"
)

// sent follows what an IMAP client writes, to know which commands it waits for:
// which tags may come back, whether a "+" is due, and which untagged responses
// are answers rather than news.
type sent struct {
	commands []command
	plus     int   // continuation requests due
	literal  int64 // bytes of a literal still to be written
	line     []byte

	going bool // the line continues a command behind a literal
}

type command struct {
	tag, verb string // verb without UID
}

// lineMax is the most that is kept of a line: enough for the tag, the command and
// its first arguments; then for the end, where a literal may be announced.
const lineMax, lineEnd = 128, 32

// write takes note of written bytes. It returns whether a command that looks for
// news (a SELECT, a SEARCH, a FETCH up to *) is among them.
func (s *sent) write(b []byte) (looks bool) {
	for len(b) > 0 {
		if s.literal > 0 {
			n := min(s.literal, int64(len(b)))
			s.literal -= n
			b = b[n:]
			continue
		}
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			s.keep(b)
			return looks
		}
		s.keep(b[:n])
		b = b[n:]
		looks = s.end() || looks
		clear(s.line[:cap(s.line)]) // there may be a password in it
		s.line = s.line[:0]
	}
	return looks
}

func (s *sent) keep(b []byte) {
	s.line = append(s.line, b...)
	if len(s.line) > lineMax+lineEnd {
		end := s.line[len(s.line)-lineEnd:]
		copy(s.line[lineMax:], end)
		clear(s.line[lineMax+lineEnd:])
		s.line = s.line[:lineMax+lineEnd]
	}
}

// end looks at a whole line.
func (s *sent) end() (looks bool) {
	_, n, literal := literalHeader(s.line)
	first := !s.going
	s.going = literal
	if literal {
		s.literal = n
		if !bytes.HasSuffix(bytes.TrimRight(s.line, "\r\n"), []byte("+}")) {
			s.plus++
		}
	}
	if !first {
		return false
	}
	if n := len(s.commands); n > 0 && s.commands[n-1].verb == "AUTHENTICATE" {
		s.going = false
		s.literal = 0
		s.plus++ // a SASL response; the server may ask for another one
		return false
	}
	f := strings.Fields(string(s.line))
	if len(f) < 2 {
		return false // DONE
	}
	c := command{tag: f[0], verb: strings.ToUpper(f[1])}
	args := f[2:]
	if c.verb == "UID" && len(args) > 0 {
		c.verb, args = strings.ToUpper(args[0]), args[1:]
	}
	s.commands = append(s.commands, c)
	switch c.verb {
	case "AUTHENTICATE", "IDLE":
		s.plus++
	case "SELECT", "EXAMINE", "SEARCH":
		return true
	case "FETCH":
		return len(args) > 0 && strings.Contains(args[0], "*")
	}
	return false
}

// done takes a tag off the list; false if no such command is on it.
func (s *sent) done(tag []byte) bool {
	for i, c := range s.commands {
		if c.tag == string(tag) {
			s.commands = append(s.commands[:i], s.commands[i+1:]...)
			if len(s.commands) == 0 {
				s.plus = 0
			}
			return true
		}
	}
	return false
}

// takePlus reports whether a continuation request is due, and counts it.
func (s *sent) takePlus() bool {
	if s.plus == 0 {
		return false
	}
	s.plus--
	return true
}

// explains reports whether a response of this kind is an answer to what was sent.
func (s *sent) explains(k kind) bool {
	for _, c := range s.commands {
		switch c.verb {
		case "SELECT", "EXAMINE":
			if k == kindExists {
				return true
			}
		case "FETCH", "STORE":
			if k == kindFetch {
				return true
			}
		case "EXPUNGE", "MOVE", "CLOSE":
			if k == kindExpunge {
				return true
			}
		case "LIST":
			if k == kindList {
				return true
			}
		}
	}
	return false
}

// waiting names what is waited for, for people.
func (s *sent) waiting() string {
	if len(s.commands) == 0 {
		return "the server"
	}
	return "the reply to " + s.commands[0].verb
}
