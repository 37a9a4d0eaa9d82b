package trigger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/gate"
)

// A teller is a recorder of silences or dead letters.
func newTeller(name string, when action.When) *recorder {
	r := newRecorder(name)
	r.When = when
	return r
}

// events returns what the recorder was given, a line each.
func (r *recorder) events() (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, run := range r.runs {
		e := run.Event
		line := string(e.Kind) + " " + e.Reason
		if e.Message != nil {
			line += " " + e.Message.Subject
		}
		lines = append(lines, line)
	}
	return lines
}

func (c *wallClock) check(w *world, d time.Duration) {
	c.step(w, d)
	for _, r := range w.engine.runners {
		r.vigil.check()
	}
}

// vigilWorld has a trigger that expects mail every hour.
func vigilWorld(t *testing.T) (w *world, clock *wallClock, came, silence *recorder) {
	t.Helper()
	came, silence = newRecorder("came"), newTeller("silence", action.OnSilence)
	clock = &wallClock{}
	cfg := newTrigger("t", came, silence)
	cfg.Expect = gate.Expect{Every: setting.Duration(time.Hour)}
	cfg.Conditions = []Condition{{Field: "subject", Contains: []string{"report"}}}
	w = newWorld(t, cfg)
	w.now = clock.now
	return w, clock, came, silence
}

func TestSilence(t *testing.T) {
	w, clock, came, silence := vigilWorld(t)
	w.start()
	clock.check(w, 50*time.Minute)
	w.srv.Append(alice, "INBOX", mailText("report 1"), nil, clock.now())
	came.wait(t, 1)
	w.append("something else")
	clock.check(w, 55*time.Minute) // 105 minutes after the start, 55 after the report
	if got := silence.events(); len(got) > 0 {
		t.Fatalf("silence: %q", got)
	}
	clock.check(w, 6*time.Minute)
	silence.wait(t, 1)
	w.quiet()
	s := w.status("t")
	if s.Silent != gate.NotArrived || s.SilentSince.IsZero() || !s.ExpectedBy.After(clock.now()) {
		t.Errorf("status %+v", s)
	}
	e := silence.runs[0].Event
	if e.Kind != event.KindSilence || e.Reason != gate.NotArrived || e.Message != nil || e.Connection != "test" || e.Mailbox != "INBOX" || e.Deadline.IsZero() || e.ID == "" {
		t.Errorf("event %+v", e)
	}
	// It is remembered, and told once.
	w.restart()
	clock.check(w, time.Minute)
	if s := w.status("t"); s.Silent != gate.NotArrived {
		t.Errorf("after a restart: status %+v", s)
	}
	w.srv.Append(alice, "INBOX", mailText("report 2"), nil, clock.now())
	came.wait(t, 1)
	if s := w.status("t"); s.Silent != "" {
		t.Errorf("after mail has come: status %+v", s)
	}
	equal(t, "silences", silence.events(), []string{"silence not_arrived"})
}

