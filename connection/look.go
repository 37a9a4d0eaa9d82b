package connection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"mailtrigger/connection/wire"
)

// This is how the mailboxes of a station have their turns.
//
// Looks go one after the other. What has news goes first, in the order in which it
// was heard, but every other look is one that is only to make sure, as after a
// connect. A look that goes on for long while others wait is asked to let them
// (Mailbox.Waiting), and goes to the end of the queue. So no mailbox waits for ever:
// at most for two slices, and the pieces of work begun in them, of each of the others.
//
// One mailbox that cannot be selected does not end the session of the others: it
// waits by itself, and is tried again. Only if there is no other it is the session's
// end.

// lookSlice is how long a look may go on while others wait.
const lookSlice = time.Second

// nextLook returns the watch whose turn it is; nil if no look is due.
func (st *station) nextLook() (*Watch, *Error) {
	g := st.group
	g.mu.Lock()
	enroll := st.changed && !st.closing()
	if st.notified && st.roll.Dropped() {
		if err := st.overflowed(); err != nil {
			g.mu.Unlock()
			return nil, err
		}
		enroll = true
	}
	if st.notified && st.roll.Late() && !st.closing() {
		g.log().Debug("the server told only when it was asked; it is asked to notify once more")
		enroll = true
	}
	if enroll {
		g.mu.Unlock()
		if err := st.enroll(); err != nil {
			return nil, err
		}
		g.mu.Lock()
		st.announce()
	}
	defer g.mu.Unlock()
	st.listen()
	var found *Watch
	first := !st.favoured // news, unless it was its turn
	for _, w := range st.watches {
		if w.ready() && (found == nil || w.news == first && found.news != first || w.news == found.news && w.turn < found.turn) {
			found = w
		}
	}
	st.favoured = found != nil && found.news
	return found, nil
}

// ready reports whether the mailbox can be looked at now, and should be. group.mu is held.
func (w *Watch) ready() bool {
	return w.due && !w.closing && (w.fault == nil || !time.Now().Before(w.fault.next))
}

// announce notes that the session works. g.mu is held.
func (st *station) announce() {
	first := !st.up
	st.up = true
	st.err, st.next = nil, time.Time{}
	st.state = StateLooking
	for _, w := range st.watches {
		w.last.mode = st.mode()
	}
	if !first || len(st.watches) < 2 {
		return
	}
	st.group.log().Log(context.Background(), st.level(), "watching several mailboxes on one connection", "mode", st.says(), "mailboxes", len(st.watches))
}

// says says how the station hears of changes, for people.
func (st *station) says() string {
	mode := st.mode()
	if mode == "poll" {
		every := time.Duration(st.group.cfg.Session.PollInterval)
		if len(st.watches) > 1 {
			return fmt.Sprintf("poll every %s, as the server has no NOTIFY and max_connections allows no more", every)
		}
		return fmt.Sprintf("poll every %s, as the server has no IDLE", every)
	}
	return mode
}

