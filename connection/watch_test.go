package connection_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
)

const patience = time.Minute // how long a test waits for what must come, on a busy machine too

func newServer(t *testing.T, o connectiontest.Options) *connectiontest.Server {
	t.Helper()
	srv, err := connectiontest.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	srv.AddUser("alice", "secret")
	return srv
}

func newDialer(t *testing.T, o connection.DialerOptions) *connection.Dialer {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if o.StateDir == "" {
		o.StateDir = t.TempDir()
	}
	d, err := connection.NewDialer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// watcher is a LookFunc that tells the UIDs it has found.
type watcher struct {
	seen chan uint32
	last uint32
	wake chan wire.Wake
}

func newWatcher() *watcher {
	return &watcher{seen: make(chan uint32, 1000), wake: make(chan wire.Wake, 1000)}
}

func (w *watcher) look(ctx context.Context, mb *connection.Mailbox, wake wire.Wake) error {
	select {
	case w.wake <- wake:
	default:
	}
	infos, err := mb.List(ctx, w.last)
	if err != nil {
		return err
	}
	for _, i := range infos {
		w.last = i.UID
		w.seen <- i.UID
	}
	return nil
}

func (w *watcher) expect(t *testing.T, uid uint32) {
	t.Helper()
	select {
	case got := <-w.seen:
		if got != uid {
			t.Fatalf("UID %d came, want %d", got, uid)
		}
	case <-time.After(patience):
		t.Fatalf("UID %d did not come", uid)
	}
}

func watch(t *testing.T, d *connection.Dialer, cfg *connection.Config, w *watcher) *connection.Watch {
	t.Helper()
	watch := d.Watch(cfg, "INBOX", w.look)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := watch.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return watch
}

func mail(n int) []byte {
	return fmt.Appendf(nil, "From: a@example.com\r\nSubject: %d\r\n\r\nbody %d\r\n", n, n)
}

func TestWatch(t *testing.T) {
	for _, mode := range []string{"implicit", "explicit", "none"} {
		t.Run(mode, func(t *testing.T) {
			srv := newServer(t, connectiontest.Options{Mode: mode})
			d := newDialer(t, connection.DialerOptions{})
			first := srv.Append("alice", "INBOX", mail(1), nil, time.Time{})
			w := newWatcher()
			wt := watch(t, d, srv.Config("alice"), w)
			w.expect(t, first)
			for i := range 20 {
				w.expect(t, srv.Append("alice", "INBOX", mail(i), nil, time.Time{}))
			}
			if s := wt.Status(); s.Mode != "idle" || !s.Connected || (s.TLS == nil) != (mode == "none") {
				t.Errorf("status: %+v", s)
			}
			srv.Stop()
			if err := srv.Start(); err != nil {
				t.Fatal(err)
			}
			w.expect(t, srv.Append("alice", "INBOX", mail(99), nil, time.Time{}))
		})
	}
}

func TestWatchPolls(t *testing.T) {
	srv := newServer(t, connectiontest.Options{Hide: []string{"IDLE"}})
	cfg := srv.Config("alice")
	cfg.Session.PollInterval = setting.Duration(time.Second)
	d := newDialer(t, connection.DialerOptions{})
	w := newWatcher()
	wt := watch(t, d, cfg, w)
	<-w.wake
	w.expect(t, srv.Append("alice", "INBOX", mail(1), nil, time.Time{}))
	if s := wt.Status(); s.Mode != "poll" {
		t.Errorf("status: %+v", s)
	}
}

// A Wake brings a look, while parked and while one runs.
func TestWake(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	d := newDialer(t, connection.DialerOptions{})
	looks := make(chan wire.Reason, 100)
	inLook := make(chan bool)
	wt := d.Watch(srv.Config("alice"), "INBOX", func(ctx context.Context, mb *connection.Mailbox, wake wire.Wake) error {
		looks <- wake.Reason
		<-inLook
		return nil
	})
	defer wt.Close(context.Background())
	<-looks
	wt.Wake()
	wt.Wake() // while looking: one more, not two
	inLook <- true
	if r := <-looks; r != wire.Interrupted {
		t.Errorf("reason %v", r)
	}
	inLook <- true
	waitState(t, wt, connection.StateParked)
	wt.Wake()
	if r := <-looks; r != wire.Interrupted {
		t.Errorf("reason %v", r)
	}
	close(inLook)
}

func waitState(t *testing.T, w *connection.Watch, s connection.State) {
	t.Helper()
	deadline := time.After(patience)
	for w.Status().State != s {
		select {
		case <-deadline:
			t.Fatalf("state is %v, not %v", w.Status().State, s)
		case <-time.Tick(time.Millisecond):
		}
	}
}

func TestLookFailsAndWatchComesBack(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	d := newDialer(t, connection.DialerOptions{})
	n := 0
	again := make(chan bool)
	wt := d.Watch(srv.Config("alice"), "INBOX", func(context.Context, *connection.Mailbox, wire.Wake) error {
		if n++; n == 1 {
			return errors.New("journal is full")
		}
		close(again)
		return nil
	})
	defer wt.Close(context.Background())
	select {
	case <-again:
	case <-time.After(patience):
		t.Fatal("no second look")
	}
	if srv.Accepted() != 2 {
		t.Errorf("%d connections", srv.Accepted())
	}
}

// What is retried while it fails is tried again at once: what was mended meanwhile came too
// late for it.
func TestRetryWhileItFails(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	d := newDialer(t, connection.DialerOptions{})
	watches := make(chan *connection.Watch, 1)
	looks, again := 0, make(chan struct{})
	w := d.Watch(srv.Config("alice"), "INBOX", func(context.Context, *connection.Mailbox, wire.Wake) error {
		if looks++; looks == 2 {
			close(again)
		}
		if looks > 1 {
			return nil
		}
		w := <-watches
		w.Retry()
		return &connection.Error{Text: "somebody has to mend it", Permanent: true} // tried again after 5 minutes
	})
	watches <- w
	select {
	case <-again:
	case <-time.After(patience):
		t.Fatal("it is not tried again")
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
