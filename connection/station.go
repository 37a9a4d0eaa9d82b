package connection

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"mailtrigger/connection/wire"
)

// A station keeps one session up, for ever, and looks into the mailboxes that are
// watched on it: one, or several that share it.
//
// It is a state machine without a goroutine of its own: connecting and looking
// run in a goroutine that ends with them; while parked there is none but the park
// loop's, in backoff only a timer.
type station struct {
	group  *group
	unbind func() bool

	// Guarded by group.mu.
	state     State
	watches   []*Watch
	session   *session     // of connecting, looking, parked; nil before there is one
	up        bool         // it has been enrolled
	parked    *wire.Parked // while parked
	timer     *time.Timer  // while in backoff, or waiting for the connect rate
	changed   bool         // watches have come since the last enroll
	retry     retry        // how long to wait, and what was said
	err       *Error       // why there is no session; nil while there is
	blameless bool         // the mailboxes are why, not the connection
	next      time.Time    // when the next connect is due
	release   func()       // gives back the place in the budget that was kept for the first connect
	notified  bool         // the server tells of the others by NOTIFY
	covered   bool         // of all of them
	favoured  bool         // the last look was for news
	aborted   bool         // everything is to end at once

	// Of connecting and looking, nil else: ends with a close by force, and with the Dialer.
	ctx    context.Context
	cancel context.CancelCauseFunc

	// Owned by who owns the session.
	roll      *wire.Roll // nil: a single mailbox
	rolled    []*Watch   // by their index in the roll
	overflows int        // of NOTIFY in this session

	// Set by the park loop, which must not wait for mu.
	proof     atomic.Int64 // when the line was last proven alive, Unix nanoseconds; 0: never
	roundTrip atomic.Int64 // then, in nanoseconds
	flapping  atomic.Bool  // sessions end soon after they began, and that is no longer logged
	upSince   atomic.Int64 // when the session began, Unix nanoseconds
}

func newStation(g *group, release func()) *station {
	st := &station{group: g, state: StateConnecting, release: release}
	st.retry.longest = g.d.opts.MaxBackoff
	st.unbind = context.AfterFunc(g.d.ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		st.abort(errClosed)
	})
	return st
}

// The methods up to connect are called with group.mu held.

// join takes a watch in.
func (st *station) join(w *Watch) {
	w.st, w.mb = st, nil
	w.become(StateConnecting)
	w.mark(wire.Wake{Reason: wire.Rechecked, At: time.Now()}, false)
	st.watches = append(st.watches, w)
	st.changed = true
	st.interrupt()
	if st.state != StateBackoff {
		return
	}
	if st.blameless && st.timer != nil && st.timer.Stop() { // the others' mailboxes are no reason to wait
		st.admit()
		return
	}
	w.become(StateBackoff)
}

// remove takes a watch out, to close it or to move it.
func (st *station) remove(w *Watch) {
	w.forgive()
	w.st, w.mb = nil, nil
	st.watches = slices.DeleteFunc(st.watches, func(other *Watch) bool { return other == w })
}

// interrupt has the station see what is due, if it is parked.
func (st *station) interrupt() {
	if st.parked != nil {
		st.parked.Interrupt()
	}
}

// leave closes a watch: at once if others go on, else with the session. The last one
// takes the station out of the group: who comes now must not be closed with it.
func (st *station) leave(w *Watch) {
	if st.closing() {
		st.retire()
	}
	switch {
	case w.looking: // its look is let finish
	case len(st.watches) > 1:
		st.remove(w)
		w.end()
	case st.state == StateBackoff:
		st.end()
	case st.state == StateConnecting:
		if st.cancel != nil {
			st.cancel(errClosing)
		}
		if st.timer != nil && st.timer.Stop() {
			st.end()
		}
	case st.state == StateParked:
		st.interrupt()
	}
}

// abort ends everything by force.
func (st *station) abort(why error) {
	st.aborted = true
	st.retire()
	if st.cancel != nil {
		st.cancel(why)
	}
	for _, w := range st.watches {
		w.closing = true
	}
	if st.session != nil {
		st.session.link.Close()
	}
	if st.timer != nil && st.timer.Stop() {
		st.end()
	}
}

// retire has the station take no further watches.
func (st *station) retire() {
	st.group.stations = slices.DeleteFunc(st.group.stations, func(other *station) bool { return other == st })
}

// end is the last state, of all watches that are left, too.
func (st *station) end() {
	if st.state == StateClosed {
		return
	}
	if st.timer != nil {
		st.timer.Stop()
		st.timer = nil
	}
	if st.release != nil {
		st.release()
		st.release = nil
	}
	st.state = StateClosed
	for _, w := range slices.Clone(st.watches) {
		st.remove(w)
		w.end()
	}
	st.session, st.parked = nil, nil
	st.retire()
	st.unbind()
	st.rest()
	st.group.moveUp()
}

