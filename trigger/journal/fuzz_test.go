package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// What decodes encodes again to a value that decodes to the same, and no bytes end the process. The CRC
// is put right first: without it nothing would get past the seal.
func FuzzRecord(f *testing.F) {
	job := testJob(3, "a", "b")
	job.Actions[1] = ActionState{Name: "b", State: Dead, Attempt: 3, Next: time.Unix(2e9, 7), Since: time.Unix(1e9, 0), Saved: []string{"/x"}, Err: "e", Output: []byte("o")}
	for _, v := range [][]byte{
		encodeJob(job, bodyRef{id: 3, size: 9, crc: 7, spool: true}),
		encodeJob(&Job{}, bodyRef{}),
		encodeDead(job, bodyRef{}, "reason", time.Unix(1, 0)),
		encodeMailbox(inbox, MailboxState{UIDValidity: 1, UIDNext: 2, Horizon: time.Unix(5, 0), Held: "h"}),
		encodeCursor(Cursor{UIDValidity: 1, UID: 9, Backfill: []Range{{1, 2}}, BackfillPos: 1}),
		encodeHistory(9, &HistoryEntry{Seq: 9, Outcome: "done", Actions: []HistoryAction{{"a", Done, 1}}}),
		encodeSeen([]Seen{{1, 2}, {3, 4}}),
		encodeState([]byte("state")),
		encodeNumber(77),
	} {
		f.Add(v[:len(v)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v := (&encoder{b: bytes.Clone(b)}).seal()
		check := func(got, again any, err error) {
			t.Helper()
			if err != nil || !reflect.DeepEqual(got, again) {
				t.Fatalf("decoded\n%+v\nagain\n%+v\n%v", got, again, err)
			}
		}
		if j, err := decodeJob(1, v, map[string]string{}); err == nil {
			again, err := decodeJob(1, encodeJob(j, j.body), nil)
			clip(j)
			check(j, again, err)
		}
		if d, err := decodeDead(1, v); err == nil {
			again, err := decodeDead(1, encodeDead(d.Job, d.Job.body, d.Reason, d.When))
			clip(d.Job)
			d.Reason = cut(d.Reason, MaxErr)
			check(d, again, err)
		}
		if k, s, err := decodeMailbox(v); err == nil {
			k2, s2, err := decodeMailbox(encodeMailbox(k, s))
			s.Held = cut(s.Held, MaxErr)
			check(k, k2, err)
			check(s, s2, err)
		}
		if c, err := decodeCursor(v); err == nil {
			again, err := decodeCursor(encodeCursor(c))
			check(c, again, err)
		}
		if n, h, err := decodeHistory(v); err == nil {
			n2, _, err := decodeHistory(encodeHistory(n, &h))
			check(n, n2, err)
		}
		if s, err := decodeSeen(v); err == nil {
			again, err := decodeSeen(encodeSeen(s))
			check(s, again, err)
		}
		if s, err := decodeState(v); err == nil {
			again, err := decodeState(encodeState(s))
			check(s, again, err)
		}
		if n, err := decodeNumber(v); err == nil {
			again, err := decodeNumber(encodeNumber(n))
			check(n, again, err)
		}
	})
}

// clip cuts what encoding cuts.
func clip(j *Job) {
	for i := range j.Actions {
		a := &j.Actions[i]
		a.Err = cut(a.Err, MaxErr)
		a.Output = a.Output[:min(len(a.Output), MaxOutput)]
	}
}

// Whatever is in the log, what is taken from it is what was written whole.
func FuzzResultsLog(f *testing.F) {
	log := appendLogHeader(nil, 5)
	f.Add(log)
	for i := range 3 {
		log, _ = appendLogRecord(log, &loggedResult{seq: uint64(i), action: i, Result: Result{State: Done, Saved: make([]string, i)}})
	}
	f.Add(log)
	f.Add(log[:len(log)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, used, ok := parseLog(b, 5)
		if !ok {
			if len(rs) > 0 || used > 0 {
				t.Fatal("a log of another epoch says something")
			}
			return
		}
		again := appendLogHeader(nil, 5)
		for i := range rs {
			var err error
			if again, err = appendLogRecord(again, &rs[i]); err != nil {
				t.Fatal(err)
			}
		}
		rs2, used2, ok2 := parseLog(again, 5)
		if !ok2 || used2 != len(again) || !reflect.DeepEqual(rs, rs2) {
			t.Fatalf("%+v is read again as %+v", rs, rs2)
		}
		// A torn tail takes nothing of what is before it.
		rs3, _, _ := parseLog(append(bytes.Clone(b[:used]), 1, 2, 3), 5)
		if !reflect.DeepEqual(rs, rs3) {
			t.Fatal("a torn tail changes what is before it")
		}
	})
}

// A file that passes the check is one that bbolt opens: three changes to a good
// file, the sum of the meta page put right.
func FuzzCheckFile(f *testing.F) {
	dir := f.TempDir()
	name := filepath.Join(dir, "good")
	db, err := bolt.Open(name, 0o600, &bolt.Options{PageSize: 1 << 10, NoFreelistSync: true})
	if err != nil {
		f.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, _ := tx.CreateBucket([]byte("b"))
		tx.CreateBucket([]byte("c"))
		for i := range 60 {
			if err := b.Put(be(uint64(i)), make([]byte, 40+i*30%1500)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	db.Close()
	good, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	c := &checker{r: bytes.NewReader(good), size: int64(len(good))}
	if err := c.walk(); err != nil {
		f.Fatal(err)
	}
	last := uint64(0)
	for id := range c.seen {
		last = max(last, id)
	}
	good = good[:(last+1)<<10]
	f.Add(uint32(0), byte(0), uint32(0), byte(0), uint32(0), byte(0))
	f.Add(uint32(3<<10+8), byte(1), uint32(5<<10+12), byte(2), uint32(16), byte(9))
	f.Fuzz(func(t *testing.T, a uint32, x byte, b uint32, y byte, c uint32, z byte) {
		bad := bytes.Clone(good)
		bad[int(a)%len(bad)] ^= x
		bad[int(b)%len(bad)] ^= y
		bad[int(c)%len(bad)] ^= z
		if checkFile(bytes.NewReader(bad), int64(len(bad))) != nil {
			return
		}
		name := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.Open(name, 0o600, boltOptions(false))
		if err != nil {
			t.Fatalf("the check lets pass what bbolt does not: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
