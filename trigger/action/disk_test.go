package action

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mailtrigger/trigger/event"
)

// A slowDisk is one of which the test lets each sync end.
type slowDisk struct {
	Disk
	syncs chan *slowSync // those that have begun
}

// A slowSync is a sync under way.
type slowSync struct {
	whole bool
	path  string
	end   chan error
}

// newSlowDisk returns a disk on which all files can be synced at once, or not.
func newSlowDisk(whole bool) *slowDisk {
	d := &slowDisk{syncs: make(chan *slowSync, 1000)}
	begin := func(whole bool) func(f *os.File) error {
		return func(f *os.File) error {
			s := &slowSync{whole, f.Name(), make(chan error)}
			d.syncs <- s
			return <-s.end
		}
	}
	d.SyncFile, d.SyncWhole = begin(false), begin(true)
	d.wholeFrom = wholeFrom
	if !whole {
		d.wholeFrom = 1 << 30
	}
	return d
}

// next ends all syncs that are under way once nothing else happens, and returns them.
func (d *slowDisk) next(err error) (ended []*slowSync) {
	settle()
	for range len(d.syncs) { // not those that begin as these end
		ended = append(ended, <-d.syncs)
	}
	for _, s := range ended {
		s.end <- err
	}
	return ended
}

// settle returns once nothing happens any more but what the test does.
func settle() {
	time.Sleep(10 * gatherFor) // of the bubble's time
	synctest.Wait()
}

// all ends all syncs until none begins, and says how many there were.
func (d *slowDisk) all() (n int) {
	for {
		ended := d.next(nil)
		if n += len(ended); len(ended) == 0 {
			return n
		}
	}
}

// saves begins n saves of a message each, as "00.eml" and so on. The results come once
// they have ended.
func saves(t *testing.T, d *Disk, dir string, n int) (results []Result, all *sync.WaitGroup) {
	results, all = make([]Result, n), new(sync.WaitGroup)
	for i := range n {
		a := ready(t, &Save{Common: Common{Name: fmt.Sprintf("%02d.eml", i)}, Place: Place{Directory: dir}})
		r := newRun(t, func(e *event.Event) { e.Raw = fmt.Appendf(nil, "%02d", i) })
		r.Key, r.Env.Disk = string(r.Event.Raw), d
		all.Go(func() { results[i] = a.Run(t.Context(), r) })
		if i == 0 {
			settle() // its sync is under way, and the others have to wait for it
		}
	}
	return results, all
}

// warm has the directory known, so that its own entry is not synced in a test.
func warm(t *testing.T, d *slowDisk, dir string) {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	d.learn(dir, identityOf(info))
}

// Saves at the same time share their syncs.
func TestSavesShareSyncs(t *testing.T) {
	for _, c := range []struct {
		whole bool
		want  int // syncs of 40 saves
	}{
		{true, 2 + 2},   // the first alone, and all others at once; so the names, which are of one directory
		{false, 40 + 2}, // the names alone
	} {
		synctest.Test(t, func(t *testing.T) {
			d, dir := newSlowDisk(c.whole), t.TempDir()
			warm(t, d, dir)
			results, all := saves(t, &d.Disk, dir, 40)
			if got := d.all(); got > c.want {
				t.Errorf("whole %v: %d syncs; want at most %d", c.whole, got, c.want)
			}
			all.Wait()
			for _, r := range results {
				wantDone(t, r)
			}
			if len(tree(t, dir)) != 40 || len(d.volumes) > 0 {
				t.Errorf("files %q, volumes %v", tree(t, dir), d.volumes)
			}
		})
	}
}

// A file has no name until its bytes are synced, and the action has not ended until
// the name is.
func TestSaveOrder(t *testing.T) {
	for _, conflict := range []string{conflictNumber, conflictSkip, conflictOverwrite} {
		synctest.Test(t, func(t *testing.T) {
			d, dir := newSlowDisk(true), t.TempDir()
			warm(t, d, dir)
			r := newRun(t, threeAttachments)
			r.Env.Disk = &d.Disk
			a := ready(t, &SaveAttachments{Place: Place{Directory: dir, Subdirectory: "{{.Attachment.Name}}", OnConflict: conflict}})
			ended := make(chan Result, 1)
			go func() { ended <- a.Run(t.Context(), r) }()
			var visible []int
			for step := d.next(nil); len(step) > 0; step = d.next(nil) {
				select {
				case <-ended:
					t.Fatal("it has ended before its last sync")
				default:
				}
				n := 0
				settle()
				for _, f := range tree(t, dir) {
					if !strings.Contains(f, tempPrefix) {
						n++
					}
				}
				visible = append(visible, n)
			}
			if got := fmt.Sprint(visible); got != "[3 3]" {
				t.Errorf("%s: after each sync there are %s files; want 3 after the first, and a second one", conflict, got)
			}
			wantDone(t, <-ended)
		})
	}
}

