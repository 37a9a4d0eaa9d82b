package journal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// Before its J1 is committed a job's body, cursor, state and identities can be read.
func TestReadBeforeCommit(t *testing.T) {
	f := newFaults()
	j := faulty(t, t.TempDir(), f)
	let := make(chan struct{})
	f.set(func() {
		f.commit = func(_ int, tx *bolt.Tx) error { <-let; return tx.Commit() }
	})
	var commits []*Commit
	for n, body := range [][]byte{[]byte("small"), bytes.Repeat([]byte("l"), MaxInline+1)} {
		job, uid := testJob(uint32(n)), uint32(n)
		commits = append(commits, j.Accept(&Batch{Jobs: []*Job{job}, Bodies: [][]byte{body},
			Cursors: []CursorUpdate{{Mailbox: inbox, Trigger: "t", Cursor: Cursor{UID: uid}}},
			State:   map[string][]byte{"k": fmt.Append(nil, n), "gone": nil},
			Seen:    []SeenUpdate{{Mailbox: inbox, Seen: []Seen{{UID: uid}}, Reset: n == 1}}}))
		if got, err := j.Body(job); err != nil || !bytes.Equal(got, body) {
			t.Errorf("body of %d bytes, %v", len(got), err)
		}
		if c, _ := j.Cursor(inbox, "t"); c.UID != uid || j.Cursors(inbox)["t"].UID != uid {
			t.Errorf("cursor %+v", c)
		}
		if s, err := j.State("k"); err != nil || string(s["k"]) != fmt.Sprint(n) {
			t.Errorf("state %q, %v", s, err)
		}
		if s, err := j.Seen(inbox); err != nil || !slices.Equal(s, []Seen{{UID: uid}}) {
			t.Errorf("seen %v, %v", s, err)
		}
	}
	close(let)
	for _, c := range commits {
		ok(t, c)
	}
}

// A spool file and its name are on the disk before the transaction that refers to it.
func TestSpoolIsSyncedFirst(t *testing.T) {
	var did []string
	fs := osFiles()
	real := fs
	fs.sync = func(f *os.File) error {
		did = append(did, "sync "+filepath.Ext(f.Name()))
		return real.sync(f)
	}
	fs.rename = func(from, to string) error { did = append(did, "rename"); return real.rename(from, to) }
	fs.commit = func(tx *bolt.Tx) error { did = append(did, "commit"); return real.commit(tx) }
	j, err := open(t.TempDir(), Options{FreeFloor: -1}, fs, steps)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	did = nil
	large := make([]byte, MaxInline+1)
	ok(t, j.Accept(&Batch{Jobs: []*Job{testJob(1), testJob(2)}, Bodies: [][]byte{large, bytes.Clone(large)}}))
	want := []string{"sync .tmp", "rename", "sync .tmp", "rename", "sync ", "commit"}
	if !slices.Equal(did, want) {
		t.Errorf("got %q, want %q", did, want)
	}
}

func TestMailboxes(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	key := func(name string) MailboxKey { return MailboxKey{Host: "h", User: "u", Mailbox: name} }
	fill := func(name string, uid uint32) {
		ok(t, j.Accept(&Batch{
			Mailboxes: []MailboxUpdate{{Mailbox: key(name), State: MailboxState{UIDValidity: uid}}},
			Cursors:   []CursorUpdate{{Mailbox: key(name), Trigger: "t", Cursor: Cursor{UID: uid}}},
			Seen:      []SeenUpdate{{Mailbox: key(name), Seen: []Seen{{UID: uid}}}}}))
	}
	fill("a", 1)
	fill("b", 2)
	fill("c", 3)
	ok(t, j.Accept(&Batch{Mailboxes: []MailboxUpdate{
		{Mailbox: key("b"), From: key("a"), State: MailboxState{UIDValidity: 11}}, // over one that is there
		{Mailbox: key("c"), Delete: true},
		{Mailbox: key("d"), Delete: true}, // was never there
		{Mailbox: key("e"), From: key("never"), State: MailboxState{UIDValidity: 5}},
	}}))
	// A mailbox of which only a cursor was said is there too.
	ok(t, j.Accept(&Batch{Cursors: []CursorUpdate{{Mailbox: key("f"), Trigger: "t", Cursor: Cursor{UID: 6}}}}))
	ok(t, j.Accept(&Batch{Cursors: []CursorUpdate{{Mailbox: key("f"), Trigger: "t", Delete: true}, {Mailbox: key("g"), Delete: true}}}))
	check := func() {
		t.Helper()
		got := map[string]uint32{}
		for k, s := range j.Mailboxes() {
			got[k.Mailbox] = s.UIDValidity
		}
		same(t, got, map[string]uint32{"b": 11, "e": 5, "f": 0})
		if c, ok := j.Cursor(key("b"), "t"); !ok || c.UID != 1 {
			t.Errorf("the cursor of the renamed mailbox is %+v", c)
		}
		if s, err := j.Seen(key("b")); err != nil || !slices.Equal(s, []Seen{{UID: 1}}) {
			t.Errorf("its identities are %v, %v", s, err)
		}
		for _, name := range []string{"a", "c", "f", "g"} {
			if c, ok := j.Cursor(key(name), "t"); ok {
				t.Errorf("%s has a cursor %+v", name, c)
			}
			if s, _ := j.Seen(key(name)); len(s) > 0 {
				t.Errorf("%s has identities %v", name, s)
			}
		}
	}
	check()
	j = reopened(t, j)
	check()
	fill("a", 21) // as new
	if s, _ := j.Seen(key("a")); !slices.Equal(s, []Seen{{UID: 21}}) {
		t.Errorf("identities of a new mailbox: %v", s)
	}
}

