package trigger

import (
	"fmt"
	"time"

	"mailtrigger/connection"
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
		}
	}
	return out
}

// Health is nil if the journal can write and the engine moves: no first attempt
// waits though a place for it is free.
func (e *Engine) Health() error {
	if err := e.store.Health(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	for _, r := range e.runners {
		if r.stuck() {
			return fmt.Errorf("trigger %s: jobs wait though nothing runs", r.rule.cfg.Name)
		}
	}
	return nil
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

func (r *runner) stuck() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.stopped && r.running == 0 && len(r.live)+len(r.old)+len(r.due) > 0
}
