package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// filled returns the directory of a closed journal with something in each bucket
// and pages of each kind.
func filled(t testing.TB) string {
	t.Helper()
	j := mustOpen(t, t.TempDir())
	for n := range 3 {
		b := &Batch{State: map[string][]byte{}}
		for i := range batchJobs {
			b.Jobs = append(b.Jobs, testJob(uint32(n*batchJobs+i), "a", "b"))
			b.Bodies = append(b.Bodies, bytes.Repeat([]byte("m"), 100+100*i))
			b.State[fmt.Sprintf("key-%d-%d", n, i)] = []byte("value")
		}
		b.Cursors = []CursorUpdate{{Mailbox: inbox, Trigger: "t", Cursor: Cursor{UID: 1}}}
		b.Seen = []SeenUpdate{{Mailbox: inbox, Seen: make([]Seen, 1000)}}
		b.Claims = []ClaimUpdate{{Trigger: "t", Add: make([]Claim, 1000)}}
		ok(t, j.Accept(b))
		ok(t, j.Bury(b.Jobs[0], "why"))
		ok(t, j.Remove(b.Jobs[1].Seq, nil))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return j.dir
}

func TestTornMetaPage(t *testing.T) {
	dir := filled(t)
	page := int64(os.Getpagesize())
	for meta := range int64(2) {
		torn := crashed(t, dir)
		overwrite(t, dbPath(torn), meta*page+16+40, []byte("torn"))
		if n := len(mustOpen(t, torn).Jobs()); n < 290 {
			t.Errorf("meta page %d: %d jobs", meta, n)
		}
	}
	both := crashed(t, dir)
	overwrite(t, dbPath(both), 16, []byte("torn"))
	overwrite(t, dbPath(both), page+16, []byte("torn"))
	refused(t, both)
}

// overwrite damages a file.
func overwrite(t testing.TB, name string, off int64, p []byte) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(p, off); err != nil {
		t.Fatal(err)
	}
}

// refused checks that a journal is called damaged, with what to do.
func refused(t *testing.T, dir string) {
	t.Helper()
	for _, readOnly := range []bool{false, true} {
		j, err := Open(dir, Options{ReadOnly: readOnly})
		if err == nil {
			j.Close()
			t.Error("a damaged journal was opened")
			return
		}
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("error %v", err)
		}
	}
}

