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
)

// stopGrace is how long a stop, or a change, waits for running actions before it ends them.
var stopGrace = time.Minute // tests shorten it

// A Watcher keeps a session in a mailbox and calls look as the mailbox changes.
// *connection.Dialer is the one that does it in this process; who watches a
// mailbox is a question of its own once several daemons share the work.
type Watcher interface {
	Watch(cfg *connection.Config, mailbox string, look connection.LookFunc) *connection.Watch
	Do(ctx context.Context, cfg *connection.Config, mailbox string, f func(context.Context, *connection.Mailbox) error) error
	Release(cfg *connection.Config) // it is not used any more
	Forgive(cfg *connection.Config) // somebody has mended its login
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
	before  map[string]string // names that triggers had in earlier runs, by those of now

	reloading   sync.Mutex        // held by Reload and stop; guards directories and kept
	directories []*directory      // one a connection with patterns
	kept        map[string]string // names that are gone from the file and go on, by those in it
	started     atomic.Bool       // Run has begun

	mu         sync.Mutex // guards what follows
	setup      *setup
	runners    []*runner          // of the enabled triggers, in the order of the file
	byName     map[string]*runner // these, and those of which jobs are left
	collectors []*collector       // one a mailbox: the watched ones, and those where something is left to be done
	byMailbox  map[journal.MailboxKey]*collector

	letters letters
	slots   chan struct{}       // a place for each running action
	memory  *semaphore.Weighted // bytes of messages that are being fetched, matched and journaled
	budget  budget              // bytes of messages that wait for their first attempt

	settling budget // bytes of messages whose actions wait for the disk without a seat

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
		setup:     &setup{},
		byName:    make(map[string]*runner),
		byMailbox: make(map[journal.MailboxKey]*collector),
		slots:     make(chan struct{}, maxRunning),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	e.env.Answers = newAnswers(e.store, e.now)
	e.working, e.endWork = context.WithCancel(context.Background())
	e.stopping, e.beginStop = context.WithCancel(e.working)
	e.memory = semaphore.NewWeighted(maxUndecided)
	e.budget.most, e.settling.most = maxWaiting, maxSettling
	e.letters.count = make(map[messageKey]int)
	var err error
	if e.before, err = adoptRenamed(e.store, o.Triggers, e.log); err != nil {
		return nil, err
	}
	if e.poison, err = openPoison(filepath.Join(o.StateDir, "decoding"), e.store, e.log); err != nil {
		return nil, err
	}
	if e.keepers, err = openKeepers(e.store, o.Triggers, e.now()); err != nil {
		return nil, err
	}
	next, err := newSetup(&o, e.setup)
	if err != nil {
		return nil, err
	}
	e.use(next, nil)
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

// want says which triggers the mail of a mailbox is to go to, as far as source knows:
// a directory, or the file (nil).
func (e *Engine) want(key journal.MailboxKey, conn *connection.Config, source *directory, wants []want) *collector {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.collector(key, conn)
	c.setWants(source, wants)
	return c
}

// collector returns the one of the mailbox. e.mu is held.
func (e *Engine) collector(key journal.MailboxKey, conn *connection.Config) *collector {
	c := e.byMailbox[key]
	if c == nil {
		c = newCollector(e, conn, key)
		e.byMailbox[key] = c
		e.collectors = append(e.collectors, c)
	}
	return c
}

// mailboxes returns the collectors of all mailboxes.
func (e *Engine) mailboxes() []*collector {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.collectors)
}

// watchedMailboxes returns the collectors of the watched mailboxes.
func (e *Engine) watchedMailboxes() []*collector {
	return slices.DeleteFunc(e.mailboxes(), func(c *collector) bool { return !c.watches() })
}

// enabled returns the runners of the enabled triggers, in the order of the file.
func (e *Engine) enabled() []*runner {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.runners)
}

// connection returns the connection of that name; nil if there is none.
func (e *Engine) connection(name string) *connection.Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.setup.connections[name]
}

// Connections returns the connections in the order of the file. What a Reload has
// not changed is the same object as before.
func (e *Engine) Connections() []*connection.Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.setup.inOrder)
}

// recover takes over the jobs that the last run left.
func (e *Engine) recover(stateDir string) error {
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
	e.replan(jobs)
	for _, rec := range jobs {
		e.takeUp(rec)
	}
	if len(jobs) > 0 {
		e.log.Info("going on with the jobs of the last run", "jobs", len(jobs))
	}
	return nil
}

