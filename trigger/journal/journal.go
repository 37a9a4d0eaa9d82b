package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A Journal is an open ledger. Its methods are safe for concurrent use. Those
// that return a Commit return at once (Result excepted) and change nothing in
// what they are given after they have returned.
type Journal struct {
	dir      string
	log      *slog.Logger
	now      func() time.Time
	floor    int64
	readOnly bool
	fs       files
	lock     *os.File
	results  *resultsLog // nil in a journal opened for reading

	dbmu sync.RWMutex // held for writing while journal.db is closed and opened again
	db   *bolt.DB

	mu          sync.Mutex // everything below
	mailboxes   map[MailboxKey]*mailbox
	nextMailbox uint64
	claims      map[string]*chunkList // by trigger
	live        map[uint64]*entry
	dead        map[uint64]*deadEntry
	bodies      map[uint64]int // how many jobs and dead letters have a body
	shared      map[string]string
	loaded      []*Job // until Jobs
	handed      bool   // Jobs has returned them
	next        uint64 // sequence number
	reserved    uint64 // durable bound of next
	nextLine    uint64 // of history
	epoch       uint64
	queue       []*op
	asked       uint64 // number of the last mutation
	pending     int    // bytes in queue and in flight
	inflight    []*op
	since       time.Time // when inflight was begun
	closing     bool
	health      error         // nil: healthy
	trouble     chan struct{} // closed while health is not nil
	failure     error         // not nil: nothing is written any more

	wake    chan struct{} // capacity 1: something is queued, or closing
	stopped chan struct{} // the writer has ended
	failed  chan error
	errors  atomic.Uint64
}

// mailbox is what is in memory of a mailbox: all but its identity set.
type mailbox struct {
	id      uint64
	state   MailboxState
	cursors map[string]Cursor
	seen    chunkList // the identity set
}

// entry is what is in memory of a job.
type entry struct {
	trigger  string
	names    []string // of the actions
	finals   []Result // what Result has said, by action; nil: nothing yet
	body     bodyRef
	accepted *Commit
}

func newEntry(job *Job, accepted *Commit) *entry {
	e := &entry{trigger: job.Trigger, body: job.body, accepted: accepted, names: make([]string, len(job.Actions))}
	for i := range job.Actions {
		e.names[i] = job.Actions[i].Name
		if a := &job.Actions[i]; a.State.final() {
			e.setFinal(i, Result{State: a.State, Saved: a.Saved})
		}
	}
	return e
}

func (e *entry) setFinal(action int, r Result) {
	if e.finals == nil {
		e.finals = make([]Result, len(e.names))
	}
	e.finals[action] = Result{State: r.State, Saved: slices.Clone(r.Saved)}
}

// deadEntry is what is in memory of a dead letter.
type deadEntry struct {
	trigger string
	body    bodyRef
	buried  *Commit
}

// finished is the commit of what was read at Open.
var finished = failedCommit(nil)

func newJournal(dir string, o Options, f files) *Journal {
	j := &Journal{
		dir: dir, log: o.Log, now: o.Now, floor: o.FreeFloor, readOnly: o.ReadOnly, fs: f,
		mailboxes: map[MailboxKey]*mailbox{}, nextMailbox: 1, claims: map[string]*chunkList{},
		live: map[uint64]*entry{}, dead: map[uint64]*deadEntry{}, bodies: map[uint64]int{}, shared: map[string]string{},
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), failed: make(chan error, 1), trouble: make(chan struct{}),
	}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	if j.now == nil {
		j.now = time.Now
	}
	if j.floor == 0 {
		j.floor = DefaultFreeFloor
	}
	return j
}

// share returns one copy of a name that many records have.
func (j *Journal) share(s string) string {
	if t, ok := j.shared[s]; ok {
		return t
	}
	s = strings.Clone(s)
	j.shared[s] = s
	return s
}

// view reads the database.
func (j *Journal) view(fn func(tx *bolt.Tx) error) error {
	j.dbmu.RLock()
	defer j.dbmu.RUnlock()
	if j.db == nil {
		return ErrClosed
	}
	return j.db.View(fn)
}

