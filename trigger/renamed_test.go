package trigger

import (
	"errors"
	"sync/atomic"
	"testing"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/gate"
	"mailtrigger/trigger/journal"
)

// renamable returns a trigger that does the same under any name, and how it ends a
// message: "bad" becomes a dead letter, "wait" is tried again for ever.
func renamable() (newNamed func(name string) *Config, rec *recorder, up *atomic.Bool) {
	rec, up = newRecorder("rec"), new(atomic.Bool)
	rec.do = func(r *action.Run) action.Result {
		switch subject := r.Event.Message.Subject; {
		case up.Load():
		case subject == "bad":
			return action.Result{Outcome: action.Dead, Err: errors.New("never")}
		case subject == "wait":
			return action.Result{Outcome: action.Retry, Err: errors.New("not yet")}
		}
		return action.Result{}
	}
	return func(name string) *Config {
		cfg := newTrigger(name, rec)
		cfg.Retry.First, cfg.Retry.Max = setting.Duration(1e12), setting.Duration(1e12)
		cfg.Dedupe.By, cfg.Dedupe.Window = "message-id", setting.Duration(1e15)
		return cfg
	}, rec, up
}

// A trigger that has another name goes on where it was: mail of the meantime fires,
// what waits and what failed is its own, and what it has claimed it does not take again.
func TestRenamedTrigger(t *testing.T) {
	newNamed, rec, up := renamable()
	w := newWorld(t, newNamed("old"))
	w.start()
	w.append("first", "wait", "bad")
	rec.wait(t, 3)
	w.letter()
	w.stop()
	ids := map[string]string{}
	for _, r := range rec.runs {
		ids[r.Event.Message.Subject] = r.Event.ID
	}

	w.append("meantime", "first")
	w.triggers = []*Config{newNamed("new")}
	up.Store(true)
	w.start()
	rec.wait(t, 1)
	l := w.letter()
	if l.Job.Trigger != "new" || l.Job.Subject != "bad" {
		t.Errorf("dead letter of %s: %s", l.Job.Trigger, l.Job.Subject)
	}
	if err := w.engine.Retry(l.ID); err != nil {
		t.Fatal(err)
	}
	rec.wait(t, 1)
	w.until("one waits", func() bool { return w.engine.Triggers()[0].Queue == 1 })
	w.triggers[0].Retry.Max = setting.Duration(1e6) // it waits for as long at most
	w.restart()
	rec.wait(t, 1)
	w.append("last")
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"first", "wait", "bad", "meantime", "bad", "wait", "last"})
	for _, r := range rec.runs[3:] {
		if id := ids[r.Event.Message.Subject]; r.Event.Trigger != "new" || id != "" && id != r.Event.ID {
			t.Errorf("%s: trigger %s, event %s, was %s", r.Event.Message.Subject, r.Event.Trigger, r.Event.ID, id)
		}
	}
}

// A reload lets the old name go on until a restart: nothing ends or begins anew.
func TestRenamedAtReload(t *testing.T) {
	newNamed, rec, up := renamable()
	after := newTrigger("after", newRecorder("after"))
	after.After = []string{"old"}
	w := newWorld(t, newNamed("old"), after)
	w.start()
	w.append("wait")
	rec.wait(t, 1)
	runner := w.engine.runners[0]
	renamed := *after
	renamed.After = []string{"new"}
	w.reload(newNamed("new"), &renamed)
	changed := newNamed("new") // renamed first, then changed
	changed.Retry.Max = setting.Duration(1e6)
	up.Store(true)
	w.reload(changed, &renamed)
	w.append("live")
	rec.wait(t, 1)
	if r := w.engine.runners; len(r) != 2 || r[0] != runner || r[0].name != "old" || r[0].rule().cfg.Name != "old" {
		t.Error("the trigger did not go on under its name")
	}
	w.stop()
	w.append("meantime")
	w.start()
	rec.wait(t, 2)
	w.quiet()
	equal(t, "fired", sorted(rec.subjects()), []string{"live", "meantime", "wait", "wait"})
	for _, r := range rec.runs[2:] {
		if r.Event.Trigger != "new" {
			t.Errorf("%s fired as %s", r.Event.Message.Subject, r.Event.Trigger)
		}
	}
	if letters, err := w.engine.DeadLetters(); err != nil || len(letters) > 0 {
		t.Errorf("%d dead letters, %v", len(letters), err)
	}
}

