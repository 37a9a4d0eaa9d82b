package connection_test

import (
	"context"
	"sync"
	"testing"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/wire"
)

// A reload may close the only watch of an account and open another at the same time:
// neither holds up or takes along the other.
func TestCloseTheLastWhileAnotherComes(t *testing.T) {
	srv := newServer(t, connectiontest.Options{Mode: "none"})
	srv.CreateMailbox("alice", "Work")
	d := newDialer(t, connection.DialerOptions{})
	cfg := srv.Config("alice")
	looked := func(context.Context, *connection.Mailbox, wire.Wake) error { return nil }
	names := []string{"INBOX", "Work"}
	w := d.Watch(cfg, names[0], looked)
	for i := range 100 {
		if i%3 != 0 { // else while it connects
			waitState(t, w, connection.StateParked)
		}
		var both sync.WaitGroup
		both.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := w.Close(ctx); err != nil {
				t.Error("close:", err)
			}
		})
		var next *connection.Watch
		both.Go(func() { next = d.Watch(cfg, names[(i+1)%2], looked) })
		both.Wait()
		w = next
		if t.Failed() {
			break
		}
	}
	waitState(t, w, connection.StateParked)
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := d.Open(); n != 0 {
		t.Errorf("%d connections are counted", n)
	}
}
