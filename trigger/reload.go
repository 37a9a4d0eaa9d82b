package trigger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/journal"
)

// Why the jobs of a trigger that is gone become dead letters.
const triggerGone = "the trigger is gone from the config; put it back and retry the dead letter, or discard it"

// ErrStopping is what Reload returns if the engine stops.
var ErrStopping = errors.New("the engine stops")

// Reload brings the running engine to another configuration: the Connections and
// Triggers of o, and nothing else of it. What has not changed notices nothing of it:
// a trigger keeps its queue and the actions that run, a mailbox its session. A
// connection whose settings have changed is closed and opened anew. A changed trigger
// begins nothing new by its old definition; what runs may end, for a minute at most;
// all other jobs of it are the new definition's, as if the daemon had been restarted.
//
// It returns once old sessions are closed and new ones are being opened; it does not
// wait for running actions. After an error everything goes on as it was.
func (e *Engine) Reload(o Options) error {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	if e.stopping.Err() != nil {
		return ErrStopping
	}
	triggers, definitions, err := e.keepNames(o.Triggers)
	if err != nil {
		return err
	}
	o.Triggers = triggers
	next, err := newSetup(&o, e.setup)
	if err != nil {
		return err
	}
	keepers, err := openKeepers(e.store, o.Triggers, e.now())
	if err != nil {
		return err
	}
	waiting, err := e.waitingJobs(next)
	if err != nil {
		return err
	}
	before := e.setup
	for _, conn := range next.inOrder {
		if before.connections[conn.Name] != conn {
			e.watcher.Forgive(conn) // the login may be what has changed
		}
	}
	if state := definitions.state(); len(state) > 0 {
		e.store.Accept(&journal.Batch{State: state})
	}
	e.keepers.follow(keepers, e.now())
	e.use(next, waiting)
	for _, conn := range before.inOrder {
		if next.connections[conn.Name] != conn {
			e.watcher.Release(conn)
		}
	}
	e.prune()
	e.checkVigils()
	return nil
}

// waitingJobs returns the jobs that wait in the journal for triggers which were
// disabled and are not so any more.
func (e *Engine) waitingJobs(next *setup) (waiting []*journal.Job, err error) {
	called := func(trigger string) bool { return e.setup.disabled[trigger] && !next.disabled[trigger] }
	enabled := slices.DeleteFunc(slices.Sorted(maps.Keys(e.setup.disabled)), func(trigger string) bool { return !called(trigger) })
	if len(enabled) == 0 {
		return nil, nil
	}
	patience := takeOver
	if e.store.Health() != nil {
		patience = time.Second // it may have to wait for room, which nobody makes while this waits
	}
	ctx, cancel := context.WithTimeout(e.stopping, patience)
	defer cancel()
	for {
		working := e.inWork(enabled)
		jobs, err := e.store.OpenJobs(ctx)
		if err != nil {
			return nil, fmt.Errorf("what waits for trigger %s cannot be read while the journal cannot write: %w; mend that and reload again",
				strings.Join(enabled, ", "), cmp.Or(e.store.Health(), err))
		}
		if !maps.Equal(working, e.inWork(enabled)) {
			continue // one has ended meanwhile: it may be among them still, and must not be done again
		}
		return slices.DeleteFunc(jobs, func(rec *journal.Job) bool { return !called(rec.Trigger) || working[rec.Seq] }), nil
	}
}

// inWork returns the jobs of triggers that are in memory: those of actions that still
// run, though the trigger was disabled a moment ago. They become fewer only.
func (e *Engine) inWork(triggers []string) map[uint64]bool {
	working := make(map[uint64]bool)
	for _, trigger := range triggers {
		e.mu.Lock()
		r := e.byName[trigger]
		e.mu.Unlock()
		if r == nil {
			continue
		}
		r.mu.Lock()
		for j := range r.all {
			working[j.rec.Seq] = true
		}
		r.mu.Unlock()
	}
	return working
}

// use makes a setup the one that is worked by, and takes up jobs that have waited for
// it: they go before mail that comes from now on. Before Run it starts nothing.
func (e *Engine) use(next *setup, waiting []*journal.Job) {
	e.useTriggers(next)
	for _, rec := range waiting {
		e.takeUp(rec)
	}
	if len(waiting) > 0 {
		e.resume()
	}
	named := make(map[journal.MailboxKey][]want)
	var order []journal.MailboxKey
	patterns := make(map[*connection.Config][]patternFeed)
	for _, s := range next.sources {
		r := e.runnerOf(s.rule.cfg.Name)
		for _, mailbox := range s.mailboxes {
			key := mailboxKey(s.conn, mailbox)
			if named[key] == nil {
				order = append(order, key)
			}
			named[key] = append(named[key], want{runner: r, rule: s.rule, conn: s.conn})
		}
		if s.patterns != nil {
			patterns[s.conn] = append(patterns[s.conn], patternFeed{r, s.rule, s.patterns})
		}
	}
	for _, key := range order {
		e.want(key, named[key][0].conn, nil, named[key])
	}
	all := e.mailboxes()
	for _, c := range all {
		if named[c.key] == nil {
			c.setWants(nil, nil)
		}
	}
	e.useDirectories(patterns, next.inOrder)
	var adjusted sync.WaitGroup
	for _, c := range all {
		c.reconnect(next.connections)
		adjusted.Go(c.adjust)
	}
	adjusted.Wait()
}

// useTriggers makes runners of the enabled triggers, and ends those of the others.
func (e *Engine) useTriggers(next *setup) {
	e.mu.Lock()
	e.setup = next
	e.runners = nil
	gone := maps.Clone(e.byName)
	changed := make(map[*runner]*rule)
	for i, rule := range next.rules {
		name := rule.cfg.Name
		r := e.byName[name]
		if r == nil {
			r = newRunner(e, rule)
			e.byName[name] = r
		}
		r.order.Store(int64(i))
		e.runners = append(e.runners, r)
		delete(gone, name)
		changed[r] = rule
	}
	e.mu.Unlock()
	for r, rule := range changed {
		r.follow(rule, "")
	}
	for name, r := range gone {
		why := triggerGone
		if next.disabled[name] {
			why = ""
			r.log.Info("the trigger was disabled; what waits for it waits until it is enabled again")
		}
		r.follow(nil, why)
	}
}

// useDirectories lets the mailboxes of accounts be looked for by these patterns.
func (e *Engine) useDirectories(patterns map[*connection.Config][]patternFeed, connections []*connection.Config) {
	var kept, ended []*directory
	there := make(map[*connection.Config]bool)
	for _, d := range e.directories {
		if feeds := patterns[d.conn]; feeds != nil {
			there[d.conn] = true
			kept = append(kept, d)
			d.set(feeds)
		} else {
			ended = append(ended, d)
		}
	}
	for _, d := range ended {
		d.stop()
		d.set(nil)
	}
	for _, conn := range connections {
		if feeds := patterns[conn]; feeds != nil && !there[conn] {
			d := newDirectory(e, conn, feeds)
			kept = append(kept, d)
			if e.started.Load() {
				d.start()
			}
		}
	}
	e.directories = kept
}

// prune forgets triggers and mailboxes that nothing is left of.
func (e *Engine) prune() {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.byName, func(_ string, r *runner) bool {
		idle := r.idle()
		if idle {
			r.shift.end()
		}
		return idle
	})
	e.collectors = slices.DeleteFunc(e.collectors, func(c *collector) bool {
		idle := c.idle()
		if idle {
			delete(e.byMailbox, c.key)
		}
		return idle
	})
}