// Jobs returns the jobs that were open at the start, in the order of Seq, with
// what the results log knew. It returns them once: they are the caller's.
func (j *Journal) Jobs() []*Job {
	jobs, _ := j.handOver()
	return jobs
}

// handOver returns what Jobs does, and whether it is the first time.
func (j *Journal) handOver() (jobs []*Job, first bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	jobs, first = j.loaded, !j.handed
	j.loaded, j.handed = nil, true
	return jobs, first
}

// OpenJobs returns the jobs that have not ended, in the order of Seq: at the start
// what Jobs returns, later, for an engine that takes over from another in the same
// process, as they are stored. Nothing else may work on them then.
func (j *Journal) OpenJobs(ctx context.Context) ([]*Job, error) {
	if jobs, first := j.handOver(); first {
		return jobs, nil
	}
	if err := j.Sync(ctx); err != nil {
		return nil, err
	}
	var jobs []*Job
	err := j.view(func(tx *bolt.Tx) error {
		return each(tx, bucketJobs, func(k, v []byte) error {
			seq, err := number(k)
			if err != nil {
				return err
			}
			job, err := decodeJob(seq, v, nil)
			jobs = append(jobs, job)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	open := jobs[:0]
	for _, job := range jobs {
		e := j.live[job.Seq]
		if e == nil {
			continue
		}
		job.Trigger = e.trigger
		for i, r := range e.finals {
			if a := &job.Actions[i]; r.State.final() {
				a.State, a.Saved = r.State, r.Saved
			}
		}
		open = append(open, job)
	}
	return open, nil
}

// Body returns a job's or a dead letter's message, nil if it has none. The bytes
// may be shared: they are not to be changed.
func (j *Journal) Body(job *Job) ([]byte, error) {
	ref := job.body
	if ref.id == 0 {
		return nil, nil
	}
	body, err := j.body(ref)
	if err == nil && (int64(len(body)) != ref.size || checksum(body) != ref.crc) {
		err = damaged("the body has changed")
	}
	if err != nil {
		return nil, fmt.Errorf("message of job %d: %w", job.Seq, err)
	}
	return body, nil
}

func (j *Journal) body(ref bodyRef) (body []byte, err error) {
	if body, ok := j.pendingBody(ref.id); ok {
		return body, nil
	}
	if ref.spool {
		return readSpool(j.dir, ref)
	}
	err = j.view(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketBodies).Get(be(ref.id))
		if v == nil {
			return damaged("it has no body")
		}
		body = bytes.Clone(v)
		return nil
	})
	return body, err
}

// pendingBody looks for a body whose J1 is not committed yet.
func (j *Journal) pendingBody(id uint64) ([]byte, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range j.waiting() {
		for _, b := range o.bodies {
			if b.id == id {
				return b.data, true
			}
		}
	}
	return nil, false
}

// waiting returns what is not committed, in order. j.mu is held.
func (j *Journal) waiting() []*op { return slices.Concat(j.inflight, j.queue) }

// Mailbox returns what was last said of a mailbox.
func (j *Journal) Mailbox(key MailboxKey) (MailboxState, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if m := j.mailboxes[key]; m != nil {
		return m.state, true
	}
	return MailboxState{}, false
}

// Mailboxes returns all mailboxes.
func (j *Journal) Mailboxes() map[MailboxKey]MailboxState {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make(map[MailboxKey]MailboxState, len(j.mailboxes))
	for k, m := range j.mailboxes {
		all[k] = m.state
	}
	return all
}

// Cursor returns how far a trigger is in a mailbox, as last accepted.
func (j *Journal) Cursor(key MailboxKey, trigger string) (Cursor, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	m := j.mailboxes[key]
	if m == nil {
		return Cursor{}, false
	}
	c, ok := m.cursors[trigger]
	c.Backfill = slices.Clone(c.Backfill)
	return c, ok
}

// Cursors returns the cursors in a mailbox by trigger, as last accepted.
func (j *Journal) Cursors(key MailboxKey) map[string]Cursor {
	j.mu.Lock()
	defer j.mu.Unlock()
	m := j.mailboxes[key]
	if m == nil {
		return nil
	}
	all := maps.Clone(m.cursors)
	for name, c := range all {
		c.Backfill = slices.Clone(c.Backfill)
		all[name] = c
	}
	return all
}

// State returns the trigger state whose keys begin with prefix, as last accepted.
func (j *Journal) State(prefix string) (map[string][]byte, error) {
	j.mu.Lock() // no commit is reported meanwhile, so nothing falls between the database and the queue
	defer j.mu.Unlock()
	all := map[string][]byte{}
	err := j.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketState).Cursor()
		for k, v := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, v = c.Next() {
			p, err := decodeState(v)
			if err != nil {
				return fmt.Errorf("%w: trigger state %q: %w", ErrCorrupt, k, err)
			}
			all[string(k)] = p
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, o := range j.waiting() {
		for key, v := range o.state {
			switch {
			case !strings.HasPrefix(key, prefix):
			case v == nil:
				delete(all, key)
			default:
				all[key] = bytes.Clone(v)
			}
		}
	}
	return all, nil
}

// DeadCounts returns the number of dead letters by trigger.
func (j *Journal) DeadCounts() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := map[string]int{}
	for _, d := range j.dead {
		n[d.trigger]++
	}
	return n
}

// History returns the last n lines, the newest first; fewer if there are fewer.
func (j *Journal) History(n int) []HistoryEntry {
	type line struct {
		n uint64
		HistoryEntry
	}
	var lines []line
	err := j.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketHistory).ForEach(func(_, v []byte) error {
			n, h, err := decodeHistory(v)
			lines = append(lines, line{n, h})
			return err
		})
	})
	if err != nil {
		j.log.Warn("history cannot be read", "err", err)
		return nil
	}
	slices.SortFunc(lines, func(a, b line) int { return -compare(a.n, b.n) })
	h := make([]HistoryEntry, 0, min(max(n, 0), len(lines)))
	for _, l := range lines[:cap(h)] {
		h = append(h, l.HistoryEntry)
	}
	return h
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Health returns nil if what is accepted is being committed, else why it is not:
// then nothing new should be accepted or started. ErrNoSpace passes by itself,
// ErrStuck (a commit takes over 30 seconds) if the disk comes back.
func (j *Journal) Health() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.failure != nil:
		return j.failure
	case j.closing:
		return ErrClosed
	case len(j.inflight) > 0 && time.Since(j.since) > stuckAfter:
		return fmt.Errorf("%w: a commit has been going on for %v", ErrStuck, time.Since(j.since).Round(time.Second))
	}
	return j.health
}

