package trigger

import (
	"context"
	"fmt"
	"time"

	"mailtrigger/connection"
)

// A group is the jobs of one message, of all triggers on its mailbox. What is to
// be done with the message on the server waits for the last of them: only then
// may it be moved or deleted.
type group struct {
	collector *collector

	// Guarded by the collector's mu.
	uid         uint32 // as the mailbox has it now
	uidValidity uint32
	gone        bool   // the message is not in the mailbox by the UID it had: uid is none
	hash        uint64 // the message's identity
	open        int    // jobs whose local actions have not ended
	jobs        []*job // jobs that have something left to do on the server
	stays       string // why the message must stay where it is; "": it may go
}

// join adds a job whose local actions have yet to run to its message's group.
func (c *collector) join(j *job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[j.rec.UID]
	if g == nil {
		g = &group{collector: c, uid: j.rec.UID, uidValidity: j.rec.UIDValidity, hash: j.rec.IdentityHash}
		c.groups[j.rec.UID] = g
	}
	j.group = g
	g.open++
}

// adopt is join for a job of the last run, which resume will queue.
func (c *collector) adopt(j *job, stays string) {
	c.join(j)
	c.mu.Lock()
	defer c.mu.Unlock()
	if stays != "" {
		j.group.stays = stays
	}
	c.adopted = append(c.adopted, j)
}

// resume queues the jobs of the last run.
func (c *collector) resume() {
	c.mu.Lock()
	jobs := c.adopted
	c.adopted = nil
	c.mu.Unlock()
	for _, j := range jobs {
		j.runner.queue(j)
	}
}

// localEnded is called when a job's local actions have ended.
func (c *collector) localEnded(j *job) {
	reason := ""
	if a := j.dead(); a != nil {
		reason = fmt.Sprintf("action %s of trigger %s failed for good", a.Name, j.rec.Trigger)
	}
	if reason == "" && j.nextServer() >= 0 {
		c.mu.Lock()
		j.group.jobs = append(j.group.jobs, j)
		c.mu.Unlock()
	} else {
		if j.nextServer() >= 0 {
			j.skipWaiting()
		}
		c.e.endJob(j)
	}
	c.leave(j, reason)
}

// leave takes a job out of its group's open ones; reason is why the message must
// stay where it is, if it must.
func (c *collector) leave(j *job, reason string) {
	g := j.group
	c.mu.Lock()
	g.open--
	if reason != "" {
		g.stays = reason
	}
	if g.open > 0 {
		c.mu.Unlock()
		return
	}
	var keep []*job
	wake := false
	switch {
	case len(g.jobs) == 0:
		delete(c.groups, g.uid)
	case g.stays != "":
		keep, g.jobs = g.jobs, nil
		delete(c.groups, g.uid)
	default:
		c.ready = append(c.ready, g)
		wake = true
	}
	c.mu.Unlock()
	for _, j := range keep {
		c.log.Warn("the message stays where it is: "+g.stays, "trigger", j.rec.Trigger, "uid", g.uid, "event", j.rec.EventID)
		j.skipWaiting()
		c.e.endJob(j)
	}
	if wake {
		c.wake()
	}
}

// takeReady returns the groups whose turn on the server has come, and that every
// trigger on the mailbox has passed.
func (c *collector) takeReady() []*group {
	c.mu.Lock()
	defer c.mu.Unlock()
	var take, keep []*group
	for _, g := range c.ready {
		switch {
		case g.open > 0:
			// Another trigger has a job for it by now: leave puts it back.
		case g.gone || c.passed(g.uid):
			take = append(take, g)
		default:
			keep = append(keep, g)
		}
	}
	c.ready = keep
	return take
}

// passed reports whether every trigger on the mailbox has decided about the message.
func (c *collector) passed(uid uint32) bool {
	for _, f := range c.feeds {
		if uid > f.cursor.UID || inBacklog(f.cursor, uid) {
			return false
		}
	}
	return true
}

// putBack lets groups have their turn again at the next look.
func (c *collector) putBack(groups []*group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = append(c.ready, groups...)
}

// putBackLater lets a group have its turn again after d.
func (c *collector) putBackLater(g *group, d time.Duration) {
	time.AfterFunc(d, func() {
		c.putBack([]*group{g})
		c.wake()
	})
}

// done forgets a group whose jobs have all ended.
func (c *collector) done(g *group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.groups[g.uid] == g {
		delete(c.groups, g.uid)
	}
}

// rekey gives groups their messages' UIDs of now; those whose UIDVALIDITY is still
// good keep theirs, unless all is set. A group whose message is not in the mailbox
// is gone: its number is no UID of the mailbox.
func (c *collector) rekey(byHash map[uint64]uint32, uidValidity uint32, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	groups := make(map[uint32]*group, len(c.groups))
	var moved []*group
	for _, g := range c.groups {
		if !all && g.uidValidity == uidValidity && !g.gone {
			groups[g.uid] = g
		} else {
			moved = append(moved, g)
		}
	}
	none := ^uint32(0)
	for _, g := range moved {
		uid, ok := byHash[g.hash]
		if g.gone = !ok || groups[uid] != nil; g.gone {
			uid, none = none, none-1
		}
		g.uid, g.uidValidity = uid, uidValidity
		groups[uid] = g
	}
	c.groups = groups
}

// finishAlone does what is to be done on the server in a mailbox that no trigger
// watches any more.
func (c *collector) finishAlone() {
	c.finishing.Lock()
	defer c.finishing.Unlock()
	if c.conn == nil {
		for _, g := range c.takeReady() {
			c.failGroup(g, "the connection is gone from the config; put it back and retry the dead letter, or discard it")
		}
		return
	}
	ctx, cancel := context.WithCancel(c.e.working)
	defer cancel()
	err := c.e.watcher.Do(ctx, c.conn, c.key.Mailbox, func(ctx context.Context, mb *connection.Mailbox) error {
		if err := c.readUnread(ctx, mb); err != nil {
			return err
		}
		return c.finishReady(ctx, mb)
	})
	if err != nil && ctx.Err() == nil {
		c.log.Warn("cannot finish messages on the server, will be tried again", "err", err)
		time.AfterFunc(time.Minute, c.wake)
	}
}
