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
	Oldest      time.Time `json:"oldest,omitzero"` // when the oldest of them was accepted
	DeadLetters int       `json:"dead_letters"`    // what failed for good
}

// Triggers returns the status of every enabled trigger, in the order of the file.
func (e *Engine) Triggers() []TriggerStatus {
	dead := e.store.DeadCounts()
	out := make([]TriggerStatus, 0, len(e.runners))
	for _, r := range e.runners {
		s := r.status()
		s.DeadLetters = dead[s.Name]
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
			out = append(out, connection.Status{Connection: c.conn.Name, Mailbox: c.key.Mailbox, State: connection.StateConnecting})
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
	for _, r := range e.runners {
		if why := r.stuck(); why != "" {
			return fmt.Errorf("trigger %s: %s", r.rule.cfg.Name, why)
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
	if !r.stopped && len(r.later) > 0 && now.Sub(r.later[0].retryAt) > overdue {
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
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.rule.cfg.Actions))
	for _, a := range r.rule.cfg.Actions {
		names = append(names, a.Base().Name)
	}
	return TriggerStatus{
		Actions: names, Name: r.rule.cfg.Name, Queue: r.jobs, Running: r.running, Retrying: len(r.later) + len(r.due),
		Oldest: r.oldest(),
	}
}

// oldest returns when the oldest job that is not done was accepted.
func (r *runner) oldest() (t time.Time) {
	for j := range r.all {
		if t.IsZero() || j.rec.Accepted.Before(t) {
			t = j.rec.Accepted
		}
	}
	return t
}
