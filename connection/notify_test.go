package connection_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
)

// several watches several mailboxes of one account.
type several struct {
	t       *testing.T
	srv     *connectiontest.Server
	cfg     *connection.Config
	d       *connection.Dialer
	names   []string
	watches map[string]*connection.Watch
	seen    map[string]chan uint32 // UIDs, as they are found
	looks   map[string]chan wire.Wake
}

// watchSeveral watches mailboxes, once they are made on the server. The account
// may have two connections, so that one can be kept up. change is called before.
func watchSeveral(t *testing.T, o connectiontest.Options, names []string, change func(s *several)) *several {
	t.Helper()
	s := &several{t: t, srv: newServer(t, o), names: names,
		watches: map[string]*connection.Watch{}, seen: map[string]chan uint32{}, looks: map[string]chan wire.Wake{}}
	s.cfg = s.srv.Config("alice")
	s.cfg.Session.MaxConnections = 2
	s.cfg.Session.IdleRefresh = setting.Duration(29 * time.Minute)
	s.cfg.Session.RecheckInterval = setting.Duration(24 * time.Hour)
	for _, name := range names {
		s.srv.CreateMailbox("alice", name)
		s.seen[name] = make(chan uint32, 1000)
		s.looks[name] = make(chan wire.Wake, 1000)
	}
	if change != nil {
		change(s)
	}
	s.d = newDialer(t, connection.DialerOptions{MaxBackoff: time.Second})
	for _, name := range names {
		s.watch(name)
	}
	return s
}

func (s *several) watch(name string) {
	var last, validity uint32
	w := s.d.Watch(s.cfg, name, func(ctx context.Context, mb *connection.Mailbox, wake wire.Wake) error {
		select {
		case s.looks[name] <- wake:
		default:
		}
		if mb.UIDValidity != validity {
			last, validity = 0, mb.UIDValidity
		}
		infos, err := mb.List(ctx, last)
		for _, i := range infos {
			last = i.UID
			s.seen[name] <- i.UID
		}
		return err
	})
	s.watches[name] = w
	s.t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			s.t.Error(err)
		}
	})
}

func (s *several) parked(names ...string) {
	s.t.Helper()
	if names == nil {
		names = s.names
	}
	for _, name := range names {
		waitState(s.t, s.watches[name], connection.StateParked)
	}
}

// deliver puts a message into a mailbox and waits until it is found there.
func (s *several) deliver(name string) {
	s.t.Helper()
	s.expect(name, s.append(name))
}

func (s *several) append(name string) uint32 {
	return s.srv.Append("alice", name, mail(1), nil, time.Time{})
}

func (s *several) expect(name string, uid uint32) {
	s.t.Helper()
	select {
	case got := <-s.seen[name]:
		if got != uid {
			s.t.Fatalf("%s: UID %d, want %d", name, got, uid)
		}
	case <-time.After(5 * time.Second): // a poll or a recheck would be later
		s.t.Fatalf("%s: UID %d was not seen", name, uid)
	}
}

func numberedNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("Box %02d", i))
	}
	return names
}

// All mailboxes of an account share one session, and each hears of its mail.
func TestNotify(t *testing.T) {
	for _, hide := range []string{"", "IDLE"} {
		t.Run("without "+hide, func(t *testing.T) {
			names := append(numberedNames(20), "INBOX", `Kunden/Müller & "Söhne"`)
			s := watchSeveral(t, connectiontest.Options{Hide: []string{hide}}, names, nil)
			s.parked()
			for range 2 {
				for _, name := range names {
					s.deliver(name)
				}
			}
			s.parked()
			if st := s.watches["INBOX"].Status(); st.Mode != "notify" || !st.Connected || st.Connects != 1 {
				t.Errorf("%+v", st)
			}
			if n := s.srv.Accepted(); n != 1 {
				t.Errorf("%d connections", n)
			}
			for name, seen := range s.seen {
				if len(seen) > 0 {
					t.Errorf("%s: %d messages twice", name, len(seen))
				}
			}
		})
	}
}

