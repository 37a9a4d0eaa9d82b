package trigger

import (
	"context"
	"slices"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/crashpoint"
	"mailtrigger/trigger/journal"
)

// maxRecent is how many messages that are in a mailbox at the first look have
// their identity recorded, at least.
const maxRecent = 500

// resync finds known messages again after the UIDs by which they were known are
// no longer good: UIDVALIDITY has changed, or the server went back in time (a
// UIDNEXT lower than it was: a restored backup). Nothing old fires again, nothing
// new is skipped; if too much looks new to be believed, all is held and said.
func (c *collector) resync(ctx context.Context, mb *connection.Mailbox) error {
	c.e.trace.mailboxReset()
	c.log.Warn("the server has changed the UIDs of the mailbox; finding known messages again",
		"uidvalidity", mb.UIDValidity, "before", c.state.UIDValidity, "uidnext", mb.UIDNext, "uidnext_before", c.state.UIDNext)
	known, err := c.knownMessages()
	if err != nil {
		return err
	}
	now, err := c.presentMessages(ctx, mb)
	if err != nil {
		return err
	}
	r := c.compare(known, now)
	answer, err := c.released()
	switch {
	case err != nil:
		return err
	case answer == releaseSkip:
		clear(r.isNew)
		r.newer = 0
	case answer == "" && r.newer > holdAbove && r.newer*100 > len(now)*holdAbovePercent:
		return c.hold(ctx, mb, r.newer, len(now))
	}
	crashpoint.Hit("engine.resync.compared")
	if err := c.adoptUIDs(ctx, mb, now, r); err != nil {
		return err
	}
	c.log.Info("known messages found again", "messages", len(now), "known", len(now)-r.newer, "new", r.newer)
	return nil
}

// A present is a message that is in the mailbox now.
type present struct {
	info connection.Info
	hash uint64
}

// knownMessages returns the UIDs by which messages were known, by identity.
// Messages that are alike in all of it share an entry, in the order they came.
func (c *collector) knownMessages() (map[uint64][]uint32, error) {
	seen, err := c.e.store.Seen(c.key)
	if err != nil {
		return nil, err
	}
	known := make(map[uint64][]uint32, len(seen))
	for _, s := range seen {
		if !slices.Contains(known[s.Hash], s.UID) {
			known[s.Hash] = append(known[s.Hash], s.UID)
		}
	}
	return known, nil
}

// presentMessages lists the whole mailbox with each message's identity.
func (c *collector) presentMessages(ctx context.Context, mb *connection.Mailbox) ([]present, error) {
	var out []present
	infos, err := mb.List(ctx, 0)
	if err != nil {
		return nil, err
	}
	for len(infos) > 0 {
		n := min(len(infos), 1000)
		some, err := identify(ctx, mb, infos[:n])
		if err != nil {
			return nil, err
		}
		out, infos = append(out, some...), infos[n:]
	}
	return out, nil
}

// identify returns the messages with their identities; what has gone meanwhile is left out.
func identify(ctx context.Context, mb *connection.Mailbox, infos []connection.Info) ([]present, error) {
	if len(infos) == 0 {
		return nil, nil
	}
	uids := make([]uint32, 0, len(infos))
	at := make(map[uint32]connection.Info, len(infos))
	for _, info := range infos {
		uids = append(uids, info.UID)
		at[info.UID] = info
	}
	hashes := make(map[uint32]uint64, len(infos))
	err := mb.FetchHeaders(ctx, uids, identityFields, func(uid uint32, raw []byte) error {
		hashes[uid] = identityHash(raw, at[uid].Size)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]present, 0, len(infos))
	for _, uid := range uids {
		if hash, ok := hashes[uid]; ok {
			info := at[uid]
			info.Flags = nil
			out = append(out, present{info, hash})
		}
	}
	return out, nil
}