// takeUp takes a job of the journal to work, if there is anybody to do it.
func (e *Engine) takeUp(rec *journal.Job) {
	if rec.Kind == kindHeld {
		e.takeUpHeld(rec)
		return
	}
	e.mu.Lock()
	disabled := e.setup.disabled[rec.Trigger]
	e.mu.Unlock()
	r := e.runnerOf(rec.Trigger)
	switch {
	case disabled:
		e.log.Warn("jobs of a disabled trigger wait until it is enabled again", "trigger", rec.Trigger, "event", rec.EventID)
	case r == nil:
		e.bury(rec, triggerGone)
	default:
		e.adopt(rec, r, nil)
	}
}

// adopt takes a job from the journal into memory; its collector's resume queues it.
// For a mailbox that no trigger watches any more there is a collector that only
// finishes what was begun. accepted is nil if the journal has had the job for long.
func (e *Engine) adopt(rec *journal.Job, r *runner, accepted *journal.Commit) *collector {
	_, backlog := rec.Extra[extraBacklog]
	j := &job{rec: rec, runner: r, rule: r.rule(), accepted: accepted, live: !backlog}
	if j.waitsForPerson() { // and somebody may have been there
		j.hasten(e.now())
	}
	r.adopt(rec.Size)
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.collector(rec.Mailbox, e.setup.connections[rec.Connection])
	c.adopt(j)
	return c
}

// resume queues the jobs that were taken up.
func (e *Engine) resume() {
	for _, c := range e.mailboxes() {
		c.resume()
	}
}

// watches reports whether the mailbox is watched.
func (e *Engine) watches(box journal.MailboxKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.byMailbox[box]
	return c != nil && c.watches()
}

func (e *Engine) bury(rec *journal.Job, reason string) *journal.Commit {
	e.log.Error("dead letter: "+reason, "trigger", rec.Trigger, "connection", rec.Connection,
		"mailbox", rec.Mailbox.Mailbox, "uid", rec.UID, "event", rec.EventID)
	return e.inter(e.runnerOf(rec.Trigger), rec, reason)
}

// Run watches and works until ctx ends, then lets running actions end (for a
// minute at most; what has not ended then is ended and tried again at the next
// start). It returns an error only if the journal can no longer be trusted: the
// process must end then.
func (e *Engine) Run(ctx context.Context) error {
	e.started.Store(true)
	e.resume()
	for _, c := range e.watchedMailboxes() {
		c.adjust()
	}
	e.checkVigils()
	e.reloading.Lock()
	for _, d := range e.directories {
		d.start()
	}
	e.reloading.Unlock()
	var err error
	select {
	case <-ctx.Done():
	case err = <-e.store.Failed():
		e.log.Error("the journal cannot be trusted any more; ending, so that a restart reads what is really on the disk", "err", err)
	}
	return errors.Join(err, e.stop())
}

// stop ends the watches, then the work.
func (e *Engine) stop() error {
	e.beginStop()
	e.reloading.Lock()
	defer e.reloading.Unlock()
	for _, d := range e.directories {
		d.stop()
	}
	e.mu.Lock()
	all := slices.Collect(maps.Values(e.byName))
	e.mu.Unlock()
	for _, r := range all {
		r.stop()
	}
	var wg sync.WaitGroup
	for _, c := range e.mailboxes() {
		wg.Go(c.close)
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

// Reconnect has the connection tried at once wherever it waits before it is tried
// again, and its refused logins forgiven: for when somebody has mended it.
func (e *Engine) Reconnect(connection string) {
	if cfg := e.connection(connection); cfg != nil {
		e.watcher.Forgive(cfg)
	}
	for _, c := range e.watchedMailboxes() {
		if w := c.watch.Load(); w != nil && w.Status().Connection == connection {
			w.Retry()
		}
	}
}

// localEnded is called when a job's local actions have all ended.
func (e *Engine) localEnded(j *job) { j.group.collector.localEnded(j) }

// endJob is the end of a job: it leaves the journal, or stays there as a dead letter.
func (e *Engine) endJob(j *job) {
	crashpoint.Hit("engine.job.ended")
	if a := j.dead(); a != nil {
		e.inter(j.runner, j.rec, fmt.Sprintf("action %s: %s", a.Name, a.Err))
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
type budget struct {
	most int64
	used atomic.Int64
}

// take counts n bytes if they fit.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.most {
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
