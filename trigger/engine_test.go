package trigger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailtrigger/codepage"
	"mailtrigger/trigger/action"
)

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("%s: got %d, want %d; they differ from number %d on: got %.5q, want %.5q", what, len(got), len(want), i, got[min(i, len(got)):], want[min(i, len(want)):])
			return
		}
	}
}

func TestBurstInOrderOnce(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.append("old")
	w.start()
	names := numbered("mail", 300)
	w.append(names...)
	rec.wait(t, 300)
	w.quiet()
	equal(t, "fired", rec.subjects(), names)
	ids := map[string]bool{}
	for _, r := range rec.runs {
		ids[r.Event.ID] = true
		if want := "This is " + r.Event.Message.Subject + ".\n"; strings.ReplaceAll(r.Event.Message.Text, "\r", "") != want {
			t.Errorf("text %q, want %q", r.Event.Message.Text, want)
		}
	}
	if len(ids) != 300 {
		t.Errorf("%d event ids for 300 messages", len(ids))
	}
	w.restart()
	w.append("after")
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), append(names, "after"))
}

func TestStartAllLiveFirst(t *testing.T) {
	rec := newRecorder("rec")
	hold := make(chan struct{})
	rec.do = func(*action.Run) action.Result { <-hold; return action.Result{} }
	cfg := newTrigger("t", rec)
	cfg.Start = "all"
	w := newWorld(t, cfg)
	old := numbered("old", 250)
	w.append(old...)
	w.start()
	w.append("new")
	w.until("the new message is queued too", func() bool {
		r := w.engine.runners[0]
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.live) == 1 && len(r.old) == 249
	})
	close(hold)
	rec.wait(t, 251)
	got := rec.subjects()
	if got[0] != old[0] || got[1] != "new" {
		t.Errorf("order begins with %q, want the first old one, which ran already, then the new one", got[:3])
	}
	slices.Sort(got)
	equal(t, "fired", got, append([]string{"new"}, old...))
}

func TestConditionsAndNoMatch(t *testing.T) {
	yes, no, both := newRecorder("yes"), newRecorder("no"), newRecorder("both")
	no.When, both.When = action.OnNoMatch, action.Always
	cfg := newTrigger("t", yes, no, both)
	cfg.Conditions = []Condition{{Field: "subject", Contains: []string{"INVOICE"}}}
	w := newWorld(t, cfg)
	w.start()
	w.append("an invoice", "news")
	both.wait(t, 2)
	w.quiet()
	equal(t, "match", yes.subjects(), []string{"an invoice"})
	equal(t, "no match", no.subjects(), []string{"news"})
	equal(t, "always", both.subjects(), []string{"an invoice", "news"})
}

func TestRetryStepsAside(t *testing.T) {
	rec := newRecorder("rec")
	rec.do = func(r *action.Run) action.Result {
		if r.Event.Message.Subject == "bad" && r.Event.Attempt < 4 {
			return action.Result{Outcome: action.Retry, Err: errors.New("not yet")}
		}
		return action.Result{}
	}
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	w.append("bad", "good 1", "good 2")
	rec.wait(t, 6)
	w.quiet()
	var attempts []int
	ids := map[string]bool{}
	for _, r := range rec.runs {
		if r.Event.Message.Subject == "bad" {
			attempts = append(attempts, r.Event.Attempt)
			ids[r.Event.ID] = true
		}
	}
	if !slices.Equal(attempts, []int{1, 2, 3, 4}) || len(ids) != 1 {
		t.Errorf("attempts %v under %d ids", attempts, len(ids))
	}
	firsts := []string{}
	for _, r := range rec.runs {
		if r.Event.Attempt == 1 {
			firsts = append(firsts, r.Event.Message.Subject)
		}
	}
	equal(t, "first attempts", firsts, []string{"bad", "good 1", "good 2"})
}

