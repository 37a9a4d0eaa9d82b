package connection

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"mailtrigger/connection/wire"
)

// group is the watches of one connection, and the stations that they are spread
// over. Accounts may have few connections and many mailboxes, so:
//
//   - The first watch connects, and those that come meanwhile wait with it.
//   - Where the server has NOTIFY (RFC 5465) all share that one session.
//   - Where it has none, or refuses, each watch gets a session of its own, in the
//     order in which they came, as far as the connection budget allows. The rest
//     share the first session, and are polled: STATUS every poll_interval.
//   - A single watch idles, whatever the server has.
//
// A server may allow fewer sessions than the budget: the watches of one that is
// refused go to another. What is polled is reconsidered when a session of another ends,
// and an hour after the server's refusal. Sessions that have one watch stay so: where a
// server learns NOTIFY, they are not put together.
type group struct {
	d   *Dialer
	cfg *Config

	mu       sync.Mutex // guards the stations and watches, too
	stations []*station
	turns    uint64
	without  time.Time   // until then NOTIFY is not asked for: the server has refused it
	full     time.Time   // until then no more sessions are opened: the server has refused one
	again    *time.Timer // has the group reconsidered when the last of these is over
}

// askAgain is how long a server's refusal of NOTIFY, or of one more session, is remembered.
const askAgain = time.Hour

// group returns the group of a connection.
func (d *Dialer) group(cfg *Config) *group {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.groups[cfg]
	if g == nil {
		g = &group{d: d, cfg: cfg}
		d.groups[cfg] = g
	}
	return g
}

// log returns the group's logger.
func (g *group) log() *slog.Logger { return g.d.log.With("connection", g.cfg.Name) }

// place finds a station for a new watch. g.mu is held.
func (g *group) place(w *Watch) {
	if len(g.stations) == 0 {
		g.open(w, nil)
		return
	}
	first := g.stations[0]
	if first.alone() {
		if release := g.more(); release != nil {
			g.open(w, release)
			return
		}
	}
	first.join(w)
}

// more takes a place in the budget for one more session, and returns what gives it
// back; nil if there is none. g.mu is held.
func (g *group) more() (release func()) {
	if time.Now().Before(g.full) {
		return nil
	}
	return g.d.budget.try(g.cfg, true)
}

// fewer reports whether a failed connect says that the group has to do with fewer
// sessions, and notes it where it is the server that says so. g.mu is held.
func (g *group) fewer(e *Error) bool {
	if e.crowded && len(g.stations) > 1 {
		if time.Now().After(g.full) {
			g.log().Warn("the server allows fewer connections than max_connections; the mailboxes share those that there are", "why", e.Text, "again", askAgain)
		}
		g.full = time.Now().Add(askAgain)
		g.askLater()
		return true
	}
	return e.Stage == StageBudget
}

// askLater has the group reconsidered when no refusal is remembered any more. g.mu is held.
func (g *group) askLater() {
	if g.again != nil {
		g.again.Stop()
	}
	g.again = time.AfterFunc(askAgain+time.Second, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.reconsider()
	})
}

// reconsider has the mailboxes that are polled looked after better, if there is a way
// now: NOTIFY, or a session of their own. g.mu is held.
func (g *group) reconsider() {
	for _, st := range g.stations {
		if st.up && !st.notified && len(st.watches) > 1 {
			st.changed = true
			st.interrupt()
		}
	}
}

// open makes a station for one watch. release gives back the place in the budget
// that it already has; nil: none. g.mu is held.
func (g *group) open(w *Watch, release func()) {
	st := newStation(g, release)
	g.stations = append(g.stations, st)
	st.join(w)
	st.connectAfter(0)
}

// spread gives the watches of a station that cannot have NOTIFY sessions of their
// own, as far as the budget allows. g.mu is held, and no look runs.
func (g *group) spread(st *station) {
	for len(st.watches) > 1 {
		release := g.more()
		if release == nil {
			return
		}
		w := st.watches[0]
		st.remove(w)
		g.open(w, release)
	}
}

// merge moves the watches of a station that got no place in the budget to the
// first of the others; false if there is none. g.mu is held.
func (g *group) merge(st *station) bool {
	i := slices.IndexFunc(g.stations, func(other *station) bool { return other != st })
	if i < 0 {
		return false
	}
	for _, w := range slices.Clone(st.watches) {
		st.remove(w)
		g.stations[i].join(w)
	}
	return true
}

// moveUp has the mailboxes that are polled take the place of a session that has ended.
// Where other connections have the same account they get it: they may have no session
// at all. g.mu is held.
func (g *group) moveUp() {
	polled := func(st *station) bool { return st.up && !st.notified && len(st.watches) > 1 }
	if slices.ContainsFunc(g.stations, polled) && !g.d.sharesAccount(g) {
		g.reconsider()
	}
}

// sharesAccount reports whether another group has the same account.
func (d *Dialer) sharesAccount(g *group) bool {
	host, user := g.cfg.Identity()
	d.mu.Lock()
	defer d.mu.Unlock()
	for cfg, other := range d.groups {
		if h, u := cfg.Identity(); other != g && h == host && u == user {
			return true
		}
	}
	return false
}

// alone reports whether the station is known to take no further mailbox well:
// others do better in a session of their own. g.mu is held.
func (st *station) alone() bool { return st.session != nil && st.up && !st.canNotify() }

