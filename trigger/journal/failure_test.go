package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// faults are errors to put into what the journal does to the disk.
type faults struct {
	mu     sync.Mutex
	commit func(n int, tx *bolt.Tx) error // n counts from 1; nil: as always
	log    func(n int, p []byte) (int, error)
	write  func(n int) error
	sync   func(n int) error
	rename func(n int) error
	room   int64 // free bytes; below 0: plenty

	commits, logs, writes, syncs, renames int
}

func newFaults() *faults { return &faults{room: -1} }

// set changes the faults while the journal runs.
func (f *faults) set(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

func (f *faults) files() files {
	real := osFiles()
	with := real
	with.commit = func(tx *bolt.Tx) error {
		f.mu.Lock()
		f.commits++
		n, fault := f.commits, f.commit
		f.mu.Unlock()
		if fault == nil {
			return real.commit(tx)
		}
		return fault(n, tx)
	}
	with.writeAt = func(file *os.File, p []byte, off int64) (int, error) {
		f.mu.Lock()
		f.logs++
		n, fault := f.logs, f.log
		f.mu.Unlock()
		if fault != nil {
			keep, err := fault(n, p)
			if err != nil || keep < len(p) {
				real.writeAt(file, p[:keep], off)
				return keep, err
			}
		}
		return real.writeAt(file, p, off)
	}
	with.write = func(file *os.File, p []byte) (int, error) {
		if err := f.one(&f.writes, &f.write); err != nil {
			n, _ := real.write(file, p[:len(p)/2])
			return n, err
		}
		return real.write(file, p)
	}
	with.sync = func(file *os.File) error {
		if err := f.one(&f.syncs, &f.sync); err != nil {
			return err
		}
		return real.sync(file)
	}
	with.rename = func(from, to string) error {
		if err := f.one(&f.renames, &f.rename); err != nil {
			return err
		}
		return real.rename(from, to)
	}
	with.free = func(string) (int64, bool, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.room, f.room >= 0, nil
	}
	return with
}

func (f *faults) one(n *int, fault *func(int) error) error {
	f.mu.Lock()
	*n++
	k, fn := *n, *fault
	f.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn(k)
}

func faulty(t *testing.T, dir string, f *faults) *Journal {
	t.Helper()
	j, err := open(dir, Options{}, f.files(), steps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// crashed returns a copy of a state directory as a crash would leave it now.
func crashed(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// The errors as they come from the system.
var (
	full        = &fs.PathError{Op: "write", Path: "journal.db", Err: syscall.ENOSPC}
	errGrow     = fmt.Errorf("file resize error: %s", &fs.PathError{Op: "truncate", Path: "journal.db", Err: syscall.ENOSPC}) // as bbolt words it
	badSync     = error(syscall.EIO)
	fullSync    = error(syscall.ENOSPC) // bbolt returns fdatasync's errno as it is
	badWrite    = &fs.PathError{Op: "write", Path: "journal.db", Err: syscall.EIO}
	errGrowSync = fmt.Errorf("file sync error: %s", &fs.PathError{Op: "sync", Path: "journal.db", Err: syscall.ENOSPC})
)

func TestIsFull(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false}, {full, true}, {errGrow, true}, {badSync, false}, {fullSync, false}, {badWrite, false}, {errGrowSync, false},
		{&fs.PathError{Op: "write", Err: syscall.EDQUOT}, true}, {&fs.PathError{Op: "sync", Err: syscall.ENOSPC}, false},
		{&fs.PathError{Op: "open", Err: syscall.ENOSPC}, true}, {bolterrors.ErrTxClosed, false}, {ErrCorrupt, false},
		{fmt.Errorf("wrapped: %w", full), true},
	} {
		if got := isFull(c.err); got != c.want {
			t.Errorf("isFull(%v) = %v", c.err, got)
		}
	}
}

// everything does one of each mutation and returns when all are durable.
func everything(t *testing.T, j *Journal) {
	t.Helper()
	large := bytes.Repeat([]byte("L"), MaxInline+10)
	archive := MailboxKey{Host: "h", User: "u", Mailbox: "Archive"}
	a, b, c, d := testJob(1, "x", "y"), testJob(2, "x"), testJob(3, "x"), testJob(4, "x")
	hashes := make([]Seen, 300)
	for i := range hashes {
		hashes[i] = Seen{UID: uint32(i), Hash: uint64(i) << 32}
	}
	when := time.Unix(1e9, 0)
	for _, job := range []*Job{a, b, c, d} {
		job.Accepted = when
	}
	ok(t, j.Accept(&Batch{
		Mailboxes: []MailboxUpdate{{Mailbox: inbox, State: MailboxState{UIDValidity: 1, Horizon: when}}, {Mailbox: archive, State: MailboxState{Horizon: when}}},
		Cursors:   []CursorUpdate{{Mailbox: inbox, Trigger: "t", Cursor: Cursor{UID: 4}}, {Mailbox: archive, Trigger: "t", Cursor: Cursor{UID: 9}}},
		Seen:      []SeenUpdate{{Mailbox: inbox, Seen: hashes}, {Mailbox: archive, Seen: hashes[:5]}},
		State:     map[string][]byte{"a": []byte("1"), "b": []byte("2")},
		Jobs:      []*Job{a, b, c, d}, Bodies: [][]byte{large, []byte("b"), large, large[:MaxInline+5]},
	}))
	ok(t, j.Result(a.Seq, 0, Result{State: Done, Saved: []string{"/a"}}))
	a.Actions[1].Attempt = 1
	ok(t, j.Update(a))
	ok(t, j.Accept(&Batch{Seen: []SeenUpdate{{Mailbox: inbox, Seen: hashes[:7]}, {Mailbox: archive, Reset: true, Seen: hashes[:2]}}}))
	ok(t, j.Result(b.Seq, 0, Result{State: Skipped}))
	ok(t, j.Remove(b.Seq, &Batch{State: map[string][]byte{"a": nil, "c": []byte("3")}}))
	ok(t, j.Bury(c, "reason c"))
	ok(t, j.Bury(d, "reason d"))
	if err := j.Discard(letterID(d.Seq)); err != nil {
		t.Fatal(err)
	}
	_, err := j.Unbury(letterID(c.Seq))
	for range 100 { // while the disk is short it is refused at once
		if !errors.Is(err, ErrNoSpace) {
			break
		}
		time.Sleep(retryMax) // of the bubble's time
		_, err = j.Unbury(letterID(c.Seq))
	}
	if err != nil {
		t.Fatal(err)
	}
	renamed := MailboxKey{Host: "h", User: "u", Mailbox: "Old"}
	ok(t, j.Accept(&Batch{
		Mailboxes: []MailboxUpdate{{Mailbox: renamed, From: inbox, State: MailboxState{UIDValidity: 2, Horizon: when}}, {Mailbox: archive, Delete: true}},
		Cursors:   []CursorUpdate{{Mailbox: renamed, Trigger: "new", Cursor: Cursor{UID: 5}}, {Mailbox: renamed, Trigger: "t", Delete: true}},
		Updates:   []*Job{a},
	}))
}

// dump is the whole content of a journal's database.
func dump(t *testing.T, j *Journal) string {
	t.Helper()
	var b strings.Builder
	err := j.view(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			return bucket.ForEach(func(k, v []byte) error {
				fmt.Fprintf(&b, "%s/%x = %x\n", name, k, v)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(spoolPath(j.dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		fmt.Fprintln(&b, "spool", e.Name())
	}
	return b.String()
}

// Every commit fails once, half of the errors after the transaction has landed:
// what is there at the end is what is there without an error.
func TestAmbiguousCommits(t *testing.T) {
	clock := func() time.Time { return time.Unix(1700000000, 0) }
	run := func(t *testing.T, f *faults) string {
		var got string
		synctest.Test(t, func(t *testing.T) {
			j, err := open(t.TempDir(), Options{Now: clock}, f.files(), steps)
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			everything(t, j)
			if err := j.Health(); err != nil {
				t.Errorf("health at the end: %v", err)
			}
			got = dump(t, j)
		})
		return got
	}
	want := run(t, newFaults())
	for name, landed := range map[string]func(n int) bool{
		"landed":     func(int) bool { return true },
		"not landed": func(int) bool { return false },
		"both":       func(n int) bool { return n%4 < 2 },
	} {
		for _, fault := range []error{full, errGrow} {
			t.Run(name, func(t *testing.T) {
				f := newFaults()
				f.commit = func(n int, tx *bolt.Tx) error {
					switch {
					case n == 1 || n%2 == 1: // Open's own, and each second try
						return tx.Commit()
					case landed(n):
						if err := tx.Commit(); err != nil {
							return err
						}
					default:
						tx.Rollback()
					}
					return fault
				}
				if got := run(t, f); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
				if f.commits < 20 {
					t.Errorf("only %d commits were tried", f.commits)
				}
			})
		}
	}
}

func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaults()
		j := faulty(t, t.TempDir(), f)
		old := testJob(1, "x")
		accept(t, j, old, nil)
		f.set(func() {
			f.commit = func(_ int, tx *bolt.Tx) error {
				tx.Rollback()
				old.Actions[0].Attempt++
				j.Update(old) // what comes during a commit that fails is applied after it
				return full
			}
		})
		c := j.Accept(&Batch{Jobs: []*Job{testJob(2)}})
		time.Sleep(25 * time.Second) // of fake time
		select {
		case <-c.Done():
			t.Fatal("a commit was reported that did not succeed")
		default:
		}
		if err := j.Health(); !errors.Is(err, ErrNoSpace) {
			t.Errorf("health %v", err)
		}
		f.set(func() {
			if f.commits > 12 {
				t.Errorf("%d tries in 25 s", f.commits)
			}
		})
		if _, err := j.State(""); err != nil {
			t.Errorf("reading meanwhile: %v", err)
		}
		f.set(func() { f.commit = nil })
		ok(t, c)
		synctest.Wait()
		if err := j.Health(); err != nil {
			t.Errorf("health afterwards: %v", err)
		}
		if err := j.Sync(t.Context()); err != nil {
			t.Error(err)
		}
		jobs := mustOpen(t, crashed(t, j.dir)).Jobs()
		if len(jobs) != 2 || jobs[0].Actions[0].Attempt != old.Actions[0].Attempt {
			t.Errorf("jobs %+v", jobs)
		}
	})
}

// While only what grows fails, the rest is not held up for long.
func TestFullDiskLetsTheRestThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaults()
		j := faulty(t, t.TempDir(), f)
		old := testJob(1, "x")
		accept(t, j, old, nil)
		f.set(func() {
			f.write = func(int) error { return full } // spool files
		})
		c := j.Accept(&Batch{Jobs: []*Job{testJob(2, "x")}, Bodies: [][]byte{make([]byte, MaxInline+1)}})
		synctest.Wait()
		start := time.Now()
		ok(t, j.Result(old.Seq, 0, Result{State: Done}))
		ok(t, j.Remove(old.Seq, nil))
		if d := time.Since(start); d > 3*retryMax {
			t.Errorf("a result waited %v", d)
		}
		if c.Err() != nil || j.Health() == nil {
			t.Errorf("commit %v, health %v", c.Err(), j.Health())
		}
		f.set(func() { f.write = nil })
		ok(t, c)
		if list, _ := os.ReadDir(spoolPath(j.dir)); len(list) != 1 {
			t.Errorf("spool has %v", list)
		}
	})
}

func TestFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaults()
		j := faulty(t, t.TempDir(), f)
		a, b := testJob(1, "x", "y"), testJob(2, "x")
		accept(t, j, a, nil)
		accept(t, j, b, nil)
		f.set(func() { f.room = DefaultFreeFloor - 1 })
		grows := testJob(3, "x")
		held := j.Accept(&Batch{Jobs: []*Job{grows}, State: map[string][]byte{"n": []byte("1")}})
		b.Actions[0].Attempt = 1
		heldToo := j.Accept(&Batch{Updates: []*Job{b}, State: map[string][]byte{"n": []byte("2")}})
		b.Actions[0].Attempt = 2
		after := j.Update(b) // about a job that something held is about
		ofHeld := j.Update(grows)
		started := make(chan *Commit)
		go func() { started <- j.Result(grows.Seq, 0, Result{State: Done}) }()

		ok(t, j.Result(a.Seq, 0, Result{State: Done}))
		ok(t, j.Update(a))
		ok(t, j.Bury(a, "why"))
		time.Sleep(time.Minute)
		result := <-started // it does not wait for ever for its J1, but is not done either
		for i, c := range []*Commit{held, heldToo, after, ofHeld, result} {
			select {
			case <-c.Done():
				t.Errorf("commit %d was not held", i)
			default:
			}
		}
		if err := j.Health(); !errors.Is(err, ErrNoSpace) {
			t.Errorf("health %v", err)
		}
		if s, _ := j.State("n"); string(s["n"]) != "2" {
			t.Errorf("state %q", s)
		}
		f.set(func() { f.room = DefaultFreeFloor })
		for _, c := range []*Commit{held, heldToo, after, ofHeld, result} {
			ok(t, c)
		}
		synctest.Wait()
		if err := j.Health(); err != nil {
			t.Errorf("health afterwards: %v", err)
		}
		j2 := mustOpen(t, crashed(t, j.dir))
		jobs := j2.Jobs()
		if len(jobs) != 2 || jobs[0].Actions[0].Attempt != 2 || jobs[1].Actions[0].State != Done {
			t.Errorf("jobs %+v", jobs)
		}
		if s, _ := j2.State("n"); string(s["n"]) != "2" {
			t.Errorf("state %q", s)
		}
	})
}