func TestDeadLetterAndRetry(t *testing.T) {
	var healed atomic.Bool
	first, rec, last := newRecorder("first"), newRecorder("rec"), newRecorder("last")
	rec.do = func(r *action.Run) action.Result {
		if healed.Load() {
			return action.Result{}
		}
		return action.Result{Outcome: action.Dead, Err: errors.New("no such book"), Output: []byte("printed")}
	}
	w := newWorld(t, newTrigger("t", first, rec, last))
	w.start()
	w.append("m")
	rec.wait(t, 1)
	w.letter()
	w.restart()
	l := w.letter()
	if !strings.Contains(l.Reason, "no such book") || string(l.Job.Actions[1].Output) != "printed" || l.Job.Subject != "m" {
		t.Errorf("dead letter %+v", l)
	}
	healed.Store(true)
	if err := w.engine.Retry(l.ID); err != nil {
		t.Fatal(err)
	}
	last.wait(t, 1)
	w.quiet()
	if len(first.subjects()) != 1 || len(rec.subjects()) != 2 {
		t.Errorf("runs: first %d, rec %d; want 1 and 2", len(first.runs), len(rec.runs))
	}
	if rec.runs[0].Event.ID != rec.runs[1].Event.ID {
		t.Error("the event id changed")
	}
	if err := w.engine.Retry(l.ID); err == nil {
		t.Error("a dead letter could be retried twice")
	}
}

func TestGivesUp(t *testing.T) {
	rec := newRecorder("rec")
	rec.do = func(*action.Run) action.Result {
		return action.Result{Outcome: action.Retry, Err: errors.New("down")}
	}
	cfg := newTrigger("t", rec)
	cfg.Retry.Attempts = 3
	w := newWorld(t, cfg)
	w.start()
	w.append("m")
	rec.wait(t, 3)
	w.letter()
	w.quiet()
	if len(rec.subjects()) != 3 {
		t.Errorf("%d attempts, want 3", len(rec.runs))
	}
}

func TestTriggersDoNotHoldUpEachOther(t *testing.T) {
	stuck, free := newRecorder("stuck"), newRecorder("free")
	release := make(chan struct{})
	stuck.do = func(*action.Run) action.Result { <-release; return action.Result{} }
	w := newWorld(t, newTrigger("a", stuck), newTrigger("b", free))
	w.start()
	names := numbered("mail", 20)
	w.append(names...)
	free.wait(t, 20)
	equal(t, "fired", free.subjects(), names)
	close(release)
	stuck.wait(t, 20)
	equal(t, "fired later", stuck.subjects(), names)
}

// A full queue stops the cursor, not the memory: nothing is lost, and what was
// not accepted is taken when there is room.
func TestFullQueuePushesBack(t *testing.T) {
	rec := newRecorder("rec")
	release := make(chan struct{})
	rec.do = func(*action.Run) action.Result { <-release; return action.Result{} }
	other := newRecorder("other")
	w := newWorld(t, newTrigger("t", rec), newTrigger("o", other))
	w.start()
	names := numbered("mail", maxJobs+200)
	w.append(names...)
	other.wait(t, len(names))
	if q := w.engine.Triggers()[0].Queue; q != maxJobs {
		t.Errorf("queue of %d, want %d", q, maxJobs)
	}
	close(release)
	rec.wait(t, len(names))
	w.quiet()
	equal(t, "fired", rec.subjects(), names)
	equal(t, "the other fired", other.subjects(), names)
}

func TestJobsGoOnAfterRestart(t *testing.T) {
	rec := newRecorder("rec")
	var down atomic.Bool
	down.Store(true)
	rec.do = func(*action.Run) action.Result {
		if down.Load() {
			return action.Result{Outcome: action.Retry, Err: errors.New("down")}
		}
		return action.Result{}
	}
	cfg := newTrigger("t", rec)
	cfg.Retry.First, cfg.Retry.Max = cfg.Retry.First*100, cfg.Retry.Max*100
	w := newWorld(t, cfg)
	w.start()
	w.append("m")
	rec.wait(t, 1)
	w.stop()
	down.Store(false)
	w.start()
	w.quiet()
	last := rec.runs[len(rec.runs)-1]
	if last.Event.ID != rec.runs[0].Event.ID || last.Event.Attempt < 2 || last.Event.Message.Subject != "m" {
		t.Errorf("went on as attempt %d of %s", last.Event.Attempt, last.Event.ID)
	}
}

func TestRemovedTriggerOrAction(t *testing.T) {
	rec := newRecorder("rec")
	rec.do = func(*action.Run) action.Result {
		return action.Result{Outcome: action.Retry, Err: errors.New("down")}
	}
	cfg := newTrigger("t", rec)
	cfg.Retry.First, cfg.Retry.Max = cfg.Retry.First*1e6, cfg.Retry.Max*1e6
	w := newWorld(t, cfg)
	w.start()
	w.append("m")
	rec.wait(t, 1)
	w.stop()
	w.triggers = []*Config{newTrigger("t", newRecorder("renamed"))}
	w.start()
	if l := w.letter(); !strings.Contains(l.Reason, `"rec" was removed`) {
		t.Errorf("dead letter %+v", l)
	}
}

