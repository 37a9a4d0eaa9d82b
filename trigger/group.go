package trigger

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/journal"
)

// A group is the jobs of one message, of all triggers on its mailbox. What is to
// be done with the message on the server waits for the last of them: only then
// may it be moved or deleted.
type group struct {
	collector *collector

	// Guarded by the collector's mu.
	key    groupKey
	open   int      // jobs whose local actions have not ended
	jobs   []*job   // jobs that have something left to do on the server
	queued bool     // it is in the collector's ready list
	stays  string   // why the message must stay where it is; "": it may go
	fired  []string // the triggers that have fired on it
}

// A groupKey names a message. The hash is part of it, so that a UID that was used
// again never makes two messages one.
type groupKey struct {
	uidValidity, uid uint32
	hash             uint64
}

// A turn is what a group has to do on the server now.
type turn struct {
	group *group
	key   groupKey
	jobs  []*job
}

// join adds a job whose local actions have yet to run to its message's group.
func (c *collector) join(j *job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := groupKey{j.rec.UIDValidity, j.rec.UID, j.rec.IdentityHash}
	g := c.groups[key]
	if g == nil {
		g = &group{collector: c, key: key}
		c.groups[key] = g
	}
	j.group = g
	g.open++
	if !slices.Contains(g.fired, j.rec.Trigger) {
		g.fired = append(g.fired, j.rec.Trigger)
	}
}

// adopt is join for a job of the last run, which resume will queue.
func (c *collector) adopt(j *job) {
	c.join(j)
	c.mu.Lock()
	defer c.mu.Unlock()
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
	} else if g.stays == "" {
		g.stays = c.e.letters.of(j.rec)
	}
	var keep []*job
	wake := false
	if g.open == 0 {
		switch {
		case g.stays != "":
			keep, g.jobs = g.jobs, nil
		case len(g.jobs) > 0 && !g.queued:
			g.queued, wake = true, true
			c.ready = append(c.ready, g)
		}
	}
	c.forget(g)
	c.mu.Unlock()
	for _, j := range keep {
		c.log.Warn("the message stays where it is: "+g.stays, "trigger", j.rec.Trigger, "uid", j.rec.UID, "event", j.rec.EventID)
		j.skipWaiting()
		c.e.endJob(j)
	}
	if wake {
		c.wake()
	}
}

// forget drops a group that has nothing left to do. c.mu is held.
func (c *collector) forget(g *group) {
	if g.open == 0 && len(g.jobs) == 0 && !g.queued && c.groups[g.key] == g {
		delete(c.groups, g.key)
	}
}

// takeReady returns what is to be done on the server now, at most so much: the turns
// of the messages that every trigger on the mailbox has passed.
func (c *collector) takeReady(most int) []*turn {
	c.mu.Lock()
	var turns []*turn
	var keep []*group
	var changed []*job
	for _, g := range c.ready {
		if len(turns) == most || g.open > 0 || !c.passed(g.key) {
			keep = append(keep, g)
			continue
		}
		g.queued = false
		if again := c.reopen(g); len(again) > 0 {
			changed = append(changed, again...)
			continue
		}
		turns = append(turns, &turn{group: g, key: g.key, jobs: g.jobs})
		g.jobs = nil
		c.forget(g)
	}
	c.ready = keep
	c.mu.Unlock()
	for _, j := range changed {
		j.runner.queue(j)
	}
	return turns
}

// reopen takes the jobs out of a group whose triggers have changed since their
// local actions ended: they go through their runners again. c.mu is held.
func (c *collector) reopen(g *group) (changed []*job) {
	g.jobs = slices.DeleteFunc(g.jobs, func(j *job) bool {
		if j.runner.rule() == j.rule {
			return false
		}
		changed = append(changed, j)
		g.open++
		return true
	})
	return changed
}

// passed reports whether every trigger on the mailbox has decided about the
// message. One that is known by a UID of another time only is found by its
// identity, and was decided about then.
func (c *collector) passed(key groupKey) bool {
	if !c.settled || key.uidValidity != c.state.UIDValidity {
		return true
	}
	for _, f := range c.feeds {
		if key.uid > f.cursor.UID || inBacklog(f.cursor, key.uid) {
			return false
		}
	}
	return true
}

