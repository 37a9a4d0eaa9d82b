package trigger

import (
	"slices"
	"time"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/gate"
	"mailtrigger/trigger/journal"
)

// An admission takes the matches of one batch through the gates. What the gates
// remember goes into the batch's transaction, or is taken back.
//
// A message that was fetched again after a crash gets the verdict that it had: the
// state of the gates is that of before, and where an action had been started
// already, begun knows (gate.Match.Started).
type admission struct {
	e      *Engine
	locked bool

	before     map[*keeper]gate.State // as it was before the batch
	claimed    map[*keeper]int        // claims of the batch
	suppressed []suppression
	waiting    map[*runner]*job // the batch's last job that waits for its time
	withdrawn  map[*job]bool    // jobs of the batch in whose place others came
	replaced   []replacement    // jobs from before it, likewise
}

type suppression struct {
	runner *runner
	reason string
}

// A replacement is a job that was in the journal already, with its record as it was.
type replacement struct {
	job     *job
	actions []journal.ActionState
	due     string
}

// admit begins the admission of a batch. If any of its triggers has gates, no other
// batch is judged until the end.
func (e *Engine) admit(feeds []*feed) *admission {
	a := &admission{e: e}
	a.locked = slices.ContainsFunc(feeds, func(f *feed) bool { return f.runner.keeper() != nil })
	if a.locked {
		e.keepers.mu.Lock()
		a.before, a.claimed = make(map[*keeper]gate.State), make(map[*keeper]int)
		a.waiting, a.withdrawn = make(map[*runner]*job), make(map[*job]bool)
	}
	return a
}

// A passage is what the gates say of one message. Nothing follows from it before
// one of take and giveBack is called.
type passage struct {
	plan     []journal.ActionState
	take     func()
	giveBack func()
}

// pass asks the gates about a job that is being made. From being a dead letter, if
// it is to be one, only the end of its trigger keeps it.
func (a *admission) pass(j *job, found *finding) passage {
	r, k := j.runner, j.runner.keeper()
	p := passage{plan: found.plan, take: func() {}, giveBack: func() {}}
	if !a.locked || k == nil || !found.matched && found.problem == "" {
		return p
	}
	now := j.rec.Accepted
	var v gate.Verdict
	next := k.state
	var waits *job
	m := gate.Match{Now: now}
	switch {
	case found.problem == "":
		if k.gates.Dedupe > 0 {
			if m.ID = dedupeID(j.msg, j.raw); m.ID != 0 {
				// Whichever copy comes first after a crash goes on with what was started.
				j.startKey = a.e.startKey(journal.MailboxKey{}, m.ID, k.trigger)
			}
		}
		m.Started = a.e.begun.started(j.startKey)
		m.Claimed = func(id uint64) bool { return k.claims.has(id, now) }
		m.Fired = a.e.keepers.fired
		if j.rule.cfg.Limit.Over == gate.Latest {
			if waits = a.takeWaiting(r); waits != nil {
				m.Waits = waits.due()
			}
		}
		v, next = k.gates.Judge(k.state, m)
	case k.gates.Expired(k.state, now):
		v.Suppressed = gate.Expires
	}
	if v.Suppressed != "" {
		p.plan = j.rule.planAt(action.Always)
	}
	p.giveBack = func() {
		if waits != nil {
			a.leaveWaiting(waits)
		}
	}
	p.take = func() {
		if v.Suppressed != "" {
			a.suppressed = append(a.suppressed, suppression{r, v.Suppressed})
		}
		if v.Claims {
			k.claims.add(m.ID, now)
			a.claimed[k]++
		}
		a.set(k, next)
		if found.matched && k.expected != nil && v.Suppressed != gate.Dedupes {
			a.arrived(k, j)
		}
		switch {
		case v.Replaces:
			a.replace(waits)
		case waits != nil:
			a.leaveWaiting(waits)
		}
		if v.At.After(now) && len(p.plan) > 0 {
			j.setExtra(extraDue, v.At.Format(time.RFC3339Nano))
			a.waiting[r] = j
		}
	}
	return p
}

