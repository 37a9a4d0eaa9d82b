package trigger

import (
	"fmt"

	"mailtrigger/trigger/journal"
)

// Retry takes a dead letter back to work: what failed, and what did not run
// because of it, is tried again, as a first attempt, under the same event id.
func (e *Engine) Retry(id string) error {
	rec, err := Unbury(e.store, id)
	if err != nil {
		return err
	}
	e.poison.forgive(rec)
	r := e.runnerOf(rec.Trigger)
	if r == nil {
		e.bury(rec, "the trigger is gone from the config, or disabled")
		return fmt.Errorf("dead letter %s: its trigger %q is gone from the config, or disabled; put it back first", id, rec.Trigger)
	}
	if gone := missingAction(rec, r.rule); gone != "" {
		e.bury(rec, fmt.Sprintf("its action %q was removed from the config", gone))
		return fmt.Errorf("dead letter %s: its action %q is gone from the config; put it back first", id, gone)
	}
	e.log.Info("trying a dead letter again", "trigger", rec.Trigger, "event", rec.EventID, "uid", rec.UID)
	e.adopt(rec, r, "").resume()
	return nil
}

// Discard drops a dead letter and its mail.
func (e *Engine) Discard(id string) error { return e.store.Discard(id) }

// DeadLetters returns what failed for good, oldest first.
func (e *Engine) DeadLetters() ([]journal.DeadLetter, error) { return e.store.DeadLetters() }

func (e *Engine) runnerOf(trigger string) *runner {
	for _, r := range e.runners {
		if r.rule.cfg.Name == trigger {
			return r
		}
	}
	return nil
}
