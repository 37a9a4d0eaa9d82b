package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"mailtrigger/trigger/crashpoint"
)

// Options are how a journal is opened. The zero value is good.
type Options struct {
	Log       *slog.Logger     // nil: silent
	Now       func() time.Time // nil: time.Now
	FreeFloor int64            // bytes of free disk to keep; 0: 64 MiB; below 0: none
	ReadOnly  bool             // to look at the dead letters where no daemon runs; changes nothing
}

// DefaultFreeFloor is the free disk space below which nothing new is accepted.
const DefaultFreeFloor = 64 << 20

// seqBlock is how many sequence numbers are reserved at a time.
const seqBlock = 1 << 16

// Open opens the journal in a state directory, and makes both if they are
// missing. What a crash left over is put right: logged results are committed,
// spool files that nothing refers to are removed. Errors are ErrLocked, ErrNewer,
// ErrCorrupt, or others of the file system's; each says what to do.
func Open(dir string, o Options) (*Journal, error) {
	return open(dir, o, osFiles(), steps)
}

func open(dir string, o Options, f files, steps []step) (_ *Journal, err error) {
	j := newJournal(dir, o, f)
	defer func() {
		caught(recover(), &err)
		if err != nil {
			j.closeFiles()
			err = fmt.Errorf("state directory %s: %w", dir, advise(err))
		}
	}()
	if err := j.prepareDir(); err != nil {
		return nil, err
	}
	if j.lock, err = lockDir(dir, o.ReadOnly); err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		if err := j.renew(); err != nil {
			return nil, err
		}
		if err := j.createDB(steps); err != nil {
			return nil, err
		}
	}
	if err := j.openDB(); err != nil {
		return nil, err
	}
	if err := j.bringUp(steps); err != nil {
		return nil, err
	}
	l := &loader{j: j, intern: map[string]string{}, spool: map[uint64]bool{}}
	if err := j.db.View(l.load); err != nil {
		return nil, err
	}
	changed, err := j.replay(l)
	if err != nil {
		return nil, err
	}
	if o.ReadOnly {
		return j, nil
	}
	crashpoint.Hit("journal.open.replayed")
	if err := j.begin(changed); err != nil {
		return nil, err
	}
	crashpoint.Hit("journal.open.committed")
	n, err := sweepSpool(dir, l.spool)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		j.log.Info("removed spool files that no job refers to", "count", n)
	}
	crashpoint.Hit("journal.open.swept")
	if j.results, err = openResults(dir, &j.fs, j.epoch); err != nil {
		j.log.Warn("results log cannot be written: each result is committed at once", "err", err)
	}
	go j.write()
	return j, nil
}

