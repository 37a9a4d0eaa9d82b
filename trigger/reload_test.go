package trigger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

// A stubborn action runs until it is ended.
type stubborn struct {
	*recorder
	began chan struct{}
	note  string // what it has done by then
}

func (s *stubborn) Run(ctx context.Context, run *action.Run) action.Result {
	s.mu.Lock()
	s.runs = append(s.runs, *run)
	s.mu.Unlock()
	s.began <- struct{}{}
	<-ctx.Done()
	return action.Result{Outcome: action.Retry, Err: ctx.Err(), Progress: len(s.note), Note: s.note}
}

// blocking holds each attempt until it is released, and says when one has begun.
func blocking(r *recorder) (began chan string, release func()) {
	began, hold := make(chan string, 2*maxJobs), make(chan struct{})
	r.do = func(run *action.Run) action.Result {
		began <- run.Event.Message.Subject
		<-hold
		return action.Result{}
	}
	var once sync.Once
	return began, func() { once.Do(func() { close(hold) }) }
}

// on makes a trigger watch these mailboxes.
func on(c *Config, mailboxes ...string) *Config {
	c.Mailboxes = mailboxes
	return c
}

// What a reload does not change notices nothing: no session ends, a running action
// goes on, and mail that comes meanwhile fires once.
func TestReloadLeavesTheUnchangedAlone(t *testing.T) {
	slow, changed := newRecorder("slow"), newRecorder("changed")
	began, release := blocking(slow)
	defer release()
	w := newWorld(t, newTrigger("kept", slow), on(newTrigger("changed", changed), "Other"))
	w.conn.Session.MaxConnections = 10
	w.srv.CreateMailbox(alice, "Other")
	w.srv.CreateMailbox(alice, "Third")
	w.start()
	logins := w.srv.Logins()
	w.append("one", "two")
	<-began

	next, added := newRecorder("changed"), newRecorder("added")
	w.conn = w.srv.Config(alice) // read again, the same
	w.conn.Session.MaxConnections = 10
	w.conn.Session.RecheckInterval = setting.Duration(time.Second)
	other := on(newTrigger("changed", next), "Other")
	other.Retry.Attempts = 3
	w.reload(on(newTrigger("added", added), "Third"), newTrigger("kept", newRecorder("slow")), other)
	w.watched("INBOX", "Other", "Third")
	if got := w.srv.Logins() - logins; got != 0 {
		t.Errorf("%d logins, want none: the mailbox that is new joins the session of the others", got)
	}
	w.appendTo("Other", "three")
	w.appendTo("Third", "four")
	next.wait(t, 1)
	added.wait(t, 1)
	w.append("five")
	release()
	slow.wait(t, 3)
	w.quiet()
	equal(t, "kept", slow.subjects(), []string{"one", "two", "five"})
	equal(t, "changed before", changed.subjects(), []string{})
	if got := w.srv.Logins() - logins; got != 0 {
		t.Errorf("%d logins, want none", got)
	}
}

// A changed trigger lets its running action end, and does the rest by its new
// definition, in order; others do not wait for it.
func TestReloadOfABusyTrigger(t *testing.T) {
	before, after, other := newRecorder("rec"), newRecorder("rec"), newRecorder("other")
	began, release := blocking(before)
	defer release()
	w := newWorld(t, newTrigger("t", before), newTrigger("other", other))
	w.start()
	names := numbered("m", 20)
	w.append(names...)
	<-began
	other.wait(t, 20)
	w.until("all are queued", func() bool { return w.engine.Triggers()[0].Queue == 20 })
	changed := newTrigger("t", after)
	changed.Concurrency = 2
	w.reload(changed, newTrigger("other", other))
	w.append("new")
	other.wait(t, 1)
	if n := len(after.subjects()); n != 0 {
		t.Errorf("%d actions of the new definition ran beside one of the old", n)
	}
	release()
	after.wait(t, 20)
	w.quiet()
	equal(t, "by the old definition", before.subjects(), names[:1])
	equal(t, "by the new definition", sorted(after.subjects()), append(slices.Clone(names[1:]), "new"))
}

