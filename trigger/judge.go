package trigger

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"mailtrigger/connection"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// What the triggers' conditions say of messages, and what becomes of it.

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

// A finding is what a trigger's conditions say of a message.
type finding struct {
	msg     *message.Message
	matched bool
	groups  map[string]string
	plan    []journal.ActionState
	problem string // why the message is to be a dead letter; "" if it is not
}

// judgeAll matches the messages with the triggers that want them, several at once.
// Nothing follows from it yet: what takes longest is done before any lock is held, and
// while the look may be doing something else.
func (c *collector) judgeAll(d *delivery) {
	var mails []*mail
	for _, info := range d.infos {
		if m := d.mails[info.UID]; m != nil {
			mails = append(mails, m)
		}
	}
	each := func(m *mail) {
		for _, f := range m.wantedBy {
			m.found[f] = c.judgeOne(f, m)
		}
	}
	if len(mails) == 1 || c.e.poison.suspects() {
		for _, m := range mails {
			each(m)
		}
		return
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(mails)) {
		workers.Go(func() {
			for i := next.Add(1); i <= int64(len(mails)); i = next.Add(1) {
				each(mails[i-1])
			}
		})
	}
	workers.Wait()
}

func (c *collector) judgeOne(f *feed, m *mail) *finding {
	r := f.rule
	v := &finding{msg: m.decode(c, f)}
	said := c.judge(f, m)
	v.matched, v.groups, v.problem = said.Truth == condition.Yes, said.Groups, m.problem
	v.plan = r.plan(v.matched)
	switch {
	case v.problem != "":
		v.plan, v.matched = r.planOfDoubt(), true
	case m.info.Size > int64(r.cfg.MaxSize) && r.mayPlan(said.Truth):
		if said.Truth == condition.Unknown {
			v.plan, v.matched = r.planOfDoubt(), true
		}
		v.problem = fmt.Sprintf("the message has %d bytes, more than the trigger's max_size of %s; raise it and retry the dead letter", m.info.Size, r.cfg.MaxSize)
	case said.Err != nil:
		v.plan = r.planOfDoubt()
		v.problem = fmt.Sprintf("%v; retry the dead letter to act on the message as if it had matched, or discard it", said.Err)
	}
	return v
}

// decide says what becomes of a message that was judged. It returns the job, nil
// if there is nothing to do, or false if the trigger's queue is full.
func (c *collector) decide(a *admission, f *feed, info connection.Info, m *mail) (*job, bool) {
	if m == nil {
		return nil, true // expunged before it could be read
	}
	r, v := f.rule, m.found[f]
	if !v.matched && len(v.plan) == 0 && v.problem == "" {
		return nil, true
	}
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