// setHealth says how the journal is.
func (j *Journal) setHealth(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case err != nil && j.health == nil:
		close(j.trouble)
	case err == nil && j.health != nil:
		j.trouble = make(chan struct{})
	}
	j.health = err
}

// Failed gives one error, and is then closed, when the disk has failed: what is on it
// is not known any more, every pending Commit has ended with that error, and the process
// should end; the next Open writes journal.db anew.
func (j *Journal) Failed() <-chan error { return j.failed }

// Errors returns how many commits have failed.
func (j *Journal) Errors() uint64 { return j.errors.Load() }

// Close commits what is queued, if the disk lets it, and closes. What could
// not be committed ends with ErrClosed; its messages are fetched again.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closing {
		j.mu.Unlock()
		<-j.stopped
		return nil
	}
	j.closing = true
	j.mu.Unlock()
	if j.readOnly {
		close(j.stopped)
		return j.closeFiles()
	}
	j.notify()
	j.results.letGo()
	<-j.stopped
	return j.closeFiles()
}

// closeFiles closes what is open.
func (j *Journal) closeFiles() error {
	j.dbmu.Lock()
	defer j.dbmu.Unlock()
	var errs []error
	if j.results != nil {
		errs = append(errs, j.results.close())
	}
	if j.db != nil {
		errs = append(errs, j.db.Close())
		j.db = nil
	}
	if j.lock != nil {
		errs = append(errs, j.lock.Close())
		j.lock = nil
	}
	return errors.Join(errs...)
}

// Sync waits until everything that was asked for before is committed.
func (j *Journal) Sync(ctx context.Context) error { return j.Accept(&Batch{}).Wait(ctx) }

func (j *Journal) notify() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}
