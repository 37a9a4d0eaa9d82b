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
	for {
		turns := c.takeReady(maxTurns)
		if len(turns) == 0 {
			return nil
		}
		if err := c.finishTurns(ctx, mb, turns); err != nil {
			return err
		}
		if mb.Waiting() { // other mailboxes of this session
			return connection.ErrMore
		}
	}
}

// maxTurns is how many messages are finished before other mailboxes of the session
// may have their turn.
const maxTurns = 100

func (c *collector) finishTurns(ctx context.Context, mb *connection.Mailbox, turns []*turn) error {
	if err := c.beginFinish(ctx, turns); err != nil {
		c.putBack(turns)
		return err
	}
	for i, t := range turns {
		if err := c.finishMessage(ctx, mb, t); err != nil {
			// The session has ended over it: it steps aside, so that it holds up no other.
			c.putBack(turns[i+1:])
			c.sessionLost(t, err)
			return err
		}
	}
	return nil
}

// beginFinish records, synced, that the messages may be changed from now on, and
// that copies of them which appear in watched mailboxes are our own doing.
func (c *collector) beginFinish(ctx context.Context, turns []*turn) error {
	batch := &journal.Batch{State: make(map[string][]byte)}
	var begun []*job
	for _, t := range turns {
		c.plan(t) // what is not to be done is recorded before anything is
		for _, j := range t.jobs {
			if j.rec.Finish == journal.FinishBegun {
				j.resumed = true
				continue
			}
			j.rec.Finish = journal.FinishBegun
			begun = append(begun, j)
			batch.Updates = append(batch.Updates, j.rec)
		}
		c.e.own.announce(c, t, batch.State)
	}
	crashpoint.Hit("engine.finish.ready")
	err := c.e.store.Accept(batch).Wait(ctx)
	if err == nil {
		crashpoint.Hit("engine.finish.begun")
		return nil
	}
	for _, j := range begun {
		j.rec.Finish = journal.FinishWaiting
	}
	return fmt.Errorf("journal: %w", err)
}

// finishMessage does what is to be done with one message. An error is the
// session's.
func (c *collector) finishMessage(ctx context.Context, mb *connection.Mailbox, t *turn) error {
	ops := c.plan(t)
	if len(ops) == 0 {
		c.endTurn(t)
		return nil
	}
	uid, found, err := c.locate(ctx, mb, t.key, t.jobs[0].rec)
	if err != nil {
		return err
	}
	for _, o := range ops {
		if o.job.rec.Actions[o.index].State != journal.Waiting {
			continue // a later move, after the first has been made
		}
		if !found {
			if err := c.vanished(ctx, t, o); err != nil {
				return err
			}
			continue
		}
		start := time.Now()
		err := c.apply(ctx, mb, o, uid)
		switch {
		case err == nil:
			c.opDone(o, time.Since(start))
			found = found && !takesAway(o.def)
		case !refused(err):
			return err
		case !c.opFailed(t, o, err, time.Since(start)):
			return nil // later again; the rest of the message waits with it
		}
	}
	c.endTurn(t)
	return nil
}

// apply makes one action on the server. One that was begun before may have been
// made already, with only its answer lost: then there is no second copy.
func (c *collector) apply(ctx context.Context, mb *connection.Mailbox, o op, uid uint32) error {
	crashpoint.Hit("engine.server.before")
	defer crashpoint.Hit("engine.server.after")
	dest := destination(o.def)
	if !o.job.resumed || dest == "" {
		return o.def.Run(ctx, mb, uid)
	}
	there, err := c.arrived(ctx, o.job.rec, dest)
	switch {
	case err != nil:
		return err
	case !there:
		return o.def.Run(ctx, mb, uid)
	case takesAway(o.def):
		return mb.Delete(ctx, uid) // the copy of a move by COPY is there; the rest of it is left to do
	}
	return nil
}

// sessionLost counts a session that ended over a message against its first
// waiting action, and gives the message its next turn after the trigger's wait.
func (c *collector) sessionLost(t *turn, err error) {
	for _, o := range c.plan(t) {
		if o.job.rec.Actions[o.index].State != journal.Waiting {
			continue
		}
		if c.opFailed(t, o, err, 0) {
			c.endTurn(t)
		}
		return
	}
	c.endTurn(t)
}

