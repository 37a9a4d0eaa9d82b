package trigger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailtrigger/trigger/journal"
)

// A shift is what a runner works by, from one change of its trigger's definition to
// the next. It ends in two steps, as the engine does: nothing new begins, then what
// still runs after stopGrace is ended and tried again.
type shift struct {
	rule *rule  // nil: the trigger is not to run any more
	gone string // then: why its jobs become dead letters; "": they wait in the journal

	stopping  context.Context // ends when nothing new is to begin
	beginStop context.CancelFunc
	working   context.Context // ends when running actions are to be ended
	endWork   context.CancelFunc
}

func (e *Engine) newShift(rule *rule, gone string) *shift {
	s := &shift{rule: rule, gone: gone}
	s.working, s.endWork = context.WithCancel(e.working)
	s.stopping, s.beginStop = context.WithCancel(e.stopping)
	return s
}

// end ends all of the shift.
func (s *shift) end() {
	s.beginStop()
	s.endWork()
}

// take makes the job one of this shift. It reports false if the job has no place in
// it, and why that makes a dead letter of it; "" if it waits in the journal.
func (s *shift) take(j *job) (ok bool, why string) {
	if s.rule == nil {
		return false, s.gone
	}
	if a := missingAction(j.rec, s.rule); a != "" {
		return false, fmt.Sprintf("its action %q was removed from the config; put it back and retry the dead letter, or discard it", a)
	}
	if j.rule != s.rule {
		j.rule, j.msg = s.rule, nil // it may be read by another code page
	}
	return true, ""
}

// missingAction returns the name of a waiting action that the trigger no longer has; "" if none.
func missingAction(rec *journal.Job, r *rule) string {
	for _, a := range rec.Actions {
		if a.State == journal.Waiting && r.actions[a.Name] == nil {
			return a.Name
		}
	}
	return ""
}

// latest is the shift that jobs belong to now. r.mu is held.
func (r *runner) latest() *shift {
	if r.next != nil {
		return r.next
	}
	return r.shift
}

// become gives the runner another shift. It begins once the actions that run have
// ended; what waits is taken over at once, or taken out of work.
func (r *runner) become(next *shift) {
	r.mu.Lock()
	if r.next != nil {
		r.next.end()
	}
	r.next = next
	if ending := r.shift; ending.stopping.Err() == nil {
		ending.beginStop()
		if r.running > 0 {
			r.log.Info("the trigger was changed; its running actions end first", "running", r.running)
			grace := time.AfterFunc(stopGrace, func() {
				r.log.Warn("actions of the changed trigger still run; ending them")
				ending.endWork()
			})
			context.AfterFunc(ending.working, func() { grace.Stop() })
		}
	}
	var left []unfit
	for _, list := range []*[]*job{&r.live, &r.old, &r.due, (*[]*job)(&r.later)} {
		*list = slices.DeleteFunc(*list, func(j *job) bool {
			before := j.rule
			ok, why := next.take(j)
			switch {
			case !ok:
				left = append(left, unfit{j, why})
			case j.redefined(before): // what failed may be mended
				j.hasten(r.e.now())
			}
			return !ok
		})
	}
	r.later.init()
	r.relieve()
	r.mu.Unlock()
	for _, u := range left {
		r.e.dismiss(u.job, u.why)
	}
}

// follow has the runner work by the trigger's definition as it is now; nil: not at
// all, with what happens to its jobs then, as in shift.gone.
func (r *runner) follow(rule *rule, gone string) {
	r.mu.Lock()
	s := r.latest()
	r.mu.Unlock()
	switch {
	case s.rule == rule && s.gone == gone:
	case s.rule != nil && rule != nil && sameWork(s.rule.cfg, rule.cfg):
		r.renew(rule)
	default:
		r.become(r.e.newShift(rule, gone))
	}
}

// idle reports whether the trigger is not to run and nothing is left of its jobs.
func (r *runner) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next == nil && r.shift.rule == nil && r.jobs == 0
}

// An unfit job has no place in its trigger's definition of now.
type unfit struct {
	job *job
	why string
}

// renew replaces the definition where only its sources have changed: nothing that
// runs is the worse for it.
func (r *runner) renew(rule *rule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := *r.latest()
	s.rule = rule
	if r.next != nil {
		r.next = &s
	} else {
		r.shift = &s
	}
}

// relieve begins the next shift, if there is one and nothing of the last one runs
// any more. r.mu is held.
func (r *runner) relieve() {
	if r.next == nil || r.running > 0 {
		return
	}
	r.shift.end()
	r.shift, r.next = r.next, nil
	r.setTimer()
	r.pump()
}

// rule returns the trigger's definition of now; nil if it is not to run.
func (r *runner) rule() *rule {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest().rule
}

// dismiss takes a job out of work whose local actions have not all ended: as a dead
// letter if there is a reason for one; else it waits in the journal.
func (e *Engine) dismiss(j *job, why string) {
	if why != "" {
		e.bury(j.rec, why)
	}
	j.drop(e)
	j.runner.released(j)
	j.group.collector.leave(j, why)
}
