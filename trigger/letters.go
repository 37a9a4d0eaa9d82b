package trigger

import (
	"fmt"

	"mailtrigger/trigger/journal"
)

// Retry takes a dead letter back to work: what failed, and what did not run
// because of it, is tried again, as a first attempt, under the same event id.
func (e *Engine) Retry(id string) error {
	l, err := e.letter(id)
	if err != nil {
		return err
	}
	if l.Job.Kind == kindHeld {
		return e.decideHeld(l, releaseFire)
	}
	r := e.runnerOf(l.Job.Trigger)
	if r == nil {
		return fmt.Errorf("dead letter %s: its trigger %q is gone from the config, or disabled; put it back first", id, l.Job.Trigger)
	}
	rule := r.rule()
	for _, a := range l.Job.Actions {
		if a.State != journal.Done && (rule == nil || rule.actions[a.Name] == nil) {
			return fmt.Errorf("dead letter %s: its action %q is gone from the config; put it back first", id, a.Name)
		}
	}
	rec, err := Unbury(e.store, id)
	if err != nil {
		return err
	}
	e.letters.add(rec, -1)
	e.poison.forgive(rec)
	e.log.Info("trying a dead letter again", "trigger", rec.Trigger, "event", rec.EventID, "uid", rec.UID)
	e.adopt(rec, r, nil).resume()
	return nil
}

// Discard drops a dead letter and its mail.
func (e *Engine) Discard(id string) error {
	l, err := e.letter(id)
	if err != nil {
		return err
	}
	if l.Job.Kind == kindHeld {
		return e.decideHeld(l, releaseSkip)
	}
	if err := e.store.Discard(id); err != nil {
		return err
	}
	e.letters.add(l.Job, -1)
	return nil
}

func (e *Engine) letter(id string) (journal.DeadLetter, error) {
	letters, err := e.store.DeadLetters()
	if err != nil {
		return journal.DeadLetter{}, err
	}
	for _, l := range letters {
		if l.ID == id {
			return l, nil
		}
	}
	return journal.DeadLetter{}, fmt.Errorf("%w: %s", journal.ErrNoLetter, id)
}

// DeadLetters returns what failed for good, oldest first.
func (e *Engine) DeadLetters() ([]journal.DeadLetter, error) { return e.store.DeadLetters() }

func (e *Engine) runnerOf(trigger string) *runner {
	for _, r := range e.enabled() {
		if r.name == trigger {
			return r
		}
	}
	return nil
}