// plan returns what is to be done with a message, in order. Of several moves and
// deletes the first trigger's in the file counts.
func (c *collector) plan(t *turn) []op {
	var ops []op
	for _, j := range t.jobs {
		for i := range j.rec.Actions {
			if def, ok := j.rule.actions[j.rec.Actions[i].Name].(action.Server); ok && j.rec.Actions[i].State == journal.Waiting {
				ops = append(ops, op{j, i, def})
			}
		}
	}
	slices.SortStableFunc(ops, func(a, b op) int {
		if takesAway(a.def) && takesAway(b.def) {
			return cmp.Or(cmp.Compare(a.job.runner.order.Load(), b.job.runner.order.Load()), cmp.Compare(a.index, b.index))
		}
		return cmp.Or(cmp.Compare(kindOrder(a.def), kindOrder(b.def)),
			cmp.Compare(a.job.runner.order.Load(), b.job.runner.order.Load()), cmp.Compare(a.index, b.index))
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
			"action", o.def.Base().Name, "uid", o.job.rec.UID, "done", taken)
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

// permanent reports whether trying again cannot help.
func permanent(err error) bool {
	var e *connection.Error
	return errors.As(err, &e) && e.Permanent
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
func (c *collector) opFailed(t *turn, o op, err error, took time.Duration) (dead bool) {
	r, rule, rec := o.job.runner, o.job.rule, o.job.rec
	state := &rec.Actions[o.index]
	if state.Since.IsZero() {
		state.Since = c.e.now()
	}
	log := c.log.With("trigger", rec.Trigger, "action", state.Name, "event", rec.EventID, "uid", rec.UID, "attempt", state.Attempt)
	reason := ""
	if refused(err) && permanent(err) {
		reason = err.Error()
	} else if why := r.givesUp(rule, state); why != "" {
		reason = err.Error() + "; " + why
	}
	if reason == "" {
		wait := rule.backoff(state.Attempt)
		state.Attempt++
		state.Err, state.Next = err.Error(), c.e.now().Add(wait)
		c.e.trace.action(rec.Trigger, state.Name, o.def.Base().Type, "retry", took)
		log.Warn("action failed, will be tried again", "err", err, "next", state.Next.Format(time.RFC3339))
		c.e.store.Update(rec)
		c.putBackLater(t, wait)
		return false
	}
	c.e.trace.action(rec.Trigger, state.Name, o.def.Base().Type, "dead", took)
	log.Error("action failed for good, the message becomes a dead letter and stays where it is", "err", reason)
	c.failOp(t, o, reason)
	return true
}

// failOp marks an action on the server as failed for good; what would take the
// message away is then not done any more, by no trigger.
func (c *collector) failOp(t *turn, o op, reason string) {
	o.job.fail(o.index, reason, nil)
	for _, j := range t.jobs {
		for i := range j.rec.Actions {
			a := &j.rec.Actions[i]
			if def, ok := j.rule.actions[a.Name].(action.Server); ok && a.State == journal.Waiting && takesAway(def) {
				a.State = journal.Skipped
				c.log.Warn("the message stays where it is: another action on it failed for good", "trigger", j.rec.Trigger, "action", a.Name, "uid", j.rec.UID)
			}
		}
	}
}

// failTurn makes dead letters of all that a message was still to have done.
func (c *collector) failTurn(t *turn, reason string) {
	for _, o := range c.plan(t) {
		if o.job.rec.Actions[o.index].State == journal.Waiting {
			c.failOp(t, o, reason)
		}
	}
	c.endTurn(t)
}

func (c *collector) endTurn(t *turn) {
	for _, j := range t.jobs {
		c.e.endJob(j)
	}
}

// vanished decides about an action on a message that is not in the mailbox: if
// our own move or delete was begun before, it has been done.
func (c *collector) vanished(ctx context.Context, t *turn, o op) error {
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
	c.failOp(t, o, reason)
	return nil
}

// locate finds a job's message: by its UID if that still is the message, else
// by its identity. Not exactly one match is none: what is not certain is not touched.
func (c *collector) locate(ctx context.Context, mb *connection.Mailbox, key groupKey, rec *journal.Job) (uid uint32, found bool, err error) {
	if key.uidValidity == mb.UIDValidity {
		is, err := c.isMessage(ctx, mb, key.uid, rec)
		if err != nil || is {
			return key.uid, is, err
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
	if rec.IdentityHash == 0 { // it was never read; UIDVALIDITY, UID, date and size say enough
		return true, nil
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
	if refused(err) { // such as a Message-ID that cannot be searched for
		return 0, false, nil
	}
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

// arrived reports whether the job's message is in the destination of a move or
// copy. It takes a session of its own to look; where it cannot, it is not known to be there.
func (c *collector) arrived(ctx context.Context, rec *journal.Job, destination string) (there bool, err error) {
	err = c.e.watcher.Do(ctx, c.conn, destination, func(ctx context.Context, dest *connection.Mailbox) error {
		var err error
		_, there, err = c.find(ctx, dest, rec)
		return err
	})
	if err == nil && !there {
		there, err = c.sawArrive(rec, destination)
	}
	var ce *connection.Error
	if errors.As(err, &ce) && (ce.Refused || ce.Permanent || ce.Stage == connection.StageBudget) {
		c.log.Warn("cannot look whether the message has arrived", "destination", destination, "uid", rec.UID, "err", err)
		return false, nil
	}
	return there, err
}

// sawArrive reports whether the job's message was in a watched destination, from
// where a trigger may have moved it on.
func (c *collector) sawArrive(rec *journal.Job, destination string) (bool, error) {
	box := c.key
	box.Mailbox = foldInbox(destination)
	if !c.e.watches(box) || rec.IdentityHash == 0 {
		return false, nil
	}
	seen, err := c.e.store.Seen(box)
	return slices.ContainsFunc(seen, func(s journal.Seen) bool { return s.Hash == rec.IdentityHash }), err
}

// destination returns the mailbox that an action on the server puts the message
// into; "" if none.
func destination(def action.Definition) string {
	if d, ok := def.(interface{ Destination() string }); ok {
		return d.Destination()
	}
	return ""
}
