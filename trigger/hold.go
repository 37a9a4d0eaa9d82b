package trigger

import (
	"context"
	"fmt"

	"mailtrigger/connection"
	"mailtrigger/trigger/journal"
)

// After a server has changed its UIDs, a mailbox in which too much looks new is
// held: nothing fires until a person has said what that mail is. The question is
// a dead letter of its own kind: to retry it is to fire the mail as new, to
// discard it is to take it as known.

// The limits of what may look new before it is held back instead of fired.
const (
	holdAbove        = 50 // messages
	holdAbovePercent = 5  // of the mailbox
)

const (
	kindHeld      = "held"  // Job.Kind of the letter
	releasePrefix = "hold/" // of the state in which the answer is kept until it is used
	releaseFire   = "fire"
	releaseSkip   = "skip"
)

func releaseKey(box journal.MailboxKey) string {
	return fmt.Sprintf("%s%q/%q/%q", releasePrefix, box.Host, box.User, box.Mailbox)
}

// hold stops collecting from the mailbox until somebody says what is in it.
func (c *collector) hold(ctx context.Context, mb *connection.Mailbox, newer, all int) error {
	reason := fmt.Sprintf("the server changed the UIDs of mailbox %s, and %d of its %d messages look new; nothing of it fires until you say what they are: retry this dead letter to fire them, discard it to take them as known",
		c.key.Mailbox, newer, all)
	c.state.Held = reason
	c.heldAt = mb.UIDValidity
	batch := &journal.Batch{Mailboxes: []journal.MailboxUpdate{{Mailbox: c.key, State: c.state}}}
	rec := &journal.Job{
		Trigger: c.feeds[0].rule.cfg.Name, Connection: c.conn.Name, Mailbox: c.key, Kind: kindHeld,
		EventID: eventID(c.key, mb.UIDValidity, 0, c.e.now(), 0, kindHeld), UIDValidity: mb.UIDValidity,
		Extra: map[string]string{extraAsking: reason},
	}
	asked, err := c.asked()
	if err != nil {
		return err
	}
	if !asked {
		batch.Jobs = []*journal.Job{rec}
	}
	if err := c.commit(ctx, batch); err != nil {
		return err
	}
	if asked {
		return nil
	}
	c.log.Error(reason)
	return c.e.ask(c.feeds[0].runner, rec).Wait(ctx)
}

// ask makes the dead letter that asks what is in a held mailbox. r is nil if the
// trigger is gone.
func (e *Engine) ask(r *runner, rec *journal.Job) *journal.Commit {
	reason := rec.Extra[extraAsking]
	delete(rec.Extra, extraAsking)
	return e.inter(r, rec, reason)
}

// takeUpHeld goes on with a job about a held mailbox: the question that was not put
// before the last run ended, or the letter that was tried again while no daemon ran,
// which is the answer.
func (e *Engine) takeUpHeld(rec *journal.Job) {
	if _, asking := rec.Extra[extraAsking]; asking {
		e.ask(e.runnerOf(rec.Trigger), rec)
		return
	}
	e.store.Accept(e.release(rec.Mailbox, releaseFire))
	e.store.Remove(rec.Seq, nil)
}

// asked reports whether there is a letter about this mailbox already.
func (c *collector) asked() (bool, error) {
	letters, err := c.e.store.DeadLetters()
	if err != nil {
		return false, err
	}
	for _, l := range letters {
		if l.Job.Kind == kindHeld && l.Job.Mailbox == c.key {
			return true, nil
		}
	}
	return false, nil
}

// decideHeld carries out what a person said about a held mailbox.
func (e *Engine) decideHeld(l journal.DeadLetter, answer string) error {
	if err := e.store.Accept(e.release(l.Job.Mailbox, answer)).Wait(e.working); err != nil {
		return err
	}
	if err := e.store.Discard(l.ID); err != nil {
		return err
	}
	e.mu.Lock()
	c := e.byMailbox[l.Job.Mailbox]
	e.mu.Unlock()
	if c != nil {
		c.wake()
	}
	return nil
}

// release makes the batch that keeps an answer: none if the mailbox is not held any
// more, or the answer would be that to a question of some other day.
func (e *Engine) release(box journal.MailboxKey, answer string) *journal.Batch {
	if state, _ := e.store.Mailbox(box); state.Held == "" {
		return &journal.Batch{}
	}
	return &journal.Batch{State: map[string][]byte{releaseKey(box): []byte(answer)}}
}

// released returns what was said about the mailbox since it was held; "" if nothing.
func (c *collector) released() (string, error) {
	state, err := c.e.store.State(releaseKey(c.key))
	return string(state[releaseKey(c.key)]), err
}
