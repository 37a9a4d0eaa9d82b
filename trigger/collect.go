package trigger

import (
	"context"
	"errors"
	"slices"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/wire"
	"mailtrigger/trigger/journal"
)

// What is new, and what a backlog still holds, in batches.

// collectNew brings what came after the cursors to the triggers.
func (c *collector) collectNew(ctx context.Context, mb *connection.Mailbox, wake wire.Wake) error {
	pushed := time.Time{}
	if wake.Reason == wire.Pushed {
		pushed = wake.At
		switch all, err := c.collectNext(ctx, mb, pushed); {
		case all, errors.Is(err, errOutdated):
			return nil
		case err != nil:
			return err
		}
	}
	empty, width := uint32(0), uint32(listWindow) // up to here there is nothing; how much is listed at once
	for {
		after, ok := c.lowest()
		if !ok {
			return nil
		}
		after = max(after, empty)
		// A long absence leaves more than should be listed at once.
		windowed := mb.UIDNext > 0 && mb.UIDNext-1 > after && mb.UIDNext-1-after > width
		var infos []connection.Info
		var err error
		if windowed {
			infos, err = mb.ListRange(ctx, after+1, after+width)
		} else {
			infos, err = mb.List(ctx, after)
		}
		switch {
		case err != nil:
			return err
		case len(infos) == 0 && windowed:
			empty, width = after+width, width*2
			continue
		case len(infos) == 0:
			return nil
		}
		width = listWindow
		// What comes while one batch is dealt with, the server tells: the watch looks again.
		all := !windowed && c.batchOf(infos) == len(infos)
		err = c.deliver(ctx, mb, infos, true, pushed, func(int) error {
			if mb.Waiting() { // other mailboxes of this session
				return connection.ErrMore
			}
			return nil
		})
		switch {
		case errors.Is(err, errOutdated):
			return nil
		case err != nil:
			return err
		}
		if all || c.interrupted() {
			return nil
		}
	}
}

// What collectNext asks for.
const (
	nextCount  = 4
	nextSize   = 64 << 10
	nextLosses = 2 // sessions that may end over it, one after the other, until it is no longer tried
)

// collectNext brings what was just pushed to the triggers, if it is as it mostly is: a
// message or two, and not large. It saves one of three ways to the server and back, from
// mail to action. Whatever it leaves, collectNew finds; all says that there is nothing.
func (c *collector) collectNext(ctx context.Context, mb *connection.Mailbox, pushed time.Time) (all bool, err error) {
	after := c.feeds[0].cursor.UID
	if c.lost >= nextLosses || c.batch < maxBatch || len(c.fails) > 0 || c.interrupted() ||
		slices.ContainsFunc(c.feeds, func(f *feed) bool { return f.full || f.cursor.UID != after }) {
		return false, nil
	}
	const most = nextCount * nextSize
	if !c.e.memory.TryAcquire(most) {
		return false, nil
	}
	bodies, all, err := mb.Next(ctx, after, nextCount, nextSize)
	var held int64
	for _, b := range bodies {
		held += int64(len(b.Raw))
	}
	c.e.memory.Release(most - held)
	if err != nil {
		if ctx.Err() == nil {
			c.lost++
		}
		return false, err
	}
	if c.lost = 0; len(bodies) == 0 {
		return false, nil
	}
	d := &delivery{live: true, mails: make(map[uint32]*mail), release: func() { c.e.memory.Release(held) }}
	for _, b := range bodies {
		m := c.newMail(b.Info, true)
		m.take(b)
		d.infos, d.mails[b.UID] = append(d.infos, b.Info), m
	}
	if err := c.conclude(d, pushed); err != nil {
		return false, err
	}
	return all && !slices.ContainsFunc(c.feeds, func(f *feed) bool { return f.full }), nil
}

// lowest returns the lowest cursor of the feeds that have room.
func (c *collector) lowest() (after uint32, ok bool) {
	for _, f := range c.feeds {
		if !f.full && (!ok || f.cursor.UID < after) {
			after, ok = f.cursor.UID, true
		}
	}
	return after, ok
}

// batchOf says how many of the messages make one batch: at most as many as give
// maxBatch jobs, if every trigger matches them all.
func (c *collector) batchOf(infos []connection.Info) int {
	most := max(1, min(c.batch, maxBatch/len(c.feeds)))
	var bytes int64
	for i, info := range infos {
		bytes += info.Size
		if i > 0 && (i >= most || bytes > maxBatchBytes) {
			return i
		}
	}
	return len(infos)
}

