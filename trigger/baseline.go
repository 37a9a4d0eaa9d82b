package trigger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/setting"
	"mailtrigger/trigger/journal"
)

// How a mailbox or a trigger that is seen for the first time begins.

// load gets the state of the mailbox and the triggers' cursors from the journal. For a
// mailbox that is seen for the first time it returns what is to be committed of it, else
// nil. In one that was looked for in vain before, all mail is new.
func (c *collector) load(ctx context.Context, mb *connection.Mailbox) (first *journal.Batch, err error) {
	state, known := c.e.store.Mailbox(c.key)
	var seen []journal.Seen
	if known {
		seen, err = c.e.store.Seen(c.key)
	} else {
		state = journal.MailboxState{UIDValidity: mb.UIDValidity, UIDNext: mb.UIDNext}
		seen, state.Horizon, err = c.recentMail(ctx, mb)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range c.feeds {
		f.cursor, f.known = c.e.store.Cursor(c.key, f.rule.cfg.Name)
	}
	if !known {
		first = &journal.Batch{
			Mailboxes: []journal.MailboxUpdate{{Mailbox: c.key, State: state}},
			Seen:      []journal.SeenUpdate{{Mailbox: c.key, Seen: seen}},
		}
		if w := c.watch.Load(); w != nil && w.Status().Missed { // it has appeared since: all its mail is new
			for _, f := range c.feeds {
				f.cursor, f.known = journal.Cursor{UIDValidity: mb.UIDValidity}, true
				first.Cursors = append(first.Cursors, c.cursorUpdate(f))
			}
			c.log.Info("the mailbox has appeared; watching from its first message on")
		}
	}
	c.newest = nil
	c.newest.add(seen...)
	c.state = state
	c.rekeyAdopted(seen)
	return first, nil
}

// baselines commits the cursors of triggers that see the mailbox for the first
// time: mail that is already there fires only if their `start` says so, and
// whatever comes later is new. first is what load has returned.
func (c *collector) baselines(ctx context.Context, mb *connection.Mailbox, first *journal.Batch) error {
	batch := first
	if batch == nil {
		batch = &journal.Batch{}
	}
	for _, f := range c.feeds {
		if f.known {
			continue
		}
		cursor, err := c.baseline(ctx, mb, f)
		if err != nil {
			return err
		}
		f.cursor = cursor
		batch.Cursors = append(batch.Cursors, c.cursorUpdate(f))
	}
	if first == nil && len(batch.Cursors) == 0 {
		return nil
	}
	if err := c.commit(ctx, batch); err != nil {
		return err
	}
	for _, f := range c.feeds {
		if !f.known {
			f.known = true
			c.log.Info("watching from now on", "trigger", f.rule.cfg.Name, "start", f.rule.cfg.Start, "uid", f.cursor.UID, "backlog", backlogSize(f.cursor))
		}
	}
	return nil
}

// rekeyAdopted finds out the UIDs of now of messages whose jobs were journaled
// before the server changed its UIDs.
func (c *collector) rekeyAdopted(known []journal.Seen) {
	c.mu.Lock()
	stale := false
	for key := range c.groups {
		stale = stale || key.uidValidity != c.state.UIDValidity
	}
	c.mu.Unlock()
	if !stale {
		return
	}
	byHash := make(map[uint64]uint32, len(known))
	for _, s := range known {
		byHash[s.Hash] = s.UID
	}
	c.rekey(byHash, c.state.UIDValidity, false)
}

// baseline is the first cursor of a trigger in a mailbox.
func (c *collector) baseline(ctx context.Context, mb *connection.Mailbox, f *feed) (journal.Cursor, error) {
	cursor := journal.Cursor{UIDValidity: mb.UIDValidity, UID: mb.UIDNext - 1}
	if mb.UIDNext <= 1 || f.fresh {
		cursor.UID = 0
		return cursor, nil
	}
	var what connection.Search
	switch start := f.rule.cfg.Start; {
	case start == "all":
		cursor.Backfill = []journal.Range{{First: 1, Last: cursor.UID}}
		return cursor, nil
	case start == "unseen":
		what.Unseen = true
	case strings.HasPrefix(start, "since:"):
		var d setting.Duration
		if err := d.UnmarshalText([]byte(strings.TrimPrefix(start, "since:"))); err != nil {
			return cursor, fmt.Errorf("start: %w", err)
		}
		what.Since = c.e.now().Add(-time.Duration(d))
	default:
		return cursor, nil
	}
	uids, err := mb.Search(ctx, what)
	if err != nil {
		return cursor, err
	}
	if !what.Since.IsZero() {
		if uids, err = notBefore(ctx, mb, uids, what.Since); err != nil {
			return cursor, err
		}
	}
	cursor.Backfill = ranges(uids, cursor.UID)
	return cursor, nil
}

// notBefore returns those of the UIDs whose messages came at that time or later:
// SEARCH knows days only.
func notBefore(ctx context.Context, mb *connection.Mailbox, uids []uint32, since time.Time) (out []uint32, err error) {
	for len(uids) > 0 {
		n := min(len(uids), listWindow)
		infos, err := mb.ListRange(ctx, uids[0], uids[n-1])
		if err != nil {
			return nil, err
		}
		for _, info := range infos {
			if _, found := slices.BinarySearch(uids[:n], info.UID); found && !info.InternalDate.Before(since) {
				out = append(out, info.UID)
			}
		}
		uids = uids[n:]
	}
	return out, nil
}

// ranges makes ranges of the UIDs up to last.
func ranges(uids []uint32, last uint32) []journal.Range {
	slices.Sort(uids)
	var out []journal.Range
	for _, uid := range slices.Compact(uids) {
		switch n := len(out); {
		case uid > last:
			return out
		case n > 0 && out[n-1].Last == uid-1:
			out[n-1].Last = uid
		default:
			out = append(out, journal.Range{First: uid, Last: uid})
		}
	}
	return out
}
