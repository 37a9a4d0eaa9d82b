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

// readUnread fetches the mail of jobs that have none, as far as there is room for it.
func (c *collector) readUnread(ctx context.Context, mb *connection.Mailbox) error {
	for {
		c.mu.Lock()
		if len(c.unread) == 0 {
			c.mu.Unlock()
			return nil
		}
		j := c.unread[0]
		c.unread = c.unread[1:]
		c.mu.Unlock()
		if j.runner.rule() != j.rule { // its trigger has changed
			j.asked = false
			j.runner.queue(j)
			continue
		}
		if err := c.readOne(ctx, mb, j); err != nil {
			if !refused(err) {
				j.readFails++
			}
			if refused(err) || j.readFails >= maxFetchFails {
				j.setExtra(unread, err.Error())
				j.runner.queue(j)
			} else {
				c.mu.Lock()
				c.unread = append(c.unread, j)
				c.mu.Unlock()
			}
			if !refused(err) {
				return err
			}
			continue
		}
		j.runner.queue(j)
	}
}

func (c *collector) readOne(ctx context.Context, mb *connection.Mailbox, j *job) error {
	c.mu.Lock()
	key := j.group.key
	c.mu.Unlock()
	uid, found, err := c.locate(ctx, mb, key, j.rec)
	if err != nil {
		return err
	}
	switch {
	case !found:
		j.setExtra(unread, "the message is no longer in the mailbox")
		return nil
	case j.rec.Size > int64(j.rule.cfg.MaxSize):
		j.setExtra(unread, fmt.Sprintf("the message has %d bytes, more than the trigger's max_size of %s", j.rec.Size, j.rule.cfg.MaxSize))
		return nil
	}
	return mb.Fetch(ctx, []uint32{uid}, func(b connection.Body) error {
		j.raw, j.asked = b.Raw, false
		j.setFlags(b.Flags)
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
