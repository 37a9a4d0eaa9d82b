package trigger

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mailtrigger/connection/connectiontest"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

func writeFile(path string, b []byte) error { return os.WriteFile(path, b, 0o600) }

// noRoom is a floor of free disk space that no disk has.
const noRoom = 1 << 62

func openPoisonOf(w *world) (*poison, error) {
	var err error
	if w.store, err = journal.Open(w.dir, journal.Options{Log: w.log, FreeFloor: w.floor}); err != nil {
		return nil, err
	}
	return openPoison(w.dir+"/decoding", w.store, w.log)
}

func movingTo(mailbox string) *action.Move {
	m := define(&action.Move{}, "move", "move")
	m.Mailbox, m.Create = mailbox, true
	return m
}

func flagWith(flags ...string) *action.Flag {
	f := &action.Flag{}
	f.Flags.Flags = flags
	return define(f, "flag", "flag")
}

// What happens on the server waits for every other action, of every trigger.
func TestMoveWaitsForAll(t *testing.T) {
	slow := newRecorder("slow")
	release := make(chan struct{})
	slow.do = func(*action.Run) action.Result { <-release; return action.Result{} }
	quick := newRecorder("quick")
	w := newWorld(t, newTrigger("mover", quick, movingTo("Done"), flagWith(`\Flagged`)), newTrigger("slow", slow))
	w.start()
	w.append("m")
	quick.wait(t, 1)
	if got := w.mailbox("INBOX"); len(got) != 1 {
		t.Fatalf("moved before the other trigger's action had ended")
	}
	close(release)
	w.until("the message is moved", func() bool { return len(w.mailbox("Done")) == 1 })
	w.quiet()
	equal(t, "INBOX", w.mailbox("INBOX"), nil)
	if flags := w.srv.Messages(alice, "Done")[0].Flags; !slices.Contains(flags, `\Flagged`) {
		t.Errorf("flags %q: the flag goes before the move", flags)
	}
}

func TestDeadLetterKeepsMessageWhereItIs(t *testing.T) {
	bad := newRecorder("bad")
	bad.do = func(r *action.Run) action.Result {
		if r.Event.Message.Subject == "bad" {
			return action.Result{Outcome: action.Dead, Err: errors.New("never")}
		}
		return action.Result{}
	}
	good := newRecorder("good")
	w := newWorld(t, newTrigger("mover", good, movingTo("Done")), newTrigger("bad", bad))
	w.start()
	w.append("bad", "fine")
	w.until("the good message is moved", func() bool { return len(w.mailbox("Done")) == 1 })
	w.quiet()
	equal(t, "INBOX", w.mailbox("INBOX"), []string{"bad"})
	equal(t, "Done", w.mailbox("Done"), []string{"fine"})
}

func TestDeleteAndFirstTriggerWins(t *testing.T) {
	w := newWorld(t, newTrigger("mover", movingTo("Done")), newTrigger("deleter", define(&action.Delete{}, "delete", "delete")))
	w.start()
	w.append("m")
	w.until("the message is moved", func() bool { return len(w.mailbox("Done")) == 1 })
	w.quiet()
	equal(t, "INBOX", w.mailbox("INBOX"), nil)
}

func TestMoveIsRetriedWhenRefused(t *testing.T) {
	w := newWorld(t, newTrigger("mover", movingTo("Done")))
	w.start()
	w.srv.Fail("MOVE", "NO [UNAVAILABLE] later", 2)
	w.append("m", "n")
	w.until("both are moved", func() bool { return len(w.mailbox("Done")) == 2 })
	w.quiet()
}

// Two triggers that move a message to and fro fire once each.
func TestOwnMovesDoNotLoop(t *testing.T) {
	a, b := newRecorder("a"), newRecorder("b")
	one, two := newTrigger("one", a, movingTo("Other")), newTrigger("two", b, movingTo("INBOX"))
	two.Mailboxes = []string{"Other"}
	w := newWorld(t, one, two)
	w.srv.CreateMailbox(alice, "Other")
	w.start()
	w.append("m")
	a.wait(t, 1)
	b.wait(t, 1)
	w.until("it is back", func() bool { return len(w.mailbox("INBOX")) == 1 })
	w.append("n")
	a.wait(t, 1)
	b.wait(t, 1)
	w.until("both are back", func() bool { return len(w.mailbox("INBOX")) == 2 })
	w.quiet()
	equal(t, "one", a.subjects(), []string{"m", "n"})
	equal(t, "two", b.subjects(), []string{"m", "n"})
}

func TestUIDValidityChange(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.append("before 1", "before 2")
	w.start()
	w.append("seen 1", "seen 2")
	rec.wait(t, 2)
	w.quiet()
	w.srv.ResetUIDs(alice, "INBOX")
	w.append("new 1")
	rec.wait(t, 1)
	w.append("new 2")
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"seen 1", "seen 2", "new 1", "new 2"})
	w.stop()
	w.srv.ResetUIDs(alice, "INBOX")
	w.append("new 3")
	w.start()
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"seen 1", "seen 2", "new 1", "new 2", "new 3"})
}

// A trigger that lags behind keeps what it has not decided about.
func TestUIDValidityChangeWithLag(t *testing.T) {
	slow, quick := newRecorder("slow"), newRecorder("quick")
	release := make(chan struct{})
	slow.do = func(*action.Run) action.Result { <-release; return action.Result{} }
	w := newWorld(t, newTrigger("slow", slow), newTrigger("quick", quick))
	w.start()
	names := numbered("mail", maxJobs+50)
	w.append(names...)
	quick.wait(t, len(names))
	w.srv.ResetUIDs(alice, "INBOX")
	w.append("new")
	quick.wait(t, 1)
	close(release)
	slow.wait(t, len(names)+1)
	w.quiet()
	got := slow.subjects()
	slices.Sort(got)
	equal(t, "slow fired", got, append(names, "new"))
	equal(t, "quick fired", quick.subjects(), append(names, "new"))
}

// A server restored from a backup gives UIDs out again.
func TestServerRollback(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	w.append("one", "two", "three")
	rec.wait(t, 3)
	w.quiet()
	uids := w.srv.Messages(alice, "INBOX")
	w.srv.Rewind(alice, "INBOX", uids[1].UID)
	w.append("four")
	rec.wait(t, 1)
	w.quiet()
	w.append("five")
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"one", "two", "three", "four", "five"})
}

// Too much that looks new is held back, not fired.
func TestHold(t *testing.T) {
	w, rec, _ := importedWorld(t)
	w.start()
	state, ok := w.store.Mailbox(mailboxKey(w.conn, "INBOX"))
	if !ok || state.Held == "" {
		t.Errorf("not held: %+v", state)
	}
	equal(t, "fired", rec.subjects(), []string{"one"})
}

// Each round trip to the server is on the way from mail to action: a push takes one,
// which lists what is new and fetches it, and nothing else.
func TestPushTakesOneFetch(t *testing.T) {
	var fetches atomic.Int32
	rec := newRecorder("rec")
	w := newWorldOn(t, connectiontest.Options{Wire: func(fromServer bool, data []byte) {
		if !fromServer {
			fetches.Add(int32(strings.Count(string(data), " FETCH ")))
		}
	}}, newTrigger("t", rec))
	w.conn.Session.RecheckInterval = w.conn.Session.IdleRefresh
	w.start()
	w.append("one")
	rec.wait(t, 1)
	w.quiet()
	fetches.Store(0)
	w.append("two")
	rec.wait(t, 1)
	w.quiet()
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d times FETCH for one message", n)
	}
}
