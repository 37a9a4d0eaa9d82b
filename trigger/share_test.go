package trigger

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A backlog in one mailbox does not hold up mail in another one of the session.
func TestBacklogLetsOtherMailboxesIn(t *testing.T) {
	rec := newRecorder("rec")
	cfg := only(newTrigger("t", rec), "live")
	cfg.Mailboxes = []string{"INBOX", "Other"}
	cfg.Start = "all"
	w := newWorld(t, cfg)
	w.conn.Session.MaxConnections = 2
	w.srv.CreateMailbox(alice, "Other")
	const backlog = 3000
	w.append(numbered("old", backlog)...)
	var read, before atomic.Int64
	var once sync.Once
	w.trace = &Trace{
		Message: func(string) {
			read.Add(1)
			time.Sleep(time.Millisecond) // a server that is not in this process
			once.Do(func() { w.srv.Append(alice, "Other", mailText("live"), nil, time.Now()) })
		},
		Match: func(string, time.Time) { before.Store(read.Load()) },
	}
	w.start()
	rec.wait(t, 1)
	w.until("the backlog is done", func() bool { return read.Load() == backlog+1 })
	if n := before.Load(); n == 0 || n > backlog*3/4 {
		t.Errorf("the mail in the other mailbox was read as number %d of %d", n, backlog+1)
	}
	if n := w.srv.Logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
}