// What still runs when the grace is over is ended and tried again by the new definition.
func TestReloadEndsWhatRunsTooLong(t *testing.T) {
	defer func(d time.Duration) { stopGrace = d }(stopGrace)
	stopGrace = 50 * time.Millisecond
	before, after := &stubborn{recorder: newRecorder("rec"), began: make(chan struct{}, 1)}, newRecorder("rec")
	w := newWorld(t, newTrigger("t", before))
	w.start()
	w.append("m")
	<-before.began
	changed := newTrigger("t", after)
	changed.MaxSize = 1000
	w.reload(changed)
	after.wait(t, 1)
	w.quiet()
	if run := after.runs[0]; run.Event.Attempt != 1 || run.Event.ID != before.runs[0].Event.ID {
		t.Errorf("attempt %d of event %s, want the first of %s", run.Event.Attempt, run.Event.ID, before.runs[0].Event.ID)
	}
}

// An action that a stop has ended goes on where it was, and repeats nothing.
func TestStopKeepsWhatIsDone(t *testing.T) {
	defer func(d time.Duration) { stopGrace = d }(stopGrace)
	stopGrace = 50 * time.Millisecond
	half := &stubborn{recorder: newRecorder("rec"), began: make(chan struct{}, 1), note: "half"}
	w := newWorld(t, newTrigger("t", half))
	w.start()
	w.append("m")
	<-half.began
	w.stop()
	rest := newRecorder("rec")
	w.triggers = []*Config{newTrigger("t", rest)}
	w.start()
	rest.wait(t, 1)
	if run := rest.runs[0]; run.Progress != 4 || run.Note != "half" || run.Event.Attempt != 1 {
		t.Errorf("attempt %d goes on at %d, %q", run.Event.Attempt, run.Progress, run.Note)
	}
}

func TestReloadWithoutTheActionOrTrigger(t *testing.T) {
	first, second := newRecorder("first"), newRecorder("second")
	firstBegan, releaseFirst := blocking(first)
	secondBegan, releaseSecond := blocking(second)
	defer releaseFirst()
	defer releaseSecond()
	w := newWorld(t, newTrigger("one", first), newTrigger("two", second))
	w.start()
	w.append("a", "b")
	<-firstBegan
	<-secondBegan
	w.until("all are queued", func() bool { s := w.engine.Triggers(); return s[0].Queue == 2 && s[1].Queue == 2 })
	renamed := newRecorder("renamed")
	w.reload(newTrigger("one", renamed))
	reasons := func(want ...string) {
		t.Helper()
		w.until(fmt.Sprintf("dead letters %q", want), func() bool {
			letters, err := w.engine.DeadLetters()
			if err != nil {
				t.Fatal(err)
			}
			return len(letters) == len(want) && !slices.ContainsFunc(want, func(s string) bool {
				return !slices.ContainsFunc(letters, func(l journal.DeadLetter) bool { return strings.Contains(l.Reason, s) })
			})
		})
	}
	reasons(`action "first" was removed`, "the trigger is gone") // of those that waited
	releaseFirst()
	releaseSecond()
	first.wait(t, 1)
	second.wait(t, 1)
	w.quiet()
	equal(t, "one", first.subjects(), []string{"a"})
	equal(t, "two", second.subjects(), []string{"a"})
	if s := w.engine.Triggers(); len(s) != 1 || s[0].Name != "one" {
		t.Errorf("triggers %+v", s)
	}

	// Put back, they can be tried again.
	back, gone := newRecorder("first"), newRecorder("second")
	w.reload(newTrigger("one", back, renamed), newTrigger("two", gone))
	letters, _ := w.engine.DeadLetters()
	for _, l := range letters {
		if err := w.engine.Retry(l.ID); err != nil {
			t.Error(err)
		}
	}
	back.wait(t, 1)
	gone.wait(t, 1)
	w.quiet()
	equal(t, "one, put back", back.subjects(), []string{"b"})
	equal(t, "two, put back", gone.subjects(), []string{"b"})
	if len(renamed.subjects()) != 0 {
		t.Errorf("renamed ran for %q", renamed.subjects())
	}
}

// A message that is being read when its trigger changes is decided by what the trigger
// is then.
func TestReloadWhileDeciding(t *testing.T) {
	before, after := newRecorder("before"), newRecorder("after")
	w := newWorld(t, newTrigger("t", before))
	w.start()
	if err := w.engine.memory.Acquire(t.Context(), maxUndecided); err != nil {
		t.Fatal(err)
	}
	w.append("m")
	held := 0
	w.until("it waits for room to be read", func() bool {
		if held++; w.engine.collectors[0].looking.TryLock() {
			w.engine.collectors[0].looking.Unlock()
			held = 0
		}
		return held > 50
	})
	w.reload(newTrigger("t", after))
	w.engine.memory.Release(maxUndecided)
	after.wait(t, 1)
	w.quiet()
	if letters, err := w.engine.DeadLetters(); err != nil || len(letters) > 0 || len(before.subjects()) > 0 {
		t.Errorf("%d dead letters, %d by the old definition; %v", len(letters), len(before.subjects()), err)
	}
}

