package journal

import (
	"bytes"
	"testing"
)

// Claims come back in their order, whatever was forgotten, committed or not.
func TestClaims(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	first, next := map[string]uint32{}, map[string]uint32{}
	change := func(trigger string, add, forget int) *Commit {
		u := ClaimUpdate{Trigger: trigger, Forget: forget}
		for range add {
			u.Add = append(u.Add, Claim{At: next[trigger], Hash: uint64(next[trigger]) << 32})
			next[trigger]++
		}
		first[trigger] += uint32(forget / ClaimChunk * ClaimChunk)
		return j.Accept(&Batch{Claims: []ClaimUpdate{u}})
	}
	check := func() {
		t.Helper()
		for trigger, from := range first {
			claims, err := j.Claims(trigger)
			if err != nil || len(claims) != int(next[trigger]-from) {
				t.Fatalf("%s: %d claims, want %d; %v", trigger, len(claims), next[trigger]-from, err)
			}
			for i, c := range claims {
				if want := from + uint32(i); c.At != want || c.Hash != uint64(want)<<32 {
					t.Fatalf("%s: claim %d is %+v, want %d", trigger, i, c, want)
				}
			}
		}
	}
	for _, n := range []struct{ add, forget int }{{1, 0}, {ClaimChunk - 1, 0}, {3 * ClaimChunk, ClaimChunk}, {5, 0}, {0, ClaimChunk + 7}, {1, ClaimChunk - 1}, {2 * ClaimChunk, 3 * ClaimChunk}} {
		var last *Commit
		for _, trigger := range []string{"a", "ab", "b"} { // the name of one begins with that of another
			last = change(trigger, n.add, n.forget)
		}
		check() // not committed yet
		ok(t, last)
		check()
		j = reopened(t, j)
		check()
	}
	if err := j.Accept(&Batch{Claims: []ClaimUpdate{{Trigger: "a\x00b"}}}).Wait(t.Context()); err == nil {
		t.Error("claims of a trigger with a NUL in its name")
	}
}

// A job may be about the message of another; the message stays until both have gone.
func TestSameMessage(t *testing.T) {
	for _, size := range []int{100, MaxInline + 1} {
		j := mustOpen(t, t.TempDir())
		body := bytes.Repeat([]byte("x"), size)
		job := testJob(1, "a")
		accept(t, j, job, body)
		notice := testJob(2, "b")
		notice.SameMessage(job)
		ok(t, j.Accept(&Batch{Jobs: []*Job{notice}, Buries: []Burial{{Job: job, Reason: "why"}}}))
		if err := j.Discard(letterID(job.Seq)); err != nil {
			t.Fatal(err)
		}
		j = reopened(t, j)
		jobs := j.Jobs()
		if len(jobs) != 1 || jobs[0].UID != 2 {
			t.Fatalf("jobs %+v", jobs)
		}
		if got, err := j.Body(jobs[0]); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		ok(t, j.Remove(jobs[0].Seq, nil))
		again := testJob(3, "b")
		again.SameMessage(jobs[0])
		if err := j.Accept(&Batch{Jobs: []*Job{again}}).Wait(t.Context()); err == nil {
			t.Error("a message that is gone was taken")
		}
	}
}