// canNotify reports whether the server has NOTIFY, as far as is known. g.mu is held.
func (st *station) canNotify() bool {
	return st.session.has("NOTIFY") && time.Now().After(st.group.without)
}

// mode says how the station's watches hear of changes.
func (st *station) mode() string {
	switch {
	case st.notified:
		return "notify"
	case len(st.watches) == 1 && st.session.has("IDLE"):
		return "idle"
	}
	return "poll"
}

// enroll makes the roll for the watches that there are now, and asks the server to
// notify of them. It is called by the goroutine that owns the session, before the
// first look and whenever a watch has come. What it hears is marked as due.
func (st *station) enroll() *Error {
	g, s := st.group, st.session
	if err := s.reclaim(); err != nil { // from here on nothing is heard that would be lost with the old roll
		return err
	}
	g.mu.Lock()
	st.listen()
	st.changed = false
	ask := st.canNotify()
	if !ask {
		g.spread(st)
	}
	if len(st.watches) == 1 && !st.notified {
		st.roll, st.rolled = nil, nil
		s.link.SetRoll(nil)
		g.mu.Unlock()
		return nil
	}
	roll, rolled := wire.NewRoll(), slices.Clone(st.watches)
	selected := slices.IndexFunc(rolled, func(w *Watch) bool { // maybe for a watch that has gone
		return s.selected != nil && s.selected.Name == w.mailbox
	})
	arguments := make([]string, len(rolled))
	for i, w := range rolled {
		arguments[i] = selectArgument(w.mailbox, s.modern())
		roll.Add(w.mailbox, arguments[i], w.known)
		if w.fault != nil {
			roll.Away(i)
		}
	}
	st.roll, st.rolled, st.notified, st.covered = roll, rolled, false, false
	s.link.SetRoll(roll)
	g.mu.Unlock()
	if !ask {
		return nil
	}
	said, covered, err := s.notify(st.ctx, roll, selected, wire.NotifyCommands(arguments))
	if err != nil {
		return err
	}
	if said == nil {
		g.mu.Lock()
		st.notified, st.covered = true, covered
		g.mu.Unlock()
		return nil
	}
	g.mu.Lock()
	g.refuse("the server offers NOTIFY but refuses it: " + said.Text)
	g.mu.Unlock()
	return st.enroll()
}

// refuse does without NOTIFY for a while. g.mu is held.
func (g *group) refuse(why string) {
	g.without = time.Now().Add(askAgain)
	g.askLater()
	g.log().Warn("no NOTIFY: each mailbox gets a session of its own as far as max_connections allows, and the others are polled", "why", why)
}

// overflowed counts how often the server could not keep up, and gives up in the end:
// it tells nothing any more, not even of the selected mailbox. g.mu is held.
func (st *station) overflowed() *Error {
	if st.overflows++; st.overflows <= maxOverflows {
		return nil
	}
	const text = "the server says again and again that there is too much to notify of (NOTIFICATIONOVERFLOW)"
	st.group.refuse(text)
	return &Error{Connection: st.group.cfg.Name, Stage: StageIdle, Text: text}
}

// maxOverflows is how often a session may be told that NOTIFY has ended.
const maxOverflows = 3

// notify sends the commands until one is answered OK and covers all mailboxes of the
// roll. said is what the server answered to the last one where it took none.
func (s *session) notify(ctx context.Context, roll *wire.Roll, selected int, commands []string) (said *Error, covered bool, failed *Error) {
	taken := false
	failed = s.converse(ctx, func(talk *dialogue) error {
		for _, command := range commands {
			roll.Unheard()
			reply, err := talk.command(command, nil)
			if err != nil {
				return err
			}
			if reply.kind != "OK" {
				said = reply.err(StageIdle)
				continue
			}
			taken = true
			if covered = roll.Covered(selected); covered {
				break
			}
		}
		return nil
	})
	if taken { // what is refused leaves what was taken before
		said = nil
	}
	return said, covered, failed
}

// status asks for a mailbox that was left for another: what came between the last
// look and that moment, the server may have been about to tell to the selected
// mailbox, which it is no more. The roll hears the answer.
func (st *station) status(w *Watch) *Error {
	st.group.mu.Lock()
	here := w.st == st && w.fault == nil
	st.group.mu.Unlock()
	if !here {
		return nil
	}
	err := st.session.status(st.ctx, w.mailbox)
	if err != nil && err.Refused {
		st.group.mu.Lock()
		defer st.group.mu.Unlock()
		w.mark(wire.Wake{Reason: wire.Rechecked, At: time.Now()}, true)
		return nil
	}
	return err
}

// listen marks what the roll has heard. g.mu is held.
func (st *station) listen() {
	if st.roll == nil {
		return
	}
	for _, n := range st.roll.Take() {
		w := st.rolled[n.Index]
		if w.st != st {
			continue // it was closed, or has a session of its own now
		}
		if w.fault != nil {
			w.fault.sooner(st, w)
			continue
		}
		wake := wire.Wake{Reason: wire.Rechecked, At: time.Now()}
		if n.Pushed {
			wake = wire.Wake{Reason: wire.Pushed, At: n.At}
			if f := st.group.d.trace.Push; f != nil {
				f(st.group.cfg.Name, w.mailbox)
			}
		}
		w.mark(wake, true)
	}
}