// What is there before the first sync ends.
func TestNothingNamedUnsynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newSlowDisk(true), t.TempDir()
		warm(t, d, dir)
		_, all := saves(t, &d.Disk, dir, 10)
		settle()
		for _, f := range tree(t, dir) {
			if !strings.Contains(f, tempPrefix) {
				t.Errorf("%s is there and not synced", f)
			}
		}
		d.all()
		all.Wait()
	})
}

// An error of a sync of the whole file system is one of all who write there, though
// they did not wait for this sync: it is told once.
func TestSharedSyncFails(t *testing.T) {
	for failing := range 4 { // the sync that fails
		synctest.Test(t, func(t *testing.T) {
			d, dir := newSlowDisk(true), t.TempDir()
			d.wholeFrom = 1
			warm(t, d, dir)
			results, all := saves(t, &d.Disk, dir, 10)
			for range failing {
				d.next(nil)
			}
			settle()
			safe := len(results)
			for _, r := range results {
				if len(r.Saved) == 0 {
					safe--
				}
			}
			d.next(syscall.EIO)
			if n := d.all(); n > 0 {
				t.Errorf("%d syncs after the one that failed", n)
			}
			all.Wait()
			for _, r := range results {
				if len(r.Saved) == 0 {
					wantFailure(t, r, Retry, "input/output error")
				}
			}
			if got := tree(t, dir); len(got) != safe {
				t.Errorf("sync %d failed: %q are there; %d were safe before", failing, got, safe)
			}
			results, all = saves(t, &d.Disk, dir, 10) // the next attempts
			d.all()
			all.Wait()
			for _, r := range results {
				wantDone(t, r)
			}
			if got := tree(t, dir); len(got) != 10 {
				t.Errorf("sync %d failed: %q are there in the end", failing, got)
			}
		})
	}
}

// An error of one file's sync is its own.
func TestOneSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newSlowDisk(false), t.TempDir()
		warm(t, d, dir)
		results, all := saves(t, &d.Disk, dir, 3)
		settle()
		bad := <-d.syncs
		bad.end <- syscall.EIO
		d.all()
		all.Wait()
		failed := 0
		for _, r := range results {
			if r.Outcome == Done {
				continue
			}
			failed++
			wantFailure(t, r, Retry, "input/output error")
		}
		if failed != 1 || len(tree(t, dir)) != 2 {
			t.Errorf("%d failed; %q are there", failed, tree(t, dir))
		}
	})
}

// The entry of a directory that was made is synced before anything in it has a name;
// that of one that was there, once.
func TestDirectoryEntriesAreSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newSlowDisk(false), t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "old"), 0o700); err != nil {
			t.Fatal(err)
		}
		save := func(sub string) (synced []string) {
			r := newRun(t)
			r.Env.Disk = &d.Disk
			a := ready(t, &Save{Place: Place{Directory: dir, Subdirectory: sub}})
			ended := make(chan Result, 1)
			go func() { ended <- a.Run(t.Context(), r) }()
			for step := d.next(nil); len(step) > 0; step = d.next(nil) {
				for _, s := range step {
					name, _ := filepath.Rel(filepath.Dir(dir), s.path)
					name = strings.TrimPrefix(name, filepath.Base(dir))
					synced = append(synced, filepath.Clean("/"+name))
				}
			}
			wantDone(t, <-ended)
			return synced
		}
		count := func(list []string, path string) (n int) {
			for _, p := range list {
				if p == path {
					n++
				}
			}
			return n
		}
		warm(t, d, dir)
		first := save("old")
		if count(first, "/") != 1 || count(first, "/old") == 0 {
			t.Errorf("first time: %q", first)
		}
		if again := save("old"); count(again, "/") > 0 {
			t.Errorf("second time: %q", again)
		}
		made := save("new/deep")
		if count(made, "/") != 1 || count(made, "/new") != 1 || count(made, "/new/deep") == 0 {
			t.Errorf("made: %q", made)
		}
	})
}