// level is that of log lines about a session that began.
func (st *station) level() slog.Level {
	if st.flapping.Load() {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// visit looks into a mailbox; false if the session has ended with it.
func (st *station) visit(w *Watch) bool {
	g, s := st.group, st.session
	g.mu.Lock()
	wake := w.wake
	w.due, w.news, w.looking = false, false, true
	ctx, force := context.WithCancelCause(st.ctx)
	w.force = force
	if w.mb == nil {
		w.mb, w.begun = &Mailbox{Name: w.mailbox, s: s}, false
	}
	first := !w.begun
	mb := w.mb
	started := time.Now()
	mb.waiting = func() bool { return time.Since(started) >= lookSlice && st.othersWait(w) }
	left := st.selected()
	if !first {
		w.become(StateLooking)
	}
	g.mu.Unlock()

	err := st.look(ctx, w, wake, first)
	force(context.Canceled)
	if left != nil && left != w && !s.broken && s.link.Err() == nil {
		if failed := st.status(left); failed != nil {
			err = failed
		}
	}
	g.mu.Lock()
	w.looking, w.force, mb.waiting = false, nil, nil
	switch {
	case w.closing && len(st.watches) > 1:
		st.remove(w)
		w.end()
	case err == nil:
		st.looked(w)
	case errors.Is(err, ErrMore):
		st.looked(w)
		w.mark(wire.Wake{Reason: wire.Interrupted, At: time.Now()}, false)
		err = nil
	}
	if err != nil && !s.broken && s.link.Err() == nil {
		switch {
		case w.st != st:
			err = nil
		case st.others(w):
			st.excuse(w, err)
			err = nil
		default:
			err = st.mildest(err)
		}
	}
	g.mu.Unlock()
	if err != nil {
		st.lost(s, err)
		return false
	}
	return true
}

// selected returns the watch whose mailbox is selected; nil if there is none. g.mu is held.
func (st *station) selected() *Watch {
	for _, w := range st.watches {
		if w.mb != nil && st.session.selected == w.mb {
			return w
		}
	}
	return nil
}

// look selects the mailbox if need be, and calls the LookFunc.
func (st *station) look(ctx context.Context, w *Watch, wake wire.Wake, first bool) error {
	mb, s := w.mb, st.session
	if s.selected != mb || wake.Reason == wire.Rechecked && !mb.adopt(wake.Seen) {
		if err := mb.Refresh(ctx); err != nil {
			st.misses(ctx, w, mb, err)
			return err
		}
	}
	if first {
		st.began(w)
	}
	return w.look(ctx, mb, wake)
}

// misses notes that a mailbox is not there, if that is why it cannot be selected. Not
// every server says so with a code (RFC 5530): LIST tells.
func (st *station) misses(ctx context.Context, w *Watch, mb *Mailbox, why error) {
	var e *Error
	g := st.group
	g.mu.Lock()
	known := w.missed || w.last.connects > 0
	g.mu.Unlock()
	if known || !errors.As(why, &e) || !e.Refused {
		return
	}
	if e.Code != "NONEXISTENT" {
		if found, err := mb.ListMailboxes(ctx, w.mailbox); err != nil || len(found) > 0 {
			return
		}
	}
	g.mu.Lock()
	w.missed = true
	g.mu.Unlock()
}

// began notes that a watch is in a new session.
func (st *station) began(w *Watch) {
	g := st.group
	g.mu.Lock()
	w.last.tls, w.last.mode = st.session.tls, st.mode()
	w.last.connects++
	w.begun = true
	level := st.level()
	if len(st.watches) > 1 && w.last.connects > 1 && w.fault == nil { // one line for all of them was written
		level = slog.LevelDebug
	}
	mode := st.says()
	if w.fault == nil {
		w.become(StateLooking)
	}
	g.mu.Unlock()
	w.log().Log(context.Background(), level, "watching", "mode", mode, "messages", w.mb.Exists)
}

// looked notes a look that went well. g.mu is held.
func (st *station) looked(w *Watch) {
	w.forgive()
	w.retry = false
	st.proof.Store(time.Now().UnixNano())
	w.known = wire.Known{UIDValidity: w.mb.UIDValidity, UIDNext: w.mb.UIDNext, Exists: w.mb.Exists}
	if i := slices.Index(st.rolled, w); i >= 0 {
		st.roll.Know(i, w.known)
	}
	if len(st.watches) > 1 && !w.due { // others are looked at next, but this one is watched
		w.become(StateParked)
	}
}

// othersWait reports whether another mailbox's turn has come while w is looked at.
func (st *station) othersWait(w *Watch) bool {
	st.group.mu.Lock()
	defer st.group.mu.Unlock()
	st.listen()
	return slices.ContainsFunc(st.watches, func(other *Watch) bool { return other != w && other.ready() })
}

// others reports whether there are other mailboxes that have no fault. g.mu is held.
func (st *station) others(w *Watch) bool {
	return slices.ContainsFunc(st.watches, func(other *Watch) bool { return other != w && other.fault == nil })
}

// mildest returns what ends the session when no mailbox of it can be looked at: err, or
// the error of one that may be better soon, where err is not of that kind. g.mu is held.
func (st *station) mildest(err error) error {
	for _, w := range st.watches {
		if f := w.fault; f != nil && (err == nil || fail("", StageLook, err).Permanent && !f.err.Permanent) {
			err = f.err
		}
	}
	return err
}

// excuse has a mailbox that cannot be looked at wait, while the others go on. g.mu is held.
func (st *station) excuse(w *Watch, err error) {
	g := st.group
	f := w.fault
	if f == nil {
		f = &fault{}
		f.retry.longest = g.d.opts.MaxBackoff
	}
	e := fail(g.cfg.Name, StageLook, err)
	if g.d.trace.Error != nil {
		g.d.trace.Error(g.cfg.Name, e.Stage)
	}
	wait := f.retry.next(e, 0)
	if w.retry {
		wait, w.retry = 0, false
	}
	f.err, f.at, f.next = e, time.Now(), time.Now().Add(wait)
	w.fault = f
	w.mark(wire.Wake{Reason: wire.Rechecked, At: time.Now()}, false)
	if i := slices.Index(st.rolled, w); i >= 0 {
		st.roll.Away(i)
	}
	w.become(StateBackoff)
	f.schedule(st, w)
	level := slog.LevelWarn
	if f.retry.said(e) {
		level = slog.LevelDebug
	}
	w.log().Log(context.Background(), level, "cannot look into the mailbox, trying again later; the others of this connection go on",
		"stage", e.Stage, "err", e.short(), "next", wait.Round(100*time.Millisecond), "attempt", f.retry.attempt)
}

// schedule has the mailbox tried again when it is time. g.mu is held.
func (f *fault) schedule(st *station, w *Watch) {
	if f.timer != nil {
		f.timer.Stop()
	}
	f.timer = time.AfterFunc(time.Until(f.next), func() {
		st.group.mu.Lock()
		defer st.group.mu.Unlock()
		if w.st == st && w.fault == f {
			st.interrupt()
		}
	})
}

// soonerWait is the least time between two tries of a mailbox that the server
// keeps telling of.
const soonerWait = 5 * time.Second

// sooner has the mailbox tried soon: the server has told of it. g.mu is held.
func (f *fault) sooner(st *station, w *Watch) {
	if at := f.at.Add(soonerWait); at.Before(f.next) {
		f.next = at
		f.schedule(st, w)
	}
}
