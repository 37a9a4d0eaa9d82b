package trigger

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/gate"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// A wallClock is what the engine takes for the time.
type wallClock struct{ ahead atomic.Int64 }

func (c *wallClock) now() time.Time { return time.Now().Round(0).Add(time.Duration(c.ahead.Load())) }

// step sets the clock, and has everything look at it again, as it does each minute.
func (c *wallClock) step(w *world, d time.Duration) {
	c.ahead.Add(int64(d))
	for _, r := range w.engine.runners {
		r.tick()
	}
}

func gated(rec *recorder, change func(*Config)) *Config {
	cfg := newTrigger("t", rec)
	change(cfg)
	cfg.SetDefaults()
	return cfg
}

func (w *world) status(name string) TriggerStatus {
	for _, s := range w.engine.Triggers() {
		if s.Name == name {
			return s
		}
	}
	w.t.Fatalf("no trigger %s", name)
	return TriggerStatus{}
}

// A tally counts the matches that did not fire.
type tally struct {
	mu sync.Mutex
	n  map[string]uint64 // by trigger and reason
}

func newTally(w *world) *tally {
	c := &tally{n: make(map[string]uint64)}
	w.trace = &Trace{Suppressed: func(trigger, reason string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n[trigger+" "+reason]++
	}}
	return c
}

// wait waits until so many matches in all did not fire for that reason.
func (c *tally) wait(w *world, trigger, reason string, n uint64) {
	w.t.Helper()
	w.until(fmt.Sprintf("%s: %d suppressed by %s", trigger, n, reason), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.n[trigger+" "+reason] == n
	})
}

func TestEveryAcrossRestarts(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, gated(rec, func(c *Config) { c.Every = 3 }))
	held := newTally(w)
	w.start()
	w.append("1", "2")
	held.wait(w, "t", gate.Every, 2)
	w.restart()
	w.append("3", "4", "5")
	held.wait(w, "t", gate.Every, 4)
	w.restart()
	w.append("6")
	rec.wait(t, 2)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"3", "6"})
}

func TestExpiresAcrossRestarts(t *testing.T) {
	rec, always := newRecorder("rec"), newRecorder("always")
	always.When = action.Always
	w := newWorld(t, newTrigger("t", rec, always))
	w.triggers[0].Expires = "2 firings"
	held := newTally(w)
	w.start()
	w.append("1")
	rec.wait(t, 1)
	w.restart()
	w.append("2", "3", "4")
	always.wait(t, 4)
	w.quiet()
	held.wait(w, "t", gate.Expires, 2)
	equal(t, "fired", rec.subjects(), []string{"1", "2"})
	equal(t, "always", always.subjects(), []string{"1", "2", "3", "4"})
	if !w.status("t").Expired {
		t.Error("the status does not say that it has expired")
	}
}

// The same message in several mailboxes fires once, also after a restart; what only
// has the same Message-ID is another one, and what has none is never a duplicate.
func TestDedupeAcrossMailboxesAndRestarts(t *testing.T) {
	rec := newRecorder("rec")
	cfg := gated(rec, func(c *Config) { c.Dedupe.Window = setting.Duration(time.Hour) })
	cfg.Mailboxes = []string{"INBOX", "Other"}
	w := newWorld(t, cfg)
	w.srv.CreateMailbox(alice, "Other")
	held := newTally(w)
	w.start()
	put := func(box string, raw []byte) { w.srv.Append(alice, box, raw, nil, time.Now()) }
	put("INBOX", mailText("a"))
	rec.wait(t, 1)
	put("Other", append([]byte("Received: by another way\r\n"), mailText("a")...))
	held.wait(w, "t", gate.Dedupes, 1)
	w.restart()
	put("Other", mailText("a"))
	put("INBOX", mailText("a"))
	held.wait(w, "t", gate.Dedupes, 3)
	put("INBOX", []byte(strings.Replace(string(mailText("a")), "This is", "This surely is", 1)))
	rec.wait(t, 1)
	anonymous := []byte(strings.Replace(string(mailText("b")), "Message-ID:", "X-Was:", 1))
	put("INBOX", anonymous)
	put("INBOX", anonymous)
	rec.wait(t, 2)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"a", "a", "b", "b"})
}

