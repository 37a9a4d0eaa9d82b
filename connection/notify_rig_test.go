package connection_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest/rigtest"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
)

// arrivals counts the messages that watches find.
type arrivals struct {
	t    *testing.T
	unit string
	user string
	cfg  *connection.Config
	d    *connection.Dialer
	list map[string]*arrival
}

type arrival struct {
	watch *connection.Watch
	found chan struct{}
	ready chan bool // it was looked at for the first time
}

// watchRig makes mailboxes on a server of the rig and watches them. Account and
// server hold two connections.
func watchRig(t *testing.T, unit, user, password string, names []string, change func(*connection.Config)) *arrivals {
	t.Helper()
	a := &arrivals{t: t, unit: unit, user: user, cfg: rigConfig(t, unit, user, password), list: map[string]*arrival{}}
	a.cfg.Session.MaxConnections = 2
	a.cfg.Session.RecheckInterval = setting.Duration(time.Hour)
	if change != nil {
		change(a.cfg)
	}
	a.cfg.SetDefaults()
	a.d = newDialer(t, connection.DialerOptions{})
	ctx := context.Background()
	if err := a.d.Do(ctx, a.cfg, "", func(ctx context.Context, mb *connection.Mailbox) error {
		for _, name := range names {
			if err := mb.Create(ctx, name); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		a.watch(name)
	}
	for _, name := range names {
		select {
		case <-a.list[name].ready:
		case <-time.After(patience):
			t.Fatalf("%s: no look", name)
		}
	}
	return a
}

func (a *arrivals) watch(name string) {
	r := &arrival{found: make(chan struct{}, 100), ready: make(chan bool)}
	a.list[name] = r
	var last, validity uint32
	r.watch = a.d.Watch(a.cfg, name, func(ctx context.Context, mb *connection.Mailbox, _ wire.Wake) error {
		if validity != mb.UIDValidity {
			last = 0
		}
		infos, err := mb.List(ctx, last)
		if err != nil {
			return err
		}
		for _, i := range infos {
			if last = i.UID; validity != 0 {
				r.found <- struct{}{}
			}
		}
		if validity == 0 {
			close(r.ready)
		}
		validity = mb.UIDValidity
		return nil
	})
	a.t.Cleanup(func() { r.watch.Close(context.Background()) })
}

// toldWithin is less than any poll_interval and recheck_interval of these tests that is
// not set low on purpose: what is found by then was told of. It is far more than it
// takes, for a busy machine.
const toldWithin = 30 * time.Second

// deliver delivers a message as a mail server does, and waits until it is found.
func (a *arrivals) deliver(name string) {
	a.t.Helper()
	via := "append" // at Cyrus there is no other
	if a.unit == "main" {
		via = "lda"
	}
	rigtest.Run(a.t, "deliver", "-i", a.unit, "-u", a.user, "-m", name, "-v", via)
	select {
	case <-a.list[name].found:
	case <-time.After(toldWithin):
		a.t.Fatalf("%s: not found", name)
	}
}

func (a *arrivals) onceEach() {
	a.t.Helper()
	for name, r := range a.list {
		if n := len(r.found); n > 0 {
			a.t.Errorf("%s: %d messages too many", name, n)
		}
	}
}

func TestRigNotify(t *testing.T) {
	names := append(numberedNames(20), "INBOX", "Kunden/Müller & Söhne")
	a := watchRig(t, "main", "u7", "pw", names, nil)
	for range 2 {
		for _, name := range names {
			a.deliver(name)
		}
	}
	a.onceEach()
	if s := a.list["INBOX"].watch.Status(); s.Mode != "notify" || s.Connects != 1 {
		t.Errorf("%+v", s)
	}
	// One that goes takes nobody along; when it is back with new UIDs, it is watched.
	rigtest.Run(t, "doveadm", "main", "mailbox", "delete", "-u", "u7", "Box 03")
	waitState(t, a.list["Box 03"].watch, connection.StateBackoff)
	a.deliver("Box 04")
	rigtest.Run(t, "doveadm", "main", "mailbox", "create", "-u", "u7", "Box 03")
	a.deliver("Box 03")
	if s := a.list["INBOX"].watch.Status(); s.Connects != 1 {
		t.Errorf("%d connects", s.Connects)
	}
	a.onceEach()
}

// Dovecot takes no more than 100 names.
func TestRigNotifyOfAll(t *testing.T) {
	names := numberedNames(120)
	a := watchRig(t, "main", "u8", "pw", names, nil)
	for _, name := range []string{names[0], names[50], names[119]} {
		a.deliver(name)
	}
	if s := a.list[names[3]].watch.Status(); s.Mode != "notify" || s.Connects != 1 {
		t.Errorf("%+v", s)
	}
	a.onceEach()
}

// Dovecot goes deaf when the log of its notifications has grown to some size. What it
// does not tell comes out at the next NOOP, and then it notifies again.
func TestRigNotifyGoesDeaf(t *testing.T) {
	names := numberedNames(95)
	a := watchRig(t, "main", "u9", "pw", names, func(c *connection.Config) { c.Session.PollInterval = setting.Duration(time.Second) })
	for i := range 15 {
		a.deliver(names[i*6])
	}
	a.onceEach()
}

// Cyrus has no NOTIFY: what the budget leaves no session for is polled.
func TestRigNoNotify(t *testing.T) {
	for _, unit := range []string{"cyrus", "minimal"} {
		t.Run(unit, func(t *testing.T) {
			names := numberedNames(4)
			a := watchRig(t, unit, "carol", "carol-pw", names, func(c *connection.Config) {
				c.Session.MaxConnections = 3
				c.Session.PollInterval = setting.Duration(time.Second)
			})
			var modes []string
			for _, name := range names {
				a.deliver(name)
				modes = append(modes, a.list[name].watch.Status().Mode)
			}
			want := "idle poll poll poll"
			if unit == "minimal" {
				want = "poll poll poll poll"
			}
			if got := strings.Join(modes, " "); got != want {
				t.Errorf("modes %s, want %s", got, want)
			}
			a.onceEach()
		})
	}
}
