package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// lent is what an IMAP client gets to read and write: whole responses in forms
// that go-imap survives, and no way to close the connection or to set deadlines.
type lent struct {
	link *Link

	// Owned by the reader.
	buf     *[bufferSize]byte
	out     []byte // rewritten, not yet read by the client
	numbers []uint32
	held    []byte // the tagged reply that follows the numbers
	search  bool   // there was a SEARCH response
	fetch   fetch
	mute    bool        // the rest of the response began before the client came
	stream  bool        // bytes of the body literal go to the client
	greeted atomic.Bool // the greeting has passed; read by writers, too
	chatter int64       // since the last tagged reply
	fetches int

	reading sync.Mutex // held by Read

	mu   sync.Mutex
	sent sent
	due  time.Time     // when there must have been progress; zero: no limit
	off  bool          // taken back
	quit bool          // being taken back: Close is no end of the link
	idle chan struct{} // closed when no command waits, or the link has died; nil: nobody wants to know
}

// Lend gives the link to an IMAP client, which gets whole and sane responses
// only. The server's own greeting is let through if greeting is "", and must be
// one; else the client is greeted with the line given, for example
// "* PREAUTH [CAPABILITY IMAP4rev1 IDLE] back".
//
// The connection ignores deadlines: SetProgressTimeout rules. Errors that it
// returns are those of Err, but for a plain io.EOF where the server has ended the
// connection between two responses. It is an error that ends the link if the client
// closes it outside of Reclaim, or if the link is not free.
//
// After an error while reading a message's literal, end the link, and call neither
// Next nor Close of go-imap's command: they read the literal on, while go-imap's
// own goroutine looks at the same buffer.
func (l *Link) Lend(greeting string) net.Conn {
	c := &lent{link: l}
	if greeting != "" {
		c.greeted.Store(true)
		c.out = append([]byte(clean([]byte(greeting), len(greeting))), "\r\n"...)
	}
	l.mu.Lock()
	err := l.taken()
	if err == nil {
		// Only now is the scanner ours to look at.
		c.mute, l.scan.numbers = l.scan.midway(), nil
		l.lent = c
	}
	l.mu.Unlock()
	if err != nil {
		c.off = true
		l.fail(err)
	}
	return c
}

// taken returns an error if the link is not free; l.mu is held.
func (l *Link) taken() error {
	switch {
	case l.lent != nil:
		return errLent
	case l.parked != nil:
		return errParked
	}
	return nil
}

// Reclaim takes the link back. It waits until no command of the client's is
// outstanding, at most the progress timeout, wakes the client's reader with an
// end of file, and calls closeClient, which must wait until the client has ended
// (imapclient's Close does). Bytes that were read but not yet understood stay in
// the link; what the client has not read any more was seen by the guard, and
// wakes the parked link if it is news. If an error is returned, the link has ended.
func (l *Link) Reclaim(closeClient func() error) error {
	l.mu.Lock()
	c := l.lent
	l.mu.Unlock()
	if c == nil {
		return errors.New("wire: the connection is not lent")
	}
	c.drain()
	c.mu.Lock()
	c.off, c.quit = true, true
	l.conn.SetReadDeadline(time.Unix(1, 0)) // a read timeout is harmless to TLS, in mid-record too
	c.mu.Unlock()
	c.end(closeClient)
	c.reading.Lock() // its last read has ended
	defer c.reading.Unlock()
	l.in = bytes.Clone(l.in) // it is part of the buffer
	if c.buf != nil {
		buffers.Put(c.buf)
		c.buf = nil
	}
	l.conn.SetDeadline(time.Time{})
	l.settle()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lent = nil
	return l.err
}

// patience is how long the client may take to end or to be answered.
func (c *lent) patience() time.Duration {
	if c.link.timeout > 0 {
		return c.link.timeout
	}
	return time.Minute
}

// end ends the client. One that does not end, because somebody has left a
// command of its unread, ends the link.
func (c *lent) end(closeClient func() error) {
	if closeClient == nil {
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		closeClient() // what it returns is what the reader saw: Err has it
	}()
	timer := time.NewTimer(c.patience())
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		c.link.fail(&TimeoutError{"the IMAP client to end", c.patience()})
	}
}

// drain waits until no command is outstanding.
func (c *lent) drain() {
	c.mu.Lock()
	if len(c.sent.commands) == 0 || c.link.Err() != nil {
		c.mu.Unlock()
		return
	}
	c.idle = make(chan struct{})
	idle, waiting := c.idle, c.sent.waiting()
	c.mu.Unlock()
	d := c.patience()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
		c.link.fail(&TimeoutError{waiting, d})
	}
}

// wake ends drain's wait.
func (c *lent) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// Read returns bytes for the client.
func (c *lent) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	l := c.link
	for {
		if c.isOff() {
			return 0, io.EOF
		}
		if len(c.out) == 0 {
			c.refill()
		}
		if len(c.out) > 0 {
			n := copy(p, c.out)
			if c.out = c.out[n:]; len(c.out) == 0 {
				c.out = nil
			}
			return n, nil
		}
		if err := l.Err(); err != nil {
			return 0, plainEOF(err)
		}
		if c.stream && len(l.in) == 0 {
			if n, err := c.through(p); n > 0 || err != nil {
				return n, err
			}
			continue
		}
		if len(l.in) == 0 {
			if err := c.fill(); err != nil {
				return 0, err
			}
			continue
		}
		// All that has come is judged now, while it is known what the client was
		// waiting for when it came.
		for len(l.in) > 0 && len(c.out) < 8*bufferSize && c.held == nil {
			if err := c.step(); err != nil {
				c.out = nil
				return 0, l.fail(err)
			}
		}
	}
}