// Claims end with the window, and go from the journal a chunk at a time.
func TestClaimsEnd(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newClaims(nil, time.Hour, now)
	var stored []journal.Claim
	for i := range 1000 {
		now = now.Add(30 * time.Second)
		c.add(uint64(i), now)
		u := c.update("t", 1, now)
		stored = append(stored[u.Forget/journal.ClaimChunk*journal.ClaimChunk:], u.Add...)
		c.forget()
	}
	if !slices.Equal(stored, c.list) {
		t.Errorf("the journal has %d claims, the memory %d", len(stored), len(c.list))
	}
	if len(stored) < 120 || len(stored) > 120+journal.ClaimChunk || len(c.seen) > len(stored) {
		t.Errorf("%d claims are kept, %d of them known, of 120 that count", len(stored), len(c.seen))
	}
	again := newClaims(stored, time.Hour, now)
	for id := range uint64(1000) {
		want := id > 1000-1-120
		if c.has(id, now) != want || again.has(id, now) != want {
			t.Fatalf("claim %d counts: %v, and read again %v; want %v", id, c.has(id, now), again.has(id, now), want)
		}
	}
	if !c.has(999, now.Add(-24*time.Hour)) {
		t.Error("a clock that was set back has ended a claim")
	}
}

func TestAfterAnotherTrigger(t *testing.T) {
	first, second := newRecorder("first"), newRecorder("second")
	one := newTrigger("one", first)
	one.Conditions = []Condition{{Field: "subject", Contains: []string{"go"}}}
	two := newTrigger("two", second)
	two.After = []string{"one"}
	two.SetDefaults()
	w := newWorld(t, one, two)
	held := newTally(w)
	w.start()
	w.append("early")
	held.wait(w, "two", gate.After, 1)
	w.append("go")
	first.wait(t, 1)
	second.wait(t, 1) // the same message, as the other trigger is above in the file
	w.restart()
	w.append("late")
	second.wait(t, 1)
	equal(t, "fired", second.subjects(), []string{"go", "late"})
}

// What quiet hours put off waits in the journal, with all that is to be done on the
// server, and goes on over a restart and a clock that is set.
func TestQuietHours(t *testing.T) {
	rec := newRecorder("rec")
	clock := &wallClock{}
	begin := time.Now().UTC().Add(-time.Hour)
	cfg := gated(rec, func(c *Config) {
		c.QuietHours = fmt.Sprintf("%s-%s UTC", begin.Format("15:04"), begin.Add(3*time.Hour).Format("15:04"))
	})
	cfg.Actions = append(cfg.Actions, define(&action.Move{Target: action.Target{Mailbox: "Done", Create: true}}, "move", "move"))
	w := newWorld(t, cfg)
	w.now = clock.now
	w.start()
	w.append("1", "2")
	w.until("both wait", func() bool { return w.status("t").Waiting == 2 })
	w.restart()
	w.append("3")
	w.until("all wait", func() bool { return w.status("t").Waiting == 3 })
	s := w.status("t")
	if wait := time.Until(s.Until); wait < 90*time.Minute || wait > 2*time.Hour || s.Queue != 3 || s.Retrying != 0 || !s.Oldest.IsZero() {
		t.Errorf("it waits for %s; status %+v", wait, s)
	}
	if got := w.mailbox("Done"); len(got) > 0 || len(rec.subjects()) > 0 {
		t.Errorf("done at a quiet time: %q, %q", rec.subjects(), got)
	}
	clock.step(w, 2*time.Hour)
	rec.wait(t, 3)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"1", "2", "3"})
	w.until("all are moved", func() bool { return len(w.mailbox("Done")) == 3 })
}

