package connection

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"mailtrigger/connection/wire"
)

// State is what a Watch does.
type State string

// The states of a Watch.
const (
	StateConnecting State = "connecting" // to the server, or waiting for the connect rate, or for its first look
	StateLooking    State = "looking"    // the LookFunc runs
	StateParked     State = "parked"     // waits for the server to tell of a change
	StateBackoff    State = "backoff"    // waits before it connects, or tries to select the mailbox, again
	StateClosed     State = "closed"
)

// LookFunc looks into a mailbox: after each connect, push, changed recheck and
// Wake, never twice at once for one Watch. The mailbox is selected. After a connect
// and a recheck it is freshly selected. wake says why; after a connect it is
// wire.Rechecked. ctx ends when the Watch is closed by force.
//
// Where several mailboxes share a session, the others wait meanwhile: a look that
// has much to do asks Mailbox.Waiting between two pieces of it, and returns ErrMore
// to go on after them. Any other error ends the session: the Watch says why and
// connects again after a while. In a shared session, if that still works, it ends
// only the look, which is tried again after a while.
type LookFunc func(ctx context.Context, mb *Mailbox, wake wire.Wake) error

// ErrMore is returned by a LookFunc that has more to do, and lets others go first.
// It is called again at the next turn.
var ErrMore = errors.New("there is more to look at")

// A Watch watches a mailbox for ever. Its methods may be called from any goroutine.
// It shares its session, and the state machine that keeps it, with other Watches or
// has one for itself: see station.
type Watch struct {
	group   *group
	mailbox string
	look    LookFunc
	done    chan struct{} // closed when the state is closed

	// Guarded by group.mu.
	st      *station
	state   State
	since   time.Time // of the state
	mb      *Mailbox  // in the station's session; nil before its first look there
	begun   bool      // it has been selected there
	known   wire.Known
	due     bool // a look is due
	news    bool // because there is something new, surely
	wake    wire.Wake
	turn    uint64 // looks are due in this order
	looking bool
	force   context.CancelCauseFunc // ends the look that runs
	closing bool                    // Close was called: let nothing new begin
	retry   bool                    // Retry was called while it was being tried: should that fail, it was too early
	missed  bool                    // it was looked for and was not there
	fault   *fault                  // why this mailbox, and it alone, cannot be looked at; nil: nothing
	last    lastSession
}

// lastSession is what Status tells of the session, or of the last one there was.
type lastSession struct {
	mode     string
	tls      *TLSInfo
	connects int
}

// A fault is why one mailbox of a shared session cannot be looked at.
type fault struct {
	retry retry
	err   *Error
	at    time.Time // it happened last
	next  time.Time // it is tried again
	timer *time.Timer
}

// Status is what a Watch tells of itself.
type Status struct {
	Connection string
	Mailbox    string
	State      State
	Since      time.Time     // when the state began
	Connected  bool          // there is a logged-in session in which the mailbox is watched
	Waits      bool          // another mailbox of the session is being looked at, which may take its time
	Mode       string        // how changes are heard of: "idle", "notify" or "poll"; "" before the first session
	LastProof  time.Time     // when the line was last proven alive
	RoundTrip  time.Duration // then
	TLS        *TLSInfo      // nil without TLS or before the first session
	NextRetry  time.Time     // in backoff: when it tries again
	LastError  *Error        // why the mailbox is not watched; nil while it is
	Connects   int           // how often it has been in a new session
	Missed     bool          // the mailbox was looked for once, and the server said that there is none
}