// A disabled trigger's jobs wait until it is enabled again, in the same run too.
func TestReloadDisablesAndEnables(t *testing.T) {
	rec, mover := newRecorder("rec"), newRecorder("other")
	began, release := blocking(rec)
	defer release()
	w := newWorld(t, newTrigger("t", rec), newTrigger("mover", mover, movingTo("Done")))
	w.start()
	w.append("a", "b", "c")
	<-began
	mover.wait(t, 3)
	w.until("all are queued", func() bool { return w.engine.Triggers()[0].Queue == 3 })
	no := false
	disabled := newTrigger("t", rec)
	disabled.Enabled = &no
	w.reload(disabled, newTrigger("mover", mover, movingTo("Done")))
	// What waits for the disabled trigger keeps no other from the message; the one
	// whose action runs still does.
	w.until("two are moved", func() bool { return len(w.mailbox("Done")) == 2 })
	again := newRecorder("rec")
	w.reload(newTrigger("t", again), newTrigger("mover", mover, movingTo("Done")))
	release()
	again.wait(t, 2)
	w.quiet()
	equal(t, "before", rec.subjects(), []string{"a"})
	equal(t, "after", again.subjects(), []string{"b", "c"})
	if letters, _ := w.engine.DeadLetters(); len(letters) != 0 {
		t.Errorf("dead letters: %+v", letters)
	}
}

// An action that was local and is the server's now, while the message waits for its turn.
func TestReloadChangesAnActionsKind(t *testing.T) {
	slow, rec := newRecorder("slow"), newRecorder("rec")
	began, release := blocking(slow)
	defer release()
	w := newWorld(t, newTrigger("t", define(&action.Flag{}, "act", "flag")), newTrigger("slow", slow))
	w.start()
	w.append("a")
	<-began
	rec.Name = "act"
	w.reload(newTrigger("t", rec), newTrigger("slow", slow))
	release()
	rec.wait(t, 1)
	w.quiet()
	if m := w.srv.Messages(alice, "INBOX")[0]; slices.Contains(m.Flags, `\Seen`) {
		t.Errorf("flags %q, by the old definition", m.Flags)
	}
}

// Changed settings of a connection end its sessions and begin new ones; nothing is
// lost or done twice. A connection that is gone ends its own.
func TestReloadOfConnections(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.srv.AddUser("bob", "pw")
	bob := w.srv.Config("bob")
	bob.Name = "bob"
	w.more = append(w.more, bob)
	both := newTrigger("both", newRecorder("both"))
	both.Connection = []string{"bob"}
	w.triggers = append(w.triggers, both)
	w.start()
	w.append("one")
	rec.wait(t, 1)
	logins := w.srv.Logins()
	w.conn = w.srv.Config(alice)
	w.conn.Timeout = setting.Duration(20 * time.Second)
	w.reload(newTrigger("t", rec), both)
	w.until("it watches again", func() bool { return w.srv.Logins() == logins+1 })
	w.append("two")
	rec.wait(t, 1)
	w.more = nil
	w.reload(newTrigger("t", rec))
	w.until("one session is left", func() bool { return w.srv.Connections() == 1 })
	w.append("three")
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"one", "two", "three"})
	if got := w.srv.Logins() - logins; got != 1 {
		t.Errorf("%d logins", got)
	}
}

// Two connections of one account: a message is one event by whichever is there.
func TestReloadBetweenConnectionsOfOneAccount(t *testing.T) {
	rec := newRecorder("rec")
	two := func(names ...string) *Config {
		c := newTrigger("t", rec)
		c.Connection = names
		return c
	}
	w := newWorld(t, two("test", "second"))
	second := w.srv.Config(alice)
	second.Name = "second"
	w.more = append(w.more, second)
	w.start()
	w.append("one")
	rec.wait(t, 1)
	w.reload(two("second"))
	w.append("two")
	rec.wait(t, 1)
	w.reload(two("test"))
	w.append("three")
	rec.wait(t, 1)
	w.reload(two("second", "test"))
	w.append("four")
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"one", "two", "three", "four"})
}

