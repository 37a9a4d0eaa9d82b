package trigger

import (
	"errors"
	"fmt"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/journal"
)

// A TriggerStatus is how a trigger is doing.
type TriggerStatus struct {
	Name        string    `json:"name"`
	Actions     []string  `json:"actions"`         // their names, in order
	Queue       int       `json:"queue"`           // jobs that have not ended
	Running     int       `json:"running"`         // of them, being run
	Retrying    int       `json:"retrying"`        // of them, waiting for another attempt
	Waiting     int       `json:"waiting"`         // of them, put off by quiet hours or the limit
	Until       time.Time `json:"until,omitzero"`  // when the first of those begins
	Oldest      time.Time `json:"oldest,omitzero"` // when the oldest that is not put off was accepted
	DeadLetters int       `json:"dead_letters"`    // what failed for good
	Backlog     uint64    `json:"backlog"`         // UIDs of mail from before the trigger, still to be read: so many messages at most

	Gates       []string  `json:"gates"`                 // the keys that may keep matches from firing
	Expired     bool      `json:"expired"`               // it does not fire any more
	Silent      string    `json:"silent"`                // not empty: expected mail has not come, and why: not_arrived or mailbox_unreachable
	SilentSince time.Time `json:"silent_since,omitzero"` // by when it should have
	ExpectedBy  time.Time `json:"expected_by,omitzero"`  // when mail is expected next
	LastFired   time.Time `json:"last_fired,omitzero"`   // only of triggers with gates
}

// Triggers returns the status of every enabled trigger, in the order of the file.
func (e *Engine) Triggers() []TriggerStatus {
	dead, backlog := e.store.DeadCounts(), e.backlogs()
	runners := e.enabled()
	out := make([]TriggerStatus, 0, len(runners))
	for _, r := range runners {
		s := r.status()
		s.DeadLetters, s.Backlog = dead[s.Name], backlog[s.Name]
		out = append(out, s)
	}
	return out
}

// Watches returns the status of every watched mailbox.
func (e *Engine) Watches() []connection.Status {
	collectors := e.watchedMailboxes()
	out := make([]connection.Status, 0, len(collectors))
	for _, c := range collectors {
		if w := c.watch.Load(); w != nil {
			out = append(out, w.Status())
		} else { // about to be started
			out = append(out, connection.Status{Connection: c.wantsNow()[0].conn.Name, Mailbox: c.key.Mailbox, State: connection.StateConnecting})
		}
	}
	return out
}

// Health is nil if the journal can write and the engine moves.
func (e *Engine) Health() error {
	if err := e.store.Health(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return e.Moving()
}

// Moving is nil if the engine itself gets on: no retry is overdue, no action runs
// for longer than it may, and no commit hangs. What a mail server or a full disk
// does has no part in it: a restart would not mend that.
func (e *Engine) Moving() error {
	if err := e.store.Health(); errors.Is(err, journal.ErrStuck) {
		return fmt.Errorf("journal: %w", err)
	}
	for _, r := range e.enabled() {
		if why := r.stuck(); why != "" {
			return fmt.Errorf("trigger %s: %s", r.name, why)
		}
	}
	return nil
}

// overdue is how late something may be on a busy machine.
const overdue = time.Minute

// stuck returns what should have happened long ago; "" if nothing.
func (r *runner) stuck() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.e.now()
	if r.shift.stopping.Err() == nil && len(r.later) > 0 && time.Since(r.timerAt) > overdue { // whatever the clock was set to
		return "a retry is overdue"
	}
	for _, deadline := range r.deadlines {
		if now.Sub(deadline) > overdue {
			return "an action runs for longer than its timeout"
		}
	}
	return ""
}

func (r *runner) status() TriggerStatus {
	s := TriggerStatus{Name: r.name, Actions: []string{}}
	if rule := r.rule(); rule != nil {
		for _, a := range rule.cfg.Actions {
			s.Actions = append(s.Actions, a.Base().Name)
		}
	}
	r.gateStatus(&s)
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Queue, s.Running, s.Oldest = r.jobs, r.running, r.oldest()
	for _, j := range r.later {
		if !j.waits {
			continue
		}
		if s.Waiting++; s.Until.IsZero() || j.retryAt.Before(s.Until) {
			s.Until = j.retryAt.Round(0)
		}
	}
	s.Retrying = len(r.later) + len(r.due) - s.Waiting
	return s
}

// gateStatus fills in what the trigger's gates know.
func (r *runner) gateStatus(s *TriggerStatus) {
	k := r.keeper()
	s.Gates = []string{}
	if k == nil {
		return
	}
	s.Gates = k.gates.Reasons()
	r.e.keepers.mu.Lock()
	defer r.e.keepers.mu.Unlock()
	now := r.e.now()
	if x := &k.state.Expect; k.expected != nil {
		if s.ExpectedBy = k.expected.Next(*x, now); x.Reason != "" {
			s.Silent, s.SilentSince = x.Reason, time.UnixMilli(x.Closed)
		}
	}
	s.Expired, s.LastFired = k.gates.Expired(k.state, now), k.state.LastFired(now)
}

// oldest returns when the oldest job that is not done was accepted, those aside
// that are put off: nothing is late about them.
func (r *runner) oldest() (t time.Time) {
	for j := range r.all {
		if j.waits {
			continue
		}
		if t.IsZero() || j.rec.Accepted.Before(t) {
			t = j.rec.Accepted
		}
	}
	return t
}