func TestIdentitySetIsBounded(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	uid := uint32(0)
	add := func(n int) {
		u := SeenUpdate{Mailbox: inbox}
		for range n {
			uid++
			u.Seen = append(u.Seen, Seen{UID: uid, Hash: uint64(uid)})
		}
		ok(t, j.Accept(&Batch{Seen: []SeenUpdate{u}}))
	}
	check := func() {
		t.Helper()
		s, err := j.Seen(inbox)
		if err != nil {
			t.Fatal(err)
		}
		if len(s) < min(int(uid), MaxSeen) || len(s) >= MaxSeen+chunkLen {
			t.Fatalf("%d entries of %d", len(s), uid)
		}
		for i, e := range s {
			if want := uid - uint32(len(s)-1-i); e.UID != want || e.Hash != uint64(want) {
				t.Fatalf("entry %d is %+v, not %d", i, e, want)
			}
		}
	}
	for _, n := range []int{1, chunkLen - 2, 1, 1, chunkLen, 3 * chunkLen, 5} {
		add(n)
		check()
	}
	for uid < MaxSeen {
		add(1 << 18)
	}
	for _, n := range []int{1, chunkLen - 1, chunkLen, 10*chunkLen + 7} {
		add(n)
		check()
	}
	j = reopened(t, j)
	check()
	add(100)
	check()
	ok(t, j.Accept(&Batch{Seen: []SeenUpdate{{Mailbox: inbox, Reset: true}}}))
	j = reopened(t, j)
	if s, err := j.Seen(inbox); err != nil || len(s) != 0 {
		t.Errorf("%d entries, %v", len(s), err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	const more = 50
	for n := 0; n < HistoryLen+more; n += more {
		b := &Batch{}
		for i := range more {
			b.Jobs = append(b.Jobs, testJob(uint32(n+i)))
		}
		ok(t, j.Accept(b))
		for i, job := range b.Jobs {
			if i%2 == 0 {
				ok(t, j.Bury(job, "why"))
			} else {
				j.Remove(job.Seq, nil)
			}
		}
	}
	if err := j.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(j *Journal, newest uint32) {
		t.Helper()
		h := j.History(HistoryLen + more)
		if len(h) != HistoryLen {
			t.Fatalf("%d lines", len(h))
		}
		for i, line := range h {
			if line.UID != newest-uint32(i) {
				t.Fatalf("line %d is of message %d", i, line.UID)
			}
		}
		if len(j.History(3)) != 3 || len(j.History(-1)) != 0 {
			t.Error("not as many lines as asked for")
		}
	}
	check(j, HistoryLen+more-1)
	j = reopened(t, j)
	job := testJob(HistoryLen + more)
	accept(t, j, job, nil)
	ok(t, j.Remove(job.Seq, nil))
	check(j, HistoryLen+more)
}

// More than may wait is refused, not kept in memory without end.
func TestPendingIsBounded(t *testing.T) {
	fs, let := osFiles(), make(chan struct{})
	fs.write = func(_ *os.File, p []byte) (int, error) { return len(p), nil } // do not fill the disk
	j, err := open(t.TempDir(), Options{FreeFloor: -1}, fs, steps)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	j.fs.commit = func(tx *bolt.Tx) error { <-let; return tx.Commit() } // no commit is under way
	body := make([]byte, 64<<20)                                        // the same memory each time
	var last *Commit
	n := 0
	for ; n < 20; n++ {
		job := testJob(uint32(n))
		c := j.Accept(&Batch{Jobs: []*Job{job}, Bodies: [][]byte{body}})
		select {
		case <-c.Done():
			fails(t, c, ErrBusy)
			if job.Seq != 0 || job.HasBody() {
				t.Error("a job that was refused has a number")
			}
		default:
			last = c
			continue
		}
		break
	}
	if n != MaxPending/len(body)-1 && n != MaxPending/len(body) {
		t.Errorf("%d were taken", n)
	}
	close(let)
	ok(t, last)
	if err := j.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pending != 0 {
		t.Errorf("%d bytes still count as waiting", j.pending)
	}
}