// Patterns come and go without ending the session of a mailbox that others name.
func TestReloadOfPatterns(t *testing.T) {
	rec, other := newRecorder("rec"), newRecorder("other")
	w := newWorld(t, on(newTrigger("t", rec), "cust/*"))
	w.conn.Session.MaxConnections = 10
	w.srv.CreateMailbox(alice, "cust/a")
	w.srv.CreateMailbox(alice, "cust/b")
	w.start()
	w.watched("cust/a", "cust/b")
	began := w.srv.Accepted()
	sessions := func() map[string]time.Time {
		since := make(map[string]time.Time)
		for _, s := range w.engine.Watches() {
			since[s.Mailbox] = s.LastProof
			if s.Connects != 1 {
				t.Errorf("%s has connected %d times", s.Mailbox, s.Connects)
			}
		}
		return since
	}
	w.reload(on(newTrigger("t", rec), "cust/*"), on(newTrigger("other", other), "*/b"))
	w.until("the other trigger has its mailbox", func() bool {
		_, ok := w.store.Cursor(mailboxKey(w.conn, "cust/b"), "other")
		return ok
	})
	w.appendTo("cust/b", "one")
	rec.wait(t, 1)
	other.wait(t, 1)
	w.reload(on(newTrigger("t", rec), "cust/*"))
	w.appendTo("cust/b", "two")
	rec.wait(t, 1)
	w.reload(on(newTrigger("t", rec), "cust/a"), on(newTrigger("other", other), "*/b"))
	w.appendTo("cust/b", "three")
	w.appendTo("cust/a", "four")
	other.wait(t, 2) // what came while it was gone, too, as after a restart
	rec.wait(t, 1)
	w.quiet()
	equal(t, "t", rec.subjects(), []string{"one", "two", "four"})
	equal(t, "other", other.subjects(), []string{"one", "two", "three"})
	if len(sessions()) != 2 || w.srv.Accepted() == began {
		t.Errorf("watches %v, accepted %d", sessions(), w.srv.Accepted()-began)
	}
}

// A configuration that cannot be used changes nothing.
func TestReloadRefused(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	bad := newTrigger("u", rec)
	bad.Connection = []string{"nowhere"}
	o := w.options()
	o.Triggers = []*Config{bad}
	if err := w.engine.Reload(o); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %v", err)
	}
	w.append("one")
	rec.wait(t, 1)
	w.quiet()
	if n := w.srv.Logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
	w.stop()
	if err := w.engine.Reload(w.options()); err == nil {
		t.Error("an engine that has stopped was reloaded")
	}
}

// Reloads at any moment of a burst: each message fires each trigger once, whatever
// changes about it.
func TestReloadStorm(t *testing.T) {
	kept, changed := newRecorder("rec"), newRecorder("rec")
	var failed atomic.Int32
	changed.do = func(r *action.Run) action.Result {
		if r.Event.Attempt == 1 && r.Event.UID%7 == 0 {
			failed.Add(1)
			return action.Result{Outcome: action.Retry, Err: fmt.Errorf("not yet")}
		}
		return action.Result{}
	}
	fresh := func(n int) []*Config {
		c := newTrigger("changed", changed, define(&action.Flag{}, "flag", "flag"))
		c.Retry.Attempts = 10 + n
		c.Concurrency = 1 + n%3
		list := []*Config{newTrigger("kept", kept), c}
		if n%2 == 0 {
			slices.Reverse(list)
		}
		return list
	}
	w := newWorld(t, fresh(0)...)
	w.start()
	names := numbered("m", 400)
	logins := w.srv.Logins()
	rng := rand.New(rand.NewPCG(1, 2))
	n := 0
	for len(names) > 0 {
		burst := min(1+rng.IntN(40), len(names))
		for _, name := range names[:burst] {
			w.append(name)
		}
		names = names[burst:]
		n++
		w.reload(fresh(n)...)
	}
	kept.wait(t, 400)
	w.quiet()
	equal(t, "kept", kept.subjects(), numbered("m", 400))
	got := slices.Compact(sorted(changed.subjects()))
	equal(t, "changed", got, numbered("m", 400))
	if runs := len(changed.subjects()); runs != 400+int(failed.Load()) {
		t.Errorf("%d runs of 400 messages with %d failures", runs, failed.Load())
	}
	if w.srv.Logins() != logins {
		t.Errorf("%d new logins over %d reloads", w.srv.Logins()-logins, n)
	}
	for _, m := range w.srv.Messages(alice, "INBOX") {
		if !slices.Contains(m.Flags, `\Seen`) {
			t.Errorf("UID %d has not been flagged", m.UID)
		}
	}
}
