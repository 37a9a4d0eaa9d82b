package trigger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/crashpoint"
	"mailtrigger/trigger/journal"
)

// From messages on the server to jobs in the journal.

// A delivery is a batch of messages on its way: fetched, judged, concluded.
type delivery struct {
	infos   []connection.Info // in the order of their UIDs
	live    bool
	mails   map[uint32]*mail
	release func() // gives their memory back

	begun   bool // the judging
	judging sync.WaitGroup
}

// deliver brings messages, which are in the order of their UIDs, to the triggers, batch
// by batch. While one batch is judged the next is fetched: else the processor would wait
// for the server, and then the server for the processor. After each, then is called with
// the number of messages that are left; it may deliver others. The look may have to leave
// off before none is left.
func (c *collector) deliver(ctx context.Context, mb *connection.Mailbox, infos []connection.Info, live bool, pushed time.Time, then func(left int) error) error {
	var next *delivery
	defer func() { next.drop() }()
	for len(infos) > 0 && !c.interrupted() && !c.allFull() {
		d := next
		next = nil
		if d == nil {
			var err error
			switch d, err = c.fetch(ctx, mb, infos[:c.batchOf(infos)], live, true); {
			case refused(err):
				continue // in a smaller batch, or as a dead letter
			case err != nil:
				return err
			}
		}
		infos = infos[len(d.infos):]
		var failed error // to fetch the next
		if len(infos) > 0 && !mb.Waiting() {
			c.beginJudging(d)
			next, failed = c.fetch(ctx, mb, infos[:c.batchOf(infos)], live, false)
		}
		if err := c.conclude(d, pushed); err != nil {
			return err
		}
		if failed != nil && !refused(failed) {
			return failed
		}
		if next != nil {
			c.beginJudging(next)
		}
		outer := c.ahead
		c.ahead = next
		err := then(len(infos))
		next, c.ahead = c.ahead, outer
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch begins a delivery. It waits until there is room for the messages in memory; without
// wait, nil is what it returns if there is none.
func (c *collector) fetch(ctx context.Context, mb *connection.Mailbox, infos []connection.Info, live, wait bool) (*delivery, error) {
	release, err := c.takeMemory(ctx, infos, wait)
	if release == nil {
		return nil, err
	}
	mails, err := c.read(ctx, mb, infos, live)
	if err != nil {
		release()
		return nil, err
	}
	return &delivery{infos: infos, live: live, mails: mails, release: release}, nil
}

// drop ends a delivery that is not to be concluded. The nil delivery has ended.
func (d *delivery) drop() {
	if d != nil {
		d.judging.Wait()
		d.release()
	}
}

// beginJudging has the messages judged while something else is done.
func (c *collector) beginJudging(d *delivery) {
	if !d.begun {
		d.begun = true
		d.judging.Go(func() { c.judgeAll(d) })
	}
}

// conclude judges the messages, if they are not yet, journals what is to be done and
// starts it. Cursors move only over what is in the same batch for the journal.
func (c *collector) conclude(d *delivery, pushed time.Time) error {
	defer func() { d.release() }()
	if d.begun {
		d.judging.Wait()
	} else {
		c.judgeAll(d)
	}
	if err := c.lastSent(); err != nil {
		return err
	}
	if c.outdated() {
		return errOutdated
	}
	batch := &journal.Batch{}
	var jobs []*job
	seen := journal.SeenUpdate{Mailbox: c.key}
	moved := make(map[*feed]bool)
	a := c.e.admit(c.feeds)
	for _, info := range d.infos {
		m := d.mails[info.UID]
		decided := false
		for _, f := range c.feeds {
			if !f.wants(info.UID, d.live) {
				continue
			}
			j, ok := c.decide(a, f, info, m)
			if !ok {
				f.full = true
				continue
			}
			decided = true
			f.pass(info.UID, d.live)
			moved[f] = true
			if j == nil {
				continue
			}
			if j.live, j.pushed = d.live, pushed; !d.live {
				j.setExtra(extraBacklog, "")
			}
			if m.raw != nil && c.e.budget.take(int64(len(m.raw))) {
				j.budget = int64(len(m.raw))
			}
			jobs = append(jobs, j)
		}
		delete(c.fails, info.UID)
		if decided && m != nil && m.hash != 0 {
			c.e.trace.message(c.conn.Name)
			seen.Seen = append(seen.Seen, journal.Seen{UID: info.UID, Hash: m.hash})
			c.state.UIDNext = max(c.state.UIDNext, info.UID+1)
		}
	}
	for f := range moved {
		batch.Cursors = append(batch.Cursors, c.cursorUpdate(f))
		if !d.live {
			c.sayBacklogDone(f)
		}
	}
	if len(seen.Seen) > 0 {
		batch.Seen = append(batch.Seen, seen)
		batch.Mailboxes = append(batch.Mailboxes, journal.MailboxUpdate{Mailbox: c.key, State: c.state})
	}
	jobs = a.into(batch, jobs)
	err := c.send(batch)
	a.end(c.pipeline, err)
	if err != nil {
		c.takeBack(jobs)
		return err
	}
	if c.pipeline != nil {
		// The messages stay in memory until they are in the journal.
		held := d.release
		d.release = func() {}
		commit := c.pipeline
		go func() { <-commit.Done(); held() }()
	}
	c.newest.add(seen.Seen...)
	c.hand(jobs)
	return nil
}

// errOutdated is what deliver returns if a trigger was changed while the messages were
// read and judged: they are not decided. What has changed is taken over before the
// next look at them.
var errOutdated = errors.New("a trigger has changed meanwhile")

// outdated reports whether a trigger's definition has changed since it was taken over.
func (c *collector) outdated() bool {
	return slices.ContainsFunc(c.feeds, func(f *feed) bool { return f.runner.rule() != f.rule })
}

// takeMemory takes room for the messages of what all mailboxes together may hold in
// memory. It waits until there is some; without wait, release is nil if there is none.
// Who waits must hold nothing that others could be waiting for: what was fetched ahead is
// given up, and fetched again later.
func (c *collector) takeMemory(ctx context.Context, infos []connection.Info, wait bool) (release func(), err error) {
	var n int64
	for _, info := range infos {
		n += info.Size
	}
	n = min(max(n, 1), maxUndecided)
	if !c.e.memory.TryAcquire(n) {
		if !wait {
			return nil, nil
		}
		c.ahead.drop()
		c.ahead = nil
		if err := c.e.memory.Acquire(ctx, n); err != nil {
			return nil, err
		}
	}
	return func() { c.e.memory.Release(n) }, nil
}

// takeBack undoes what was done for jobs that the journal did not take. Their
// messages are read again: the cursors in the journal have not moved.
func (c *collector) takeBack(jobs []*job) {
	for _, j := range jobs {
		j.drop(c.e)
		j.runner.released(j)
	}
	c.settled = false
}

// hand gives accepted jobs to their runners; dead letters among them are buried.
func (c *collector) hand(jobs []*job) {
	for _, j := range jobs {
		j.accepted = c.pipeline
		j.whenJournaled(j.journaled)
		c.join(j)
	}
	for _, j := range jobs {
		if reason := j.rec.Extra[unread]; reason != "" {
			j.skipWaiting()
			c.e.bury(j.rec, reason)
			j.drop(c.e)
			j.runner.released(j)
			c.leave(j, reason)
			continue
		}
		if j.budget == 0 {
			j.raw, j.msg = nil, nil // read back from the journal when its turn comes
		}
		j.runner.queue(j)
	}
}

// send hands a batch to the journal. At most one batch is under way while the
// next is fetched.
func (c *collector) send(batch *journal.Batch) error {
	if len(batch.Jobs)+len(batch.Cursors)+len(batch.Mailboxes)+len(batch.Seen) == 0 {
		return nil
	}
	if err := c.lastSent(); err != nil {
		return err
	}
	crashpoint.Hit("engine.accept.ready")
	commit := c.e.store.Accept(batch)
	if err := commit.Err(); err != nil { // refused at once
		return fmt.Errorf("journal: %w", err)
	}
	c.pipeline = commit
	return nil
}

// lastSent waits for the batch that was sent last.
func (c *collector) lastSent() error {
	if c.pipeline == nil {
		return nil
	}
	if err := c.pipeline.Wait(c.e.stopping); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// commit sends a batch and waits until it is in the journal.
func (c *collector) commit(ctx context.Context, batch *journal.Batch) error {
	if err := c.send(batch); err != nil {
		return err
	}
	if c.pipeline == nil {
		return nil
	}
	if err := c.pipeline.Wait(ctx); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// unread is the key of Job.Extra under which a message says why it is a dead letter
// before anything ran: it could not be read, or not be judged.
const unread = "unread"