// advise adds to an error what a person can do.
func advise(err error) error {
	switch {
	case errors.Is(err, ErrCorrupt), errors.Is(err, errRecord):
		if !errors.Is(err, ErrCorrupt) {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return fmt.Errorf("%w; put journal.db back from a backup, or move it away together with results.log and spool:"+
			" the mailboxes are then taken as seen for the first time", err)
	case isFull(err):
		return fmt.Errorf("%w; make room on the disk and start again", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; the directory and its files must belong to the user of the service", err)
	}
	return err
}

func (j *Journal) prepareDir() error {
	if j.readOnly {
		_, err := os.Stat(dbPath(j.dir))
		return err
	}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	return os.MkdirAll(spoolPath(j.dir), 0o700)
}

// createDB makes a journal.db where there is none: under another name, complete and
// synced, then renamed. So an existing journal.db was once whole.
func (j *Journal) createDB(steps []step) error {
	if _, err := os.Stat(dbPath(j.dir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp := dbPath(j.dir) + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := j.fs.openDB(temp, boltOptions(false))
	if err != nil {
		return err
	}
	_, err = migrate(db, steps)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// A log without its journal: its sequence numbers will be given anew.
	if err := os.Remove(resultsPath(j.dir)); err == nil {
		j.log.Warn("results.log without its journal.db: removed")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	crashpoint.Hit("journal.create.written")
	if err := os.Rename(temp, dbPath(j.dir)); err != nil {
		return err
	}
	crashpoint.Hit("journal.create.named")
	if err := j.fs.syncDir(j.dir); err != nil {
		return err
	}
	// The directory's own name, if it is new; a parent that cannot be opened is not ours to sync.
	if err := j.fs.syncDir(filepath.Dir(filepath.Clean(j.dir))); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// caught makes an error of a panic: bbolt panics on what it calls impossible.
func caught(r any, err *error) {
	if r != nil {
		*err = damaged("%v", r)
	}
}

// openDB checks and opens journal.db.
func (j *Journal) openDB() (err error) {
	defer func() { caught(recover(), &err) }()
	f, err := os.Open(dbPath(j.dir))
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil {
		err = checkFile(f, st.Size())
	}
	f.Close()
	if err != nil {
		return err
	}
	if j.db, err = j.fs.openDB(dbPath(j.dir), boltOptions(j.readOnly)); errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("%w: something else has journal.db open", ErrLocked)
	}
	return err
}

// bringUp brings an older version up to this one.
func (j *Journal) bringUp(steps []step) error {
	if j.readOnly {
		return j.db.View(func(tx *bolt.Tx) error {
			v, err := version(tx)
			switch {
			case err != nil:
				return err
			case v > len(steps):
				return ErrNewer
			case v < len(steps):
				return fmt.Errorf("the journal has version %d, this program %d: start the daemon once, it brings it up to date", v, len(steps))
			}
			return nil
		})
	}
	from, err := migrate(j.db, steps)
	if err == nil && from != len(steps) {
		j.log.Info("journal brought up to date", "from", from, "to", len(steps))
	}
	return err
}

// loader reads everything but bodies, history and identity sets into memory.
type loader struct {
	j      *Journal
	intern map[string]string
	spool  map[uint64]bool // bodies that are spool files
}

func (l *loader) load(tx *bolt.Tx) error {
	for _, b := range buckets {
		if tx.Bucket(b) == nil {
			return damaged("it has no bucket %s", b)
		}
	}
	for _, step := range []func(*bolt.Tx) error{l.meta, l.mailboxes, l.cursors, l.seen, l.claims, l.state, l.jobs, l.dead, l.history} {
		if err := step(tx); err != nil {
			return err
		}
	}
	return nil
}

// each calls fn for each record of a bucket, and says which one was wrong.
func each(tx *bolt.Tx, bucket []byte, fn func(k, v []byte) error) error {
	return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
		if err := fn(k, v); err != nil {
			return fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, bucket, k, err)
		}
		return nil
	})
}

// number reads a key of 8 bytes.
func number(k []byte) (uint64, error) {
	if len(k) != 8 {
		return 0, fmt.Errorf("%w: its key has %d bytes", errRecord, len(k))
	}
	return binary.BigEndian.Uint64(k), nil
}

func (l *loader) meta(tx *bolt.Tx) (err error) {
	meta := tx.Bucket(bucketMeta)
	if l.j.next, err = decodeNumber(meta.Get(keyNext)); err == nil {
		l.j.epoch, err = decodeNumber(meta.Get(keyEpoch))
	}
	if err != nil {
		return fmt.Errorf("%w: meta: %w", ErrCorrupt, err)
	}
	l.j.reserved = l.j.next
	return nil
}

func (l *loader) mailboxes(tx *bolt.Tx) error {
	return each(tx, bucketMailboxes, func(k, v []byte) error {
		id, err := number(k)
		if err != nil {
			return err
		}
		key, state, err := decodeMailbox(v)
		if err != nil {
			return err
		}
		if l.j.mailboxes[key] != nil {
			return fmt.Errorf("%w: %v is there twice", errRecord, key)
		}
		l.j.mailboxes[key] = &mailbox{id: id, state: state, cursors: map[string]Cursor{}}
		l.j.nextMailbox = max(l.j.nextMailbox, id+1)
		return nil
	})
}

func (l *loader) cursors(tx *bolt.Tx) error {
	byID := map[uint64]*mailbox{}
	for _, m := range l.j.mailboxes {
		byID[m.id] = m
	}
	return each(tx, bucketCursors, func(k, v []byte) error {
		if len(k) < 8 || byID[binary.BigEndian.Uint64(k)] == nil {
			return fmt.Errorf("%w: a cursor of no mailbox", errRecord)
		}
		c, err := decodeCursor(v)
		byID[binary.BigEndian.Uint64(k)].cursors[string(k[8:])] = c
		return err
	})
}

// seen finds where each mailbox's identity set begins and ends.
func (l *loader) seen(tx *bolt.Tx) error {
	c := tx.Bucket(bucketSeen).Cursor()
	for _, m := range l.j.mailboxes {
		var err error
		if m.seen, err = loadList(c, bucketSeen, be(m.id)); err != nil {
			return err
		}
	}
	return nil
}

// state checks that every value decodes: State reads them later.
func (l *loader) state(tx *bolt.Tx) error {
	return each(tx, bucketState, func(_, v []byte) error { return unseal(kindState, v).err })
}

func (l *loader) jobs(tx *bolt.Tx) error {
	return each(tx, bucketJobs, func(k, v []byte) error {
		seq, err := number(k)
		if err != nil {
			return err
		}
		job, err := decodeJob(seq, v, l.intern)
		if err != nil {
			return err
		}
		l.j.loaded = append(l.j.loaded, job)
		l.j.live[seq] = newEntry(job, finished)
		l.keep(job.body)
		return l.below(seq)
	})
}

func (l *loader) dead(tx *bolt.Tx) error {
	return each(tx, bucketDead, func(k, v []byte) error {
		seq, err := number(k)
		if err != nil {
			return err
		}
		d, err := decodeDead(seq, v)
		if err != nil {
			return err
		}
		l.j.dead[seq] = &deadEntry{trigger: l.j.share(d.Job.Trigger), body: d.Job.body, buried: finished}
		l.keep(d.Job.body)
		return l.below(seq)
	})
}

// below checks that a sequence number was given before.
func (l *loader) below(seq uint64) error {
	if seq == 0 || seq >= l.j.next {
		return fmt.Errorf("%w: its sequence number was never given", errRecord)
	}
	return nil
}

func (l *loader) keep(body bodyRef) {
	if body.id == 0 {
		return
	}
	l.j.bodies[body.id]++
	if body.spool {
		l.spool[body.id] = true
	}
}

func (l *loader) history(tx *bolt.Tx) error {
	return each(tx, bucketHistory, func(_, v []byte) error {
		n, _, err := decodeHistory(v)
		l.j.nextLine = max(l.j.nextLine, n+1)
		return err
	})
}

// replay puts the logged results into the jobs, in memory, and returns the jobs
// that it changed.
func (j *Journal) replay(l *loader) ([]*Job, error) {
	b, err := readResults(j.dir)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	rs, used, ok := parseLog(b, j.epoch)
	switch {
	case !ok:
		// The log of another epoch was committed before this epoch began.
		j.log.Debug("results log is of an earlier start: ignored")
		return nil, nil
	case used < len(b) && len(bytes.TrimLeft(b[used:], "\x00")) > 0:
		j.log.Warn("results log ends in a torn record: ignored from there on", "offset", used, "size", len(b))
	}
	bySeq := make(map[uint64]*Job, len(j.loaded))
	for _, job := range j.loaded {
		bySeq[job.Seq] = job
	}
	changed := map[uint64]*Job{}
	for i := range rs {
		r := &rs[i]
		job := bySeq[r.seq]
		if job == nil || r.action >= len(job.Actions) {
			continue // removed since
		}
		a := &job.Actions[r.action]
		if a.State != r.State {
			changed[r.seq] = job
		}
		a.State, a.Saved, a.Next, a.Err = r.State, r.Saved, time.Time{}, ""
		j.live[r.seq].setFinal(r.action, r.Result)
	}
	list := make([]*Job, 0, len(changed))
	for _, job := range changed {
		list = append(list, job)
	}
	if len(list) > 0 {
		j.log.Info("took over results from the log", "jobs", len(list))
	}
	return list, nil
}

// begin commits what was replayed, the next epoch and a reserve of sequence numbers.
func (j *Journal) begin(changed []*Job) error {
	tx, err := j.db.Begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, job := range changed {
		if err := tx.Bucket(bucketJobs).Put(be(job.Seq), encodeJob(job, job.body)); err != nil {
			return err
		}
	}
	j.epoch++
	j.reserved = j.next + seqBlock
	meta := tx.Bucket(bucketMeta)
	if err := errors.Join(meta.Put(keyEpoch, encodeNumber(j.epoch)), meta.Put(keyNext, encodeNumber(j.reserved))); err != nil {
		return err
	}
	return j.fs.commit(tx)
}