// More mailboxes than a server takes by name.
func TestNotifyOfAll(t *testing.T) {
	names := numberedNames(150)
	s := watchSeveral(t, connectiontest.Options{}, names, nil)
	s.parked()
	for _, name := range []string{names[0], names[77], names[149]} {
		s.deliver(name)
	}
	if n := s.srv.Accepted(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A single mailbox idles; when others come and go, the session is shared and goes on.
func TestNotifyComesAndGoes(t *testing.T) {
	s := watchSeveral(t, connectiontest.Options{}, []string{"INBOX"}, func(s *several) {
		for _, name := range []string{"A", "B"} {
			s.srv.CreateMailbox("alice", name)
			s.seen[name], s.looks[name] = make(chan uint32, 10), make(chan wire.Wake, 100)
		}
	})
	s.parked()
	if m := s.watches["INBOX"].Status().Mode; m != "idle" {
		t.Errorf("mode %q", m)
	}
	s.watch("A")
	s.parked("A")
	s.watch("B")
	s.parked("B")
	for _, name := range []string{"INBOX", "A", "B", "A", "INBOX"} {
		s.deliver(name)
	}
	for _, gone := range []string{"A", "INBOX"} {
		if err := s.watches[gone].Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		s.append(gone)
		s.deliver("B")
		if len(s.seen[gone]) > 0 {
			t.Errorf("%s is looked at though it was closed", gone)
		}
	}
	s.watch("A")
	s.expect("A", 1)
	if n := s.srv.Accepted(); n != 1 {
		t.Errorf("%d connections", n)
	}
	for _, name := range []string{"A", "B"} {
		if err := s.watches[name].Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	until(t, "the session has ended", func() bool { return s.srv.Connections() == 0 })
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not so after %s: %s", patience, what)
		case <-time.Tick(time.Millisecond):
		}
	}
}

// Without NOTIFY, or where it is refused, mailboxes get sessions of their own as far
// as the budget goes. The others are polled.
func TestNoNotify(t *testing.T) {
	for _, c := range []struct {
		name, hide, refuse string
		most, connections  int
		modes              string
	}{
		{"none", "NOTIFY", "", 6, 4, "idle idle idle idle"},
		{"none, small budget", "NOTIFY", "", 3, 2, "idle poll poll poll"},
		{"none, no budget", "NOTIFY", "", 1, 1, "poll poll poll poll"},
		{"refused", "", "NO [BADEVENT (MessageNew)] what", 6, 4, "idle idle idle idle"},
		{"bad", "", "BAD unknown command", 3, 2, "idle poll poll poll"},
	} {
		t.Run(c.name, func(t *testing.T) {
			names := numberedNames(4)
			s := watchSeveral(t, connectiontest.Options{Hide: []string{c.hide}}, names, func(s *several) {
				s.cfg.Session.MaxConnections = c.most
				s.cfg.Session.PollInterval = setting.Duration(time.Second)
				if c.refuse != "" {
					s.srv.Fail("NOTIFY", c.refuse, 1000)
				}
			})
			s.parked()
			for _, name := range names {
				s.deliver(name)
				s.deliver(name)
			}
			var modes []string
			for _, name := range names {
				modes = append(modes, s.watches[name].Status().Mode)
			}
			if got := strings.Join(modes, " "); got != c.modes {
				t.Errorf("modes %s, want %s", got, c.modes)
			}
			if n := s.srv.Connections(); n != c.connections {
				t.Errorf("%d connections, want %d", n, c.connections)
			}
		})
	}
}

// Mail that comes between any two pieces of a shared session, into any of its
// mailboxes, is seen once, without waiting for a refresh, a recheck or a poll.
func TestNotifyMailBetweenAnyTwoLines(t *testing.T) {
	const boxes = 3
	pieces := injectShared(t, 0, 0)
	if pieces < 40 {
		t.Fatalf("a session of %d pieces only", pieces)
	}
	for k := 1; k <= pieces; k++ {
		for box := range boxes {
			t.Run(fmt.Sprintf("%d/%d", k, box), func(t *testing.T) {
				t.Parallel()
				injectShared(t, k, box)
			})
		}
	}
}

// injectShared watches three mailboxes through a connect and a push in each, with a
// message put into one of them before the k-th piece, and returns how many pieces
// there were.
func injectShared(t *testing.T, k, box int) int {
	t.Helper()
	names := []string{"A", "B", "C"}
	var (
		srv    *connectiontest.Server
		pieces atomic.Int64
		ready  = make(chan struct{})
	)
	s := watchSeveral(t, connectiontest.Options{Mode: "none", Wire: func(bool, []byte) {
		<-ready
		if pieces.Add(1) == int64(k) {
			srv.Append("alice", names[box], mail(k), nil, time.Time{})
		}
	}}, names, func(s *several) {
		srv = s.srv
		close(ready)
	})
	s.parked()
	for _, name := range names {
		s.append(name)
		until(t, name+" is seen", func() bool { return len(s.seen[name]) > 0 })
	}
	s.parked()
	n := int(pieces.Load())
	for i, name := range names {
		want := 1
		if k > 0 && k <= n && i == box {
			want = 2
		}
		until(t, fmt.Sprintf("%d messages in %s", want, name), func() bool { return len(s.seen[name]) >= want })
		seen := map[uint32]bool{}
		for len(s.seen[name]) > 0 {
			if uid := <-s.seen[name]; seen[uid] {
				t.Errorf("%s: UID %d twice", name, uid)
			} else {
				seen[uid] = true
			}
		}
	}
	if c := s.watches["A"].Status().Connects; c != 1 {
		t.Errorf("%d connects", c)
	}
	return n
}

// What the server does not tell is found by the recheck: mail, new UIDs, a mailbox
// that went back in time.
func TestNotifyRecheck(t *testing.T) {
	s := watchSeveral(t, connectiontest.Options{}, []string{"A", "B", "C"}, func(s *several) {
		s.cfg.Session.RecheckInterval = setting.Duration(time.Second)
	})
	s.parked()
	s.deliver("A")
	s.deliver("C") // selected now
	s.deliver("A")
	s.parked()
	s.srv.Mute(true)
	for _, name := range []string{"B", "C"} {
		s.deliver(name)
	}
	s.parked()
	for len(s.looks["B"]) > 0 {
		<-s.looks["B"]
	}
	s.srv.ResetUIDs("alice", "B")
	until(t, "the change of UIDs is seen", func() bool {
		return len(s.looks["B"]) > 0
	})
	s.parked()
	s.srv.Rewind("alice", "A", 2)
	for len(s.looks["A"]) > 0 {
		<-s.looks["A"]
	}
	select {
	case <-s.looks["A"]:
	case <-time.After(patience):
		t.Fatal("the older UIDNEXT was not seen")
	}
	// What is found once is not looked at again and again.
	s.parked()
	quiet := time.Now()
	until(t, "two rechecks have come", func() bool {
		return s.watches["A"].Status().LastProof.Sub(quiet) >= 2*time.Duration(s.cfg.Session.RecheckInterval)
	})
	for name, looks := range s.looks {
		if n := len(looks); n > 4 {
			t.Errorf("%s: %d looks", name, n)
		}
	}
}

// A mailbox that goes away takes nobody along, and is watched again when it is back.
func TestNotifyMailboxGoesAndComes(t *testing.T) {
	for _, selected := range []bool{false, true} {
		t.Run(fmt.Sprintf("selected %v", selected), func(t *testing.T) {
			s := watchSeveral(t, connectiontest.Options{}, []string{"A", "B", "C"}, func(s *several) {
				s.cfg.Session.RecheckInterval = setting.Duration(time.Second)
			})
			s.parked()
			s.deliver("A")
			if selected {
				s.deliver("B")
			}
			s.parked()
			s.srv.DeleteMailbox("alice", "B")
			waitState(t, s.watches["B"], connection.StateBackoff)
			var e *connection.Error
			if st := s.watches["B"].Status(); st.Connected || !errors.As(st.LastError, &e) || e.Code != "NONEXISTENT" || st.NextRetry.IsZero() {
				t.Errorf("%+v", st)
			}
			s.deliver("A")
			s.deliver("C")
			if st := s.watches["A"].Status(); st.LastError != nil || st.State == connection.StateBackoff {
				t.Errorf("%+v", st)
			}
			s.srv.CreateMailbox("alice", "B")
			s.append("B")
			until(t, "B is watched again", func() bool { return len(s.seen["B"]) > 0 })
			if st := s.watches["A"].Status(); st.Connects != 1 {
				t.Errorf("%d connects", st.Connects)
			}
		})
	}
}

// A mailbox that never was there: the others are watched.
func TestNotifyMissingMailbox(t *testing.T) {
	s := watchSeveral(t, connectiontest.Options{}, []string{"A", "B", "C"}, func(s *several) {
		s.srv.DeleteMailbox("alice", "A")
	})
	waitState(t, s.watches["A"], connection.StateBackoff)
	s.parked("B", "C")
	s.deliver("B")
	s.deliver("C")
	for _, name := range []string{"B", "C"} {
		s.srv.DeleteMailbox("alice", name)
	}
	// With the last one the session ends, as that of a single mailbox does.
	until(t, "all are in backoff", func() bool {
		for _, w := range s.watches {
			w.Wake()
			if w.Status().State != connection.StateBackoff {
				return false
			}
		}
		return true
	})
}

// A server that cannot keep up is asked anew; one that never can is left in peace.
func TestNotifyOverflow(t *testing.T) {
	s := watchSeveral(t, connectiontest.Options{}, []string{"A", "B"}, nil)
	s.parked()
	if s.srv.Overflow() != 1 {
		t.Fatal("nobody had asked for NOTIFY")
	}
	s.append("A")
	s.append("B")
	s.expect("A", 1)
	s.expect("B", 1)
	s.deliver("A")
	s.deliver("B")
	if st := s.watches["A"].Status(); st.Mode != "notify" || st.Connects != 1 {
		t.Errorf("%+v", st)
	}
	until(t, "NOTIFY is given up", func() bool {
		s.srv.Overflow()
		st := s.watches["A"].Status()
		return st.Mode == "poll" && st.State == connection.StateParked
	})
}

// A server that goes deaf tells at the next NOOP. After the second time it is made
// to notify again.
func TestNotifyGoesDeaf(t *testing.T) {
	var noops, notifies atomic.Int64
	s := watchSeveral(t, connectiontest.Options{Wire: func(fromServer bool, data []byte) {
		if !fromServer && strings.Contains(string(data), "NOOP") {
			noops.Add(1)
		}
		if !fromServer && strings.Contains(string(data), "NOTIFY SET") {
			notifies.Add(1)
		}
	}}, []string{"A", "B"}, func(s *several) { s.cfg.Session.PollInterval = setting.Duration(3 * time.Second) })
	s.parked()
	s.srv.Deafen()
	for _, name := range []string{"A", "B"} {
		if n := notifies.Load(); n != 1 {
			t.Errorf("NOTIFY was sent %d times", n)
		}
		s.parked()
		early := noops.Load()
		until(t, "the session has settled", func() bool { return noops.Load() >= early+2 })
		s.deliver(name)
	}
	until(t, "it is made to notify again", func() bool { return notifies.Load() == 2 })
	until(t, "NOTIFY was sent again", func() bool { return notifies.Load() == 2 })
	if st := s.watches["A"].Status(); st.Connects != 1 || st.Mode != "notify" {
		t.Errorf("%+v", st)
	}
}

// After a reconnect every mailbox is looked at, and told of again.
func TestNotifyReconnect(t *testing.T) {
	names := numberedNames(10)
	s := watchSeveral(t, connectiontest.Options{}, names, nil)
	s.parked()
	s.srv.Stop()
	for _, name := range names {
		waitState(t, s.watches[name], connection.StateBackoff)
		s.append(name)
	}
	if err := s.srv.Start(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		s.expect(name, 1)
		s.deliver(name)
	}
	if n := s.srv.Accepted(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A look that never ends by itself lets others have their turn, news and wakes as well.
func TestNotifyIsFair(t *testing.T) {
	var pieces, stop atomic.Int64
	s := watchSeveral(t, connectiontest.Options{}, []string{"A", "B"}, nil)
	slow := s.d.Watch(s.cfg, "INBOX", func(ctx context.Context, mb *connection.Mailbox, _ wire.Wake) error {
		for stop.Load() == 0 {
			if _, err := mb.List(ctx, 0); err != nil {
				return err
			}
			pieces.Add(1)
			if mb.Waiting() {
				return connection.ErrMore
			}
		}
		return nil
	})
	s.parked()
	for range 2 {
		for _, name := range []string{"A", "B"} {
			uid := s.append(name)
			before := pieces.Load()
			select {
			case got := <-s.seen[name]:
				if got != uid {
					t.Errorf("UID %d, want %d", got, uid)
				}
			case <-time.After(patience):
				t.Fatalf("%s starves", name)
			}
			until(t, "the slow look goes on", func() bool { return pieces.Load() > before })
		}
	}
	if n := s.srv.Accepted(); n != 1 {
		t.Errorf("%d connections", n)
	}
	stop.Store(1)
	if err := slow.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// A look that fails ends nothing but itself; one that is cut off by force ends the
// session, and the others come back.
func TestNotifyLookFails(t *testing.T) {
	s := watchSeveral(t, connectiontest.Options{}, []string{"A", "B"}, nil)
	var once sync.Once
	looks := make(chan bool, 10)
	failing := s.d.Watch(s.cfg, "Archive", func(context.Context, *connection.Mailbox, wire.Wake) (err error) {
		once.Do(func() { err = errors.New("journal is full") })
		looks <- err == nil
		return err
	})
	if <-looks {
		t.Fatal("the first look was to fail")
	}
	s.deliver("A")
	if !<-looks {
		t.Fatal("the second look was to work")
	}
	waitState(t, failing, connection.StateParked)
	if c := s.watches["A"].Status().Connects; c != 1 {
		t.Errorf("%d connects", c)
	}
	looking := make(chan bool)
	stuck := s.d.Watch(s.cfg, "Trash", func(ctx context.Context, mb *connection.Mailbox, _ wire.Wake) error {
		close(looking)
		<-ctx.Done()
		_, err := mb.List(ctx, 0)
		return err
	})
	<-looking
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := stuck.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	s.deliver("B")
	if st := stuck.Status(); st.State != connection.StateClosed {
		t.Error(st.State)
	}
	if err := failing.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// A Wake is for the one mailbox.
func TestNotifyWake(t *testing.T) {
	s := watchSeveral(t, connectiontest.Options{}, []string{"A", "B"}, nil)
	s.parked()
	for _, name := range []string{"A", "B", "A"} {
		for len(s.looks[name]) > 0 {
			<-s.looks[name]
		}
		s.watches[name].Wake()
		select {
		case wake := <-s.looks[name]:
			if wake.Reason != wire.Interrupted {
				t.Errorf("%v", wake.Reason)
			}
		case <-time.After(patience):
			t.Fatal("no look")
		}
	}
	s.parked()
	if n := len(s.looks["B"]); n > 0 {
		t.Errorf("%d looks more into B", n)
	}
}

// A server that allows fewer sessions than max_connections: all mailboxes are watched
// all the same, and soon.
func TestServerAllowsFewerSessions(t *testing.T) {
	names := numberedNames(4)
	s := watchSeveral(t, connectiontest.Options{Hide: []string{"NOTIFY"}}, names, func(s *several) {
		s.cfg.Session.MaxConnections = 5
		s.cfg.Session.PollInterval = setting.Duration(time.Second)
	})
	s.parked()
	if n := s.srv.Connections(); n != 4 {
		t.Fatalf("%d connections", n)
	}
	s.srv.Stop()
	for _, name := range names {
		waitState(t, s.watches[name], connection.StateBackoff)
	}
	s.srv.Fail("LOGIN", "NO [LIMIT] too many connections", 2)
	if err := s.srv.Start(); err != nil {
		t.Fatal(err)
	}
	s.parked()
	for _, name := range names {
		s.deliver(name)
	}
	if n := s.srv.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
	if a := s.srv.Accepted(); a != 8 {
		t.Errorf("%d connects", a)
	}
}

// One that is polled moves up when a session becomes free.
func TestPolledMovesUp(t *testing.T) {
	names := numberedNames(4)
	for _, how := range []string{"closed", "deleted"} {
		t.Run(how, func(t *testing.T) {
			s := watchSeveral(t, connectiontest.Options{Hide: []string{"NOTIFY"}}, names, func(s *several) {
				s.cfg.Session.MaxConnections = 4
				s.cfg.Session.PollInterval = setting.Duration(time.Second)
				s.cfg.Session.RecheckInterval = setting.Duration(time.Second)
			})
			s.parked()
			var idle, polled []string
			for _, name := range names {
				if s.watches[name].Status().Mode == "idle" {
					idle = append(idle, name)
				} else {
					polled = append(polled, name)
				}
			}
			if len(idle) != 2 || len(polled) != 2 {
				t.Fatal(idle, polled)
			}
			if how == "closed" {
				if err := s.watches[idle[0]].Close(context.Background()); err != nil {
					t.Fatal(err)
				}
			} else {
				s.srv.DeleteMailbox("alice", idle[0])
			}
			until(t, "both idle", func() bool {
				return s.watches[polled[0]].Status().Mode == "idle" && s.watches[polled[1]].Status().Mode == "idle"
			})
			s.parked(polled...)
			for _, name := range polled {
				s.deliver(name)
			}
		})
	}
}

// A mailbox that does not exist has its session wait for long, but not those who come.
func TestMissingMailboxHoldsUpNobody(t *testing.T) {
	s := watchSeveral(t, connectiontest.Options{}, []string{"A"}, func(s *several) {
		s.srv.DeleteMailbox("alice", "A")
		s.srv.CreateMailbox("alice", "B")
		s.seen["B"], s.looks["B"] = make(chan uint32, 10), make(chan wire.Wake, 100)
	})
	waitState(t, s.watches["A"], connection.StateBackoff)
	s.watch("B")
	s.deliver("B")
	until(t, "A says why", func() bool {
		st := s.watches["A"].Status()
		return st.State == connection.StateBackoff && st.LastError != nil && st.LastError.Code == "NONEXISTENT"
	})
	s.srv.CreateMailbox("alice", "A")
	s.watches["A"].Retry()
	s.deliver("A")
	s.parked("A")
	if st := s.watches["A"].Status(); st.Connects != 1 || st.Mode != "notify" || st.LastError != nil {
		t.Errorf("%+v", st)
	}
}

// A frozen server is noticed where a session is shared, too, and nobody says meanwhile
// that it is watched for longer than the line may be unproven.
func TestNotifyFreeze(t *testing.T) {
	s := watchSeveral(t, connectiontest.Options{}, []string{"A", "B", "C"}, func(s *several) {
		s.cfg.Timeout = setting.Duration(time.Second)
		s.cfg.Session.IdleRefresh = setting.Duration(time.Second)
	})
	s.parked()
	s.srv.Freeze()
	frozen := time.Now()
	for _, name := range s.names {
		waitState(t, s.watches[name], connection.StateBackoff)
		if st := s.watches[name].Status(); st.Connected || st.LastError == nil || st.LastProof.After(frozen.Add(time.Second)) {
			t.Errorf("%+v", st)
		}
		s.append(name)
	}
	s.srv.Thaw()
	for _, name := range s.names {
		s.expect(name, 1)
	}
}

// Any number of mailboxes and connections: all are watched, and no more connections
// are open than are allowed.
func TestManyMailboxes(t *testing.T) {
	for _, hide := range []string{"", "NOTIFY"} {
		for _, most := range []int{1, 2, 4} {
			for _, n := range []int{1, 3, 50, 300} {
				if n == 300 && (testing.Short() || raceEnabled && most != 1) {
					continue
				}
				t.Run(fmt.Sprintf("without %s/%d connections/%d mailboxes", hide, most, n), func(t *testing.T) {
					t.Parallel()
					names := numberedNames(n)
					s := watchSeveral(t, connectiontest.Options{Mode: "none", Hide: []string{hide}}, names, func(s *several) {
						s.cfg.Session.MaxConnections = most
						s.cfg.Session.PollInterval = setting.Duration(time.Second)
					})
					s.parked()
					for _, i := range []int{0, n / 2, n - 1} {
						s.deliver(names[i])
					}
					want := 1
					if hide != "" {
						want = min(n, max(most-1, 1))
					}
					if got := s.srv.Connections(); got != want || s.d.Open() != want {
						t.Errorf("%d connections, %d counted, want %d", got, s.d.Open(), want)
					}
					// A reload takes half of them away, and brings them back.
					for _, name := range names[:n/2] {
						if err := s.watches[name].Close(context.Background()); err != nil {
							t.Fatal(err)
						}
					}
					s.deliver(names[n-1])
					for _, name := range names[:n/2] {
						s.seen[name] = make(chan uint32, 1000)
						s.watch(name)
					}
					s.parked()
					s.deliver(names[n-1])
					if got := s.d.Open(); got != want {
						t.Errorf("%d connections are counted, want %d", got, want)
					}
				})
			}
		}
	}
}