// What is not plainly a renamed trigger is a new one.
func TestNotRenamed(t *testing.T) {
	none := func() []*Config { return nil }
	for name, test := range map[string]struct {
		between func() []*Config // of a run in between
		then    func(newNamed func(string) *Config) []*Config
	}{
		"another definition": {none, func(n func(string) *Config) []*Config {
			cfg := n("new")
			cfg.Concurrency = 2
			return []*Config{cfg}
		}},
		"two have the definition": {none, func(n func(string) *Config) []*Config { return []*Config{n("new"), n("other")} }},
		"the old one is there":    {none, func(n func(string) *Config) []*Config { return []*Config{n("new"), n("old")} }},
		"it was gone for a while": {func() []*Config { return []*Config{newTrigger("x", newRecorder("x"))} }, func(n func(string) *Config) []*Config { return []*Config{n("new")} }},
	} {
		t.Run(name, func(t *testing.T) {
			newNamed, rec, _ := renamable()
			w := newWorld(t, newNamed("old"))
			w.start()
			w.append("first")
			rec.wait(t, 1)
			w.stop()
			if w.triggers = test.between(); w.triggers != nil {
				w.start()
				w.stop()
			}
			w.triggers = test.then(newNamed)
			w.append("meantime")
			w.start()
			c, ok := w.store.Cursor(mailboxKey(w.conn, "INBOX"), "new")
			if next := w.srv.Messages(alice, "INBOX")[1].UID; !ok || c.UID != next {
				t.Errorf("its cursor is %+v, want from now on: %d", c, next)
			}
		})
	}
}

// Killed before the names are in the journal, or after it, the next start finds the
// same: all is the old trigger's, or all the new one's.
func TestRenamedAndKilled(t *testing.T) {
	newNamed, rec, _ := renamable()
	w := newWorld(t, newNamed("old"))
	w.start()
	w.append("wait", "bad")
	rec.wait(t, 2)
	w.letter()
	w.stop()
	names := func(want string, floor int64, rename bool) {
		t.Helper()
		store, err := journal.Open(w.dir, journal.Options{Log: w.log, FreeFloor: floor})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		if rename {
			before, err := adoptRenamed(store, []*Config{newNamed("new")}, w.log)
			if err != nil || before["new"] != "old" {
				t.Errorf("before: %v; %v", before, err)
			}
			return
		}
		jobs, err := store.OpenJobs(t.Context())
		letters, err2 := store.DeadLetters()
		_, cursor := store.Cursor(mailboxKey(w.conn, "INBOX"), want)
		claims, err3 := store.Claims(want)
		if err := errors.Join(err, err2, err3); err != nil || len(jobs) != 1 || jobs[0].Trigger != want || len(letters) != 1 || letters[0].Job.Trigger != want || !cursor || len(claims) != 2 {
			t.Errorf("want all of it to be of %s: jobs %+v, letters %+v, cursor %t, %d claims; %v", want, jobs, letters, cursor, len(claims), err)
		}
	}
	names("old", 0, false)
	names("", noRoom, true) // it ends before the journal can write that
	names("old", 0, false)
	names("", 0, true)
	names("new", 0, false)
	names("", 0, true) // and again: nothing changes
	names("new", 0, false)
}

// A start that was under way under the old name is not made again under the new one.
func TestRenamedWhileStarting(t *testing.T) {
	newNamed, rec, up := renamable()
	up.Store(true)
	w := newWorld(t)
	box := mailboxKey(w.conn, "INBOX")
	raw := mailText("begun")
	cfg, old := newNamed("new"), newNamed("old")
	cfg.Dedupe, old.Dedupe = gate.Dedupe{}, gate.Dedupe{} // by which it would be known
	w.triggers = []*Config{old}
	w.start()
	w.stop()
	key := startKey(box, identityHash(raw, int64(len(raw))), "old")
	if err := writeFile(w.dir+"/starting", encodeSlot(key+" the-id")); err != nil {
		t.Fatal(err)
	}
	w.append("begun")
	w.triggers = []*Config{cfg}
	w.start()
	rec.wait(t, 1)
	if id := rec.runs[0].Event.ID; id != "the-id" {
		t.Errorf("event %s, want the one that was begun", id)
	}
}
