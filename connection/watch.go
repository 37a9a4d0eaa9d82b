package connection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mailtrigger/connection/wire"
)

// State is what a Watch does.
type State string

// The states of a Watch.
const (
	StateConnecting State = "connecting" // to the server, or waiting for the connect rate
	StateLooking    State = "looking"    // the LookFunc runs
	StateParked     State = "parked"     // waits for the server to tell of a change
	StateBackoff    State = "backoff"    // waits before it connects again
	StateClosed     State = "closed"
)

// LookFunc looks into a mailbox: after each connect, push, changed recheck and
// Wake, never twice at once for one Watch. After a connect and a recheck the
// mailbox is freshly selected. wake says why; after a connect it is
// wire.Rechecked. An error ends the session: the Watch says why and connects again
// after a while. ctx ends when the Watch is closed by force.
type LookFunc func(ctx context.Context, mb *Mailbox, wake wire.Wake) error

// A Watch keeps a session in a mailbox for ever. Its methods may be called from
// any goroutine.
//
// It is a state machine without a goroutine of its own: connecting and looking
// run in a goroutine that ends with them; while parked there is none but the park
// loop's, in backoff only a timer.
type Watch struct {
	d       *Dialer
	cfg     *Config
	mailbox string
	look    LookFunc
	unbind  func() bool
	done    chan struct{} // closed when the state is closed

	mu      sync.Mutex
	state   State
	since   time.Time       // of the state
	session *session        // of connecting, looking, parked; nil before there is one
	mb      *Mailbox        // in the session
	parked  *wire.Parked    // while parked
	timer   *time.Timer     // while in backoff, or waiting for the connect rate
	ctx     context.Context // of connecting and looking: ends with Close by force, and with the Dialer; nil else
	cancel  context.CancelCauseFunc
	again   bool          // somebody has asked for a look since the last began
	closing bool          // Close was called: let nothing new begin
	retry   retry         // how long to wait, and what was said
	status  sessionStatus // what Status tells of the session

	// Set by the park loop, which must not wait for mu.
	proof     atomic.Int64 // when the line was last proven alive, Unix nanoseconds; 0: never
	roundTrip atomic.Int64 // then, in nanoseconds
	flapping  atomic.Bool  // sessions end soon after they began, and that is no longer logged
	upSince   atomic.Int64 // when the session began, Unix nanoseconds
}

// sessionStatus is what is known of a Watch's session, and of the last one.
type sessionStatus struct {
	idle     bool
	tls      *TLSInfo
	next     time.Time // when the next connect is due
	err      *Error    // why there is no session; nil while there is
	connects int
}

// Status is what a Watch tells of itself.
type Status struct {
	Connection string
	Mailbox    string
	State      State
	Since      time.Time     // when the state began
	Connected  bool          // there is a logged-in session in the mailbox
	Mode       string        // how changes are heard of: "idle" or "poll"; "" before the first session
	LastProof  time.Time     // when the line was last proven alive
	RoundTrip  time.Duration // then
	TLS        *TLSInfo      // nil without TLS or before the first session
	NextRetry  time.Time     // in backoff: when it connects again
	LastError  *Error        // why there is no session; nil while there is
	Connects   int           // how often it has connected
}

// Watch begins to watch a mailbox and returns at once. Close it in the end.
func (d *Dialer) Watch(cfg *Config, mailbox string, look LookFunc) *Watch {
	w := &Watch{
		d: d, cfg: cfg, mailbox: mailbox, look: look,
		done:  make(chan struct{}),
		state: StateConnecting, since: time.Now(),
	}
	w.retry.longest = d.opts.MaxBackoff
	w.unbind = context.AfterFunc(d.ctx, func() { w.abort(errClosed) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.connectAfter(0)
	return w
}

// log returns the Watch's logger. Made when it is needed: kept, it would be the
// largest part of a Watch that waits.
func (w *Watch) log() *slog.Logger {
	return w.d.log.With("connection", w.cfg.Name, "mailbox", w.mailbox)
}

// Wake asks for a look soon. Where one runs, another follows at once; where there
// is no session, the next one begins with a look anyway.
func (w *Watch) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.state {
	case StateLooking:
		w.again = true
	case StateParked:
		w.again = true
		if w.parked != nil {
			w.parked.Interrupt()
		}
	}
}

// Retry has a Watch that waits before it connects again do so now, as far as the
// connect rate lets it: for when somebody has mended what was wrong.
func (w *Watch) Retry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == StateBackoff && w.timer != nil && w.timer.Stop() {
		w.retry.attempt = 0
		w.admit()
	}
}