// set gives a keeper its next state.
func (a *admission) set(k *keeper, next gate.State) {
	if _, changed := a.before[k]; !changed {
		a.before[k] = k.state
	}
	k.state = next
}

// arrived notes that mail came that the trigger may expect.
func (a *admission) arrived(k *keeper, j *job) {
	next := k.state
	var back gate.Back
	next.Expect, back = k.expected.Arrive(k.state.Expect, j.rec.InternalDate, j.rec.Accepted)
	a.set(k, next)
	if back != gate.NotBack {
		text := "the expected mail has come, too late"
		if back == gate.BackInTime {
			text = "the expected mail had come in time, and is seen only now"
		}
		j.runner.log.Info(text, "mailbox", j.rec.Mailbox.Mailbox, "uid", j.rec.UID, "received", j.rec.InternalDate)
	}
}

// takeWaiting takes the trigger's last job that waits for its time, so that it does
// not begin meanwhile; nil if none waits.
func (a *admission) takeWaiting(r *runner) *job {
	if j := a.waiting[r]; j != nil {
		return j
	}
	return r.takeWaiting()
}

// leaveWaiting lets a job wait on.
func (a *admission) leaveWaiting(j *job) {
	if a.waiting[j.runner] != j {
		j.runner.queue(j)
	}
}

// replace suppresses a job that waited: of its actions those are left that run
// whether or not it fires.
func (a *admission) replace(j *job) {
	a.suppressed = append(a.suppressed, suppression{j.runner, gate.Limited})
	if a.waiting[j.runner] == j { // the journal does not have it yet
		delete(a.waiting, j.runner)
		delete(j.rec.Extra, extraDue)
		if j.rec.Actions = j.rule.planAt(action.Always); len(j.rec.Actions) == 0 {
			a.withdrawn[j] = true
		}
		return
	}
	a.replaced = append(a.replaced, replacement{j, slices.Clone(j.rec.Actions), j.rec.Extra[extraDue]})
	delete(j.rec.Extra, extraDue)
	for i := range j.rec.Actions {
		s := &j.rec.Actions[i]
		if def := j.rule.actions[s.Name]; def == nil || def.Base().When != action.Always {
			s.State = journal.Skipped
		}
	}
}

// into puts the jobs and what the gates remember into the batch, and returns those
// jobs that are left.
func (a *admission) into(b *journal.Batch, jobs []*job) []*job {
	kept := jobs[:0]
	for _, j := range jobs {
		if a.withdrawn[j] {
			j.drop(a.e)
			j.runner.released(j)
			continue
		}
		kept = append(kept, j)
		b.Jobs, b.Bodies = append(b.Jobs, j.rec), append(b.Bodies, j.raw)
	}
	for _, r := range a.replaced {
		b.Updates = append(b.Updates, r.job.rec)
	}
	for k := range a.before {
		k.write(b)
		if u := k.claims.update(k.trigger, a.claimed[k], a.e.now()); u != nil {
			b.Claims = append(b.Claims, *u)
		}
	}
	return kept
}

// end ends the admission: commit is the batch's, unless err says that the journal
// has not taken it. Then everything is as it was.
func (a *admission) end(commit *journal.Commit, err error) {
	if err == nil {
		for _, s := range a.suppressed {
			a.e.trace.suppressed(s.runner.name, s.reason)
		}
	}
	if !a.locked {
		return
	}
	for k, state := range a.before {
		if err != nil {
			k.state = state
			k.claims.takeBack(a.claimed[k])
		} else {
			k.claims.forget()
		}
	}
	a.e.keepers.mu.Unlock()
	for _, r := range a.replaced {
		if err != nil {
			r.job.rec.Actions = r.actions
			r.job.setExtra(extraDue, r.due)
		} else {
			r.job.changed = commit
		}
		r.job.runner.queue(r.job)
	}
}
