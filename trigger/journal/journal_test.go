package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var inbox = MailboxKey{Host: "imap.example.com", User: "ops@example.com", Mailbox: "INBOX"}

// mustOpen opens a journal that is closed at the test's end.
func mustOpen(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := Open(dir, Options{FreeFloor: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// ok waits for a commit that must succeed.
func ok(t testing.TB, c *Commit) {
	t.Helper()
	if err := c.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// fails waits for a commit that must fail.
func fails(t testing.TB, c *Commit, want error) {
	t.Helper()
	if err := c.Wait(t.Context()); !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func testJob(uid uint32, actions ...string) *Job {
	j := &Job{Trigger: "invoices", Connection: "office", Mailbox: inbox, EventID: fmt.Sprintf("event-%d", uid), Kind: "message",
		UIDValidity: 7, UID: uid, InternalDate: time.Date(2024, 5, 1, 12, 0, 0, 0, time.FixedZone("", 7200)), Size: 1234,
		MessageID: fmt.Sprintf("<%d@example.com>", uid), Subject: "Grüße", From: "a@example.com", IdentityHash: uint64(uid) << 32,
		Match: map[string]string{"number": "17", "a": "b"}}
	for _, a := range actions {
		j.Actions = append(j.Actions, ActionState{Name: a})
	}
	return j
}

// accept puts one job with a body into the journal.
func accept(t testing.TB, j *Journal, job *Job, body []byte) {
	t.Helper()
	ok(t, j.Accept(&Batch{Jobs: []*Job{job}, Bodies: [][]byte{body},
		Cursors: []CursorUpdate{{Mailbox: job.Mailbox, Trigger: job.Trigger, Cursor: Cursor{UIDValidity: job.UIDValidity, UID: job.UID}}}}))
}

// reopened closes a journal and opens it again.
func reopened(t testing.TB, j *Journal) *Journal {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, j.dir)
}

// same compares what times and maps look like after a round trip.
func same(t testing.TB, got, want any) {
	t.Helper()
	g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want)
	if g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

func TestAcceptSurvives(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	small, large := []byte("small"), bytes.Repeat([]byte("x"), MaxInline+1)
	a, b, c, d := testJob(1, "book"), testJob(2, "book", "tell"), testJob(3), testJob(4)
	bodies := [][]byte{small, large, nil, {}}
	ok(t, j.Accept(&Batch{
		Jobs: []*Job{a, b, c, d}, Bodies: bodies,
		Mailboxes: []MailboxUpdate{{Mailbox: inbox, State: MailboxState{UIDValidity: 7, UIDNext: 5, Horizon: time.Unix(1e9, 5), Held: "why"}}},
		Cursors: []CursorUpdate{{Mailbox: inbox, Trigger: "invoices",
			Cursor: Cursor{UIDValidity: 7, UID: 4, Backfill: []Range{{1, 2}, {9, 12}}, BackfillPos: 2}}},
		Seen:  []SeenUpdate{{Mailbox: inbox, Seen: []Seen{{1, 1}, {2, 2}, {3, 3}}}},
		State: map[string][]byte{"invoices/count": []byte("3"), "other": {}},
	}))
	for i, job := range []*Job{a, b, c, d} {
		if job.Seq != uint64(i)+1 {
			t.Errorf("job %d has sequence number %d", i, job.Seq)
		}
	}
	check := func(j *Journal, jobs []*Job) {
		t.Helper()
		for i, job := range jobs {
			got, err := j.Body(job)
			if err != nil || !bytes.Equal(got, bodies[i]) || (got == nil) != (bodies[i] == nil) {
				t.Errorf("body %d: %d bytes, %v", i, len(got), err)
			}
		}
		m, found := j.Mailbox(inbox)
		if !found || m.UIDNext != 5 || m.Held != "why" || !m.Horizon.Equal(time.Unix(1e9, 5)) {
			t.Errorf("mailbox %+v", m)
		}
		cur, found := j.Cursor(inbox, "invoices")
		if want := (Cursor{7, 4, []Range{{1, 2}, {9, 12}}, 2}); !found || !reflect.DeepEqual(cur, want) {
			t.Errorf("cursor %+v", cur)
		}
		if _, found := j.Cursor(inbox, "nobody"); found {
			t.Error("a cursor that is not there was found")
		}
		seen, err := j.Seen(inbox)
		if err != nil || !slices.Equal(seen, []Seen{{1, 1}, {2, 2}, {3, 3}}) {
			t.Errorf("seen %v, %v", seen, err)
		}
		state, err := j.State("invoices/")
		if err != nil || !reflect.DeepEqual(state, map[string][]byte{"invoices/count": []byte("3")}) {
			t.Errorf("state %v, %v", state, err)
		}
	}
	check(j, []*Job{a, b, c, d})
	j = reopened(t, j)
	jobs := j.Jobs()
	if len(jobs) != 4 {
		t.Fatalf("%d jobs after the start", len(jobs))
	}
	check(j, jobs)
	for i, want := range []*Job{a, b, c, d} {
		w := *want
		w.Accepted = w.Accepted.UTC().Truncate(0)
		same(t, *jobs[i], w)
	}
	if j.Jobs() != nil {
		t.Error("jobs were given twice")
	}
}

func TestLife(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	job := testJob(1, "book", "tell", "move")
	accept(t, j, job, []byte("body"))
	ok(t, j.Result(job.Seq, 0, Result{State: Done, Saved: []string{"/srv/a", "/srv/b"}}))

	// The caller has not put the result into its job: the journal keeps it all the same.
	job.Actions[1] = ActionState{Name: "tell", Attempt: 1, Next: time.Unix(2e9, 0), Since: time.Unix(1e9, 0), Err: "no route", Output: []byte("out")}
	job.Finish = FinishWaiting
	ok(t, j.Update(job))

	j = reopened(t, j)
	jobs := j.Jobs()
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	got := jobs[0]
	if a := got.Actions[0]; a.State != Done || !slices.Equal(a.Saved, []string{"/srv/a", "/srv/b"}) {
		t.Errorf("action 0 is %+v", a)
	}
	if a := got.Actions[1]; a.State != Waiting || a.Attempt != 1 || a.Err != "no route" || string(a.Output) != "out" || a.Next.Unix() != 2e9 {
		t.Errorf("action 1 is %+v", a)
	}
	if got.Finish != FinishWaiting {
		t.Errorf("finish is %v", got.Finish)
	}
	ok(t, j.Remove(got.Seq, &Batch{State: map[string][]byte{"n": []byte("1")}}))
	if _, err := j.Body(got); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the body of a removed job: %v", err)
	}
	j = reopened(t, j)
	if n := len(j.Jobs()); n != 0 {
		t.Errorf("%d jobs after Remove", n)
	}
	h := j.History(10)
	if len(h) != 1 || h[0].Outcome != "done" || h[0].Seq != 1 || h[0].Actions[0].State != Done || h[0].Subject != "Grüße" {
		t.Errorf("history %+v", h)
	}
	state, _ := j.State("")
	if string(state["n"]) != "1" {
		t.Errorf("state %v", state)
	}
}

func TestSequenceNeverReused(t *testing.T) {
	dir := t.TempDir()
	last := uint64(0)
	for range 3 {
		j := mustOpen(t, dir)
		job := testJob(1)
		accept(t, j, job, nil)
		if job.Seq <= last {
			t.Fatalf("sequence number %d after %d", job.Seq, last)
		}
		last = job.Seq
		ok(t, j.Remove(job.Seq, nil))
		j.Close()
	}
}

func TestDeadLetters(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	large := bytes.Repeat([]byte("y"), MaxInline+1)
	a, b := testJob(1, "book", "tell", "copy", "move"), testJob(2, "book")
	accept(t, j, a, large)
	accept(t, j, b, []byte("b"))
	ok(t, j.Result(a.Seq, 0, Result{State: Done}))
	a.Actions[1] = ActionState{Name: "tell", State: Dead, Attempt: 4, Since: time.Unix(1, 0), Err: "refused", Output: []byte("550")}
	a.Actions[2].State = Skipped // because of it
	ok(t, j.Bury(a, "gave up after 24h"))
	ok(t, j.Bury(b, "removed"))
	if n := j.DeadCounts(); n["invoices"] != 2 {
		t.Errorf("counts %v", n)
	}
	fails(t, j.Update(a), ErrUnknownJob)

	j = reopened(t, j)
	if n := len(j.Jobs()); n != 0 {
		t.Errorf("%d jobs", n)
	}
	list, err := j.DeadLetters()
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	l := list[0]
	if l.Reason != "gave up after 24h" || l.When.IsZero() || l.Job.Actions[0].State != Done || string(l.Job.Actions[1].Output) != "550" {
		t.Errorf("letter %+v", l)
	}
	if body, err := j.Body(l.Job); err != nil || !bytes.Equal(body, large) {
		t.Errorf("body of %d bytes, %v", len(body), err)
	}
	job, err := j.Unbury(l.ID)
	if err != nil {
		t.Fatal(err)
	}
	if job.Seq <= b.Seq || job.EventID != a.EventID {
		t.Errorf("unburied as %+v", job)
	}
	if s := []ActionStatus{job.Actions[0].State, job.Actions[1].State, job.Actions[2].State, job.Actions[3].State}; !slices.Equal(s, []ActionStatus{Done, Waiting, Waiting, Waiting}) {
		t.Errorf("states %v", s)
	}
	if x := job.Actions[1]; x.Attempt != 1 || !x.Since.IsZero() {
		t.Errorf("action starts with %+v", x)
	}
	if _, err := j.Unbury(l.ID); !errors.Is(err, ErrNoLetter) {
		t.Errorf("twice: %v", err)
	}
	if err := j.Discard(list[1].ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "x", "01", "-1", "99", list[1].ID} {
		if err := j.Discard(id); !errors.Is(err, ErrNoLetter) {
			t.Errorf("Discard(%q): %v", id, err)
		}
	}
	if n := j.DeadCounts(); len(n) != 0 {
		t.Errorf("counts %v", n)
	}
	ok(t, j.Result(job.Seq, 1, Result{State: Done}))
	j = reopened(t, j)
	jobs := j.Jobs()
	if len(jobs) != 1 || jobs[0].Actions[1].State != Done {
		t.Fatalf("jobs %+v", jobs)
	}
	if body, err := j.Body(jobs[0]); err != nil || !bytes.Equal(body, large) {
		t.Errorf("body of %d bytes, %v", len(body), err)
	}
	ok(t, j.Remove(jobs[0].Seq, nil))
	if list, _ := os.ReadDir(spoolPath(j.dir)); len(list) != 0 {
		t.Errorf("the spool has %v", list)
	}
	var outcomes []string
	for _, h := range j.History(10) {
		outcomes = append(outcomes, h.Outcome)
	}
	if got := strings.Join(outcomes, " "); got != "done discarded dead dead" {
		t.Errorf("history %s", got)
	}
}

func TestSharedBody(t *testing.T) {
	for _, size := range []int{10, MaxInline + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			j := mustOpen(t, t.TempDir())
			body := bytes.Repeat([]byte("z"), size)
			a, b := testJob(1), testJob(1)
			b.Trigger = "other"
			ok(t, j.Accept(&Batch{Jobs: []*Job{a, b}, Bodies: [][]byte{body, body}}))
			if a.body.id != b.body.id {
				t.Error("the body is stored twice")
			}
			ok(t, j.Remove(a.Seq, nil))
			j = reopened(t, j)
			jobs := j.Jobs()
			if got, err := j.Body(jobs[0]); err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			ok(t, j.Remove(jobs[0].Seq, nil))
			if len(j.bodies) != 0 {
				t.Errorf("bodies are left: %v", j.bodies)
			}
		})
	}
}

func TestBatchErrors(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	known := testJob(1, "a")
	accept(t, j, known, nil)
	other := testJob(1, "b")
	other.Seq = known.Seq
	many := make([]*Job, MaxBatchJobs+1)
	for i := range many {
		many[i] = testJob(uint32(i))
	}
	huge := testJob(5)
	huge.Subject = strings.Repeat("s", MaxRecord)
	for name, b := range map[string]*Batch{
		"too many jobs":    {Jobs: many},
		"too many bodies":  {Bodies: [][]byte{nil}},
		"unknown update":   {Updates: []*Job{testJob(9)}},
		"unknown remove":   {Removes: []uint64{99}},
		"removed twice":    {Removes: []uint64{known.Seq, known.Seq}},
		"other actions":    {Updates: []*Job{other}},
		"bury with others": {Buries: []Burial{{Job: other}}},
		"accepted before":  {Jobs: []*Job{known}},
		"huge":             {Jobs: []*Job{huge}},
		"actions":          {Jobs: []*Job{{Actions: make([]ActionState, MaxActions+1)}}},
		"state key":        {State: map[string][]byte{"": nil}},
		"state":            {State: map[string][]byte{"x": make([]byte, MaxState+1)}},
	} {
		c := j.Accept(b)
		<-c.Done()
		if c.Err() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, c := range []*Commit{
		j.Result(known.Seq, 0, Result{State: Waiting}), j.Result(known.Seq, 0, Result{State: Dead}),
		j.Result(known.Seq, 1, Result{State: Done}), j.Result(known.Seq, -1, Result{State: Done}), j.Result(99, 0, Result{State: Done}),
	} {
		<-c.Done()
		if c.Err() == nil {
			t.Error("a result was accepted")
		}
	}
	j = reopened(t, j)
	if n := len(j.Jobs()); n != 1 {
		t.Errorf("%d jobs", n)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	j := mustOpen(t, dir)
	for _, readOnly := range []bool{false, true} {
		start := time.Now()
		if _, err := Open(dir, Options{ReadOnly: readOnly}); !errors.Is(err, ErrLocked) {
			t.Errorf("got %v, want ErrLocked", err)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("it took %v", d)
		}
	}
	j.Close()
	mustOpen(t, dir)
}

func TestClosed(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	job := testJob(1, "a")
	accept(t, j, job, nil)
	if err := j.Health(); err != nil {
		t.Error(err)
	}
	c := j.Result(job.Seq, 0, Result{State: Done})
	last := j.Accept(&Batch{State: map[string][]byte{"k": []byte("v")}})
	j.Close()
	ok(t, c)
	ok(t, last)
	fails(t, j.Update(job), ErrClosed)
	fails(t, j.Result(job.Seq, 0, Result{State: Done}), ErrClosed)
	if err := j.Health(); !errors.Is(err, ErrClosed) {
		t.Errorf("health %v", err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if _, err := j.State(""); !errors.Is(err, ErrClosed) {
		t.Errorf("State: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
	j := mustOpen(t, dir)
	job := testJob(1, "a")
	accept(t, j, job, []byte("body"))
	ok(t, j.Bury(job, "why"))
	j.Close()
	for range 2 { // readers do not exclude each other
		r, err := Open(dir, Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		list, err := r.DeadLetters()
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		if body, err := r.Body(list[0].Job); err != nil || string(body) != "body" {
			t.Errorf("%q, %v", body, err)
		}
		if err := r.Discard(list[0].ID); !errors.Is(err, ErrReadOnly) {
			t.Errorf("Discard: %v", err)
		}
	}
}

var bg = context.Background()