// Status tells how things are.
func (w *Watch) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Status{
		Connection: w.cfg.Name, Mailbox: w.mailbox, State: w.state, Since: w.since,
		Connected: w.mb != nil && (w.state == StateLooking || w.state == StateParked),
		RoundTrip: time.Duration(w.roundTrip.Load()),
		TLS:       w.status.tls, NextRetry: w.status.next, LastError: w.status.err, Connects: w.status.connects,
	}
	if at := w.proof.Load(); at != 0 {
		s.LastProof = time.Unix(0, at)
	}
	if w.status.connects > 0 {
		s.Mode = "poll"
		if w.status.idle {
			s.Mode = "idle"
		}
	}
	return s
}

// Close ends the Watch: a look that runs is let finish, then it logs out. When ctx
// ends first, everything is ended by force. It returns ctx's error in that case.
func (w *Watch) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closing = true
	switch w.state {
	case StateBackoff:
		w.end()
	case StateConnecting:
		if w.cancel != nil {
			w.cancel(errClosing)
		}
		if w.timer != nil && w.timer.Stop() {
			w.end()
		}
	case StateParked:
		if w.parked != nil {
			w.parked.Interrupt()
		}
	}
	w.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	w.abort(errClosing)
	select { // everything in flight ends with its connection
	case <-w.done:
	case <-time.After(abortWait):
	}
	return ctx.Err()
}

var errClosing = errors.New("the watch is closed")

const abortWait = 5 * time.Second

// abort ends everything by force.
func (w *Watch) abort(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closing = true
	if w.cancel != nil {
		w.cancel(why)
	}
	if w.session != nil {
		w.session.link.Close()
	}
	if w.timer != nil && w.timer.Stop() {
		w.end()
	}
}

// The methods below are the state machine. Those that change the state hold mu.

// become changes the state. mu is held.
func (w *Watch) become(s State) {
	from := w.state
	if from == s {
		return
	}
	w.state, w.since = s, time.Now()
	if f := w.d.trace.State; f != nil {
		f(w.cfg.Name, w.mailbox, from, s)
	}
}

// begin gives connecting or looking a context. mu is held.
func (w *Watch) begin() { w.ctx, w.cancel = context.WithCancelCause(context.Background()) }

// rest drops it: what only waits has nothing to end, and a context that has had
// children takes almost a KiB. mu is held.
func (w *Watch) rest() {
	if w.cancel != nil {
		w.cancel(errClosing)
		w.ctx, w.cancel = nil, nil
	}
}

// end is the last state. mu is held.
func (w *Watch) end() {
	if w.state == StateClosed {
		return
	}
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	w.become(StateClosed)
	w.session, w.mb, w.parked = nil, nil, nil
	w.unbind()
	w.rest()
	close(w.done)
}

// connectAfter has the Watch connect after wait. mu is held.
func (w *Watch) connectAfter(wait time.Duration) {
	if wait <= 0 {
		w.admit()
		return
	}
	w.status.next = time.Now().Add(wait)
	w.timer = time.AfterFunc(wait, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.admit()
	})
}

// admit has the Watch connect as soon as the connect rate allows it. mu is held.
func (w *Watch) admit() {
	if w.closing {
		w.end()
		return
	}
	wait := w.d.rate.Reserve().Delay()
	w.status.next = time.Now().Add(wait)
	w.timer = time.AfterFunc(wait, func() { w.d.starts.enter(w.connect) })
}

// connect runs in the timer's goroutine, or in one of its own: it connects, selects, and goes on to look.
func (w *Watch) connect() {
	w.mu.Lock()
	w.timer = nil
	if w.closing {
		w.end()
		w.mu.Unlock()
		return
	}
	w.become(StateConnecting)
	w.begin()
	w.again = false
	w.mu.Unlock()

	s, failed := w.d.open(w.ctx, w.cfg, true)
	if failed != nil {
		w.lost(nil, failed)
		return
	}
	mb := &Mailbox{Name: w.mailbox, s: s}
	w.mu.Lock()
	w.session = s
	w.mu.Unlock()
	if err := mb.Refresh(w.ctx); err != nil {
		w.lost(s, err)
		return
	}
	w.mu.Lock()
	w.mb = mb
	w.status.tls, w.status.idle = s.tls, s.has("IDLE")
	w.upSince.Store(time.Now().UnixNano())
	w.status.err, w.status.next = nil, time.Time{}
	w.status.connects++
	w.become(StateLooking)
	mode := "idle"
	if !w.status.idle {
		mode = fmt.Sprintf("poll every %s, as the server has no IDLE", time.Duration(w.cfg.Session.PollInterval))
	}
	level := slog.LevelInfo
	if w.flapping.Load() {
		level = slog.LevelDebug
	}
	w.mu.Unlock()
	w.log().Log(context.Background(), level, "watching", "mode", mode, "messages", mb.Exists)
	w.run(wire.Wake{Reason: wire.Rechecked, At: time.Now()})
}