func TestSilenceOfAMailboxThatIsAway(t *testing.T) {
	w, clock, came, silence := vigilWorld(t)
	w.start()
	w.srv.Append(alice, "INBOX", mailText("report 1"), nil, clock.now())
	came.wait(t, 1)
	w.srv.Stop()
	w.until("the mailbox is away", func() bool { return !w.engine.Watches()[0].Connected })
	clock.check(w, 61*time.Minute)
	if got := silence.events(); len(got) > 0 {
		t.Fatalf("too early: %q", got)
	}
	clock.check(w, time.Minute)
	silence.wait(t, 1)
	// The mail had come in time.
	inTime := clock.now().Add(-10 * time.Minute)
	w.srv.Append(alice, "INBOX", mailText("report 2"), nil, inTime)
	if err := w.srv.Start(); err != nil {
		t.Fatal(err)
	}
	came.wait(t, 1)
	w.until("the trigger is not silent", func() bool { return w.status("t").Silent == "" })
	// Away again, and this time the mail had not come: that is known once it is back.
	w.srv.Stop()
	w.until("the mailbox is away", func() bool { return !w.engine.Watches()[0].Connected })
	clock.check(w, 65*time.Minute)
	clock.check(w, time.Minute)
	silence.wait(t, 1)
	if err := w.srv.Start(); err != nil {
		t.Fatal(err)
	}
	silence.wait(t, 1)
	w.quiet()
	equal(t, "silences", silence.events(), []string{"silence mailbox_unreachable", "silence mailbox_unreachable", "silence not_arrived"})
	ids := map[string]bool{}
	for _, r := range silence.runs {
		ids[r.Event.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d event ids for 3 silences", len(ids))
	}
}

// A daemon that did not run at the end of the window finds out whether mail came.
func TestSilenceAfterDowntime(t *testing.T) {
	for _, arrived := range []bool{true, false} {
		t.Run(fmt.Sprint(arrived), func(t *testing.T) {
			w, clock, came, silence := vigilWorld(t)
			w.start()
			w.stop()
			clock.ahead.Add(int64(90 * time.Minute))
			if arrived {
				w.srv.Append(alice, "INBOX", mailText("report"), nil, clock.now().Add(-40*time.Minute))
			}
			w.start()
			if arrived {
				came.wait(t, 1)
			} else {
				silence.wait(t, 1)
			}
			w.quiet()
			clock.check(w, time.Second)
			if got := len(silence.events()); arrived && got > 0 || !arrived && got != 1 {
				t.Errorf("silences: %q", silence.events())
			}
		})
	}
}

// Duplicates are no news, and what other gates hold back is.
func TestWhatCountsAsArrived(t *testing.T) {
	w, clock, came, silence := vigilWorld(t)
	w.triggers[0].Dedupe = gate.Dedupe{By: "message-id", Window: setting.Duration(24 * time.Hour)}
	w.triggers[0].Limit = gate.Limit{Count: 1, Per: setting.Duration(24 * time.Hour), Over: "skip"}
	held := newTally(w)
	w.start()
	put := func(subject string) { w.srv.Append(alice, "INBOX", mailText(subject), nil, clock.now()) }
	put("report 1")
	came.wait(t, 1)
	clock.check(w, 50*time.Minute)
	put("report 2")
	held.wait(w, "t", gate.Limited, 1)
	clock.check(w, 50*time.Minute)
	put("report 2")
	held.wait(w, "t", gate.Dedupes, 1)
	if got := silence.events(); len(got) > 0 {
		t.Errorf("silence: %q", got)
	}
	clock.check(w, 11*time.Minute)
	silence.wait(t, 1)
}

func TestDeadLetterIsTold(t *testing.T) {
	rec, dead := newRecorder("rec"), newTeller("dead", action.OnDead)
	rec.do = func(*action.Run) action.Result {
		return action.Result{Outcome: action.Dead, Err: fmt.Errorf("cannot book")}
	}
	w := newWorld(t, newTrigger("t", rec, dead))
	w.start()
	w.append("invoice")
	dead.wait(t, 1)
	w.quiet()
	letter := w.letter()
	e := dead.runs[0].Event
	if e.Kind != event.KindDead || !strings.Contains(e.Reason, "cannot book") || e.Message.Subject != "invoice" || e.UID != 1 || !strings.Contains(e.Message.Text, "This is invoice") {
		t.Errorf("event %+v", e)
	}
	if d := e.DeadLetter; d == nil || d.ID != letter.ID || d.EventID != letter.Job.EventID || d.EventID == e.ID || d.Action != "rec" || d.Kind != event.KindMessage {
		t.Errorf("dead letter %+v", d)
	}
	// Tried again and failed again, it is another dead letter.
	if err := w.engine.Retry(letter.ID); err != nil {
		t.Fatal(err)
	}
	dead.wait(t, 1)
	w.quiet()
	if dead.runs[1].Event.ID == e.ID {
		t.Error("two dead letters are told of under one event id")
	}
	// What is left to tell goes on over a restart.
	w.restart()
	if n := len(dead.events()); n != 2 {
		t.Errorf("told %d times", n)
	}
}

// What fails while it tells of a dead letter does not tell of itself.
func TestDeadLettersDoNotLoop(t *testing.T) {
	rec, dead := newRecorder("rec"), newTeller("dead", action.OnDead)
	fail := func(*action.Run) action.Result { return action.Result{Outcome: action.Dead, Err: fmt.Errorf("no")} }
	rec.do, dead.do = fail, fail
	w := newWorld(t, newTrigger("t", rec, dead))
	w.start()
	w.append("invoice")
	dead.wait(t, 1)
	w.until("there are two dead letters", func() bool {
		letters, err := w.engine.DeadLetters()
		return err == nil && len(letters) == 2
	})
	w.quiet()
	if n := len(dead.events()); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// A message that was never read is told of with what is known of it; and so is a
// silence that could not be told.
func TestDeadLetterWithoutMessage(t *testing.T) {
	rec, dead := newRecorder("rec"), newTeller("dead", action.OnDead)
	cfg := newTrigger("t", rec, dead)
	cfg.MaxSize = 10
	w := newWorld(t, cfg)
	w.start()
	w.append("large")
	dead.wait(t, 1)
	w.quiet()
	e := dead.runs[0].Event
	if e.Message == nil || e.Message.Subject != "large" || !strings.Contains(e.Reason, "max_size") || e.DeadLetter.Action != "" {
		t.Errorf("event %+v", e)
	}

	v, clock, _, silence := vigilWorld(t)
	told := newTeller("dead", action.OnDead)
	v.triggers[0].Actions = append(v.triggers[0].Actions, told)
	silence.do = func(*action.Run) action.Result { return action.Result{Outcome: action.Dead, Err: fmt.Errorf("no")} }
	v.start()
	clock.check(v, 61*time.Minute)
	told.wait(t, 1)
	if e := told.runs[0].Event; e.Message != nil || e.DeadLetter.Kind != event.KindSilence || e.DeadLetter.Action != "silence" {
		t.Errorf("event %+v", e)
	}
}

// Without actions that tell of it, a silence is in the status all the same.
func TestSilenceNobodyIsToldOf(t *testing.T) {
	clock := &wallClock{}
	cfg := newTrigger("t", newRecorder("came"))
	cfg.Expect = gate.Expect{Every: setting.Duration(time.Hour)}
	w := newWorld(t, cfg)
	w.now = clock.now
	w.start()
	w.until("it is watched", func() bool { return w.engine.Watches()[0].Connected })
	clock.check(w, 62*time.Minute)
	w.until("it is silent", func() bool {
		clock.check(w, 0)
		return w.status("t").Silent == gate.NotArrived
	})
	w.quiet()
	if s := w.status("t"); s.Queue != 0 {
		t.Errorf("status %+v", s)
	}
}