// An idle journal becomes healthy again without anything being asked of it.
func TestFloorIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaults()
		j := faulty(t, t.TempDir(), f)
		a := testJob(1, "x")
		accept(t, j, a, nil)
		f.set(func() { f.room = 0 })
		ok(t, j.Update(a))
		if err := j.Health(); !errors.Is(err, ErrNoSpace) {
			t.Errorf("health %v", err)
		}
		f.set(func() { f.room = DefaultFreeFloor })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if err := j.Health(); err != nil {
			t.Errorf("health %v", err)
		}
	})
}

// Whoever asks about dead letters while the disk is full is answered: a letter cannot be
// tried again, and can be dropped, which makes room.
func TestLettersWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaults()
		j := faulty(t, t.TempDir(), f)
		a, b := testJob(1, "x"), testJob(2, "x")
		accept(t, j, a, nil)
		accept(t, j, b, nil)
		ok(t, j.Bury(a, "why"))
		ok(t, j.Bury(b, "why"))
		f.set(func() { f.room = 0 })
		j.Accept(&Batch{Jobs: []*Job{testJob(3, "x")}}) // which is held
		synctest.Wait()
		letters, err := j.DeadLetters()
		if err != nil || len(letters) != 2 {
			t.Fatalf("%d letters, %v", len(letters), err)
		}
		if _, err := j.Unbury(letters[0].ID); !errors.Is(err, ErrNoSpace) {
			t.Errorf("retry: %v", err)
		}
		if err := j.Discard(letters[1].ID); err != nil {
			t.Errorf("discard: %v", err)
		}
		if letters, err := j.DeadLetters(); err != nil || len(letters) != 1 {
			t.Errorf("%d letters left, %v", len(letters), err)
		}
		f.set(func() { f.room = DefaultFreeFloor })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if _, err := j.Unbury(letters[0].ID); err != nil {
			t.Errorf("retry with room again: %v", err)
		}
	})
}

func TestCloseWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaults()
		j := faulty(t, t.TempDir(), f)
		f.set(func() { f.room = 0 })
		job := testJob(1, "x")
		c := j.Accept(&Batch{Jobs: []*Job{job}})
		r := j.Result(job.Seq, 0, Result{State: Done})
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		fails(t, c, ErrClosed)
		fails(t, r, ErrClosed)
		if n := len(mustOpen(t, j.dir).Jobs()); n != 0 {
			t.Errorf("%d jobs", n)
		}
	})
}

// A result waits for its J1: not before is it in the log.
func TestResultWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaults()
		j := faulty(t, t.TempDir(), f)
		let := make(chan struct{})
		f.set(func() {
			f.commit = func(_ int, tx *bolt.Tx) error { <-let; return tx.Commit() }
		})
		job := testJob(1, "x")
		j.Accept(&Batch{Jobs: []*Job{job}})
		r := make(chan *Commit, 1)
		go func() { r <- j.Result(job.Seq, 0, Result{State: Done}) }()
		synctest.Wait()
		f.set(func() {
			if len(r) != 0 || f.logs != 1 { // the header
				t.Error("a result did not wait for its J1")
			}
		})
		time.Sleep(stuckAfter + time.Second)
		if err := j.Health(); !errors.Is(err, ErrStuck) {
			t.Errorf("health %v", err)
		}
		close(let)
		ok(t, <-r)
		if err := j.Health(); err != nil {
			t.Errorf("health %v", err)
		}
	})
}