// run looks until nobody asks for more, then parks. The state is looking, and
// this goroutine owns the session.
func (w *Watch) run(wake wire.Wake) {
	for {
		if err := w.look(w.ctx, w.mb, wake); err != nil {
			w.lost(w.session, err)
			return
		}
		w.mu.Lock()
		switch {
		case w.closing:
			w.mu.Unlock()
			w.session.logout()
			w.mu.Lock()
			w.end()
			w.mu.Unlock()
			return
		case w.again:
			w.again = false
			w.mu.Unlock()
			wake = wire.Wake{Reason: wire.Interrupted, At: time.Now()}
			continue
		}
		w.mu.Unlock()
		if err := w.session.reclaim(); err != nil {
			w.lost(w.session, err)
			return
		}
		w.park()
		return
	}
}

// park gives the session to the park loop. From here on it is woken's.
func (w *Watch) park() {
	c := &w.cfg.Session
	o := wire.ParkOptions{
		Idle:    w.session.has("IDLE"),
		Refresh: time.Duration(c.IdleRefresh),
		Recheck: time.Duration(c.RecheckInterval),
		Poll:    time.Duration(c.PollInterval),
		Timeout: time.Duration(w.cfg.Timeout),
		Select:  selectArgument(w.mailbox, w.session.modern()),
		Known:   wire.Known{UIDValidity: w.mb.UIDValidity, UIDNext: w.mb.UIDNext, Exists: w.mb.Exists},
		OnProof: w.proven,
	}
	w.mu.Lock() // woken waits for it, so that parked is set before it is used
	defer w.mu.Unlock()
	w.become(StateParked)
	w.rest()
	w.parked = w.d.parker.Park(w.session.link, o, w.woken)
	if w.again || w.closing {
		w.parked.Interrupt()
	}
}

// proven is called by the park loop when the line was proven alive.
func (w *Watch) proven(at time.Time, roundTrip time.Duration) {
	w.proof.Store(at.UnixNano())
	w.roundTrip.Store(int64(roundTrip))
	if f := w.d.trace.Proof; f != nil {
		f(w.cfg.Name, roundTrip)
	}
	if w.flapping.Load() && at.Sub(time.Unix(0, w.upSince.Load())) >= healthy && w.flapping.CompareAndSwap(true, false) {
		w.log().Info("the connection holds again")
	}
}

// woken is called by the park loop in a goroutine of its own, which owns the
// session from here on.
func (w *Watch) woken(wake wire.Wake) {
	w.mu.Lock()
	s, mb := w.session, w.mb
	w.parked = nil
	w.again = false
	w.begin()
	w.become(StateLooking)
	closing := w.closing
	w.mu.Unlock()

	if wake.Err != nil {
		w.lost(s, lostError(StageIdle, wake.Err))
		return
	}
	if wake.Reason == wire.Pushed {
		if f := w.d.trace.Push; f != nil {
			f(w.cfg.Name, w.mailbox)
		}
	}
	if err := s.lend(w.ctx); err != nil {
		w.lost(s, err)
		return
	}
	if closing {
		s.logout()
		w.mu.Lock()
		w.end()
		w.mu.Unlock()
		return
	}
	if wake.Reason == wire.Rechecked && !mb.adopt(wake.Seen) {
		if err := mb.Refresh(w.ctx); err != nil {
			w.lost(s, err)
			return
		}
	}
	w.run(wake)
}

// lost ends the session, says why, and has the Watch connect again after a while.
// s is nil where there was none.
func (w *Watch) lost(s *session, err error) {
	if s != nil {
		s.close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.session, w.mb, w.parked = nil, nil, nil
	w.rest()
	if w.closing {
		w.end()
		return
	}
	e := fail(w.cfg.Name, StageLook, err)
	if s != nil && w.d.trace.Error != nil {
		w.d.trace.Error(w.cfg.Name, e.Stage)
	}
	up := time.Duration(0)
	if s != nil {
		up = time.Since(s.since)
	}
	if up >= healthy {
		w.flapping.Store(false)
	}
	wait := w.retry.next(e, up)
	w.status.err = e
	w.become(StateBackoff)
	w.connectAfter(wait)
	level := slog.LevelWarn
	if w.retry.said(e) {
		level = slog.LevelDebug
	}
	what := "cannot connect, trying again later"
	switch {
	case s != nil && w.retry.attempt == flaps && !w.flapping.Swap(true):
		what = "connection lost soon after it began, again and again; trying on, and saying no more of it until it holds for a minute"
		level = slog.LevelWarn
	case s != nil:
		what = "connection lost, connecting again"
		if w.flapping.Load() {
			level = slog.LevelDebug
		}
	case e.Permanent:
		what = "cannot connect; this needs somebody to change something, and is tried again now and then"
	}
	w.log().Log(context.Background(), level, what, "stage", e.Stage, "err", e.short(),
		"next", time.Until(w.status.next).Round(100*time.Millisecond), "attempt", w.retry.attempt)
}

const flaps = 4 // losses in a row that are logged
