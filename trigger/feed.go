package trigger

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/journal"
)

// Which triggers a mailbox's mail goes to. Configuration and directories say what
// they want at any time; the mailbox's watch begins and ends with it, and look takes
// it over between two batches.

// A want says that a mailbox's mail is to go to a trigger.
type want struct {
	runner *runner
	rule   *rule
	conn   *connection.Config
	fresh  bool // the mailbox has appeared while it was being looked for: its first message is new, too
}

// A feed is a want that look has taken over.
type feed struct {
	want
	reading reading

	// Owned by look.
	cursor journal.Cursor
	known  bool // it has a cursor
	full   bool // its queue is full: the cursor stays where it is
}

// setWants replaces what a source wants: a directory, or the file itself (nil).
// adjust has to follow.
func (c *collector) setWants(source *directory, wants []want) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sources = slices.DeleteFunc(c.sources, func(s wantsOf) bool { return s.source == source })
	switch {
	case len(wants) == 0:
	case source == nil: // what the file names goes first
		c.sources = slices.Insert(c.sources, 0, wantsOf{source, wants})
	default:
		c.sources = append(c.sources, wantsOf{source, wants})
	}
	before := c.wants
	c.wants = nil
	for _, s := range c.sources {
		c.gather(s.wants, before)
	}
	c.changed = c.changed || !slices.Equal(c.wants, before)
	// The connection stays as long as a trigger goes by it.
	if len(c.wants) > 0 && !slices.ContainsFunc(c.wants, func(w want) bool { return w.conn == c.wantedConn }) {
		c.setConnection(c.wants[0].conn)
	}
}

// wantsOf is what one source wants of a mailbox.
type wantsOf struct {
	source *directory // nil: the file names the mailbox
	wants  []want
}

// setConnection says over which connection the mailbox is reached. c.mu is held.
func (c *collector) setConnection(conn *connection.Config) {
	if c.wantedConn != conn {
		c.wantedConn, c.changed = conn, true
	}
}

// reconnect is for a mailbox that no trigger watches: what is left to be done there
// is done over the connection that has the name now, if one has.
func (c *collector) reconnect(connections map[string]*connection.Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wants) == 0 && c.wantedConn != nil {
		c.setConnection(connections[c.wantedConn.Name])
	}
}

// idle reports whether there is nothing to be done in the mailbox and nobody watches it.
func (c *collector) idle() bool {
	if !c.looking.TryLock() {
		return false
	}
	defer c.looking.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.wants)+len(c.groups)+len(c.ready)+len(c.unread)+len(c.adopted) == 0 && c.watch.Load() == nil
}

// gather adds wants, each trigger once: it may want the mailbox by another name of
// the same account, or another pattern, but one message is one event. c.mu is held.
func (c *collector) gather(wants, before []want) {
	for _, w := range wants {
		if slices.ContainsFunc(c.wants, func(o want) bool { return o.runner == w.runner }) {
			continue
		}
		for _, b := range before {
			if b.runner == w.runner {
				w.fresh = b.fresh // it is new only when it is first seen
			}
		}
		c.wants = append(c.wants, w)
	}
}

// wantsNow returns the triggers that the mailbox's mail is to go to.
func (c *collector) wantsNow() []want {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.wants)
}

// watches reports whether any trigger watches the mailbox.
func (c *collector) watches() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.wants) > 0
}

// takeWants takes over what is wanted since the last look. It reports whether there
// was anything to take over.
func (c *collector) takeWants() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.changed {
		return false
	}
	c.changed = false
	before := c.feeds
	c.feeds = nil
	for _, w := range c.wants {
		f := &feed{want: w, reading: w.rule.reading(w.conn)}
		if i := slices.IndexFunc(before, func(b *feed) bool { return b.runner == w.runner }); i >= 0 {
			f.cursor, f.known, f.full = before[i].cursor, before[i].known, before[i].full
		} else {
			c.settled = false
		}
		c.feeds = append(c.feeds, f)
	}
	// What one trigger's firing means to another (after) is decided in the file's order.
	slices.SortStableFunc(c.feeds, func(a, b *feed) int { return cmp.Compare(a.runner.order.Load(), b.runner.order.Load()) })
	if c.conn != c.wantedConn {
		c.conn = c.wantedConn
		c.settled = false
	}
	return true
}

// interrupted reports whether look is to leave off: the watch ends, or other
// triggers are to be taken over.
func (c *collector) interrupted() bool {
	if c.ending() {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// ending reports whether the watch is to end.
func (c *collector) ending() bool { return c.e.stopping.Err() != nil || c.halted.Load() }

// closeWait is how long a session may take to end in good order.
const closeWait = 10 * time.Second

// adjust begins, renews or ends the watch, as what is wanted now asks for.
func (c *collector) adjust() {
	c.adjusting.Lock()
	defer c.adjusting.Unlock()
	c.mu.Lock()
	conn, wanted, changed := c.wantedConn, len(c.wants) > 0, c.changed
	c.mu.Unlock()
	if !c.e.started.Load() {
		return
	}
	watch := c.watch.Load()
	if watch != nil && (!wanted || conn != c.watchedBy) {
		c.close()
		c.watch.Store(nil)
		watch = nil
	}
	switch {
	case !wanted:
		c.wake()
	case watch == nil && c.e.stopping.Err() == nil:
		c.halted.Store(false)
		c.watchedBy = conn
		c.watch.Store(c.e.watcher.Watch(conn, c.key.Mailbox, c.look))
	case watch != nil && changed:
		watch.Wake()
	}
}

// close ends the watch.
func (c *collector) close() {
	w := c.watch.Load()
	if w == nil {
		return
	}
	c.halted.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if err := w.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
		c.log.Debug("the session did not end cleanly", "err", err)
	}
}