// Watch begins to watch a mailbox and returns at once. Close it in the end. The
// watches of one *Config share sessions: see the package's comment.
func (d *Dialer) Watch(cfg *Config, mailbox string, look LookFunc) *Watch {
	g := d.group(cfg)
	w := &Watch{
		group: g, mailbox: mailbox, look: look,
		done:  make(chan struct{}),
		state: StateConnecting, since: time.Now(),
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.place(w)
	return w
}

// log returns the Watch's logger. Made when it is needed: kept, it would be the
// largest part of a Watch that waits.
func (w *Watch) log() *slog.Logger { return w.group.log().With("mailbox", w.mailbox) }

// Wake asks for a look soon. Where one runs, another follows at once; where there
// is no session, the next one begins with a look anyway.
func (w *Watch) Wake() {
	w.group.mu.Lock()
	defer w.group.mu.Unlock()
	if st := w.st; st != nil && w.fault == nil && (st.state == StateLooking || st.state == StateParked) {
		w.mark(wire.Wake{Reason: wire.Interrupted, At: time.Now()}, true)
		st.interrupt()
	}
}

// Retry has a Watch that waits before it connects, or tries to select its mailbox,
// again do so now, as far as the connect rate lets it: for when somebody has mended
// what was wrong.
func (w *Watch) Retry() {
	w.group.mu.Lock()
	defer w.group.mu.Unlock()
	switch st := w.st; {
	case st == nil:
	case w.fault != nil:
		w.fault.next = time.Now()
		st.interrupt()
	case st.state == StateBackoff && st.timer != nil && st.timer.Stop():
		st.retry.attempt = 0
		st.admit()
	case st.state == StateConnecting || st.state == StateLooking:
		w.retry = true
	}
}

// Status tells how things are.
func (w *Watch) Status() Status {
	w.group.mu.Lock()
	defer w.group.mu.Unlock()
	s := Status{
		Connection: w.group.cfg.Name, Mailbox: w.mailbox, State: w.state, Since: w.since,
		Connected: w.mb != nil && w.fault == nil && (w.state == StateLooking || w.state == StateParked),
		Mode:      w.last.mode, TLS: w.last.tls, Connects: w.last.connects, Missed: w.missed,
	}
	st := w.st
	if st == nil {
		return s
	}
	s.RoundTrip = time.Duration(st.roundTrip.Load())
	if at := st.proof.Load(); at != 0 {
		s.LastProof = time.Unix(0, at)
	}
	s.Waits = st.state == StateLooking && !w.looking
	s.NextRetry, s.LastError = st.next, st.err
	if w.fault != nil {
		s.NextRetry, s.LastError = w.fault.next, w.fault.err
	}
	return s
}

// Close ends the Watch: a look that runs is let finish, and the last Watch of a
// session logs out. When ctx ends first, everything is ended by force. It returns
// ctx's error in that case.
func (w *Watch) Close(ctx context.Context) error {
	w.group.mu.Lock()
	w.closing = true
	if st := w.st; st != nil {
		st.leave(w)
	}
	w.group.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	w.abort()
	select { // everything in flight ends with its connection
	case <-w.done:
	case <-time.After(abortWait):
	}
	return ctx.Err()
}

var errClosing = errors.New("the watch is closed")

const abortWait = 5 * time.Second

// abort ends what the Watch is about by force.
func (w *Watch) abort() {
	w.group.mu.Lock()
	defer w.group.mu.Unlock()
	switch {
	case w.st == nil:
	case w.force != nil: // the look's commands end with the connection
		w.force(errClosing)
		if w.st.session != nil {
			w.st.session.link.Close()
		}
	default:
		w.st.abort(errClosing)
	}
}

// The methods below are called with group.mu held.

// become changes the state.
func (w *Watch) become(s State) {
	from := w.state
	if from == s {
		return
	}
	w.state, w.since = s, time.Now()
	if f := w.group.d.trace.State; f != nil {
		f(w.group.cfg.Name, w.mailbox, from, s)
	}
}

// mark notes that a look is due, and why; the first and the weightiest reason
// count. news goes before what is only to be made sure of.
func (w *Watch) mark(wake wire.Wake, news bool) {
	if !w.due {
		w.group.turns++
		w.due, w.wake, w.turn = true, wake, w.group.turns
	} else if wake.Reason == wire.Rechecked || w.wake.Reason == wire.Interrupted {
		w.wake = wake
	}
	w.news = w.news || news
}

// end is the last state.
func (w *Watch) end() {
	if w.state == StateClosed {
		return
	}
	w.forgive()
	w.become(StateClosed)
	w.st, w.mb, w.due = nil, nil, false
	close(w.done)
}

// forgive ends the mailbox's own fault.
func (w *Watch) forgive() {
	if w.fault != nil {
		if w.fault.timer != nil {
			w.fault.timer.Stop()
		}
		w.fault = nil
	}
}
