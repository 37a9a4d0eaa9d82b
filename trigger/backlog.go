package trigger

import "time"

// backlogPace is how often the log tells how far a backlog is.
const backlogPace = 30 * time.Second

// tellBacklog publishes how much of the mail that was there before each trigger has
// still to read, and now and then logs it. It is called by look, which owns the cursors.
func (c *collector) tellBacklog() {
	var left map[string]uint64
	var all uint64
	for _, f := range c.feeds {
		n := backlogSize(f.cursor)
		if n == 0 {
			continue
		}
		if left == nil {
			left = make(map[string]uint64)
		}
		left[f.rule.cfg.Name] = n
		all = max(all, n)
	}
	if left == nil {
		c.backlog.Store(nil)
		c.backlogTold = time.Time{}
		return
	}
	c.backlog.Store(&left)
	switch now := c.e.now(); {
	case c.backlogTold.IsZero(): // its beginning was logged, or a restart's is not yet worth a line
		c.backlogTold = now
	case now.Sub(c.backlogTold) >= backlogPace:
		c.backlogTold = now
		c.log.Info("working through the backlog", "left", all)
	}
}

// backlogs returns how much each trigger has still to read, of all its mailboxes.
func (e *Engine) backlogs() map[string]uint64 {
	sum := make(map[string]uint64)
	for _, c := range e.watchedMailboxes() {
		if left := c.backlog.Load(); left != nil {
			for name, n := range *left {
				sum[name] += n
			}
		}
	}
	return sum
}
