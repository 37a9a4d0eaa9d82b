package journal

import (
	"testing"
)

// All that a trigger has goes with it to its other name, and nothing of any other
// trigger: before the commit, after it, and after a restart.
func TestRename(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	other := MailboxKey{Host: inbox.Host, User: inbox.User, Mailbox: "Other"}
	cursors := map[MailboxKey]Cursor{inbox: {UIDValidity: 7, UID: 40}, other: {UIDValidity: 8, UID: 2, Backfill: []Range{{1, 2}}}}
	var claims []Claim
	for n := range uint32(3*ClaimChunk + 5) {
		claims = append(claims, Claim{At: n, Hash: uint64(n)})
	}
	jobs := map[string]*Job{}
	for i, name := range []string{"invoices waits", "invoices dead", "invoices2 waits", "invoices2 dead"} {
		job := testJob(uint32(i+1), "book")
		if i > 1 {
			job.Trigger = "invoices2"
		}
		accept(t, j, job, []byte(name))
		jobs[name] = job
	}
	b := &Batch{Claims: []ClaimUpdate{{Trigger: "invoices", Add: claims, Forget: ClaimChunk}, {Trigger: "invoices2", Add: claims[:3]}}}
	for key, c := range cursors {
		b.Cursors = append(b.Cursors, CursorUpdate{Mailbox: key, Trigger: "invoices", Cursor: c}, CursorUpdate{Mailbox: key, Trigger: "invoices2", Cursor: Cursor{UID: 1}})
	}
	ok(t, j.Accept(b))
	ok(t, j.Bury(jobs["invoices dead"], "why"))
	ok(t, j.Bury(jobs["invoices2 dead"], "why"))

	check := func(when string) {
		t.Helper()
		for key, want := range cursors {
			if c, there := j.Cursor(key, "bills"); !there || c.UID != want.UID || len(c.Backfill) != len(want.Backfill) {
				t.Errorf("%s: cursor in %s: %+v", when, key.Mailbox, c)
			}
			if _, there := j.Cursor(key, "invoices"); there {
				t.Errorf("%s: a cursor in %s under the old name", when, key.Mailbox)
			}
			if c, _ := j.Cursor(key, "invoices2"); c.UID != 1 {
				t.Errorf("%s: the other trigger's cursor: %+v", when, c)
			}
		}
		for name, want := range map[string][]Claim{"bills": claims[ClaimChunk:], "invoices": nil, "invoices2": claims[:3]} {
			got, err := j.Claims(name)
			if err != nil || len(got) != len(want) || len(got) > 0 && (got[0] != want[0] || got[len(got)-1] != want[len(want)-1]) {
				t.Errorf("%s: %d claims of %s, want %d; %v", when, len(got), name, len(want), err)
			}
		}
		letters, err := j.DeadLetters()
		if err != nil || len(letters) != 2 || letters[0].Job.Trigger != "bills" || letters[1].Job.Trigger != "invoices2" || letters[0].Job.EventID != jobs["invoices dead"].EventID || letters[0].Reason != "why" {
			t.Errorf("%s: dead letters %+v; %v", when, letters, err)
		}
		if n := j.DeadCounts(); n["bills"] != 1 || n["invoices2"] != 1 {
			t.Errorf("%s: counts %v", when, n)
		}
	}
	renamed := j.Accept(&Batch{Renames: []Rename{{"invoices", "bills"}}})
	check("before the commit")
	ok(t, renamed)
	check("after it")
	// Whoever still knows the job by its old name cannot give it that back.
	jobs["invoices waits"].Actions[0].Attempt = 2
	ok(t, j.Update(jobs["invoices waits"]))
	j = reopened(t, j)
	check("after a restart")
	open, err := j.OpenJobs(t.Context())
	if err != nil || len(open) != 2 || open[0].Trigger != "bills" || open[0].Actions[0].Attempt != 2 || open[1].Trigger != "invoices2" {
		t.Errorf("jobs %+v; %v", open, err)
	}
	if body, err := j.Body(open[0]); err != nil || string(body) != "invoices waits" {
		t.Errorf("body %q; %v", body, err)
	}
	for _, bad := range []Rename{{"bills", ""}, {"", "bills"}, {"bills", "bills"}, {"bills", "a\x00b"}} {
		if err := j.Accept(&Batch{Renames: []Rename{bad}}).Wait(t.Context()); err == nil {
			t.Errorf("renamed %q to %q", bad.From, bad.To)
		}
	}
}
