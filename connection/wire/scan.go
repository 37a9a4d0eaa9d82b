package wire

import (
	"bytes"
)

// scanner cuts a server's byte stream into responses, with all limits applied.
// How the stream comes in pieces makes no difference to what it finds. It holds
// at most Limits.Line bytes, and none between two responses.
//
// A response is text up to a line feed, except that a line that ends in {n} is
// followed by n bytes and goes on behind them. Literals that belong to a body
// section of a FETCH are handed out as they come; all others stay in the text.
// The numbers of SEARCH are collected one by one, so that its line has no
// length limit but Limits.Numbers.
type scanner struct {
	limits *Limits

	piece []byte // the text of the response; after a body literal, of what follows it
	data  []byte // bytes of a body literal, valid until the next call
	left  int64  // bytes still to come of the current literal

	numbers []uint32 // what SEARCH found, until somebody takes it

	body      int64 // bytes of body literals in this response
	skipped   int64 // bytes thrown away of this response
	literals  int
	size      int64 // bytes of the response without body literals, for budgets
	num       int64 // SEARCH: the number being read, -1: not a number
	digits    int8
	literal   literalMode
	kind      kind
	known     bool // kind is known
	over      bool // the response is too long and will be dropped
	tail      bool // the piece follows a body literal
	delivered bool // the piece was handed out: start afresh at the next call
	ended     bool // and with it the response
}

type literalMode uint8

const (
	literalText literalMode = iota // part of the piece
	literalSkip
	literalBody
)

// event is what next found.
type event uint8

const (
	more    event = iota // the input is used up
	line                 // the piece ends the response
	body                 // a body literal of left bytes follows the piece
	content              // data holds some bytes of a body literal
)

// next reads on in b, up to the next event, and returns what is left of b.
func (s *scanner) next(b []byte) (rest []byte, ev event, err error) {
	if s.delivered {
		s.restart()
	}
	for len(b) > 0 {
		if s.left > 0 {
			n := int(min(s.left, int64(len(b))))
			s.data, b = b[:n], b[n:]
			s.left -= int64(n)
			switch s.literal {
			case literalBody:
				return b, content, nil
			case literalText:
				s.piece = append(s.piece, s.data...)
			}
			continue
		}
		n := bytes.IndexByte(b, '\n') + 1
		complete := n > 0
		if !complete {
			n = len(b)
		}
		if !s.known {
			// Not more than the head before the kind is known: it decides what may follow.
			if room := headMax - len(s.piece); n > room {
				n, complete = room, false
			}
			s.piece = append(s.piece, b[:n]...)
			b = b[n:]
			s.size += int64(n)
			if !complete && len(s.piece) < headMax {
				return b, more, nil
			}
			h := parseHead(s.piece)
			s.kind, s.known = h.kind, true
			if s.kind == kindSearch {
				found := s.piece[h.rest:]
				s.piece = s.piece[:h.rest]
				if err := s.search(found); err != nil {
					return b, more, err
				}
			}
		} else {
			part := b[:n]
			b = b[n:]
			s.size += int64(n)
			if s.kind == kindSearch {
				err = s.search(part)
			} else {
				err = s.add(part)
			}
			if err != nil {
				return b, more, err
			}
		}
		if !complete {
			continue
		}
		ev, err := s.endLine()
		if err != nil || ev != more {
			return b, ev, err
		}
	}
	return b, more, nil
}

// restart gets ready for what follows a delivered piece.
func (s *scanner) restart() {
	s.delivered = false
	s.piece = s.piece[:0]
	if s.ended {
		numbers := s.numbers
		*s = scanner{limits: s.limits, piece: s.piece, numbers: numbers}
	} else {
		s.tail = true
	}
}

// idle reports whether the scanner is between two responses.
func (s *scanner) idle() bool {
	return s.delivered && s.ended || len(s.piece) == 0 && !s.known
}

// head returns the beginning of the response that was just handed out.
func (s *scanner) head() head {
	if s.over && s.kind != kindSearch {
		return head{kind: s.kind, typ: []byte("(too long)")} // the piece is its end
	}
	return parseHead(s.piece)
}

// midway reports whether part of the response has been handed out already.
func (s *scanner) midway() bool { return s.tail || s.delivered && !s.ended }

// shrink gives back memory that is not needed to go on.
func (s *scanner) shrink() {
	s.data = nil
	if s.delivered {
		s.restart()
	}
	if len(s.piece) == 0 {
		s.piece = nil
	} else if cap(s.piece) > len(s.piece)+64 {
		s.piece = bytes.Clone(s.piece)
	}
}

