package trigger

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/gate"
	"mailtrigger/trigger/journal"
)

// A vigil looks after the mail that a trigger expects, if it does. gate.Expected decides;
// the vigil tells it the time and when the trigger's mailboxes were looked into, and
// makes an event of a silence.
//
// Mail has not arrived only if every mailbox was looked into after the window's end
// and it was not there. So the end of a window has all of them looked into.
type vigil struct {
	r *runner

	mu      sync.Mutex
	looked  map[journal.MailboxKey]time.Time // when the last look began that saw all there was
	looking map[journal.MailboxKey]bool
	asked   time.Time // when looks were asked for last
	timer   *time.Timer
	stopped bool
}

func newVigil(r *runner) *vigil {
	return &vigil{r: r, looked: make(map[journal.MailboxKey]time.Time), looking: make(map[journal.MailboxKey]bool)}
}

// expects returns the keeper of a trigger that expects mail; nil if it does not.
func (v *vigil) expects() *keeper {
	if k := v.r.keeper(); k != nil && k.expected != nil {
		return k
	}
	return nil
}

// checkVigils has every trigger look after the mail that it expects: at the start, and
// after a change of the configuration.
func (e *Engine) checkVigils() {
	for _, r := range e.enabled() {
		r.vigil.check()
	}
}

func (v *vigil) stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stopped = true
	if v.timer != nil {
		v.timer.Stop()
	}
}

// lookBegins and lookEnds tell of a look into one of the trigger's mailboxes; all
// says that it saw everything that was there when it began.
func (v *vigil) lookBegins(box journal.MailboxKey) {
	if v.expects() == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.looking[box] = true
}

func (v *vigil) lookEnds(box journal.MailboxKey, began time.Time, all bool) {
	if v.expects() == nil {
		return
	}
	v.mu.Lock()
	delete(v.looking, box)
	if all {
		v.looked[box] = began
	}
	v.mu.Unlock()
	if all {
		v.check()
	}
}

// check judges what is due, and sets the timer for the next time. The timer is
// never set for long: the clock may be set, and the machine may sleep.
func (v *vigil) check() {
	rule := v.r.rule()
	if rule == nil || v.expects() == nil {
		return
	}
	now := v.r.e.now()
	boxes, late := v.mailboxes()
	c, err := v.judge(rule, now, boxes, late)
	next := c.Next
	if err != nil {
		v.r.log.Warn("cannot note what became of expected mail, will be tried again", "err", err)
		next = now.Add(wakeAgain)
	}
	v.mu.Lock()
	if c.Look {
		v.asked = now
	}
	switch wait := min(max(next.Sub(now), time.Second), wakeAgain); {
	case v.stopped:
	case v.timer == nil:
		v.timer = time.AfterFunc(wait, v.check)
	default:
		v.timer.Reset(wait)
	}
	v.mu.Unlock()
	if c.Look {
		for _, box := range v.r.collectors() {
			box.wake()
		}
	}
}

// judge asks about the expected mail, and puts what follows into the journal.
func (v *vigil) judge(rule *rule, now time.Time, boxes gate.Mailboxes, late *collector) (gate.Check, error) {
	e := v.r.e
	e.keepers.mu.Lock()
	defer e.keepers.mu.Unlock()
	k := v.expects()
	if k == nil || k.gates.Expired(k.state, now) { // nothing is expected any more
		return gate.Check{Next: now.Add(wakeAgain)}, nil
	}
	before := k.state.Expect
	c, next := k.expected.Check(before, now, boxes)
	if reflect.DeepEqual(before, next) {
		return c, nil
	}
	k.state.Expect = next
	batch := &journal.Batch{}
	k.write(batch)
	var rec *journal.Job
	if c.Silence != "" {
		rec = v.r.silence(rule, c, late, now)
	}
	told := rec != nil && len(rec.Actions) > 0
	if told {
		batch.Jobs = append(batch.Jobs, rec)
	}
	commit := e.store.Accept(batch)
	if err := commit.Err(); err != nil {
		k.state.Expect = before
		return c, err
	}
	if rec != nil {
		v.r.log.Warn("expected mail has not come", "reason", c.Silence, "by", c.Closed, "connection", rec.Connection, "mailbox", rec.Mailbox.Mailbox, "event", rec.EventID)
	}
	if told {
		e.takeNotice(rec, v.r, commit)
	}
	return c, nil
}

// mailboxes returns what is known of the trigger's mailboxes, and the one that was
// looked into the longest time ago; nil if it has none.
func (v *vigil) mailboxes() (boxes gate.Mailboxes, late *collector) {
	all := v.r.collectors()
	v.mu.Lock()
	defer v.mu.Unlock()
	boxes.Asked = v.asked
	for _, c := range all {
		if at := v.looked[c.key]; late == nil || at.Before(boxes.Looked) {
			boxes.Looked, boxes.Busy, late = at, v.looking[c.key], c
		}
	}
	return boxes, late
}

// collectors returns those of the trigger's mailboxes that are watched.
func (r *runner) collectors() (list []*collector) {
	for _, c := range r.e.watchedMailboxes() {
		c.mu.Lock()
		if slices.ContainsFunc(c.wants, func(w want) bool { return w.runner == r }) {
			list = append(list, c)
		}
		c.mu.Unlock()
	}
	return list
}

// connectionOf returns the name of the connection by which the trigger has the mailbox.
func (c *collector) connectionOf(r *runner) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.wants {
		if w.runner == r {
			return w.conn.Name
		}
	}
	return ""
}

// silence makes the job that tells of a silence. It names the mailbox that could
// not be looked into, or else the trigger's first.
func (r *runner) silence(rule *rule, c gate.Check, late *collector, now time.Time) *journal.Job {
	cfg := rule.cfg
	rec := &journal.Job{
		Trigger: cfg.Name, Kind: string(event.KindSilence), EventID: derivedID(cfg.Name, c.Silence, c.Closed.UTC().Format(time.RFC3339Nano)),
		Connection: cfg.Connection[0], Accepted: now, Actions: rule.planAt(action.OnSilence),
		Extra: map[string]string{extraReason: c.Silence, extraDeadline: c.Closed.Format(time.RFC3339)},
	}
	if all := r.collectors(); c.Silence == gate.NotArrived && len(all) > 0 {
		late = all[0]
	}
	if late != nil {
		rec.Connection, rec.Mailbox = late.connectionOf(r), late.key
	} else if conn := r.e.connection(rec.Connection); conn != nil {
		rec.Mailbox = mailboxKey(conn, cfg.Mailboxes[0])
	}
	rec.IdentityHash = hashOf(rec.EventID)
	return rec
}
