package trigger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

// Each of these was a way to lose a message, to touch a wrong one, or to let one
// message wedge the others.

func only(c *Config, subject string) *Config {
	c.Conditions = []Condition{{Field: "subject", Is: []string{subject}}}
	return c
}

// failingUntil fails for good until it is healed.
func failingUntil(healed *atomic.Bool) func(*action.Run) action.Result {
	return func(*action.Run) action.Result {
		if healed.Load() {
			return action.Result{}
		}
		return action.Result{Outcome: action.Dead, Err: errors.New("no")}
	}
}

// A dead letter from before the server changed its UIDs is not taken for the
// message that has its UID now.
func TestRetriedLetterIsNotAnothersMessage(t *testing.T) {
	var healed atomic.Bool
	bad, slow := newRecorder("bad"), newRecorder("slow")
	bad.do = failingUntil(&healed)
	release, started := make(chan struct{}), make(chan struct{}, 1)
	slow.do = func(*action.Run) action.Result { started <- struct{}{}; <-release; return action.Result{} }
	w := newWorld(t, only(newTrigger("flagger", bad, flagWith(`\Flagged`)), "old"),
		only(newTrigger("deleter", slow, define(&action.Delete{}, "delete", "delete")), "new"))
	w.start()
	w.append("filler", "old")
	l := w.letter()
	w.quiet()
	w.srv.Expunge(alice, "INBOX", w.srv.Messages(alice, "INBOX")[0].UID)
	w.srv.ResetUIDs(alice, "INBOX")
	w.append("new")
	<-started
	healed.Store(true)
	if err := w.engine.Retry(l.ID); err != nil {
		t.Fatal(err)
	}
	bad.wait(t, 2)
	close(release)
	w.quiet()
	equal(t, "INBOX", w.mailbox("INBOX"), []string{"old"})
	if flags := w.srv.Messages(alice, "INBOX")[0].Flags; !slices.Contains(flags, `\Flagged`) {
		t.Errorf("flags %q: the retried letter's own message was to be flagged", flags)
	}
}

// More triggers on a mailbox than a batch has jobs.
func TestManyTriggersOnOneMailbox(t *testing.T) {
	var all []*recorder
	var triggers []*Config
	for i := range maxBatch + 20 {
		r := newRecorder("rec")
		all = append(all, r)
		triggers = append(triggers, newTrigger(fmt.Sprintf("t%d", i), r))
	}
	w := newWorld(t, triggers...)
	w.start()
	w.append("one", "two")
	for _, r := range all {
		r.wait(t, 2)
		equal(t, "fired", r.subjects(), []string{"one", "two"})
	}
}

// A Message-ID that cannot be searched for, of a message that has gone.
func TestHostileMessageIDHoldsUpNobody(t *testing.T) {
	rec := newRecorder("rec")
	release, started := make(chan struct{}), make(chan struct{}, 5)
	rec.do = func(*action.Run) action.Result { started <- struct{}{}; <-release; return action.Result{} }
	w := newWorld(t, newTrigger("t", rec, movingTo("Done")))
	w.start()
	w.srv.Append(alice, "INBOX", []byte("From: a@b.c\r\nSubject: evil\r\nMessage-ID: <\xc3\xa9@x>\r\n\r\nhi\r\n"), nil, time.Now())
	<-started
	w.srv.Expunge(alice, "INBOX", w.srv.Messages(alice, "INBOX")[0].UID)
	w.append("innocent")
	close(release)
	w.until("the innocent one is moved", func() bool { return len(w.mailbox("Done")) == 1 })
	if l := w.letter(); !strings.Contains(l.Reason, "no longer in the mailbox") {
		t.Errorf("dead letter: %s", l.Reason)
	}
}

// A message that could not be fetched can be retried once it can.
func TestUnfetchableCanBeRetried(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	w.stop()
	w.append("m")
	uid := w.srv.Messages(alice, "INBOX")[0].UID
	w.prepare = func(e *Engine) { e.collectors[0].fails[uid] = fetchFails{times: maxFetchFails} }
	w.start()
	l := w.letter()
	if !strings.Contains(l.Reason, "could not deliver") {
		t.Errorf("dead letter: %s", l.Reason)
	}
	if err := w.engine.Retry(l.ID); err != nil {
		t.Fatal(err)
	}
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"m"})
}

// A letter without its mail, retried, keeps its attempts.
func TestUnreadLetterIsReadForEachAttempt(t *testing.T) {
	rec := newRecorder("rec")
	var n atomic.Int32
	rec.do = func(*action.Run) action.Result {
		if n.Add(1) == 1 {
			return action.Result{Outcome: action.Retry, Err: errors.New("later")}
		}
		return action.Result{}
	}
	cfg := newTrigger("t", rec)
	cfg.MaxSize = 10000
	w := newWorld(t, cfg)
	w.start()
	w.srv.Append(alice, "INBOX", append(mailText("big"), strings.Repeat("x", 2<<20)...), nil, time.Now())
	l := w.letter()
	cfg.MaxSize = 10 << 20
	w.restart()
	if err := w.engine.Retry(l.ID); err != nil {
		t.Fatal(err)
	}
	rec.wait(t, 2)
	w.quiet()
	if letters, err := w.engine.DeadLetters(); err != nil || len(letters) != 0 {
		t.Errorf("%d dead letters, %v", len(letters), err)
	}
}

