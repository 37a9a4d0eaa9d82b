package trigger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"mailtrigger/connection"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/crashpoint"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// The engine's own limits.
const (
	maxRunning   = 256              // actions at once, all triggers together
	maxUndecided = 64 << 20         // bytes of messages being fetched, matched and journaled, all mailboxes together
	maxWaiting   = 64 << 20         // bytes of messages kept in memory for their first attempt, all triggers together
	takeOver     = 30 * time.Second // how long the journal may take to hand over the jobs of another engine
	stopGrace    = 60 * time.Second // how long a stop waits for running actions before it ends them
)

// A Watcher keeps a session in a mailbox and calls look as the mailbox changes.
// *connection.Dialer is the one that does it in this process; who watches a
// mailbox is a question of its own once several daemons share the work.
type Watcher interface {
	Watch(cfg *connection.Config, mailbox string, look connection.LookFunc) *connection.Watch
	Do(ctx context.Context, cfg *connection.Config, mailbox string, f func(context.Context, *connection.Mailbox) error) error
}

// Options are what an Engine works with.
type Options struct {
	Connections []*connection.Config // in the order of the file
	Triggers    []*Config            // in the order of the file
	Watcher     Watcher
	Store       journal.Store
	StateDir    string
	Env         action.Env
	Log         *slog.Logger // nil: silent
	Trace       *Trace       // nil: nobody listens
	Now         func() time.Time
}

// An Engine runs triggers: it watches their mailboxes, matches what comes,
// journals what is to be done and does it. Make one with New; Run it once.
type Engine struct {
	store   journal.Store
	watcher Watcher
	env     action.Env
	log     *slog.Logger
	trace   *Trace
	now     func() time.Time
	poison  *poison
	own     *own
	begun   *begun
	keepers *keepers

	connections map[string]*connection.Config
	disabled    map[string]bool // triggers that the file has, but not enabled
	runners     []*runner
	directories []*directory // one an account with patterns

	mu         sync.Mutex   // guards what follows
	collectors []*collector // one a watched mailbox
	byMailbox  map[journal.MailboxKey]*collector

	letters letters
	slots   chan struct{}       // a place for each running action
	memory  *semaphore.Weighted // bytes of messages that are being fetched, matched and journaled
	budget  budget              // bytes of messages that wait for their first attempt

	stopping  context.Context // ends when nothing new is to begin
	beginStop context.CancelFunc
	working   context.Context // ends when running actions are to be ended
	endWork   context.CancelFunc
	running   sync.WaitGroup // jobs being run, and what is done on the server besides the watches
}

