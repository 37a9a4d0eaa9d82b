package trigger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/crashpoint"
	"mailtrigger/trigger/journal"
)

// An op is one action on the server that waits for its turn.
type op struct {
	job   *job
	index int
	def   action.Server
}

// finishOrder is the order of the actions on the server, whatever triggers they
// belong to.
var finishOrder = []string{"flag", "unflag", "copy", "move", "delete"}

// finishReady does on the server what is to be done with the messages whose other
// actions have all ended. That it begins is in the journal before it does.
func (c *collector) finishReady(ctx context.Context, mb *connection.Mailbox) error {
	groups := c.takeReady()
	if len(groups) == 0 {
		return nil
	}
	if err := c.beginFinish(ctx, groups); err != nil {
		c.putBack(groups)
		return err
	}
	for i, g := range groups {
		if err := c.finishGroup(ctx, mb, g); err != nil {
			c.putBack(groups[i:])
			return err
		}
	}
	return nil
}

// beginFinish records, synced, that the messages may be changed from now on, and
// that copies of them which appear in watched mailboxes are our own doing.
func (c *collector) beginFinish(ctx context.Context, groups []*group) error {
	batch := &journal.Batch{State: make(map[string][]byte)}
	for _, g := range groups {
		for _, j := range g.jobs {
			if j.rec.Finish != journal.FinishBegun {
				j.rec.Finish = journal.FinishBegun
				batch.Updates = append(batch.Updates, j.rec)
			} else {
				j.resumed = true
			}
		}
		c.e.own.announce(c, g, batch.State)
	}
	crashpoint.Hit("finish-begin")
	if err := c.e.store.Accept(batch).Wait(ctx); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// finishGroup does what is to be done with one message. An error is the
// session's: the group has its turn again in the next one.
func (c *collector) finishGroup(ctx context.Context, mb *connection.Mailbox, g *group) error {
	ops := c.plan(g)
	if len(ops) == 0 {
		c.endGroup(g)
		return nil
	}
	uid, found, err := c.locate(ctx, mb, g, g.jobs[0].rec)
	if err != nil {
		return err
	}
	for _, o := range ops {
		state := &o.job.rec.Actions[o.index]
		if state.State != journal.Waiting {
			continue // a later move, after the first has been made
		}
		if !found {
			if err := c.vanished(ctx, g, o); err != nil {
				return err
			}
			continue
		}
		crashpoint.Hit("server-action-start")
		start := time.Now()
		err := o.def.Run(ctx, mb, uid)
		crashpoint.Hit("server-action-end")
		if err != nil && !refused(err) {
			return err
		}
		if err != nil {
			if !c.opFailed(g, o, err, time.Since(start)) {
				return nil // later again; the rest of the message waits with it
			}
			continue
		}
		c.opDone(o, time.Since(start))
		found = found && !takesAway(o.def)
	}
	c.endGroup(g)
	return nil
}

// plan returns what is to be done with a message, in order. Of several moves and
// deletes the first trigger's in the file counts.
func (c *collector) plan(g *group) []op {
	var ops []op
	for _, j := range g.jobs {
		for i := range j.rec.Actions {
			if def, ok := j.runner.rule.actions[j.rec.Actions[i].Name].(action.Server); ok && j.rec.Actions[i].State == journal.Waiting {
				ops = append(ops, op{j, i, def})
			}
		}
	}
	slices.SortStableFunc(ops, func(a, b op) int {
		if takesAway(a.def) && takesAway(b.def) {
			return cmp.Or(cmp.Compare(a.job.runner.rule.order, b.job.runner.rule.order), cmp.Compare(a.index, b.index))
		}
		return cmp.Or(cmp.Compare(kindOrder(a.def), kindOrder(b.def)),
			cmp.Compare(a.job.runner.rule.order, b.job.runner.rule.order), cmp.Compare(a.index, b.index))
	})
	taken := ""
	for _, o := range ops {
		if !takesAway(o.def) {
			continue
		}
		if taken == "" {
			taken = o.job.rec.Trigger
			continue
		}
		c.log.Warn("two actions would move or delete one message; the first in the file is done", "trigger", o.job.rec.Trigger,
			"action", o.def.Base().Name, "uid", g.uid, "done", taken)
		o.job.rec.Actions[o.index].State = journal.Skipped
	}
	return ops
}

func kindOrder(def action.Server) int { return slices.Index(finishOrder, def.Base().Type) }

func takesAway(def action.Server) bool {
	return def.Base().Type == "move" || def.Base().Type == "delete"
}

// refused reports whether the server answered a command with NO or BAD, or the
// command could not be sent as it is: the session goes on.
func refused(err error) bool {
	var e *connection.Error
	return errors.As(err, &e) && e.Refused
}

// opDone records that an action on the server is done.
func (c *collector) opDone(o op, took time.Duration) {
	state := &o.job.rec.Actions[o.index]
	state.State = journal.Done
	c.e.trace.action(o.job.rec.Trigger, state.Name, o.def.Base().Type, "ok", took)
	c.log.Info("action done", "trigger", o.job.rec.Trigger, "action", state.Name, "event", o.job.rec.EventID, "uid", o.job.rec.UID, "attempt", state.Attempt, "seconds", seconds(took))
	c.e.store.Result(o.job.rec.Seq, o.index, journal.Result{State: journal.Done})
}

// opFailed records that the server refused an action. It reports whether that is
// for good; otherwise the message has its turn again after the trigger's wait.
func (c *collector) opFailed(g *group, o op, err error, took time.Duration) (dead bool) {
	r, rec := o.job.runner, o.job.rec
	state := &rec.Actions[o.index]
	if state.Since.IsZero() {
		state.Since = c.e.now()
	}
	log := c.log.With("trigger", rec.Trigger, "action", state.Name, "event", rec.EventID, "uid", rec.UID, "attempt", state.Attempt)
	var ce *connection.Error
	reason := ""
	if errors.As(err, &ce) && ce.Permanent {
		reason = err.Error()
	} else if why := r.givesUp(state); why != "" {
		reason = err.Error() + "; " + why
	}
	if reason == "" {
		wait := r.backoff(state.Attempt)
		state.Attempt++
		state.Err, state.Next = err.Error(), c.e.now().Add(wait)
		c.e.trace.action(rec.Trigger, state.Name, o.def.Base().Type, "retry", took)
		log.Warn("action failed, will be tried again", "err", err, "next", state.Next.Format(time.RFC3339))
		c.e.store.Update(rec)
		c.putBackLater(g, wait)
		return false
	}
	c.e.trace.action(rec.Trigger, state.Name, o.def.Base().Type, "dead", took)
	log.Error("action failed for good, the message becomes a dead letter and stays where it is", "err", reason)
	c.failOp(g, o, reason)
	return true
}

// failOp marks an action on the server as failed for good; what would take the
// message away is then not done any more, by no trigger.
func (c *collector) failOp(g *group, o op, reason string) {
	o.job.fail(o.index, reason, nil)
	for _, j := range g.jobs {
		for i := range j.rec.Actions {
			a := &j.rec.Actions[i]
			if def, ok := j.runner.rule.actions[a.Name].(action.Server); ok && a.State == journal.Waiting && takesAway(def) {
				a.State = journal.Skipped
				c.log.Warn("the message stays where it is: another action on it failed for good", "trigger", j.rec.Trigger, "action", a.Name, "uid", j.rec.UID)
			}
		}
	}
}

// failGroup makes dead letters of all that a message was still to have done.
func (c *collector) failGroup(g *group, reason string) {
	for _, o := range c.plan(g) {
		if o.job.rec.Actions[o.index].State == journal.Waiting {
			c.failOp(g, o, reason)
		}
	}
	c.endGroup(g)
}

func (c *collector) endGroup(g *group) {
	for _, j := range g.jobs {
		c.e.endJob(j)
	}
	c.done(g)
}

// vanished decides about an action on a message that is not in the mailbox: if
// our own move or delete was begun before, it has been done.
func (c *collector) vanished(ctx context.Context, g *group, o op) error {
	state := &o.job.rec.Actions[o.index]
	if o.job.resumed && takesAway(o.def) {
		there := true
		if dest := destination(o.def); dest != "" {
			var err error
			if there, err = c.arrived(ctx, o.job.rec, dest); err != nil {
				return err
			}
		}
		if there {
			c.opDone(o, 0)
			return nil
		}
	}
	reason := "the message is no longer in the mailbox; somebody else moved or deleted it"
	c.e.trace.action(o.job.rec.Trigger, state.Name, o.def.Base().Type, "dead", 0)
	c.log.Error("action failed for good", "trigger", o.job.rec.Trigger, "action", state.Name, "event", o.job.rec.EventID, "uid", o.job.rec.UID, "err", reason)
	c.failOp(g, o, reason)
	return nil
}

// locate finds a job's message: by its UID if that still is the message, else
// by its identity. Not exactly one match is none: what is not certain is not touched.
func (c *collector) locate(ctx context.Context, mb *connection.Mailbox, g *group, rec *journal.Job) (uid uint32, found bool, err error) {
	if !g.gone && g.uidValidity == mb.UIDValidity {
		is, err := c.isMessage(ctx, mb, g.uid, rec)
		if err != nil || is {
			return g.uid, is, err
		}
	}
	return c.find(ctx, mb, rec)
}

// isMessage reports whether the UID is that of the job's message.
func (c *collector) isMessage(ctx context.Context, mb *connection.Mailbox, uid uint32, rec *journal.Job) (bool, error) {
	infos, err := mb.ListRange(ctx, uid, uid)
	if err != nil || len(infos) != 1 {
		return false, err
	}
	if infos[0].Size != rec.Size || !infos[0].InternalDate.Equal(rec.InternalDate) {
		return false, nil
	}
	return c.hasIdentity(ctx, mb, uid, rec)
}

func (c *collector) hasIdentity(ctx context.Context, mb *connection.Mailbox, uid uint32, rec *journal.Job) (is bool, err error) {
	err = mb.FetchHeaders(ctx, []uint32{uid}, identityFields, func(got uint32, raw []byte) error {
		is = is || got == uid && identityHash(raw, rec.Size) == rec.IdentityHash
		return nil
	})
	return is, err
}

// find looks for the job's message in the selected mailbox by its identity.
func (c *collector) find(ctx context.Context, mb *connection.Mailbox, rec *journal.Job) (uid uint32, found bool, err error) {
	if rec.MessageID == "" {
		return 0, false, nil
	}
	uids, err := mb.Search(ctx, connection.Search{MessageID: rec.MessageID})
	if err != nil {
		return 0, false, err
	}
	const most = 20
	n := 0
	for _, candidate := range uids[:min(len(uids), most)] {
		is, err := c.hasIdentity(ctx, mb, candidate, rec)
		if err != nil {
			return 0, false, err
		}
		if is {
			uid = candidate
			n++
		}
	}
	return uid, n == 1, nil
}

// arrived reports whether the job's message is in the destination of a move. It
// takes a session of its own to look.
func (c *collector) arrived(ctx context.Context, rec *journal.Job, destination string) (there bool, err error) {
	err = c.e.watcher.Do(ctx, c.conn, destination, func(ctx context.Context, dest *connection.Mailbox) error {
		var err error
		_, there, err = c.find(ctx, dest, rec)
		return err
	})
	return there, err
}

// destination returns the mailbox that an action on the server puts the message
// into; "" if none.
func destination(def action.Definition) string {
	if d, ok := def.(interface{ Destination() string }); ok {
		return d.Destination()
	}
	return ""
}
