package trigger

import (
	"slices"
	"testing"
	"time"

	"mailtrigger/trigger/action"
)

// A backlog in one mailbox does not hold up mail in another one of the session.
func TestBacklogLetsOtherMailboxesIn(t *testing.T) {
	rec := newRecorder("rec")
	cfg := newTrigger("t", rec)
	cfg.Mailboxes = []string{"INBOX", "Other"}
	cfg.Start = "all"
	w := newWorld(t, cfg)
	w.conn.Session.MaxConnections = 2
	w.srv.CreateMailbox(alice, "Other")
	const backlog = 8000
	w.append(numbered("old", backlog)...)
	began := make(chan struct{}, backlog+1)
	rec.do = func(*action.Run) action.Result { began <- struct{}{}; return action.Result{} }
	w.prepare = func(*Engine) {
		go func() {
			<-began // the backlog is being worked through
			w.srv.Append(alice, "Other", mailText("live"), nil, time.Now())
		}()
	}
	w.start()
	rec.wait(t, backlog+1)
	w.quiet()
	subjects := rec.subjects()
	if at := slices.Index(subjects, "live"); at < 0 || at > backlog-backlog/4 {
		t.Errorf("the mail in the other mailbox was number %d of %d", at, len(subjects))
	}
	if n := w.srv.Logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
}