// through reads bytes of a body literal straight into the client's buffer.
func (c *lent) through(p []byte) (int, error) {
	s := &c.link.scan
	if s.left == 0 {
		c.stream = false
		return 0, nil
	}
	p = p[:min(int64(len(p)), s.left)]
	n, err := c.read(p)
	s.left -= int64(n)
	c.stream = s.left > 0
	return n, err
}

// bufferSize is what is read from the server at once while the link is lent.
const bufferSize = 4096

// buffers are those of links that are not lent any more.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// fill reads from the server.
func (c *lent) fill() error {
	if c.buf == nil {
		c.buf = buffers.Get().(*[bufferSize]byte)
	}
	n, err := c.read(c.buf[:])
	c.link.in = c.buf[:n]
	return err
}

// read reads from the server, within the time allowed. Its errors are the link's
// end, but for io.EOF when the link has been taken back.
func (c *lent) read(p []byte) (int, error) {
	l := c.link
	for {
		c.arm()
		n, err := l.conn.Read(p)
		if n > 0 || err == nil {
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, plainEOF(l.ended(err))
		}
		if c.isOff() {
			return 0, io.EOF
		}
		c.mu.Lock()
		late, waiting := !c.due.IsZero() && !time.Now().Before(c.due), c.sent.waiting()
		c.mu.Unlock()
		if late {
			return 0, l.fail(&TimeoutError{waiting, l.timeout})
		}
	}
}

// plainEOF returns io.EOF, which is what go-imap compares with, for an end that is
// not in the middle of something.
func plainEOF(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// waits reports whether the server owes something; c.mu is held.
func (c *lent) waits() bool { return !c.greeted.Load() || len(c.sent.commands) > 0 }

// arm sets the time until which there must be progress. The write deadline is
// renewed with the other, because TLS answers a key update from within Read, and
// one stale deadline would spoil the connection for good.
func (c *lent) arm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return
	}
	c.due = time.Time{}
	if c.link.timeout > 0 && c.waits() {
		c.due = time.Now().Add(c.link.timeout)
	}
	c.link.conn.SetDeadline(c.due)
}

func (c *lent) isOff() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}

// Write sends what the client says.
func (c *lent) Write(p []byte) (int, error) {
	l := c.link
	c.mu.Lock()
	if c.off {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	looks := c.sent.write(p)
	c.mu.Unlock()
	if looks {
		l.looked()
	}
	if l.timeout > 0 {
		l.conn.SetWriteDeadline(time.Now().Add(l.timeout))
	}
	n, err := l.conn.Write(p)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = &TimeoutError{"the server to take a command", l.timeout}
		}
		return n, l.fail(err)
	}
	c.arm()
	return n, nil
}

// Close ends the link, unless it is being taken back.
func (c *lent) Close() error {
	c.mu.Lock()
	quit := c.quit
	c.mu.Unlock()
	if !quit {
		c.link.fail(errClient)
	}
	return nil
}

// Deadlines are the link's business, not the client's.

func (c *lent) SetDeadline(time.Time) error      { return nil }
func (c *lent) SetReadDeadline(time.Time) error  { return nil }
func (c *lent) SetWriteDeadline(time.Time) error { return nil }

func (c *lent) LocalAddr() net.Addr  { return c.link.conn.LocalAddr() }
func (c *lent) RemoteAddr() net.Addr { return c.link.conn.RemoteAddr() }

// refill passes on what SEARCH found, piecemeal, and then the reply that was
// held back for it. Numbers come sorted: go-imap sorts them into a set one by
// one, which takes hours if a server sends a million of them the wrong way round.
func (c *lent) refill() {
	if c.held == nil {
		return
	}
	const portion = 400
	if c.search && len(c.numbers) == 0 {
		c.out = append(c.out, "* SEARCH\r\n"...)
		c.search = false
	}
	if n := min(portion, len(c.numbers)); n > 0 {
		c.search = false
		c.out = append(c.out, "* SEARCH"...)
		for _, v := range c.numbers[:n] {
			c.out = strconv.AppendUint(append(c.out, ' '), uint64(v), 10)
		}
		c.out = append(c.out, "\r\n"...)
		c.numbers = c.numbers[n:]
	}
	if len(c.numbers) == 0 {
		c.out = append(c.out, c.held...)
		c.held, c.numbers = nil, nil
	}
}

// reply passes on a tagged reply.
func (c *lent) reply(line []byte) {
	numbers := c.link.scan.numbers
	c.link.scan.numbers = nil
	if len(numbers) == 0 && !c.search {
		c.out = append(c.out, line...)
		return
	}
	slices.Sort(numbers)
	c.numbers, c.held = slices.Compact(numbers), line
}