// New makes an engine and takes over what the journal holds: jobs of the last
// run go on where they were. It starts nothing; Run does.
func New(o Options) (*Engine, error) {
	e := &Engine{
		store: o.Store, watcher: o.Watcher, env: o.Env, log: o.Log, trace: o.Trace, now: o.Now,
		connections: make(map[string]*connection.Config),
		disabled:    make(map[string]bool),
		byMailbox:   make(map[journal.MailboxKey]*collector),
		slots:       make(chan struct{}, maxRunning),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	e.working, e.endWork = context.WithCancel(context.Background())
	e.stopping, e.beginStop = context.WithCancel(e.working)
	e.memory = semaphore.NewWeighted(maxUndecided)
	e.letters.count = make(map[messageKey]int)
	var err error
	if e.poison, err = openPoison(filepath.Join(o.StateDir, "decoding"), e.store, e.log); err != nil {
		return nil, err
	}
	for _, c := range o.Connections {
		e.connections[c.Name] = c
	}
	if e.keepers, err = openKeepers(e.store, o.Triggers, e.now()); err != nil {
		return nil, err
	}
	for i, cfg := range o.Triggers {
		r, err := newRule(cfg, i)
		if err != nil {
			return nil, err
		}
		if !r.enabled() {
			e.disabled[cfg.Name] = true
			continue
		}
		run := newRunner(e, r)
		e.runners = append(e.runners, run)
		for _, name := range cfg.Connection {
			conn := e.connections[name]
			if conn == nil {
				return nil, fmt.Errorf("trigger %s: unknown connection %q", cfg.Name, name)
			}
			var patterns []string
			for _, mailbox := range cfg.Mailboxes {
				if IsPattern(mailbox) {
					patterns = append(patterns, mailbox)
				} else {
					e.feed(conn, mailbox, run)
				}
			}
			if patterns != nil {
				d := e.directoryOf(conn)
				d.patterns = append(d.patterns, patternFeed{run, patterns})
			}
		}
	}
	var old map[string][]byte
	state, err := e.store.State(ownPrefix)
	if err != nil {
		return nil, fmt.Errorf("read the state of the last run: %w", err)
	}
	if e.own, old = openOwn(state, e.now()); len(old) > 0 {
		e.store.Accept(&journal.Batch{State: old})
	}
	if err := e.recover(o.StateDir); err != nil {
		return nil, err
	}
	return e, nil
}

// feed lets a mailbox's mail go to a trigger, before anything runs.
func (e *Engine) feed(conn *connection.Config, mailbox string, r *runner) {
	key := mailboxKey(conn, mailbox)
	c := e.byMailbox[key]
	if c == nil {
		c = newCollector(e, conn, key)
		e.byMailbox[key] = c
		e.collectors = append(e.collectors, c)
	}
	c.addFeed(&feed{runner: r, conn: conn, reading: r.rule.reading(conn)})
}

// addFeed is feed while the engine runs. fresh says that the mailbox has appeared
// while it was being looked for: its first message is new, too.
func (e *Engine) addFeed(conn *connection.Config, mailbox string, r *runner, fresh bool) {
	key := mailboxKey(conn, mailbox)
	e.mu.Lock()
	c := e.byMailbox[key]
	started := c != nil && slices.Contains(e.collectors, c)
	if c == nil {
		c = newCollector(e, conn, key)
		e.byMailbox[key] = c
	}
	if !started {
		e.collectors = append(e.collectors, c)
	}
	e.mu.Unlock()
	added := c.addFeed(&feed{runner: r, conn: conn, reading: r.rule.reading(conn), fresh: fresh})
	switch {
	case !started:
		c.start()
	case added:
		c.wake()
	}
}

// dropMailbox ends the watch of a mailbox.
func (e *Engine) dropMailbox(ctx context.Context, key journal.MailboxKey) {
	e.mu.Lock()
	c := e.byMailbox[key]
	e.collectors = slices.DeleteFunc(e.collectors, func(other *collector) bool { return other == c })
	delete(e.byMailbox, key)
	e.mu.Unlock()
	if c != nil {
		c.close(ctx)
	}
}

func (e *Engine) directoryOf(conn *connection.Config) *directory {
	for _, d := range e.directories {
		if d.conn == conn {
			return d
		}
	}
	d := &directory{e: e, conn: conn}
	e.directories = append(e.directories, d)
	return d
}

// watchedMailboxes returns the collectors of the watched mailboxes.
func (e *Engine) watchedMailboxes() []*collector {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.collectors)
}

func mailboxKey(conn *connection.Config, mailbox string) journal.MailboxKey {
	host, user := conn.Identity()
	return journal.MailboxKey{Host: host, User: user, Mailbox: foldInbox(mailbox)}
}

// recover takes over the jobs that the last run left.
func (e *Engine) recover(stateDir string) error {
	byTrigger := make(map[string]*runner)
	for _, r := range e.runners {
		byTrigger[r.rule.cfg.Name] = r
	}
	letters, err := e.store.DeadLetters()
	if err != nil {
		return fmt.Errorf("read the dead letters: %w", err)
	}
	for _, l := range letters {
		e.letters.add(l.Job, 1)
	}
	ctx, cancel := context.WithTimeout(e.working, takeOver)
	defer cancel()
	jobs, err := e.store.OpenJobs(ctx)
	if err != nil {
		return fmt.Errorf("read the jobs of the last run: %w", err)
	}
	journaled := make(map[string]bool)
	for _, rec := range jobs {
		journaled[rec.EventID] = true
	}
	for _, l := range letters {
		journaled[l.Job.EventID] = true
	}
	for _, h := range e.store.History(journal.HistoryLen) {
		journaled[h.EventID] = true
	}
	if e.begun, err = openBegun(filepath.Join(stateDir, "starting"), func(id string) bool { return journaled[id] }); err != nil {
		return err
	}
	for _, rec := range jobs {
		if rec.Kind == kindHeld { // retried while no daemon ran
			e.release(rec.Mailbox, releaseFire)
			e.store.Remove(rec.Seq, nil)
			continue
		}
		r := byTrigger[rec.Trigger]
		if e.disabled[rec.Trigger] {
			e.log.Warn("jobs of a disabled trigger wait until it is enabled again", "trigger", rec.Trigger, "event", rec.EventID)
			continue
		}
		if r == nil {
			e.bury(rec, "the trigger is gone from the config, or disabled; put it back and retry the dead letter, or discard it")
			continue
		}
		if gone := missingAction(rec, r.rule); gone != "" {
			e.bury(rec, fmt.Sprintf("its action %q was removed from the config; put it back and retry the dead letter, or discard it", gone))
			continue
		}
		e.adopt(rec, r)
	}
	if len(jobs) > 0 {
		e.log.Info("going on with the jobs of the last run", "jobs", len(jobs))
	}
	return nil
}

