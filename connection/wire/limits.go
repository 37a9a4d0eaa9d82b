package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Limits bound what one server may make this side hold or chew. A zero field
// means its default.
type Limits struct {
	Line     int   // bytes of one response without its body literals; longer ones are dropped (64 KiB)
	Discard  int64 // bytes of one overlong response that are read and thrown away before the line is given up (1 MiB)
	Depth    int   // nested parentheses (64)
	Literals int   // literals in one response (1000)
	Body     int64 // bytes of the body literals of one response, together (128 MiB)
	Numbers  int   // numbers that SEARCH may find for one command (2,097,152)
	Chatter  int64 // bytes of untagged responses for one command that are neither FETCH nor SEARCH (16 MiB); a sixteenth of it for one IDLE
	Fetches  int   // FETCH responses for one command (4,194,304)
}

var defaults = Limits{
	Line: 64 << 10, Discard: 1 << 20, Depth: 64, Literals: 1000, Body: 128 << 20,
	Numbers: 2 << 20, Chatter: 16 << 20, Fetches: 4 << 20,
}

// filled returns the limits with defaults in place of zeros. The default set is
// shared, so that a parked link pays a pointer for it.
func (l Limits) filled() *Limits {
	if l == (Limits{}) {
		return &defaults
	}
	setDefault(&l.Line, defaults.Line)
	setDefault(&l.Discard, defaults.Discard)
	setDefault(&l.Depth, defaults.Depth)
	setDefault(&l.Literals, defaults.Literals)
	setDefault(&l.Body, defaults.Body)
	setDefault(&l.Numbers, defaults.Numbers)
	setDefault(&l.Chatter, defaults.Chatter)
	setDefault(&l.Fetches, defaults.Fetches)
	return &l
}

func setDefault[T int | int64](p *T, d T) {
	if *p <= 0 {
		*p = d
	}
}

// LimitError says that the server sent more of something than Limits allow.
// The connection is closed: what follows cannot be told apart any more, or
// would never end.
type LimitError struct {
	What  string
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the server sent %s (limit %d): not a sane IMAP server, connection closed", e.What, e.Limit)
}

// TimeoutError says that a server made no progress in time. It is a net.Error.
type TimeoutError struct {
	Waiting string // what for, e.g. "the reply to UID FETCH"
	After   time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("no progress in %v while waiting for %s", e.After, e.Waiting)
}

// Timeout is always true.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary is always true: a new connection may do better.
func (e *TimeoutError) Temporary() bool { return true }

// ByeError says that the server ended the session, in its own words (RFC 9051, section 7.1.5).
type ByeError struct{ Status Status }

func (e *ByeError) Error() string {
	text := e.Status.Text
	if e.Status.Code != "" {
		text = "[" + e.Status.Code + "] " + text
	}
	return "the server ended the session: " + text
}

// Unwrap makes a ByeError an end of file for errors.Is.
func (e *ByeError) Unwrap() error { return io.EOF }

// ErrClosed is the end of a link that this side closed. It is a net.ErrClosed for errors.Is.
var ErrClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string { return "connection closed" }
func (closedError) Unwrap() error { return net.ErrClosed }

var (
	errLent   = errors.New("wire: the connection is lent to an IMAP client")
	errParked = errors.New("wire: the connection is parked")
	errClient = errors.New("the IMAP client could not go on and closed the connection")
)

// lost explains an end of file or another read error.
func lost(err error, middle bool) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if middle {
			return fmt.Errorf("the server closed the connection in the middle of a response: %w", io.ErrUnexpectedEOF)
		}
		return fmt.Errorf("the server closed the connection: %w", io.EOF)
	}
	return err
}
