package wire

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Link is one IMAP connection, above TLS. The guard and the park loop share its
// scanner, so that nothing the server says falls between them.
//
// A link is owned by one goroutine at a time, which lends it to an IMAP client,
// takes it back, and parks it. Close and Err may be called from any.
type Link struct {
	conn net.Conn
	low  net.Conn // closed to end the link: no layer above can hold that up
	raw  *RawConn // nil: parks with a goroutine
	opts *LinkOptions
	lim  *Limits

	timeout time.Duration // without progress, while lent
	scan    scanner
	in      []byte        // read but not scanned
	newsAt  atomic.Int64  // when something came that no look has followed yet, Unix nanoseconds; 0: nothing
	urgent  atomic.Bool   // and it was an EXISTS
	noIdle  atomic.Bool   // the server refused IDLE
	exists  atomic.Uint32 // messages of the selected mailbox, see Messages
	minorAt int64         // when news other than EXISTS last woke it, Unix nanoseconds
	bye     *Status       // the server said BYE
	roll    *Roll         // the mailboxes that are watched besides the selected one; nil: none

	mu     sync.Mutex
	err    error
	lent   *lent
	parked *Parked
}

// LinkOptions set up a Link. Links may share them.
type LinkOptions struct {
	Raw      net.Conn     // the connection at the bottom, closed to end the link; nil: found below c through NetConn methods
	Limits   Limits       // zero: defaults
	OnStatus func(Status) // told of all untagged OK, NO, BAD, BYE and PREAUTH, and of tagged ALERTs; must not block
	Log      *slog.Logger // dropped responses, at debug level; nil: silent
}

// NewLink makes a link of a connection, usually a *tls.Conn. A nil options
// pointer is a zero options value.
func NewLink(c net.Conn, opts *LinkOptions) *Link {
	if opts == nil {
		opts = &LinkOptions{}
	}
	l := &Link{conn: c, opts: opts, lim: opts.Limits.filled()}
	l.scan.limits = l.lim
	below := c
	if opts.Raw != nil {
		below = opts.Raw
	}
	l.low, l.raw = bottom(below)
	if l.raw != nil && l.raw.fd == nil {
		l.raw = nil
	}
	return l
}

// SetProgressTimeout sets the longest time without progress: a command of the
// lent client that hears nothing for so long, or cannot be sent, ends the link.
// While no command waits there is no limit. Zero turns it off. Not to be called
// while the link is lent.
func (l *Link) SetProgressTimeout(d time.Duration) { l.timeout = d }

// Close ends the link at once, whatever it is doing, without a word to the
// server. It may be called from any goroutine and more than once.
func (l *Link) Close() error {
	l.fail(ErrClosed)
	return nil
}

// Err returns why the link ended, as it was (errors.Is and errors.As work), and
// nil while it is alive.
func (l *Link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// IdleRefused reports whether the server has refused IDLE though it was asked
// for; the parked link polls instead. It may be called from any goroutine.
func (l *Link) IdleRefused() bool { return l.noIdle.Load() }

// Conn returns the connection the link was made of, to look at its TLS state.
func (l *Link) Conn() net.Conn { return l.conn }

// fail ends the link for the first reason given and returns that.
func (l *Link) fail(err error) error {
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return l.err
	}
	l.err = err
	lent, parked := l.lent, l.parked
	l.mu.Unlock()
	l.low.Close()
	if lent != nil {
		lent.wake()
	}
	if parked != nil {
		parked.poke()
	}
	return err
}

// ended turns a read error into the link's end.
func (l *Link) ended(err error) error {
	if l.bye != nil {
		return l.fail(&ByeError{*l.bye})
	}
	return l.fail(lost(err, !l.scan.idle()))
}

// Messages returns how many messages the selected mailbox has by what the server has said
// up to now (EXISTS and EXPUNGE responses; RFC 9051, section 7.4.1 and 7.5.1). It may be
// called from any goroutine.
func (l *Link) Messages() uint32 { return l.exists.Load() }

// count keeps what Messages returns. Only who reads the link calls it.
func (l *Link) count(h head) {
	switch n := l.exists.Load(); {
	case h.kind == kindExists:
		l.exists.Store(h.number)
	case h.kind == kindExpunge && n > 0:
		l.exists.Store(n - 1)
	}
}

// looked notes that a command is on its way whose reply tells the news.
func (l *Link) looked() {
	l.newsAt.Store(0)
	l.urgent.Store(false)
}

// news notes that something came; the first time counts.
func (l *Link) news(k kind) {
	if k == kindExists {
		l.urgent.Store(true)
	}
	l.newsAt.CompareAndSwap(0, time.Now().UnixNano())
}

// report tells about a state response.
func (l *Link) report(st Status) {
	if st.Type == "BYE" {
		l.bye = &st
	}
	if st.Code == "NOTIFICATIONOVERFLOW" && l.roll != nil {
		l.roll.overflow()
	}
	if l.opts.OnStatus != nil {
		l.opts.OnStatus(st)
	}
}

// dropped logs a response that was not passed on.
func (l *Link) dropped(why string, h head) {
	if l.opts.Log != nil {
		l.opts.Log.Debug("response dropped", "why", why, "type", clean(h.typ, 40))
	}
}

// settle gives back what memory it can: the link will wait.
func (l *Link) settle() {
	if len(l.in) == 0 {
		l.in = nil
	}
	l.scan.numbers = nil
	l.scan.shrink()
	freeTLSBuffers(l.conn)
}

func (l *Link) setParked(p *Parked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parked = p
}