// A trigger that is new when the server has changed its UIDs starts as a new one.
func TestNewTriggerAtUIDValidityChange(t *testing.T) {
	a, b := newRecorder("a"), newRecorder("b")
	w := newWorld(t, newTrigger("one", a))
	w.append(numbered("filler", 20)...)
	w.start()
	w.append(numbered("mail", 5)...)
	a.wait(t, 5)
	w.quiet()
	w.stop()
	for _, m := range w.srv.Messages(alice, "INBOX")[:20] {
		w.srv.Expunge(alice, "INBOX", m.UID)
	}
	w.srv.ResetUIDs(alice, "INBOX")
	w.triggers = append(w.triggers, newTrigger("two", b))
	w.start()
	w.append("live")
	a.wait(t, 1)
	b.wait(t, 1)
	w.quiet()
	equal(t, "two fired", b.subjects(), []string{"live"})
}

// A trigger that is disabled while the server changes its UIDs goes on where it was.
func TestDisabledTriggerAtUIDValidityChange(t *testing.T) {
	a, b := newRecorder("a"), newRecorder("b")
	one, two := newTrigger("one", a), newTrigger("two", b)
	w := newWorld(t, one, two)
	w.append(numbered("filler", 20)...)
	w.start()
	w.append("x")
	a.wait(t, 1)
	b.wait(t, 1)
	w.quiet()
	w.stop()
	for _, m := range w.srv.Messages(alice, "INBOX")[:20] {
		w.srv.Expunge(alice, "INBOX", m.UID)
	}
	w.srv.ResetUIDs(alice, "INBOX")
	disabled := false
	two.Enabled = &disabled
	w.start()
	w.append("y")
	a.wait(t, 1)
	w.quiet()
	w.stop()
	two.Enabled = nil
	w.start()
	w.append("z")
	a.wait(t, 1)
	b.wait(t, 2)
	w.quiet()
	equal(t, "two fired", sorted(b.subjects()), []string{"x", "y", "z"})
	equal(t, "one fired", a.subjects(), []string{"x", "y", "z"})
}

func sorted(list []string) []string { slices.Sort(list); return list }

// What was queued at a stop goes before what comes after the start.
func TestOrderAfterRestart(t *testing.T) {
	rec := newRecorder("rec")
	release, started := make(chan struct{}), make(chan struct{}, 100)
	rec.do = func(*action.Run) action.Result { started <- struct{}{}; <-release; return action.Result{} }
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	old := numbered("m", 30)
	w.append(old...)
	<-started
	w.until("all are queued", func() bool { return w.engine.Triggers()[0].Queue == 30 })
	stopping := w.engine.stopping
	go func() { <-stopping.Done(); close(release) }()
	w.stop()
	if n := len(rec.subjects()); n != 1 {
		t.Errorf("%d actions ran, want only the one that ran already when the stop came", n)
	}
	w.append("n")
	w.start()
	rec.wait(t, 31)
	equal(t, "fired", rec.subjects(), append(old, "n"))
}

// A trigger that decides after another one's dead letter leaves the message, too.
func TestStaysIsNotForgotten(t *testing.T) {
	bad, slow := newRecorder("bad"), newRecorder("slow")
	bad.do = func(r *action.Run) action.Result {
		if r.Event.Message.Subject == "bad" {
			return action.Result{Outcome: action.Dead, Err: errors.New("never")}
		}
		return action.Result{}
	}
	release := make(chan struct{})
	slow.do = func(*action.Run) action.Result { <-release; return action.Result{} }
	w := newWorld(t, newTrigger("mover", slow, movingTo("Done")), newTrigger("bad", bad))
	w.start()
	w.append(append(numbered("m", maxJobs), "bad")...)
	w.letter()
	close(release)
	w.until("the others are moved", func() bool { return len(w.mailbox("Done")) >= maxJobs })
	w.quiet()
	equal(t, "INBOX", w.mailbox("INBOX"), []string{"bad"})
}

// With several at once, first attempts still start in order.
func TestConcurrentStartsInOrder(t *testing.T) {
	rec := newRecorder("rec")
	var started []string
	lock := make(chan struct{}, 1)
	rec.do = func(r *action.Run) action.Result {
		lock <- struct{}{}
		started = append(started, r.Event.Message.Subject)
		<-lock
		r.Begun()
		return action.Result{}
	}
	cfg := newTrigger("t", rec)
	cfg.Concurrency = 4
	w := newWorld(t, cfg)
	w.start()
	names := numbered("m", 60)
	w.append(names...)
	rec.wait(t, 60)
	w.quiet()
	equal(t, "started", started, names)
}

