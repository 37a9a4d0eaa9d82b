package trigger

import (
	"slices"
	"testing"
	"time"

	"mailtrigger/connection"
)

func TestMatchMailbox(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true},
		{"%", "a/b", false},
		{"%", "ab", true},
		{"cust/*", "cust/a/b", true},
		{"cust/%", "cust/a/b", false},
		{"cust/%", "cust/a", true},
		{"cust/*", "customers/a", false},
		{"*/done", "a/b/done", true},
		{"a%c*e", "abcd/e", true},
		{"a%c*e", "a/cde", false},
		{"inbox", "INBOX", true},
		{"Größe*", "Größer", true},
		{"", "", true},
		{"a", "", false},
	} {
		if got := matchMailbox(c.pattern, c.name, "/"); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.name, got)
		}
	}
}

func (w *world) appendTo(mailbox string, subjects ...string) {
	for _, s := range subjects {
		w.srv.Append(alice, mailbox, mailText(s), nil, time.Now())
	}
}

// watched waits until exactly these mailboxes are watched.
func (w *world) watched(want ...string) {
	w.t.Helper()
	w.until("the wanted mailboxes are watched", func() bool {
		var got []string
		for _, s := range w.engine.Watches() {
			if s.Connected {
				got = append(got, s.Mailbox)
			}
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
}

func TestPatternsAndSpecialUse(t *testing.T) {
	rec := newRecorder("rec")
	cfg := newTrigger("t", rec)
	cfg.Mailboxes = []string{"cust/*", `\Archive`}
	cfg.ExcludeMailboxes = []string{"cust/old*"}
	w := newWorld(t, cfg)
	w.conn.Session.MaxConnections = 10
	for _, m := range []string{"cust/a", "cust/b", "cust/older", "Trash"} {
		w.srv.CreateMailbox(alice, m)
	}
	w.appendTo("cust/a", "before")
	w.start()
	w.watched("Archive", "cust/a", "cust/b")
	w.appendTo("cust/a", "one")
	w.appendTo("Archive", "two")
	w.appendTo("cust/older", "not wanted")
	rec.wait(t, 2)

	// A mailbox that appears later starts at its first message.
	w.srv.CreateMailbox(alice, "cust/c")
	w.appendTo("cust/c", "three")
	rec.wait(t, 1)
	w.watched("Archive", "cust/a", "cust/b", "cust/c")

	// So does one that appears while the daemon does not run.
	w.stop()
	w.srv.CreateMailbox(alice, "cust/d")
	w.appendTo("cust/d", "four")
	w.start()
	rec.wait(t, 1)
	w.srv.DeleteMailbox(alice, "cust/b")
	w.watched("Archive", "cust/a", "cust/c", "cust/d")
	w.quiet()
	got := rec.subjects()
	slices.Sort(got)
	equal(t, "fired", got, []string{"four", "one", "three", "two"})
}

// A mailbox that the file names, too, starts at its first message if it was not there
// when it was looked for.
func TestNamedMailboxAppears(t *testing.T) {
	for _, mailboxes := range [][]string{{"Orders"}, {"INBOX", "Orders"}} {
		rec := newRecorder("rec")
		cfg := newTrigger("t", rec)
		cfg.Mailboxes = mailboxes
		w := newWorld(t, cfg)
		appeared := make(chan struct{})
		w.prepare = func(e *Engine) {
			go func() {
				defer close(appeared)
				missed := func(s connection.Status) bool { return s.Mailbox == "Orders" && s.Missed }
				for !slices.ContainsFunc(e.Watches(), missed) {
					if t.Context().Err() != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
				w.srv.CreateMailbox(alice, "Orders")
				w.appendTo("Orders", "first")
				e.Reconnect("test")
			}()
		}
		w.start()
		<-appeared
		rec.wait(t, 1)
		w.prepare = nil
		w.restart()
		w.appendTo("Orders", "second")
		rec.wait(t, 1)
		w.quiet()
		equal(t, "fired", rec.subjects(), []string{"first", "second"})
	}
}

func TestStartUnseenAndSince(t *testing.T) {
	unseen, since := newRecorder("unseen"), newRecorder("since")
	one, two := newTrigger("one", unseen), newTrigger("two", since)
	one.Start, two.Start = "unseen", "since:2h"
	w := newWorld(t, one, two)
	now := time.Now()
	w.srv.Append(alice, "INBOX", mailText("seen recent"), []string{`\Seen`}, now.Add(-time.Hour))
	w.srv.Append(alice, "INBOX", mailText("unseen old"), nil, now.Add(-3*time.Hour))
	w.srv.Append(alice, "INBOX", mailText("seen old"), []string{`\Seen`}, now.Add(-100*time.Hour))
	w.start()
	w.srv.Append(alice, "INBOX", mailText("later"), []string{`\Seen`}, now)
	unseen.wait(t, 2)
	since.wait(t, 2)
	w.quiet()
	sorted := func(r *recorder) []string { s := r.subjects(); slices.Sort(s); return s }
	equal(t, "unseen", sorted(unseen), []string{"later", "unseen old"})
	equal(t, "since", sorted(since), []string{"later", "seen recent"})
}