// recentMail returns the identities of the mail that is in the mailbox at the
// first look, of the newest at least, and up to which INTERNALDATE there is more
// that is not in the list (zero: there is none). The server's dates are compared
// with each other only, never with a clock of ours.
func (c *collector) recentMail(ctx context.Context, mb *connection.Mailbox) (seen []journal.Seen, horizon time.Time, err error) {
	if mb.Exists == 0 {
		return nil, horizon, nil
	}
	bottom := mb.UIDNext
	for width := uint32(maxRecent); bottom > 1 && len(seen) < maxRecent; width *= 2 {
		top := bottom - 1
		bottom = max(bottom, width+1) - width
		infos, err := mb.ListRange(ctx, bottom, top)
		if err != nil {
			return nil, horizon, err
		}
		some, err := identify(ctx, mb, infos)
		if err != nil {
			return nil, horizon, err
		}
		for _, p := range some {
			seen = append(seen, journal.Seen{UID: p.info.UID, Hash: p.hash})
			if horizon.IsZero() || p.info.InternalDate.Before(horizon) {
				horizon = p.info.InternalDate
			}
		}
	}
	if bottom <= 1 {
		horizon = time.Time{}
	}
	return seen, horizon, nil
}

// A comparison result: for each message present now the UID it was known by (0:
// it was in the mailbox before the first look, or is new).
type resynced struct {
	old   []uint32
	isNew []bool
	newer int
}

func (c *collector) compare(known map[uint64][]uint32, now []present) resynced {
	r := resynced{old: make([]uint32, len(now)), isNew: make([]bool, len(now))}
	for i, p := range now {
		switch uids := known[p.hash]; {
		case len(uids) > 0:
			r.old[i] = uids[0]
			known[p.hash] = uids[1:]
		case c.state.Horizon.IsZero() || p.info.InternalDate.After(c.state.Horizon):
			r.isNew[i] = true
			r.newer++
		}
	}
	return r
}

// adoptUIDs commits the mailbox's UIDs as they are now: cursors at its end, and
// what each trigger has not decided about as its backlog.
func (c *collector) adoptUIDs(ctx context.Context, mb *connection.Mailbox, now []present, r resynced) error {
	state := c.state
	state.UIDValidity, state.UIDNext, state.Held = mb.UIDValidity, mb.UIDNext, ""
	seen := journal.SeenUpdate{Mailbox: c.key, Reset: true}
	for i, p := range now {
		if !r.isNew[i] {
			seen.Seen = append(seen.Seen, journal.Seen{UID: p.info.UID, Hash: p.hash})
		}
	}
	batch := &journal.Batch{
		Mailboxes: []journal.MailboxUpdate{{Mailbox: c.key, State: state}}, Seen: []journal.SeenUpdate{seen},
		State: map[string][]byte{releaseKey(c.key): nil},
	}
	// All cursors of the mailbox, also of triggers that do not watch it just now.
	cursors := c.e.store.Cursors(c.key)
	for _, f := range c.feeds {
		if f.known {
			cursors[f.rule.cfg.Name] = f.cursor
		}
	}
	last := mb.UIDNext - 1
	for trigger, cursor := range cursors {
		startsAll := c.startsAll(trigger)
		var undecided []uint32
		for i, p := range now {
			if r.isNew[i] || isUndecided(cursor, r.old[i], startsAll) {
				undecided = append(undecided, p.info.UID)
			}
		}
		cursor = journal.Cursor{UIDValidity: mb.UIDValidity, UID: last, Backfill: ranges(undecided, last)}
		cursors[trigger] = cursor
		batch.Cursors = append(batch.Cursors, journal.CursorUpdate{Mailbox: c.key, Trigger: trigger, Cursor: cursor})
	}
	byHash := make(map[uint64]uint32, len(now))
	for _, p := range now {
		byHash[p.hash] = p.info.UID
	}
	c.rekey(byHash, mb.UIDValidity, true)
	if err := c.commit(ctx, batch); err != nil {
		return err
	}
	c.state = state
	c.newest = nil
	c.newest.add(seen.Seen...)
	clear(c.fails)
	for _, f := range c.feeds {
		if f.known {
			f.cursor = cursors[f.rule.cfg.Name]
		}
	}
	return nil
}

func (c *collector) startsAll(trigger string) bool {
	return slices.ContainsFunc(c.feeds, func(f *feed) bool {
		return f.rule.cfg.Name == trigger && f.rule.cfg.Start == "all"
	})
}

// isUndecided reports whether a trigger with this cursor has yet to decide about a
// message that was known by the UID old, or, if that is 0, was there before the
// first look.
func isUndecided(cursor journal.Cursor, old uint32, startsAll bool) bool {
	if old != 0 {
		return old > cursor.UID || inBacklog(cursor, old)
	}
	return backlogSize(cursor) > 0 && startsAll
}