// begin makes the context of connecting and looking.
func (st *station) begin() { st.ctx, st.cancel = context.WithCancelCause(context.Background()) }

// rest ends it: while nothing is done it would only take room.
func (st *station) rest() {
	if st.cancel != nil {
		st.cancel(errClosing)
		st.ctx, st.cancel = nil, nil
	}
}

// become changes the state, and that of all watches that have no fault of their own.
func (st *station) become(s State) {
	st.state = s
	for _, w := range st.watches {
		if w.fault == nil {
			w.become(s)
		}
	}
}

// closing reports whether no watch is left that is to go on.
func (st *station) closing() bool {
	return !slices.ContainsFunc(st.watches, func(w *Watch) bool { return !w.closing })
}

// connectAfter has the station connect after wait.
func (st *station) connectAfter(wait time.Duration) {
	if wait <= 0 {
		st.admit()
		return
	}
	st.next = time.Now().Add(wait)
	st.timer = time.AfterFunc(wait, func() {
		st.group.mu.Lock()
		defer st.group.mu.Unlock()
		st.admit()
	})
}

// admit has the station connect as soon as the connect rate allows it.
func (st *station) admit() {
	if st.state == StateClosed {
		return
	}
	if st.closing() {
		st.end()
		return
	}
	wait := st.group.d.rate.Reserve().Delay()
	st.next = time.Now().Add(wait)
	st.timer = time.AfterFunc(wait, func() { st.group.d.starts.enter(st.connect) })
}

// connect runs in the timer's goroutine, or in one of its own: it connects and goes on to look.
func (st *station) connect() {
	g := st.group
	g.mu.Lock()
	st.timer = nil
	if st.closing() {
		st.end()
		g.mu.Unlock()
		return
	}
	st.become(StateConnecting)
	release := st.release
	st.release = nil
	st.begin()
	g.mu.Unlock()

	s, failed := g.d.open(st.ctx, g.cfg, true, release)
	if failed != nil {
		st.lost(nil, failed)
		return
	}
	g.mu.Lock()
	st.session, st.changed, st.up = s, true, false
	st.notified, st.overflows = false, 0
	st.upSince.Store(time.Now().UnixNano())
	for _, w := range st.watches {
		w.mark(wire.Wake{Reason: wire.Rechecked, At: time.Now()}, false)
	}
	g.mu.Unlock()
	st.work()
}

// work looks until nothing is due, then parks. This goroutine owns the session.
func (st *station) work() {
	for {
		w, failed := st.nextLook()
		switch {
		case failed != nil:
			st.lost(st.session, failed)
			return
		case w == nil:
			if st.park() {
				return
			}
		case !st.visit(w):
			return
		}
	}
}

// park gives the session to the park loop; false if there is something to do
// first. From then on it is woken's.
func (st *station) park() bool {
	g, s := st.group, st.session
	g.mu.Lock()
	if st.closing() {
		g.mu.Unlock()
		s.logout()
		g.mu.Lock()
		st.end()
		g.mu.Unlock()
		return true
	}
	at := st.selected()
	if at == nil { // the one that was has gone
		i := slices.IndexFunc(st.watches, func(w *Watch) bool { return w.fault == nil && !w.closing })
		if i < 0 {
			e := st.mildest(nil)
			g.mu.Unlock()
			st.lost(s, e)
			return true
		}
		st.watches[i].mark(wire.Wake{Reason: wire.Rechecked, At: time.Now()}, false)
		g.mu.Unlock()
		return false
	}
	o := st.parkOptions(at)
	g.mu.Unlock()
	if err := s.reclaim(); err != nil {
		st.lost(s, err)
		return true
	}
	g.mu.Lock() // woken waits for it, so that parked is set before it is used
	defer g.mu.Unlock()
	st.become(StateParked)
	st.rest()
	s.parked = true
	st.parked = g.d.parker.Park(s.link, o, func(wake wire.Wake) {
		g.d.looks.enter(func() { st.woken(wake) })
	})
	if st.changed || st.closing() || slices.ContainsFunc(st.watches, (*Watch).ready) {
		st.parked.Interrupt()
	}
	return true
}