// What is late is not fired in the quiet hours of another day.
func TestLateInQuietHours(t *testing.T) {
	rec := newRecorder("rec")
	clock := &wallClock{}
	begin := time.Now().UTC().Add(-time.Hour)
	w := newWorld(t, gated(rec, func(c *Config) {
		c.QuietHours = fmt.Sprintf("%s-%s UTC", begin.Format("15:04"), begin.Add(3*time.Hour).Format("15:04"))
	}))
	w.now = clock.now
	w.start()
	w.append("1")
	w.until("it waits", func() bool { return w.status("t").Waiting == 1 })
	w.stop()
	clock.ahead.Add(int64(24 * time.Hour)) // the same time, a day later
	w.start()
	w.append("2")
	w.until("both wait", func() bool { return w.status("t").Waiting == 2 })
	clock.step(w, 24*time.Hour) // the machine slept
	if s := w.status("t"); s.Waiting != 2 || s.Until.Sub(clock.now()) > 2*time.Hour {
		t.Errorf("status %+v", s)
	}
	clock.step(w, 2*time.Hour)
	rec.wait(t, 2)
	equal(t, "fired", rec.subjects(), []string{"1", "2"})
}

// A clock that was set back puts nothing off for longer than it was to be.
func TestWaitingAndClockSetBack(t *testing.T) {
	rec := newRecorder("rec")
	clock := &wallClock{}
	clock.ahead.Store(int64(1000 * time.Hour))
	cfg := gated(rec, func(c *Config) { c.Limit = gate.Limit{Count: 1, Per: setting.Duration(time.Hour), Over: "queue"} })
	w := newWorld(t, cfg)
	w.now = clock.now
	w.start()
	w.append("1")
	rec.wait(t, 1)
	w.append("2")
	w.until("one waits", func() bool { return w.status("t").Waiting == 1 })
	clock.step(w, -1000*time.Hour)
	if wait := time.Until(w.status("t").Until); wait > time.Hour {
		t.Errorf("it waits for %s", wait)
	}
	w.stop()
	clock.ahead.Store(int64(-1000 * time.Hour))
	w.start()
	if wait := w.status("t").Until.Sub(clock.now()); wait > time.Hour {
		t.Errorf("after a restart it waits for %s", wait)
	}
	clock.step(w, time.Hour)
	rec.wait(t, 1)
}

// How fast the daemon is says nothing of what a gate has put off.
func TestPushToActionOfWaiting(t *testing.T) {
	rec := newRecorder("rec")
	clock := &wallClock{}
	w := newWorld(t, gated(rec, func(c *Config) { c.Limit = gate.Limit{Count: 1, Per: setting.Duration(time.Hour), Over: "queue"} }))
	w.now = clock.now
	var measured atomic.Int64
	w.trace = &Trace{PushToAction: func(time.Duration) { measured.Add(1) }}
	w.start()
	w.append("1")
	rec.wait(t, 1)
	w.append("2")
	w.until("one waits", func() bool { return w.status("t").Waiting == 1 })
	clock.step(w, time.Hour)
	rec.wait(t, 1)
	if n := measured.Load(); n != 1 {
		t.Errorf("%d were measured, not only the one that did not wait", n)
	}
}

// What is late after a time in which the daemon did not run keeps to the limit.
func TestLimitAfterDowntime(t *testing.T) {
	rec := newRecorder("rec")
	clock := &wallClock{}
	w := newWorld(t, gated(rec, func(c *Config) { c.Limit = gate.Limit{Count: 1, Per: setting.Duration(time.Hour), Over: "queue"} }))
	w.now = clock.now
	w.start()
	w.append("1", "2", "3", "4")
	rec.wait(t, 1)
	w.until("three wait", func() bool { return w.status("t").Waiting == 3 })
	w.stop()
	clock.ahead.Add(int64(24 * time.Hour))
	w.start()
	rec.wait(t, 1)
	for range 2 {
		w.restart() // it is remembered, too
		w.until("the rest waits", func() bool { return w.status("t").Waiting > 0 })
		if got := w.status("t").Until.Sub(clock.now()); got < 30*time.Minute || got > time.Hour {
			t.Errorf("the next waits for %s", got)
		}
		clock.step(w, time.Hour)
		rec.wait(t, 1)
	}
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"1", "2", "3", "4"})
}