// add appends part of a line to the piece, as far as the limits let it.
func (s *scanner) add(part []byte) error {
	room := s.limits.Line - len(s.piece)
	if !s.over && len(part) <= room {
		s.piece = append(s.piece, part...)
		return nil
	}
	if s.kind.isText() {
		// Text is cut: what it says first is what matters.
		room = max(room, 0)
		s.piece = append(s.piece, part[:room]...)
		return s.skip(int64(len(part) - room))
	}
	if err := s.skip(int64(len(part))); err != nil {
		return err
	}
	s.over = true
	// Keep enough of the end to see whether a literal follows.
	const keep = 64
	if len(part) >= keep {
		s.piece = append(s.piece[:0], part[len(part)-keep:]...)
		return nil
	}
	if n := len(s.piece) + len(part) - keep; n > 0 {
		s.piece = append(s.piece[:0], s.piece[min(n, len(s.piece)):]...)
	}
	s.piece = append(s.piece, part...)
	return nil
}

// skip counts bytes thrown away.
func (s *scanner) skip(n int64) error {
	if s.skipped += n; s.skipped > s.limits.Discard {
		return &LimitError{"a line without an end", int64(s.limits.Line) + s.limits.Discard}
	}
	return nil
}

// search reads the numbers of a SEARCH response.
func (s *scanner) search(part []byte) error {
	for _, c := range part {
		if c >= '0' && c <= '9' && s.num >= 0 {
			s.digits++
			if s.num = s.num*10 + int64(c-'0'); s.num > 1<<32-1 {
				s.num = -1
			}
			s.skipped = 0
			continue
		}
		if err := s.skip(1); err != nil {
			return err
		}
		switch {
		case c == '(': // MODSEQ, which closes the list
			s.num, s.over = -1, true
		case c != ' ' && c != '\r' && c != '\n':
			s.num = -1
		default:
			if s.digits > 0 && s.num > 0 && !s.over {
				if len(s.numbers) >= s.limits.Numbers {
					return &LimitError{"too many SEARCH results", int64(s.limits.Numbers)}
				}
				s.numbers = append(s.numbers, uint32(s.num))
			}
			s.num, s.digits = 0, 0
		}
	}
	return nil
}

// endLine decides at a line feed whether the response has ended.
func (s *scanner) endLine() (event, error) {
	if s.kind.isText() || s.kind == kindSearch {
		return s.deliver(line)
	}
	before, n, ok := literalHeader(s.piece)
	if !ok {
		return s.deliver(line)
	}
	if s.literals++; s.literals > s.limits.Literals {
		return more, &LimitError{"too many literals in one response", int64(s.limits.Literals)}
	}
	if s.kind == kindFetch && isBodySection(s.piece[:before]) {
		if n > s.limits.Body || s.body+n > s.limits.Body {
			return more, &LimitError{"a message body that is too large", s.limits.Body}
		}
		s.body += n
		s.left = n
		if s.over {
			s.literal = literalSkip
			return more, nil
		}
		s.literal = literalBody
		s.piece = s.piece[:before]
		return s.deliver(body)
	}
	if n > s.limits.Discard {
		return more, &LimitError{"a literal that is too large", s.limits.Discard}
	}
	s.left = n
	s.size += n
	s.literal = literalText
	if s.over || int64(len(s.piece))+n > int64(s.limits.Line) {
		s.over, s.literal = true, literalSkip
		return more, s.skip(n)
	}
	return more, nil
}

func (s *scanner) deliver(ev event) (event, error) {
	s.delivered, s.ended = true, ev == line
	return ev, nil
}

// literalHeader finds {n} or {n+} at the end of a line, and where it begins,
// the ~ of a literal8 (RFC 3516) counted in.
func literalHeader(b []byte) (before int, n int64, ok bool) {
	b = bytes.TrimRight(b, "\r\n")
	if len(b) == 0 || b[len(b)-1] != '}' {
		return 0, 0, false
	}
	from := bytes.LastIndexByte(b[max(0, len(b)-32):], '{')
	if from < 0 {
		return 0, 0, false
	}
	from += max(0, len(b)-32)
	num := bytes.TrimSuffix(b[from+1:len(b)-1], []byte("+"))
	for _, c := range num {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
	}
	if len(num) == 0 {
		return 0, 0, false
	}
	n, ok = number64(num)
	if !ok {
		n = 1<<63 - 1 // too large for any limit
	}
	if from > 0 && b[from-1] == '~' {
		from--
	}
	return from, n, true
}

// isBodySection reports whether text of a FETCH ends with the name of a body
// section: BODY[...], BODY[...]<n>, BINARY[...] or RFC822 and its parts.
func isBodySection(b []byte) bool {
	b = bytes.TrimRight(b, " ")
	if len(b) == 0 {
		return false
	}
	switch b[len(b)-1] {
	case ']', '>':
		return true
	}
	for _, name := range []string{"RFC822", "RFC822.HEADER", "RFC822.TEXT"} {
		if n := len(b) - len(name); n > 0 && (b[n-1] == ' ' || b[n-1] == '(') && bytes.EqualFold(b[n:], []byte(name)) {
			return true
		}
	}
	return false
}