// parkOptions says how the session waits, with the mailbox of at selected.
func (st *station) parkOptions(at *Watch) wire.ParkOptions {
	c := &st.group.cfg.Session
	o := wire.ParkOptions{
		Idle:    st.session.has("IDLE"),
		Refresh: time.Duration(c.IdleRefresh),
		Recheck: time.Duration(c.RecheckInterval),
		Poll:    time.Duration(c.PollInterval),
		Timeout: time.Duration(st.group.cfg.Timeout),
		Select:  selectArgument(at.mailbox, st.session.modern()),
		Known:   wire.Known{UIDValidity: at.mb.UIDValidity, UIDNext: at.mb.UIDNext, Exists: at.mb.Exists},
		OnProof: st.proven,
	}
	if st.roll != nil {
		o.Refresh = min(o.Refresh, o.Poll) // with a NOOP, that brings out what was not told
		if !st.covered {
			o.Recheck = min(o.Recheck, o.Poll) // nobody tells of some, or all, of the others
		}
	}
	return o
}

// proven is called by the park loop when the line was proven alive.
func (st *station) proven(at time.Time, roundTrip time.Duration) {
	st.proof.Store(at.UnixNano())
	st.roundTrip.Store(int64(roundTrip))
	if f := st.group.d.trace.Proof; f != nil {
		f(st.group.cfg.Name, roundTrip)
	}
	if st.flapping.Load() && at.Sub(time.Unix(0, st.upSince.Load())) >= healthy && st.flapping.CompareAndSwap(true, false) {
		st.group.log().Info("the connection holds again")
	}
}

// woken is called once the park loop has woken the session, in a goroutine of its own,
// which owns the session from here on.
func (st *station) woken(wake wire.Wake) {
	g := st.group
	g.mu.Lock()
	s := st.session
	st.parked, s.parked = nil, false
	st.state = StateLooking
	st.begin()
	if st.aborted {
		st.cancel(errClosed)
	}
	at := st.selected()
	if at != nil && (wake.Reason == wire.Pushed || wake.Reason == wire.Rechecked) {
		at.mark(wake, true)
	}
	g.mu.Unlock()

	if wake.Err != nil {
		st.lost(s, lostError(StageIdle, wake.Err))
		return
	}
	if wake.Reason == wire.Pushed && at != nil {
		if f := g.d.trace.Push; f != nil {
			f(g.cfg.Name, at.mailbox)
		}
	}
	st.work()
}

// lost ends the session, says why, and has the station connect again after a
// while. s is nil where there was none.
func (st *station) lost(s *session, err error) {
	blameless := s != nil && !s.broken && s.link.Err() == nil
	if s != nil {
		s.close()
	}
	g := st.group
	g.mu.Lock()
	defer g.mu.Unlock()
	st.rest()
	st.session, st.parked, st.roll, st.rolled, st.up = nil, nil, nil, nil, false
	for _, w := range slices.Clone(st.watches) {
		w.forgive()
		w.mb, w.looking, w.force = nil, false, nil
		if w.closing {
			st.remove(w)
			w.end()
		}
	}
	if len(st.watches) == 0 || st.aborted {
		st.end()
		return
	}
	e := fail(g.cfg.Name, StageLook, err)
	if s == nil && g.fewer(e) && g.merge(st) {
		st.end()
		return
	}
	if s != nil && g.d.trace.Error != nil {
		g.d.trace.Error(g.cfg.Name, e.Stage)
	}
	up := time.Duration(0)
	if s != nil {
		up = time.Since(s.since)
	}
	if up >= healthy {
		st.flapping.Store(false)
	}
	wait := st.retry.next(e, up)
	for _, w := range st.watches {
		if w.retry {
			wait, w.retry = 0, false
		}
	}
	st.err, st.blameless = e, blameless
	if blameless && e.Permanent { // it will be a while: others may have the place in the budget
		g.moveUp()
	}
	st.become(StateBackoff)
	st.connectAfter(wait)
	level := slog.LevelWarn
	if st.retry.said(e) {
		level = slog.LevelDebug
	}
	what := "cannot connect, trying again later"
	switch {
	case s != nil && st.retry.attempt == flaps && !st.flapping.Swap(true):
		what = "connection lost soon after it began, again and again; trying on, and saying no more of it until it holds for a minute"
		level = slog.LevelWarn
	case s != nil:
		what = "connection lost, connecting again"
		if st.flapping.Load() {
			level = slog.LevelDebug
		}
	case e.Permanent:
		what = "cannot connect; this needs somebody to change something, and is tried again now and then"
	}
	st.logger().Log(context.Background(), level, what, "stage", e.Stage, "err", e.short(),
		"next", time.Until(st.next).Round(100*time.Millisecond), "attempt", st.retry.attempt)
}

const flaps = 4 // losses in a row that are logged

// logger names the mailbox where there is only one. g.mu is held.
func (st *station) logger() *slog.Logger {
	if len(st.watches) == 1 {
		return st.watches[0].log()
	}
	return st.group.log().With("mailboxes", len(st.watches))
}