// After a failed sync nothing is reported as done, and nothing more is tried.
func TestFailedDisk(t *testing.T) {
	for _, fault := range []error{badSync, fullSync, badWrite, errGrowSync} {
		for _, landed := range []bool{false, true} {
			t.Run(fmt.Sprint(fault, landed), func(t *testing.T) {
				f := newFaults()
				j := faulty(t, t.TempDir(), f)
				old := testJob(1, "x")
				accept(t, j, old, nil)
				f.set(func() {
					f.commit = func(_ int, tx *bolt.Tx) error {
						if landed {
							tx.Commit()
						} else {
							tx.Rollback()
						}
						return fault
					}
				})
				c := j.Accept(&Batch{Jobs: []*Job{testJob(2, "x")}})
				if err := c.Wait(t.Context()); err == nil {
					t.Fatal("reported as done")
				}
				if err := <-j.Failed(); err == nil {
					t.Error("no error")
				}
				if j.Health() == nil {
					t.Error("healthy")
				}
				n := f.commits
				for _, c := range []*Commit{j.Update(old), j.Result(old.Seq, 0, Result{State: Done}), j.Remove(old.Seq, nil)} {
					<-c.Done()
					if c.Err() == nil {
						t.Error("reported as done after the failure")
					}
				}
				if err := j.Close(); err != nil {
					t.Error(err)
				}
				if f.commits != n {
					t.Error("another commit was tried")
				}
				want := 1
				if landed {
					want = 2
				}
				before, err := os.Stat(dbPath(j.dir))
				if err != nil {
					t.Fatal(err)
				}
				// A start that cannot write the file anew leaves everything as it is.
				still := newFaults()
				still.sync = func(int) error { return badSync }
				if _, err := open(j.dir, Options{}, still.files(), steps); !errors.Is(err, badSync) {
					t.Errorf("on a disk that fails still: %v", err)
				}
				if n := len(mustOpen(t, j.dir).Jobs()); n != want {
					t.Errorf("%d jobs", n)
				}
				after, err := os.Stat(dbPath(j.dir))
				if err != nil || os.SameFile(before, after) {
					t.Errorf("journal.db was not written anew: %v", err)
				}
				if _, err := os.Stat(markPath(j.dir)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the mark is still there: %v", err)
				}
			})
		}
	}
}