func TestLimitSkips(t *testing.T) {
	rec := newRecorder("rec")
	clock := &wallClock{}
	w := newWorld(t, gated(rec, func(c *Config) { c.Limit = gate.Limit{Count: 2, Per: setting.Duration(time.Hour)} }))
	w.now = clock.now
	held := newTally(w)
	w.start()
	w.append("1", "2", "3")
	rec.wait(t, 2)
	w.restart()
	w.append("4")
	held.wait(w, "t", gate.Limited, 2)
	clock.step(w, time.Hour)
	w.append("5")
	rec.wait(t, 1)
	equal(t, "fired", rec.subjects(), []string{"1", "2", "5"})
}

// The latest takes the place of the one that waits, in one batch, later, and after a
// restart; what is to be done in any case is done.
func TestLimitLatest(t *testing.T) {
	rec, always := newRecorder("rec"), newRecorder("always")
	always.When = action.Always
	clock := &wallClock{}
	cfg := newTrigger("t", rec, always)
	cfg.Limit = gate.Limit{Count: 1, Per: setting.Duration(time.Hour), Over: "latest"}
	w := newWorld(t, cfg)
	w.now = clock.now
	w.start()
	w.append("1")
	rec.wait(t, 1)
	always.wait(t, 1)
	w.stop()
	w.append("2", "3") // one batch
	w.start()
	always.wait(t, 1)
	w.append("4")
	always.wait(t, 1)
	w.restart()
	w.append("5")
	always.wait(t, 1)
	w.until("one waits", func() bool { s := w.status("t"); return s.Waiting == 1 && s.Queue == 1 })
	clock.step(w, time.Hour)
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"1", "5"})
	equal(t, "always", always.subjects(), []string{"1", "2", "3", "4", "5"})
}

// A batch that the journal does not take changes nothing that gates remember.
func TestRefusedBatch(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, gated(rec, func(c *Config) {
		c.Every, c.Dedupe.Window = 2, setting.Duration(time.Hour)
		c.Limit = gate.Limit{Count: 1, Per: setting.Duration(time.Hour)}
	}))
	held := newTally(w)
	w.start()
	k := w.engine.runners[0].keeper()
	before := k.state
	a := w.engine.admit([]*feed{{want: want{runner: w.engine.runners[0]}}})
	for id := uint64(1); id <= 4; id++ {
		m := gate.Match{Now: time.Now(), ID: id, Claimed: func(id uint64) bool { return k.claims.has(id, time.Now()) }}
		v, next := k.gates.Judge(k.state, m)
		if v.Claims {
			k.claims.add(id, time.Now())
			a.claimed[k]++
		}
		a.set(k, next)
	}
	a.into(&journal.Batch{}, nil)
	a.end(nil, fmt.Errorf("refused"))
	if fmt.Sprint(k.state) != fmt.Sprint(before) || len(k.claims.list) != 0 || len(k.claims.seen) != 0 {
		t.Errorf("state %+v, %d claims", k.state, len(k.claims.list))
	}
	w.append("1", "2", "3", "4")
	rec.wait(t, 1)
	held.wait(w, "t", gate.Limited, 1)
	equal(t, "fired", rec.subjects(), []string{"2"})
}

// What was started before a crash fires, whatever the gates would say by now.
func TestStartedFiresThroughGates(t *testing.T) {
	rec := newRecorder("rec")
	hour := time.Now().UTC()
	cfg := gated(rec, func(c *Config) {
		c.Every, c.Expires, c.Dedupe.Window = 5, "2001-01-01", setting.Duration(time.Hour)
		c.QuietHours = fmt.Sprintf("%s-%s UTC", hour.Add(-time.Hour).Format("15:04"), hour.Add(time.Hour).Format("15:04"))
	})
	w := newWorld(t, cfg)
	held := newTally(w)
	w.start()
	w.stop()
	raw := mailText("started")
	msg := message.Parse(raw, message.Options{})
	b, err := openBegun(w.dir+"/starting", func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("e", 64)
	b.begin(startKey(journal.MailboxKey{}, dedupeID(msg, raw), "t"), id)
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	w.append("started", "other")
	w.start()
	rec.wait(t, 1)
	held.wait(w, "t", gate.Expires, 1)
	if got := rec.runs[0].Event.ID; got != id {
		t.Errorf("started again as %s", got)
	}
}
