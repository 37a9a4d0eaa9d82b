package trigger

import (
	"context"
	"fmt"

	"mailtrigger/connection"
	"mailtrigger/trigger/journal"
)

// A message that could not be read is a dead letter without its mail. When such
// a letter is tried again, its mail is fetched first.

// needsReading reports whether the job's mail has never been read.
func (j *job) needsReading() bool { return j.raw == nil && !j.rec.HasBody() && j.rec.Kind == "message" }

// readAgain asks for the job's mail; the runner gets the job back with it.
func (c *collector) readAgain(j *job) {
	c.mu.Lock()
	c.unread = append(c.unread, j)
	c.mu.Unlock()
	c.wake()
}

// readUnread fetches the mail of jobs that have none.
func (c *collector) readUnread(ctx context.Context, mb *connection.Mailbox) error {
	c.mu.Lock()
	jobs := c.unread
	c.unread = nil
	c.mu.Unlock()
	for i, j := range jobs {
		if err := c.readOne(ctx, mb, j); err != nil {
			c.mu.Lock()
			c.unread = append(c.unread, jobs[i:]...)
			c.mu.Unlock()
			return err
		}
		j.runner.queue(j)
	}
	return nil
}

func (c *collector) readOne(ctx context.Context, mb *connection.Mailbox, j *job) error {
	uid, found, err := c.locate(ctx, mb, j.group, j.rec)
	if err != nil {
		return err
	}
	most := int64(j.runner.rule.cfg.MaxSize)
	switch {
	case !found:
		j.setExtra(unread, "the message is no longer in the mailbox")
		return nil
	case j.rec.Size > most:
		j.setExtra(unread, fmt.Sprintf("the message has %d bytes, more than the trigger's max_size of %s", j.rec.Size, j.runner.rule.cfg.MaxSize))
		return nil
	}
	return mb.Fetch(ctx, []uint32{uid}, func(b connection.Body) error {
		j.raw, j.asked = b.Raw, false // a later attempt asks again
		return nil
	})
}

// failUnread makes every waiting action of a job whose mail cannot be had a failed one.
func (j *job) failUnread() {
	for i := range j.rec.Actions {
		if j.rec.Actions[i].State == journal.Waiting {
			j.fail(i, j.rec.Extra[unread], nil)
		}
	}
}
