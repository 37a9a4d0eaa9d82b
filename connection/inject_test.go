package connection_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
)

// Mail that comes between any two pieces of a session is seen soon, without
// waiting for a refresh, a recheck or a poll: one message is put in at the k-th
// piece, for every k.
func TestMailBetweenAnyTwoLines(t *testing.T) {
	for _, mode := range []string{"implicit", "none"} {
		pieces := inject(t, mode, 0)
		if pieces < 15 {
			t.Fatalf("a session of %d pieces only", pieces)
		}
		for k := 1; k <= pieces; k++ {
			t.Run(fmt.Sprintf("%s/%d", mode, k), func(t *testing.T) {
				t.Parallel()
				inject(t, mode, k)
			})
		}
	}
}

// inject watches through a connect, a look, a push and a second look, with a
// message put in before the k-th piece, and returns how many pieces there were.
func inject(t *testing.T, mode string, k int) int {
	t.Helper()
	var (
		srv    *connectiontest.Server
		pieces atomic.Int64
		late   = make(chan uint32, 1)
	)
	ready := make(chan struct{})
	srv = newServer(t, connectiontest.Options{Mode: mode, Wire: func(bool, []byte) {
		<-ready
		if pieces.Add(1) == int64(k) {
			late <- srv.Append("alice", "INBOX", mail(k), nil, time.Time{})
		}
	}})
	close(ready)
	srv.Append("alice", "INBOX", mail(0), nil, time.Time{})
	cfg := srv.Config("alice")
	cfg.Session.IdleRefresh = setting.Duration(29 * time.Minute)
	cfg.Session.RecheckInterval = setting.Duration(24 * time.Hour)
	d := newDialer(t, connection.DialerOptions{})
	w := newWatcher()
	wt := d.Watch(cfg, "INBOX", w.look)
	defer func() {
		if err := wt.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	seen := map[uint32]bool{}
	expect := func(uid uint32) {
		t.Helper()
		timeout := time.After(4 * time.Second)
		for !seen[uid] {
			select {
			case got := <-w.seen:
				if seen[got] {
					t.Errorf("UID %d twice", got)
				}
				seen[got] = true
			case <-timeout:
				t.Fatalf("UID %d was not seen", uid)
			}
		}
	}
	waitState(t, wt, connection.StateParked)
	expect(1)
	expect(srv.Append("alice", "INBOX", mail(1), nil, time.Time{}))
	waitState(t, wt, connection.StateParked)
	n := int(pieces.Load())
	if k > 0 && n >= k {
		expect(<-late)
	}
	if s := wt.Status(); s.Connects != 1 {
		t.Errorf("%d connects", s.Connects)
	}
	return n
}