func TestTruncated(t *testing.T) {
	dir := filled(t)
	st, err := os.Stat(dbPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	used := usedBytes(t, dbPath(dir))
	for _, size := range []int64{1, 100, 4096, 8192, 12288, 40000, used / 2, used - 1} {
		cut := crashed(t, dir)
		if err := os.Truncate(dbPath(cut), size); err != nil {
			t.Fatal(err)
		}
		refused(t, cut)
	}
	zero := crashed(t, dir)
	os.WriteFile(dbPath(zero), make([]byte, st.Size()), 0o600)
	refused(t, zero)
	text := crashed(t, dir)
	os.WriteFile(dbPath(text), bytes.Repeat([]byte("not a database\n"), 1000), 0o600)
	refused(t, text)
}

// usedBytes is where the last page ends that can be reached.
func usedBytes(t *testing.T, name string) int64 {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{r: bytes.NewReader(data), size: int64(len(data))}
	if err := c.walk(); err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for id := range c.seen {
		last = max(last, id)
	}
	return int64(last+1) * c.pageSize
}

// Bytes of a record that changed are found at Open, for each kind that is read there.
func TestFlippedRecords(t *testing.T) {
	dir := filled(t)
	for _, bucket := range [][]byte{bucketMeta, bucketMailboxes, bucketCursors, bucketState, bucketJobs, bucketDead, bucketHistory, bucketSeen, bucketClaims} {
		t.Run(string(bucket), func(t *testing.T) {
			bad := crashed(t, dir)
			db, err := bolt.Open(dbPath(bad), 0o600, boltOptions(false))
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bolt.Tx) error {
				b := tx.Bucket(bucket)
				k, v := b.Cursor().Last()
				if bytes.Equal(bucket, bucketMeta) {
					k, v = b.Cursor().First()
				}
				v = bytes.Clone(v)
				v[len(v)/2] ^= 0x10
				return b.Put(k, v)
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			refused(t, bad)
		})
	}
	t.Run("body", func(t *testing.T) {
		bad := crashed(t, dir)
		db, _ := bolt.Open(dbPath(bad), 0o600, boltOptions(false))
		err := db.Update(func(tx *bolt.Tx) error {
			k, v := tx.Bucket(bucketBodies).Cursor().Last()
			return tx.Bucket(bucketBodies).Put(k, append([]byte("x"), v[1:]...))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		j := mustOpen(t, bad)
		jobs := j.Jobs()
		if _, err := j.Body(jobs[len(jobs)-1]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("body: %v", err)
		}
	})
}

// Any page that is overwritten makes an error or changes nothing that is read: the child process, which
// opens the damaged file, never ends by a fault. bbolt alone would.
func TestDamagedPages(t *testing.T) {
	dir := filled(t)
	data, err := os.ReadFile(dbPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	data = data[:usedBytes(t, dbPath(dir))] // the rest is a hole
	page := os.Getpagesize()
	for n := 2; n < len(data)/page; n += 1 + len(data)/page/40 {
		for what, p := range map[string][]byte{
			"noise": bytes.Repeat([]byte{0xff}, 24), "zero": make([]byte, 24),
			"another's id": binary.NativeEndian.AppendUint64(nil, 3), "overflow": append(bytes.Clone(data[n*page:n*page+12]), 0xff, 0xff, 0, 0),
		} {
			copy := bytes.Clone(data)
			for i, c := range p {
				copy[n*page+i] = c
			}
			// The same check that Open makes, then bbolt's own walk.
			if checkFile(bytes.NewReader(copy), int64(len(copy))) != nil {
				continue
			}
			bad := filepath.Join(t.TempDir(), "db")
			os.WriteFile(bad, copy, 0o600)
			db, err := bolt.Open(bad, 0o600, boltOptions(false))
			if err != nil {
				t.Errorf("page %d, %s: the check lets pass what bbolt does not: %v", n, what, err)
				continue
			}
			db.Close()
		}
	}
}

func TestCheckFileOnGoodFiles(t *testing.T) {
	// Small and large pages, a freelist on the disk, nested buckets.
	for _, size := range []int{1 << 10, 4 << 10, 64 << 10} {
		name := filepath.Join(t.TempDir(), "db")
		db, err := bolt.Open(name, 0o600, &bolt.Options{PageSize: size})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			outer, _ := tx.CreateBucket([]byte("outer"))
			outer.CreateBucket([]byte("empty"))
			inner, _ := outer.CreateBucket([]byte("inner"))
			for i := range 2000 {
				if err := inner.Put(be(uint64(i)), make([]byte, i%300)); err != nil {
					return err
				}
			}
			return inner.Put([]byte("large"), make([]byte, 10*size))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkFile(bytes.NewReader(data), int64(len(data))); err != nil {
			t.Errorf("page size %d: %v", size, err)
		}
	}
}

func TestForeignDatabase(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(dbPath(dir), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "other program") {
		t.Errorf("error %v", err)
	}
}

func TestMigration(t *testing.T) {
	dir := t.TempDir()
	// Version 0: the buckets of an early journal.db, made by hand, and no version.
	db, err := bolt.Open(dbPath(dir), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucket(bucketMeta); err != nil {
			return err
		}
		jobs, err := tx.CreateBucket(bucketJobs)
		if err != nil {
			return err
		}
		return errors.Join(
			tx.Bucket(bucketMeta).Put(keyVersion, be(0)),
			tx.Bucket(bucketMeta).Put(keyNext, encodeNumber(6)),
			jobs.Put(be(5), encodeJob(testJob(1, "a"), bodyRef{})))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "start the daemon") {
		t.Errorf("reading an old version: %v", err)
	}
	j := mustOpen(t, dir)
	if jobs := j.Jobs(); len(jobs) != 1 || jobs[0].Seq != 5 {
		t.Errorf("jobs %+v", jobs)
	}
	job := testJob(2)
	accept(t, j, job, nil)
	if job.Seq != 6 {
		t.Errorf("the next sequence number is %d", job.Seq)
	}
	j.Close()

	// The next version's step runs once, whole or not at all.
	runs := 0
	fail := true
	next := append(steps[:len(steps):len(steps)], func(tx *bolt.Tx) error {
		runs++
		if err := tx.Bucket(bucketState).Put([]byte("migrated"), encodeState(fmt.Append(nil, runs))); err != nil {
			return err
		}
		if fail {
			return errors.New("half way")
		}
		return nil
	})
	if _, err := open(dir, Options{}, osFiles(), next); err == nil || !strings.Contains(err.Error(), "from version 2 to 3: half way") {
		t.Errorf("error %v", err)
	}
	j = mustOpen(t, dir)
	if s, _ := j.State(""); len(s) != 0 {
		t.Errorf("half a step was kept: %q", s)
	}
	j.Close()
	fail = false
	for range 2 {
		j, err := open(dir, Options{}, osFiles(), next)
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := j.State(""); string(s["migrated"]) != "2" || len(j.Jobs()) != 2 {
			t.Errorf("state %q", s)
		}
		j.Close()
	}
	// And this program refuses it now, without touching it.
	before, _ := os.ReadFile(dbPath(dir))
	for _, readOnly := range []bool{false, true} {
		if _, err := Open(dir, Options{ReadOnly: readOnly}); !errors.Is(err, ErrNewer) {
			t.Errorf("a newer version: %v", err)
		}
	}
	if after, _ := os.ReadFile(dbPath(dir)); !bytes.Equal(before, after) {
		t.Error("it was changed")
	}
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	j := mustOpen(t, dir)
	job := testJob(1)
	accept(t, j, job, make([]byte, MaxInline+1))
	j.Close()
	for _, name := range []string{"0000000000000099.eml", "0000000000000001.tmp", "keep.txt"} {
		os.WriteFile(filepath.Join(spoolPath(dir), name), nil, 0o600)
	}
	os.WriteFile(dbPath(dir)+".new", []byte("half"), 0o600)
	j = mustOpen(t, dir)
	list, _ := filepath.Glob(filepath.Join(spoolPath(dir), "*"))
	if len(list) != 2 || filepath.Base(list[1]) != "keep.txt" {
		t.Errorf("spool %v", list)
	}
	if body, err := j.Body(j.Jobs()[0]); err != nil || len(body) != MaxInline+1 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	j.Close()
	os.Remove(list[0])
	j = mustOpen(t, dir)
	if _, err := j.Body(j.Jobs()[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a spool file that is gone: %v", err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := Open(file, Options{}); err == nil {
		t.Error("a file is no directory")
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	j := mustOpen(t, dir)
	j.Close()
	for name, want := range map[string]os.FileMode{dir: 0o700, dbPath(dir): 0o600, resultsPath(dir): 0o600, spoolPath(dir): 0o700} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
}

// A disk that is really full, not one that says so.
func TestFullFileSystem(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})
	j, err := Open(dir, Options{FreeFloor: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	ballast := filepath.Join(dir, "ballast")
	var commits []*Commit
	var jobs []*Job
	uid := uint32(0)
	fill := func(size int) {
		for range 10 {
			uid++
			job := testJob(uid, "x")
			jobs = append(jobs, job)
			body := bytes.Repeat([]byte{byte(uid)}, size)
			commits = append(commits, j.Accept(&Batch{Jobs: []*Job{job}, Bodies: [][]byte{body},
				Cursors: []CursorUpdate{{Mailbox: inbox, Trigger: "t", Cursor: Cursor{UID: uid}}}}))
		}
	}
	fill(20 << 10)
	for _, c := range commits {
		ok(t, c)
	}
	ballastOf(t, ballast)
	fill(60 << 10)  // grows journal.db
	fill(100 << 10) // spool files
	// The disk is full: the health says so, or says it by an error; wait for it.
	for j.Health() == nil {
		if err := j.Accept(&Batch{State: map[string][]byte{fmt.Sprint(uid): make([]byte, 1<<16)}}).Wait(waitLittle(t)); err != nil {
			break
		}
	}
	if err := j.Health(); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("health %v", err)
	}
	// Crash now: what was reported is there.
	reported := 0
	for _, c := range commits {
		select {
		case <-c.Done():
			ok(t, c)
			reported++
		default:
		}
	}
	os.Remove(ballast)
	for _, c := range commits {
		ok(t, c)
	}
	t.Logf("%d of %d commits were reported on the full disk", reported, len(commits))
	if reported == len(commits) {
		t.Error("the disk was never full")
	}
	j.Close()
	j, err = Open(dir, Options{FreeFloor: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	list := j.Jobs()
	if len(list) != len(jobs) {
		t.Fatalf("%d jobs, not %d", len(list), len(jobs))
	}
	for i, job := range list {
		body, err := j.Body(job)
		if err != nil || job.UID != uint32(i)+1 || !bytes.Equal(body, bytes.Repeat([]byte{byte(job.UID)}, len(body))) || len(body) < 20<<10 {
			t.Errorf("job %d: %d bytes, %v", job.UID, len(body), err)
		}
	}
}