func TestCodePageOfTriggerOverConnection(t *testing.T) {
	a, b := newRecorder("a"), newRecorder("b")
	one, two := newTrigger("one", a), newTrigger("two", b)
	page, err := codepage.Lookup("1251")
	if err != nil {
		t.Fatal(err)
	}
	one.CodePage.Page = page
	w := newWorld(t, one, two)
	w.start()
	raw := "From: a@example.com\r\nSubject: \xcf\xf0\xe8\xe2\xe5\xf2\r\n\r\n\xc7\xe0\xea\xe0\xe7 \xee\xf2\xef\xf0\xe0\xe2\xeb\xe5\xed\r\n"
	w.srv.Append(alice, "INBOX", []byte(raw), nil, time.Now())
	a.wait(t, 1)
	b.wait(t, 1)
	m := a.runs[0].Event.Message
	if m.Subject != "Привет" || !strings.HasPrefix(m.Text, "Заказ отправлен") || m.CodePage.Used != "windows-1251" {
		t.Errorf("read as %q %q with %s", m.Subject, m.Text, m.CodePage.Used)
	}
	if m := b.runs[0].Event.Message; m.CodePage.Used != page1252(t).Name {
		t.Errorf("the connection's page gave way: %s", m.CodePage.Used)
	}
}