// A spool file's failed sync is a failed disk, unless it is only full.
func TestSpoolFaults(t *testing.T) {
	large := make([]byte, MaxInline+1)
	for name, put := range map[string]func(f *faults, err error){
		"write":  func(f *faults, err error) { f.write = func(int) error { return err } },
		"sync":   func(f *faults, err error) { f.sync = func(int) error { return err } },
		"rename": func(f *faults, err error) { f.rename = func(int) error { return err } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFaults()
				j := faulty(t, t.TempDir(), f)
				f.set(func() { put(f, &fs.PathError{Op: name, Err: syscall.ENOSPC}) })
				c := j.Accept(&Batch{Jobs: []*Job{testJob(1)}, Bodies: [][]byte{large}})
				time.Sleep(time.Minute)
				if err := j.Health(); !errors.Is(err, ErrNoSpace) {
					t.Fatalf("health %v", err)
				}
				f.set(func() { f.write, f.sync, f.rename = nil, nil, nil })
				ok(t, c)
				f.set(func() { put(f, &fs.PathError{Op: name, Err: syscall.EIO}) })
				c = j.Accept(&Batch{Jobs: []*Job{testJob(2)}, Bodies: [][]byte{large}})
				if c.Wait(t.Context()) == nil || <-j.Failed() == nil {
					t.Error("reported as done")
				}
				j2 := mustOpen(t, crashed(t, j.dir))
				jobs := j2.Jobs()
				if len(jobs) != 1 {
					t.Fatalf("%d jobs", len(jobs))
				}
				if body, err := j2.Body(jobs[0]); err != nil || len(body) != len(large) {
					t.Errorf("%d bytes, %v", len(body), err)
				}
				if list, _ := os.ReadDir(spoolPath(j2.dir)); len(list) != 1 {
					t.Errorf("spool %v", list)
				}
			})
		})
	}
}

// Where results.log cannot be written, Result waits for the commit; a torn
// record is written over.
func TestLogFaults(t *testing.T) {
	for name, fault := range map[string]func(n int, p []byte) (int, error){
		"full":        func(int, []byte) (int, error) { return 0, full },
		"torn":        func(_ int, p []byte) (int, error) { return len(p) / 2, full },
		"short write": func(_ int, p []byte) (int, error) { return len(p) - 1, nil },
		"broken":      func(int, []byte) (int, error) { return 0, badWrite },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaults()
			j := faulty(t, t.TempDir(), f)
			job := testJob(1, "a", "b", "c")
			accept(t, j, job, nil)
			f.set(func() { f.log = fault })
			c := j.Result(job.Seq, 0, Result{State: Done})
			select {
			case <-c.Done():
			default:
				t.Error("Result did not wait for the commit")
			}
			ok(t, c)
			if j.Errors() == 0 {
				t.Error("not counted")
			}
			f.set(func() { f.log = nil; f.commit = func(_ int, tx *bolt.Tx) error { tx.Rollback(); return full } })
			j.Result(job.Seq, 1, Result{State: Done, Saved: []string{"/x"}})
			j.Result(job.Seq, 2, Result{State: Skipped})
			jobs := mustOpen(t, crashed(t, j.dir)).Jobs() // nothing of it was committed
			for i, want := range []ActionStatus{Done, Done, Skipped} {
				if got := jobs[0].Actions[i].State; got != want {
					t.Errorf("action %d is %v", i, got)
				}
			}
		})
	}
}

// A result with more paths than the log takes is committed at once.
func TestLargeResult(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	job := testJob(1, "a")
	accept(t, j, job, nil)
	c := j.Result(job.Seq, 0, Result{State: Done, Saved: []string{strings.Repeat("p", maxPayload)}})
	select {
	case <-c.Done():
	default:
		t.Error("Result did not wait")
	}
	if jobs := mustOpen(t, crashed(t, j.dir)).Jobs(); len(jobs[0].Actions[0].Saved) != 1 {
		t.Errorf("%+v", jobs[0].Actions)
	}
}

