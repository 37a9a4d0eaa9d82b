package smtp

import (
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// The limits of a session.
const (
	MaxReply    = 64 << 10         // bytes that a server may say between two commands
	maxPiece    = 16 << 10         // bytes that are written under one deadline
	AfterData   = 10 * time.Minute // for the reply to a message, at least (RFC 5321, section 4.5.3.2.6)
	defaultWait = time.Minute      // Options.Wait
)

var errEndless = errors.New("the server talks on and on: more than 64 KiB without a word of ours")

// A line is the connection as go-smtp gets it: with a time for each reply, counted
// from the last word of ours, and for each piece that is written. go-smtp's own
// deadlines are not for it. It is for one goroutine.
type line struct {
	net.Conn
	head io.Reader     // is read before the connection
	wait time.Duration // for a reply, and for each piece that is written
	by   time.Time     // when the reply must have come
	said int           // bytes of it

	keywords *keywords // not nil while the reply to EHLO is read
}

func newLine(c net.Conn, head string, wait time.Duration) *line {
	return &line{Conn: c, head: strings.NewReader(head), wait: wait, by: time.Now().Add(wait)}
}

// Read implements io.Reader.
func (l *line) Read(p []byte) (int, error) {
	if n, err := l.head.Read(p); err == nil {
		return n, nil
	}
	left := MaxReply - l.said
	if left <= 0 {
		return 0, errEndless
	}
	if err := l.Conn.SetReadDeadline(l.by); err != nil {
		return 0, err
	}
	n, err := l.Conn.Read(p[:min(len(p), left)])
	l.said += n
	if l.keywords != nil {
		l.keywords.normalize(p[:n])
	}
	return n, err
}

// Write implements io.Writer.
func (l *line) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		piece := p[:min(len(p), maxPiece)]
		if err := l.Conn.SetWriteDeadline(time.Now().Add(l.wait)); err != nil {
			return written, err
		}
		n, err := l.Conn.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	l.said, l.by = 0, time.Now().Add(l.wait)
	return written, nil
}

// keywords makes the keywords in the lines of a good reply to EHLO such as go-smtp knows
// them: in capitals (they may be in any case: RFC 5321, section 2.4), and with a space after
// them (servers older than RFC 4954 say AUTH=LOGIN).
type keywords struct {
	column int // in the line
	over   bool
}

func (k *keywords) normalize(p []byte) {
	for i, c := range p {
		switch {
		case c == '\n':
			k.column, k.over = 0, false
			continue
		case k.column == 0 && c != '2', k.column > 3 && c == ' ':
			k.over = true
		case k.column > 3 && !k.over && c == '=':
			p[i], k.over = ' ', true
		case k.column > 3 && !k.over && 'a' <= c && c <= 'z':
			p[i] = c - 'a' + 'A'
		}
		k.column++
	}
}

// SetDeadline, SetReadDeadline and SetWriteDeadline do nothing: go-smtp's are not kept.
func (l *line) SetDeadline(time.Time) error      { return nil }
func (l *line) SetReadDeadline(time.Time) error  { return nil }
func (l *line) SetWriteDeadline(time.Time) error { return nil }