// collectBacklog brings a batch of the mail that was there before to the triggers
// that asked for it. It reports whether there is more.
func (c *collector) collectBacklog(ctx context.Context, mb *connection.Mailbox) (more bool, err error) {
	c.tellBacklog()
	first, last, ok := c.nextBacklog()
	if !ok {
		return false, nil
	}
	if mb.Waiting() { // other mailboxes of this session
		return false, connection.ErrMore
	}
	infos, err := mb.ListRange(ctx, first, last)
	if err != nil {
		return false, err
	}
	if len(infos) == 0 {
		return true, c.passBacklog(last)
	}
	passed := false
	err = c.deliver(ctx, mb, infos, false, time.Time{}, func(left int) error {
		if left == 0 {
			passed = true
			return c.passBacklog(last)
		}
		c.tellBacklog()
		if err := c.collectNew(ctx, mb, wire.Wake{}); err != nil {
			return err
		}
		if err := c.finishReady(ctx, mb); err != nil {
			return err
		}
		if mb.Waiting() {
			return connection.ErrMore
		}
		return nil
	})
	switch {
	case errors.Is(err, errOutdated):
		return false, nil
	case err != nil:
		return false, err
	}
	return passed || !c.allFull(), nil
}

// nextBacklog returns the next window of UIDs that some trigger with room has to fill back.
func (c *collector) nextBacklog() (first, last uint32, ok bool) {
	for _, f := range c.feeds {
		if f.full {
			continue
		}
		if uid, end, some := nextOf(f.cursor); some && (!ok || uid < first) {
			first, last, ok = uid, end, true
		}
	}
	if ok && last-first >= listWindow {
		last = first + listWindow - 1
	}
	return first, last, ok
}

// nextOf returns the first range of a cursor's backlog that is not decided yet.
func nextOf(cursor journal.Cursor) (first, last uint32, ok bool) {
	for _, r := range cursor.Backfill {
		if r.Last > cursor.BackfillPos {
			return max(r.First, cursor.BackfillPos+1), r.Last, true
		}
	}
	return 0, 0, false
}

func inBacklog(cursor journal.Cursor, uid uint32) bool {
	if uid <= cursor.BackfillPos {
		return false
	}
	_, found := slices.BinarySearchFunc(cursor.Backfill, uid, func(r journal.Range, uid uint32) int {
		switch {
		case r.Last < uid:
			return -1
		case r.First > uid:
			return 1
		}
		return 0
	})
	return found
}

func backlogSize(cursor journal.Cursor) (n uint64) {
	for _, r := range cursor.Backfill {
		if r.Last > cursor.BackfillPos {
			n += uint64(r.Last-max(r.First, cursor.BackfillPos+1)) + 1
		}
	}
	return n
}

// passBacklog moves the backlog of every trigger with room to last: nothing is left below it.
func (c *collector) passBacklog(last uint32) error {
	batch := &journal.Batch{}
	for _, f := range c.feeds {
		if f.full || backlogSize(f.cursor) == 0 || f.cursor.BackfillPos >= last {
			continue
		}
		f.cursor.BackfillPos = last
		batch.Cursors = append(batch.Cursors, c.cursorUpdate(f))
		c.sayBacklogDone(f)
	}
	return c.send(batch)
}

func (c *collector) sayBacklogDone(f *feed) {
	if backlogSize(f.cursor) == 0 {
		c.log.Info("the backlog is done", "trigger", f.rule.cfg.Name)
	}
}

func (c *collector) cursorUpdate(f *feed) journal.CursorUpdate {
	return journal.CursorUpdate{Mailbox: c.key, Trigger: f.rule.cfg.Name, Cursor: f.cursor}
}

func (c *collector) allFull() bool {
	return !slices.ContainsFunc(c.feeds, func(f *feed) bool { return !f.full })
}

// wants reports whether the trigger has not yet decided about this message.
func (f *feed) wants(uid uint32, live bool) bool {
	if f.full {
		return false
	}
	if live {
		return uid > f.cursor.UID
	}
	return inBacklog(f.cursor, uid)
}

// pass moves the cursor past a message that is decided.
func (f *feed) pass(uid uint32, live bool) {
	if live {
		f.cursor.UID = uid
	} else {
		f.cursor.BackfillPos = uid
	}
}
