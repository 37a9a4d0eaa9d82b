package trigger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/crashpoint"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// From a batch of messages to jobs in the journal.

// deliver fetches, decodes and matches the messages, which are in the order of
// their UIDs, journals what is to be done and starts it. Cursors move only over
// what is in the same batch for the journal.
func (c *collector) deliver(ctx context.Context, mb *connection.Mailbox, infos []connection.Info, live bool, pushed time.Time) error {
	release, err := c.takeMemory(ctx, infos)
	if err != nil {
		return err
	}
	defer func() { release() }()
	read, err := c.read(ctx, mb, infos, live)
	if err != nil {
		return err
	}
	found := c.judgeAll(infos, read, live)
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
	for _, info := range infos {
		m := read[info.UID]
		decided := false
		for _, f := range c.feeds {
			if !f.wants(info.UID, live) {
				continue
			}
			j, ok := c.decide(a, f, info, m, found[judged{f, info.UID}])
			if !ok {
				f.full = true
				continue
			}
			decided = true
			f.pass(info.UID, live)
			moved[f] = true
			if j == nil {
				continue
			}
			if j.live, j.pushed = live, pushed; !live {
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
		if !live {
			c.sayBacklogDone(f)
		}
	}
	if len(seen.Seen) > 0 {
		batch.Seen = append(batch.Seen, seen)
		batch.Mailboxes = append(batch.Mailboxes, journal.MailboxUpdate{Mailbox: c.key, State: c.state})
	}
	jobs = a.into(batch, jobs)
	err = c.send(batch)
	a.end(c.pipeline, err)
	if err != nil {
		c.takeBack(jobs)
		return err
	}
	if c.pipeline != nil {
		// The messages stay in memory until they are in the journal.
		held := release
		release = func() {}
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

// takeMemory waits until there is room for the messages in what all mailboxes
// together may hold in memory. It returns what gives the room back.
func (c *collector) takeMemory(ctx context.Context, infos []connection.Info) (release func(), err error) {
	var n int64
	for _, info := range infos {
		n += info.Size
	}
	n = min(max(n, 1), maxUndecided)
	if err := c.e.memory.Acquire(ctx, n); err != nil {
		return nil, err
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

// judge asks the conditions of a feed's trigger about a message, as far as it was read.
func (c *collector) judge(f *feed, m *mail) condition.Judgement {
	name := f.rule.cfg.Name
	return f.rule.matcher.Judge(&condition.Mail{
		Event: &event.Event{
			Version: event.Version, Kind: event.KindMessage, Trigger: name, Connection: f.conn.Name, Mailbox: c.key.Mailbox,
			ID:          eventID(c.key, c.state.UIDValidity, m.info.UID, m.info.InternalDate, m.info.Size, name),
			UIDValidity: c.state.UIDValidity, UID: m.info.UID, Received: m.info.InternalDate, Message: m.decode(c, f),
		},
		Whole: m.raw != nil, Now: c.e.now(),
	})
}

// A judged names a message for a trigger.
type judged struct {
	feed *feed
	uid  uint32
}

// A finding is what a trigger's conditions say of a message.
type finding struct {
	msg     *message.Message
	matched bool
	groups  map[string]string
	plan    []journal.ActionState
	problem string // why the message is to be a dead letter; "" if it is not
}

// judgeAll matches the messages with the triggers, several at once. Nothing follows
// from it yet: what takes longest is done before any lock is held.
func (c *collector) judgeAll(infos []connection.Info, read map[uint32]*mail, live bool) map[judged]*finding {
	found := make(map[judged]*finding)
	var mu sync.Mutex
	each := func(info connection.Info) {
		m := read[info.UID]
		for _, f := range c.feeds {
			if m != nil && f.wants(info.UID, live) {
				v := c.judgeOne(f, info, m)
				mu.Lock()
				found[judged{f, info.UID}] = v
				mu.Unlock()
			}
		}
	}
	if len(infos) == 1 || c.e.poison.suspects() {
		for _, info := range infos {
			each(info)
		}
		return found
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(infos)) {
		workers.Go(func() {
			for i := next.Add(1); i <= int64(len(infos)); i = next.Add(1) {
				each(infos[i-1])
			}
		})
	}
	workers.Wait()
	return found
}

func (c *collector) judgeOne(f *feed, info connection.Info, m *mail) *finding {
	r := f.rule
	v := &finding{msg: m.decode(c, f)}
	said := c.judge(f, m)
	v.matched, v.groups, v.problem = said.Truth == condition.Yes, said.Groups, m.problem
	v.plan = r.plan(v.matched)
	switch {
	case v.problem != "":
		v.plan, v.matched = r.planOfDoubt(), true
	case info.Size > int64(r.cfg.MaxSize) && r.mayPlan(said.Truth):
		if said.Truth == condition.Unknown {
			v.plan, v.matched = r.planOfDoubt(), true
		}
		v.problem = fmt.Sprintf("the message has %d bytes, more than the trigger's max_size of %s; raise it and retry the dead letter", info.Size, r.cfg.MaxSize)
	case said.Err != nil:
		v.plan = r.planOfDoubt()
		v.problem = fmt.Sprintf("%v; retry the dead letter to act on the message as if it had matched, or discard it", said.Err)
	}
	return v
}

// decide says what becomes of a message that was judged. It returns the job, nil
// if there is nothing to do, or false if the trigger's queue is full.
func (c *collector) decide(a *admission, f *feed, info connection.Info, m *mail, v *finding) (*job, bool) {
	if v == nil {
		return nil, true // expunged before it could be read
	}
	r := f.rule
	if (v.matched || len(v.plan) > 0) && c.e.own.hasFired(c.key, m.hash, r.cfg.Name) {
		a.suppressed = append(a.suppressed, suppression{f.runner, SuppressedOwnMove})
		c.log.Debug("the trigger fired on this message before the daemon moved it here", "trigger", r.cfg.Name, "uid", info.UID)
		return nil, true
	}
	rec := &journal.Job{
		Trigger: r.cfg.Name, Connection: f.conn.Name, Mailbox: c.key, Kind: string(event.KindMessage),
		EventID:     eventID(c.key, c.state.UIDValidity, info.UID, m.info.InternalDate, info.Size, r.cfg.Name),
		UIDValidity: c.state.UIDValidity, UID: info.UID, InternalDate: m.info.InternalDate, Size: info.Size,
		MessageID: v.msg.MessageID, Subject: cut(v.msg.Subject, 200), From: firstAddress(v.msg.From), IdentityHash: m.hash,
		Accepted: c.e.now(), Match: v.groups,
	}
	j := &job{rec: rec, runner: f.runner, rule: r, raw: m.raw, msg: v.msg, startKey: c.e.startKey(c.key, m.hash, r.cfg.Name)}
	j.setFlags(m.info.Flags)
	if v.problem != "" {
		j.setExtra(unread, v.problem)
	}
	p := a.pass(j, v)
	rec.Actions = p.plan
	if len(rec.Actions) > 0 && !f.runner.reserve(c, info.Size) {
		p.giveBack()
		return nil, false
	}
	p.take()
	if v.matched {
		c.e.trace.match(r.cfg.Name, c.e.now())
	}
	if len(rec.Actions) == 0 {
		return nil, true
	}
	if id, end := c.e.begun.resume(j.startKey); end != nil {
		rec.EventID, j.journaled = id, end
	}
	return j, true
}

func firstAddress(list []message.Address) string {
	if len(list) == 0 {
		return ""
	}
	return cut(list[0].Address, 200)
}