func TestReplay(t *testing.T) {
	f := newFaults()
	j := faulty(t, t.TempDir(), f)
	job := testJob(1, "a", "b")
	accept(t, j, job, nil)
	f.set(func() { f.commit = func(_ int, tx *bolt.Tx) error { tx.Rollback(); return full } })
	j.Result(job.Seq, 0, Result{State: Done, Saved: []string{"/x", ""}})
	image := crashed(t, j.dir)
	log, err := os.ReadFile(resultsPath(image))
	if err != nil || len(log) <= resultsHeader {
		t.Fatalf("log of %d bytes, %v", len(log), err)
	}
	check := func(name, dir string, want ActionStatus) {
		t.Helper()
		j := mustOpen(t, dir)
		defer j.Close()
		if got := j.Jobs()[0].Actions[0].State; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	again := crashed(t, image)
	check("whole", again, Done)
	check("and once more", again, Done)

	torn := crashed(t, image)
	os.Truncate(resultsPath(torn), int64(len(log)-1))
	check("torn", torn, Waiting)

	flipped := crashed(t, image)
	bad := bytes.Clone(log)
	bad[len(bad)-1] ^= 1
	os.WriteFile(resultsPath(flipped), bad, 0o600)
	check("flipped", flipped, Waiting)

	// A log of another epoch says nothing: its sequence numbers may be other jobs'.
	stale := crashed(t, again)
	other, err := appendLogRecord(bytes.Clone(log[:resultsHeader]), &loggedResult{seq: job.Seq, action: 1, Result: Result{State: Done}})
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(resultsPath(stale), other, 0o600)
	db := mustOpen(t, stale)
	if a := db.Jobs()[0].Actions; a[0].State != Done || a[1].State != Waiting {
		t.Errorf("actions %+v", a)
	}
	db.Close()
	foreign := crashed(t, image)
	copy(log, appendLogHeader(nil, 99))
	os.WriteFile(resultsPath(foreign), log, 0o600)
	check("another epoch", foreign, Waiting)

	alone := crashed(t, image)
	os.Remove(dbPath(alone))
	if n := len(mustOpen(t, alone).Jobs()); n != 0 {
		t.Errorf("%d jobs", n)
	}
	if list, _ := filepath.Glob(filepath.Join(alone, "*")); len(list) != 4 {
		t.Errorf("files %v", list)
	}
}

// A long log is not emptied while one of its results is not committed.
func TestLogIsKept(t *testing.T) {
	f := newFaults()
	j := faulty(t, t.TempDir(), f)
	first, second := testJob(1, "a"), testJob(2, "a")
	ok(t, j.Accept(&Batch{Jobs: []*Job{first, second}}))
	begun, let := make(chan struct{}, 10), make(chan struct{})
	f.set(func() {
		f.commit = func(_ int, tx *bolt.Tx) error { begun <- struct{}{}; <-let; return tx.Commit() }
	})
	c := j.Result(first.Seq, 0, Result{State: Done, Saved: []string{strings.Repeat("s", reclaimAt)}})
	<-begun // its group is closed: the next result is not in it
	j.Result(second.Seq, 0, Result{State: Done})
	let <- struct{}{}
	ok(t, c)
	<-begun
	jobs := mustOpen(t, crashed(t, j.dir)).Jobs()
	if jobs[1].Actions[0].State != Done {
		t.Error("a result is lost")
	}
	close(let)
}

// The log is emptied in time, even if results never pause.
func TestLogIsReclaimed(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	const workers, jobs, each = 8, 15, 10
	var wg sync.WaitGroup
	for w := range workers {
		b := &Batch{}
		for n := range jobs {
			job := testJob(uint32(w*jobs + n))
			for i := range each {
				job.Actions = append(job.Actions, ActionState{Name: fmt.Sprint(i)})
			}
			b.Jobs = append(b.Jobs, job)
		}
		ok(t, j.Accept(b))
		wg.Go(func() {
			for n := range jobs * each {
				j.Result(b.Jobs[n/each].Seq, n%each, Result{State: Done, Saved: []string{strings.Repeat("s", 4000)}})
				if st, err := os.Stat(resultsPath(j.dir)); err != nil || st.Size() > drainAt+8<<10 {
					t.Errorf("the log has %d bytes, %v", st.Size(), err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := j.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.Close()
	if st, err := os.Stat(resultsPath(j.dir)); err != nil || st.Size() != resultsHeader {
		t.Errorf("the log has %d bytes, %v", st.Size(), err)
	}
	for _, job := range mustOpen(t, j.dir).Jobs() {
		for i, a := range job.Actions {
			if a.State != Done {
				t.Fatalf("job %d: action %d is %v", job.Seq, i, a.State)
			}
		}
	}
}

// ballastOf fills a file system.
func ballastOf(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 1<<12; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// waitLittle is a context for a commit that may not come.
func waitLittle(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