// putBack lets messages have their turn again at the next look.
func (c *collector) putBack(turns []*turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range turns {
		g := t.group
		g.jobs = append(g.jobs, t.jobs...)
		if c.groups[g.key] == nil {
			c.groups[g.key] = g
		}
		if !g.queued {
			g.queued = true
			c.ready = append(c.ready, g)
		}
	}
}

// putBackLater lets a message have its turn again after d.
func (c *collector) putBackLater(t *turn, d time.Duration) {
	time.AfterFunc(d, func() {
		c.putBack([]*turn{t})
		c.wake()
	})
}

// rekey gives groups their messages' UIDs of now; those whose UIDVALIDITY is still
// good keep theirs, unless all is set. A message that is not in the mailbox keeps
// what it was known by, which is no UID of now.
func (c *collector) rekey(byHash map[uint64]uint32, uidValidity uint32, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	groups := make(map[groupKey]*group, len(c.groups))
	var moved []*group
	for key, g := range c.groups {
		if !all && key.uidValidity == uidValidity {
			groups[key] = g
		} else {
			moved = append(moved, g)
		}
	}
	for _, g := range moved {
		key := groupKey{0, g.key.uid, g.key.hash} // no mailbox has UIDVALIDITY 0
		if uid, ok := byHash[g.key.hash]; ok && g.key.hash != 0 {
			if now := (groupKey{uidValidity, uid, g.key.hash}); groups[now] == nil {
				key = now
			}
		}
		g.key = key
		groups[key] = g
	}
	c.groups = groups
}

// finishAlone does what is to be done on the server in a mailbox that no trigger
// watches any more.
func (c *collector) finishAlone() {
	defer c.e.running.Done()
	c.looking.Lock()
	defer c.looking.Unlock()
	c.takeWants()
	c.mu.Lock()
	nothing := len(c.wants) > 0 || len(c.ready)+len(c.unread) == 0
	c.mu.Unlock()
	if nothing || c.e.stopping.Err() != nil {
		return
	}
	if c.conn == nil {
		c.giveUp("the connection is gone from the config; put it back and retry the dead letter, or discard it")
		return
	}
	err := c.e.watcher.Do(c.e.stopping, c.conn, c.key.Mailbox, func(ctx context.Context, mb *connection.Mailbox) error {
		if err := c.readUnread(ctx, mb); err != nil {
			return err
		}
		return c.finishReady(ctx, mb)
	})
	switch {
	case err == nil, c.e.stopping.Err() != nil:
	case permanent(err):
		c.giveUp(err.Error())
	default:
		c.log.Warn("cannot finish messages on the server, will be tried again", "err", err)
		time.AfterFunc(time.Minute, c.wake)
	}
}

// giveUp makes dead letters of all that was to be done in the mailbox.
func (c *collector) giveUp(reason string) {
	for _, t := range c.takeReady(math.MaxInt) {
		c.failTurn(t, reason)
	}
	c.mu.Lock()
	jobs := c.unread
	c.unread = nil
	c.mu.Unlock()
	for _, j := range jobs {
		j.setExtra(unread, reason)
		j.runner.queue(j)
	}
}

// letters counts the dead letters of messages: a message that has one stays where
// it is. It is safe for concurrent use.
type letters struct {
	mu    sync.Mutex
	count map[messageKey]int
}

func (l *letters) add(rec *journal.Job, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := keyOf(rec)
	if l.count[key] += n; l.count[key] <= 0 {
		delete(l.count, key)
	}
}

// of returns why the job's message must stay where it is; "" if it may go.
func (l *letters) of(rec *journal.Job) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count[keyOf(rec)] == 0 {
		return ""
	}
	return "there is a dead letter of it"
}

// A messageKey names a message across changes of its UID; by its UID only where
// it was never read.
type messageKey struct {
	box              journal.MailboxKey
	hash             uint64
	uidValidity, uid uint32
}

func keyOf(rec *journal.Job) messageKey {
	if rec.IdentityHash != 0 {
		return messageKey{box: rec.Mailbox, hash: rec.IdentityHash}
	}
	return messageKey{box: rec.Mailbox, uidValidity: rec.UIDValidity, uid: rec.UID}
}