// adopt takes a job from the journal into memory; its collector's resume queues it.
func (e *Engine) adopt(rec *journal.Job, r *runner) *job {
	_, backlog := rec.Extra[extraBacklog]
	j := &job{rec: rec, runner: r, live: !backlog}
	if conn := e.connections[rec.Connection]; conn != nil {
		j.reading = r.rule.reading(conn)
	}
	r.adopt(rec.Size)
	e.mailboxOf(rec).adopt(j)
	return j
}

// mailboxOf returns the collector of a job's mailbox. For a mailbox that no
// trigger watches any more it makes one that only finishes what was begun.
func (e *Engine) mailboxOf(rec *journal.Job) *collector {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.byMailbox[rec.Mailbox]
	if c == nil {
		c = newCollector(e, e.connections[rec.Connection], rec.Mailbox)
		e.byMailbox[rec.Mailbox] = c
	}
	return c
}

// watches reports whether the mailbox is watched.
func (e *Engine) watches(box journal.MailboxKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.byMailbox[box]
	return c != nil && c.watches()
}

// missingAction returns the name of a waiting action that the trigger no longer has; "" if none.
func missingAction(rec *journal.Job, r *rule) string {
	for _, a := range rec.Actions {
		if a.State == journal.Waiting && r.actions[a.Name] == nil {
			return a.Name
		}
	}
	return ""
}

func (e *Engine) bury(rec *journal.Job, reason string) *journal.Commit {
	e.log.Error("dead letter: "+reason, "trigger", rec.Trigger, "connection", rec.Connection,
		"mailbox", rec.Mailbox.Mailbox, "uid", rec.UID, "event", rec.EventID)
	e.letters.add(rec, 1)
	return e.store.Bury(rec, reason)
}

// Run watches and works until ctx ends, then lets running actions end (for a
// minute at most; what has not ended then is ended and tried again at the next
// start). It returns an error only if the journal can no longer be trusted: the
// process must end then.
func (e *Engine) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	e.mu.Lock()
	all := slices.Collect(maps.Values(e.byMailbox))
	e.mu.Unlock()
	for _, c := range all {
		c.resume()
	}
	for _, c := range e.watchedMailboxes() {
		c.start()
	}
	var directories sync.WaitGroup
	for _, d := range e.directories {
		directories.Go(func() { d.run(ctx) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-e.store.Failed():
		e.log.Error("the journal cannot be trusted any more; ending, so that a restart reads what is really on the disk", "err", err)
	}
	end()
	directories.Wait()
	return errors.Join(err, e.stop())
}

// stop ends the watches, then the work.
func (e *Engine) stop() error {
	e.beginStop()
	for _, r := range e.runners {
		r.stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range e.watchedMailboxes() {
		wg.Go(func() { c.close(ctx) })
	}
	wg.Wait()
	done := make(chan struct{})
	go func() { e.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(stopGrace):
		e.log.Warn("actions still run; ending them, they will be tried again at the next start")
	}
	e.endWork()
	<-done
	return errors.Join(e.poison.close(), e.begun.close())
}

// localEnded is called when a job's local actions have all ended.
func (e *Engine) localEnded(j *job) { j.group.collector.localEnded(j) }

// endJob is the end of a job: it leaves the journal, or stays there as a dead letter.
func (e *Engine) endJob(j *job) {
	crashpoint.Hit("engine.job.ended")
	if a := j.dead(); a != nil {
		e.letters.add(j.rec, 1)
		e.store.Bury(j.rec, fmt.Sprintf("action %s: %s", a.Name, a.Err))
	} else {
		e.store.Remove(j.rec.Seq, e.own.ended(j.group.collector, j))
	}
	j.drop(e)
	j.runner.released(j)
}

// decode reads a message, marked so that one that takes the process down does
// not do so for ever. The error says that it has.
func (e *Engine) decode(box journal.MailboxKey, uidValidity, uid uint32, raw []byte, r reading) (*message.Message, error) {
	end, ok := e.poison.begin(box, uidValidity, uid)
	if !ok {
		return nil, fmt.Errorf("the daemon died %d times while it read this message; it is not read again; please report this", maxCrashes)
	}
	defer end()
	crashpoint.Hit("engine.decode.marked")
	return r.message(raw), nil
}

// A budget counts bytes up to a limit.
type budget struct{ used atomic.Int64 }

// take counts n bytes if they fit.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > maxWaiting {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) release(n int64) { b.used.Add(-n) }

func seconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e6 }

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// logOutput is as much of an action's output as belongs in a log line.
func logOutput(output []byte) string { return cut(string(output), 1024) }

// cut shortens s to at most n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
