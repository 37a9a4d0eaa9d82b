package connection_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
)

// After a change of UIDVALIDITY, of which nobody tells, the recheck finds it.
func TestRecheckSeesNewUIDValidity(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	srv.Append("alice", "INBOX", mail(1), nil, time.Time{})
	cfg := srv.Config("alice")
	cfg.Session.RecheckInterval = setting.Duration(time.Second)
	d := newDialer(t, connection.DialerOptions{})
	validity := make(chan uint32, 100)
	w := d.Watch(cfg, "INBOX", func(_ context.Context, mb *connection.Mailbox, wake wire.Wake) error {
		if wake.Reason == wire.Rechecked {
			validity <- mb.UIDValidity
		}
		return nil
	})
	defer w.Close(context.Background())
	first := <-validity
	waitState(t, w, connection.StateParked)
	want := srv.ResetUIDs("alice", "INBOX")
	select {
	case got := <-validity:
		if got != want || got == first {
			t.Errorf("UIDVALIDITY %d, want %d", got, want)
		}
	case <-time.After(patience):
		t.Fatal("the change was not seen")
	}
	// And mail in it is told of again.
	srv.Append("alice", "INBOX", mail(2), nil, time.Time{})
	waitState(t, w, connection.StateParked)
}

// A mailbox that is gone at a recheck ends the session with the server's word.
func TestMailboxVanishes(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	srv.CreateMailbox("alice", "Work")
	cfg := srv.Config("alice")
	cfg.Session.RecheckInterval = setting.Duration(time.Second)
	d := newDialer(t, connection.DialerOptions{})
	w := d.Watch(cfg, "Work", func(context.Context, *connection.Mailbox, wire.Wake) error { return nil })
	defer w.Close(context.Background())
	waitState(t, w, connection.StateParked)
	srv.DeleteMailbox("alice", "Work")
	waitState(t, w, connection.StateBackoff)
	var e *connection.Error
	if s := w.Status(); !errors.As(s.LastError, &e) || e.Code != "NONEXISTENT" || e.Connection != "test" {
		t.Errorf("%+v", s.LastError)
	}
}

// A server that stops answering is noticed at the refresh; it is connected to
// again when it is back, and nothing is lost.
func TestFreeze(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	cfg := srv.Config("alice")
	cfg.Timeout = setting.Duration(time.Second)
	cfg.Session.IdleRefresh = setting.Duration(time.Second)
	d := newDialer(t, connection.DialerOptions{MaxBackoff: time.Second})
	w := newWatcher()
	wt := watch(t, d, cfg, w)
	waitState(t, wt, connection.StateParked)
	srv.Freeze()
	waitState(t, wt, connection.StateBackoff)
	uid := srv.Append("alice", "INBOX", mail(1), nil, time.Time{})
	srv.Thaw()
	w.expect(t, uid)
}

// Parked watches cost no goroutine, and closing leaves none behind.
func TestGoroutines(t *testing.T) {
	const watches = 50
	srv := newServer(t, connectiontest.Options{})
	before := runtime.NumGoroutine()
	d, err := connection.NewDialer(connection.DialerOptions{ConnectRate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var list []*connection.Watch
	for range watches {
		cfg := srv.Config("alice")
		cfg.Session.MaxConnections = 1000
		list = append(list, d.Watch(cfg, "INBOX", func(context.Context, *connection.Mailbox, wire.Wake) error { return nil }))
	}
	for _, w := range list {
		waitState(t, w, connection.StateParked)
	}
	settle := func(limit int) int {
		deadline := time.After(patience)
		for {
			n := runtime.NumGoroutine()
			if n <= limit {
				return n
			}
			select {
			case <-deadline:
				return n
			case <-time.Tick(10 * time.Millisecond):
			}
		}
	}
	// The server has up to two for each connection, as it idles.
	if runtime.GOOS == "linux" {
		if n := settle(before + 2*watches + 5); n > before+2*watches+5 {
			t.Errorf("%d goroutines more for %d parked watches", n-before, watches)
		}
	}
	for _, w := range list {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if w.Status().State != connection.StateClosed {
			t.Error(w.Status().State)
		}
	}
	d.Close()
	if n := settle(before + 2); n > before+2 {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines are left:\n%s", n-before, buf[:runtime.Stack(buf, true)])
	}
	until(t, "no connection is left", func() bool { return srv.Connections() == 0 })
}

// Close lets a look finish; with a context that ends it cuts it off.
func TestCloseWhileLooking(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	d := newDialer(t, connection.DialerOptions{})
	looking, ended := make(chan bool), make(chan error, 1)
	w := d.Watch(srv.Config("alice"), "INBOX", func(ctx context.Context, mb *connection.Mailbox, _ wire.Wake) error {
		close(looking)
		<-ctx.Done()
		_, err := mb.List(ctx, 0)
		ended <- err
		return err
	})
	<-looking
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("a command worked after the end")
	}
	if w.Status().State != connection.StateClosed {
		t.Error(w.Status().State)
	}
}

// The trace tells the states in their order.
func TestTrace(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	var states []connection.State
	var pushes, connects, certificates int
	d := newDialer(t, connection.DialerOptions{Trace: &connection.Trace{
		State:       func(_, _ string, _, to connection.State) { states = append(states, to) },
		Push:        func(string, string) { pushes++ },
		ConnectDone: func(_ string, err *connection.Error, took time.Duration) { connects++ },
		Certificate: func(string, time.Time) { certificates++ },
	}})
	w := newWatcher()
	wt := d.Watch(srv.Config("alice"), "INBOX", w.look)
	waitState(t, wt, connection.StateParked)
	w.expect(t, srv.Append("alice", "INBOX", mail(1), nil, time.Time{}))
	waitState(t, wt, connection.StateParked)
	if err := wt.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := []connection.State{"looking", "parked", "looking", "parked", "closed"}
	if !slices.Equal(states, want) || pushes != 1 || connects != 1 || certificates != 1 {
		t.Errorf("%v, %d pushes, %d connects, %d certificates", states, pushes, connects, certificates)
	}
}