// Who waits for an earlier message's start has no place that the earlier one needs.
func TestConcurrentStartsWithOnePlace(t *testing.T) {
	rec := newRecorder("rec")
	cfg := newTrigger("t", rec)
	cfg.Concurrency = 4
	w := newWorld(t, cfg)
	w.prepare = func(e *Engine) { e.slots = make(chan struct{}, 1) }
	w.start()
	names := numbered("m", 100)
	w.append(names...)
	rec.wait(t, 100)
	equal(t, "fired", rec.subjects(), names)
}

// A held mailbox asks what its mail is, and does what is answered.
func TestHeldMailboxIsReleased(t *testing.T) {
	for _, answer := range []string{"retry", "discard"} {
		t.Run(answer, func(t *testing.T) {
			w, rec, imported := importedWorld(t)
			w.start()
			l := w.letter()
			if l.Job.Kind != kindHeld || !strings.Contains(l.Reason, "retry this dead letter to fire them") {
				t.Fatalf("dead letter %s: %s", l.Job.Kind, l.Reason)
			}
			want := []string{"one"}
			if answer == "retry" {
				if err := w.engine.Retry(l.ID); err != nil {
					t.Fatal(err)
				}
				rec.wait(t, len(imported))
				want = append(want, imported...)
			} else if err := w.engine.Discard(l.ID); err != nil {
				t.Fatal(err)
			}
			w.until("the mailbox is not held", func() bool {
				state, _ := w.store.Mailbox(mailboxKey(w.conn, "INBOX"))
				return state.Held == ""
			})
			w.append("live")
			rec.wait(t, 1)
			w.quiet()
			equal(t, "fired", rec.subjects(), append(want, "live"))
			if letters, err := w.engine.DeadLetters(); err != nil || len(letters) != 0 {
				t.Errorf("%d dead letters, %v", len(letters), err)
			}
		})
	}
}

// A daemon that dies before it has put its question about a held mailbox puts it at the
// next start. It takes nobody's word for an answer.
func TestHeldMailboxAsksAfterCrash(t *testing.T) {
	w, rec, _ := importedWorld(t)
	store, err := journal.Open(w.dir, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key := mailboxKey(w.conn, "INBOX")
	state, _ := store.Mailbox(key)
	state.Held = "too much looks new"
	held := &journal.Job{
		Trigger: "t", Connection: w.conn.Name, Mailbox: key, Kind: kindHeld,
		EventID: eventID(key, 7, 0, time.Now(), 0, kindHeld), Extra: map[string]string{extraAsking: state.Held},
	}
	commit := store.Accept(&journal.Batch{Jobs: []*journal.Job{held}, Mailboxes: []journal.MailboxUpdate{{Mailbox: key, State: state}}})
	if err := errors.Join(commit.Wait(t.Context()), store.Close()); err != nil {
		t.Fatal(err)
	}

	w.start()
	if l := w.letter(); l.Job.Kind != kindHeld || l.Reason != "too much looks new" {
		t.Fatalf("dead letter %s: %s", l.Job.Kind, l.Reason)
	}
	w.restart()
	w.quiet()
	l := w.letter() // one letter only
	equal(t, "fired", rec.subjects(), []string{"one"})

	// An answer counts for this question, not for one of another day.
	if err := w.engine.Discard(l.ID); err != nil {
		t.Fatal(err)
	}
	w.until("the mailbox is not held", func() bool {
		state, _ := w.store.Mailbox(key)
		return state.Held == ""
	})
	if batch := w.engine.release(key, releaseFire); len(batch.State) > 0 {
		t.Errorf("an answer is kept though nothing asks: %q", batch.State)
	}
}

// A trigger fires once on a message also where another one, whose queue was full,
// decides only afterwards to move it to where the first one watches, too.
func TestOwnMoveByATriggerThatLags(t *testing.T) {
	slow, both := newRecorder("slow"), newRecorder("both")
	began, release := blocking(slow)
	defer release()
	w := newWorld(t, newTrigger("slow", slow, movingTo("Archive")), on(newTrigger("both", both), "INBOX", "Archive"))
	w.start()
	names := numbered("m", maxJobs+20)
	w.append(names...)
	<-began
	both.wait(t, len(names))
	w.until("the slow trigger's queue is full, the other's is empty", func() bool {
		s := w.engine.Triggers()
		return s[0].Queue == maxJobs && s[1].Queue == 0
	})
	release()
	w.until("all are moved", func() bool { return len(w.mailbox("Archive")) == len(names) })
	w.quiet()
	w.append("last") // and all in Archive are decided about
	both.wait(t, 1)
	w.until("it is moved", func() bool { return len(w.mailbox("Archive")) == len(names)+1 })
	w.quiet()
	equal(t, "fired", sorted(both.subjects()), sorted(append(names, "last")))
}