func page1252(t *testing.T) *codepage.Page {
	page, err := codepage.Lookup("1252")
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestTooLargeIsADeadLetter(t *testing.T) {
	rec := newRecorder("rec")
	cfg := newTrigger("t", rec)
	cfg.MaxSize = 10000
	cfg.Conditions = []Condition{{Field: "subject", Contains: []string{"big"}}}
	w := newWorld(t, cfg)
	w.start()
	pad := strings.Repeat("x", 2<<20)
	for _, s := range []string{"big", "large"} {
		w.srv.Append(alice, "INBOX", append(mailText(s), pad...), nil, time.Now())
	}
	w.append("big small")
	rec.wait(t, 1)
	equal(t, "fired", rec.subjects(), []string{"big small"})
	l := w.letter()
	if !strings.Contains(l.Reason, "max_size") || l.Job.Subject != "big" {
		t.Errorf("dead letter %+v", l)
	}
	cfg.MaxSize = 10 << 20
	w.restart()
	if err := w.engine.Retry(l.ID); err != nil {
		t.Fatal(err)
	}
	rec.wait(t, 1)
	if got := rec.runs[1].Event; got.Message.Subject != "big" || len(got.Raw) < len(pad) {
		t.Errorf("retried with %q, %d bytes", got.Message.Subject, len(got.Raw))
	}
}

// Of several messages that were being read when the daemon died one is to blame: until
// each has been read since, they are read one at a time.
func TestPoisonSuspects(t *testing.T) {
	w := newWorld(t)
	box := mailboxKey(w.conn, "INBOX")
	died := slices.Concat(encodeSlot("a file"), encodeSlot(poisonKey(box, 1, 7)), encodeSlot(poisonKey(box, 1, 8)))
	if err := writeFile(w.dir+"/decoding", died); err != nil {
		t.Fatal(err)
	}
	p, err := openPoisonOf(w)
	if err != nil {
		t.Fatal(err)
	}
	defer w.store.Close()
	defer p.close()
	for uid := uint32(7); uid <= 8; uid++ {
		if !p.suspects() {
			t.Errorf("nobody is suspected before UID %d is read", uid)
		}
		end, ok := p.begin(box, 1, uid)
		if !ok {
			t.Fatal("given up after one crash")
		}
		end()
	}
	if p.suspects() {
		t.Error("somebody is suspected though all have been read")
	}
}

// With no room on the disk the start does not wait until the crashes are counted; they
// are counted later, each once.
func TestPoisonWithoutRoom(t *testing.T) {
	w := newWorld(t)
	key := poisonKey(mailboxKey(w.conn, "INBOX"), 1, 7)
	if err := writeFile(w.dir+"/decoding", slices.Concat(encodeSlot("a file"), encodeSlot(key))); err != nil {
		t.Fatal(err)
	}
	open := func(floor int64) (p *poison) {
		w.floor = floor
		opened := make(chan error, 1)
		go func() {
			var err error
			p, err = openPoisonOf(w)
			opened <- err
		}()
		select {
		case err := <-opened:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal("the start waits for room")
		}
		return p
	}
	p := open(noRoom)
	if _, ok := p.begin(mailboxKey(w.conn, "INBOX"), 1, 7); !ok || p.count[key] != 1 {
		t.Errorf("%d crashes, want 1", p.count[key])
	}
	w.store.Close() // it dies again while it reads the message
	p.close()
	for range 2 {
		p = open(0)
		if p.count[key] != 2 {
			t.Errorf("%d crashes, want 2", p.count[key])
		}
		w.store.Close() // they are counted
		p.close()
	}
}

// Three crashes while a message is read make it a dead letter.
func TestPoisonMessage(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	for i := range maxCrashes {
		w.stop()
		if i == 0 {
			w.append("poison")
		}
		uid := w.srv.Messages(alice, "INBOX")[0].UID
		key := poisonKey(mailboxKey(w.conn, "INBOX"), w.srv.UIDValidity(alice, "INBOX"), uid)
		if err := writeFile(w.dir+"/decoding", slices.Concat(encodeSlot(fmt.Sprint("file ", i)), encodeSlot(key))); err != nil {
			t.Fatal(err)
		}
		if i < maxCrashes-1 {
			// It dies again before it gets anywhere.
			p, err := openPoisonOf(w)
			if err != nil {
				t.Fatal(err)
			}
			p.close()
			w.store.Close()
		}
	}
	w.start()
	w.append("healthy")
	rec.wait(t, 1)
	l := w.letter()
	equal(t, "fired", rec.subjects(), []string{"healthy"})
	tries := 0
	rec.do = func(*action.Run) action.Result {
		if tries++; tries < 3 {
			return action.Result{Outcome: action.Retry, Err: errors.New("not yet")}
		}
		return action.Result{}
	}
	if err := w.engine.Retry(l.ID); err != nil {
		t.Fatal(err)
	}
	rec.wait(t, 3)
	equal(t, "fired", rec.subjects(), []string{"healthy", "poison", "poison", "poison"})
}

// Mail that waited when the daemon ended goes before what has come since.
func TestOrderOverRestart(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	began, release := make(chan struct{}, 10), make(chan struct{})
	rec.do = func(*action.Run) action.Result { began <- struct{}{}; <-release; return action.Result{} }
	w.append(numbered("early", 5)...)
	<-began
	w.until("all five wait", func() bool { return w.engine.Triggers()[0].Queue == 5 })
	w.engine.runners[0].stop() // nothing starts any more
	close(release)
	w.stop()
	held := make(chan struct{})
	rec.do = func(*action.Run) action.Result { <-held; return action.Result{} }
	w.append(numbered("late", 5)...)
	w.start()
	w.until("all but the first wait", func() bool { return w.engine.Triggers()[0].Queue == 9 })
	close(held)
	rec.wait(t, 10)
	equal(t, "fired", rec.subjects(), append(numbered("early", 5), numbered("late", 5)...))
}

func TestServerDropsAndComesBack(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	for i := range 5 {
		w.srv.Drop()
		w.append(fmt.Sprintf("mail %d", i))
		rec.wait(t, 1)
	}
	w.srv.Stop()
	w.append("while down")
	if err := w.srv.Start(); err != nil {
		t.Fatal(err)
	}
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"mail 0", "mail 1", "mail 2", "mail 3", "mail 4", "while down"})
}

// What the event says of a message is the same at each attempt, though the message is
// read back from the journal.
func TestEventIsTheSameAtEachAttempt(t *testing.T) {
	again := newRecorder("again")
	again.do = func(r *action.Run) action.Result {
		if r.Event.Attempt < 3 {
			return action.Result{Outcome: action.Retry, Err: errors.New("not yet")}
		}
		return action.Result{}
	}
	w := newWorld(t, newTrigger("hello", again))
	w.start()
	w.srv.Append(alice, "INBOX", []byte("Subject: m\r\n\r\ntext\r\n"), []string{`\Flagged`, "$Forwarded"}, time.Now())
	again.wait(t, 1)
	w.restart()
	again.wait(t, 2)
	first := again.runs[0].Event.Message
	if len(first.Flags) == 0 {
		t.Fatal("the message has no flags at the first attempt")
	}
	for i, run := range again.runs[1:] {
		m := run.Event.Message
		if !slices.Equal(m.Flags, first.Flags) || m.Size != first.Size || m.Text != first.Text {
			t.Errorf("attempt %d: flags %q, %d bytes, text %q; at first %q, %d, %q", i+2, m.Flags, m.Size, m.Text, first.Flags, first.Size, first.Text)
		}
	}
}
