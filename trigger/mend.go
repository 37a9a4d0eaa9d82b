package trigger

import (
	"container/heap"
	"errors"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/setting"
)

// What waits for its next attempt need not wait once somebody has mended what the last
// one failed by: it would look as if it were not mended.

// forPerson reports whether a failure stays as it is until a person does something.
func forPerson(err error) bool {
	var failed *connection.Error
	return errors.As(err, &failed) && (failed.Permanent || failed.AuthRequired)
}

// RetryMended has those actions tried at once of which the last attempt failed by what
// only a person can mend, a password for instance: for when somebody has done so.
func (e *Engine) RetryMended() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.byName {
		r.hasten(func(j *job) bool { return j.waitsForPerson() })
	}
}

// hasten has jobs tried at once that wait for their next attempt.
func (r *runner) hasten(which func(*job) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.e.now()
	for _, j := range r.later {
		if which(j) {
			j.hasten(now)
		}
	}
	heap.Init(&r.later)
	r.setTimer()
}

// waitsForPerson reports whether the last attempt at the job's next action failed by
// what only a person can mend.
func (j *job) waitsForPerson() bool {
	if j.rule == nil {
		return false
	}
	i := j.nextLocal()
	return i >= 0 && j.rec.Extra[extraMend+j.rec.Actions[i].Name] != ""
}

// setForPerson notes that of an action.
func (j *job) setForPerson(action string, is bool) {
	if is {
		j.setExtra(extraMend+action, "yes")
	} else {
		delete(j.rec.Extra, extraMend+action)
	}
}

// hasten lets the next attempt be made now, if the job waits for one.
func (j *job) hasten(now time.Time) {
	if i := j.nextLocal(); i >= 0 && !j.waits && j.rec.Actions[i].Next.After(now) {
		j.rec.Actions[i].Next, j.retryAt = now, now
	}
}

// redefined reports whether the job's next action is another one than by its definition before.
func (j *job) redefined(before *rule) bool {
	i := j.nextLocal()
	return i >= 0 && before != nil && !setting.Same(before.actions[j.rec.Actions[i].Name], j.rule.actions[j.rec.Actions[i].Name])
}
