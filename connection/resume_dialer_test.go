package connection_test

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/wire"
)

// handshakes are those that a server has done, or refused.
type handshakes struct {
	mu      sync.Mutex
	offered []bool // a ticket, in the order of the connects
	resumed []bool // of those that went well
	refuse  bool   // break off where a ticket is offered
}

const extensionPreSharedKey = 41 // RFC 8446 section 4.2

// watch has a server's configuration tell of its handshakes. It must be of TLS 1.3.
func (h *handshakes) watch(c *tls.Config) {
	c.MinVersion = tls.VersionTLS13
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		offered := slices.Contains(hello.Extensions, extensionPreSharedKey)
		if h.offered = append(h.offered, offered); offered && h.refuse {
			return nil, errors.New("no session id context")
		}
		return nil, nil
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.resumed = append(h.resumed, s.DidResume)
		return nil
	}
}

func (h *handshakes) take() (offered, resumed []bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	offered, resumed = h.offered, h.resumed
	h.offered, h.resumed = nil, nil
	return offered, resumed
}

// visit opens a session, of which there may be several at once.
func visit(t *testing.T, d *connection.Dialer, cfg *connection.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Do(ctx, cfg, "INBOX", func(context.Context, *connection.Mailbox) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// Sessions of all connections to a server resume each other's TLS sessions, with STARTTLS,
// too, and know of the certificate what the first has seen. Check does not: it is to tell
// what the certificate is.
func TestResume(t *testing.T) {
	for _, mode := range []string{connection.ModeImplicit, connection.ModeExplicit} {
		t.Run(mode, func(t *testing.T) {
			var h handshakes
			srv := newServer(t, connectiontest.Options{Mode: mode, TLS: h.watch})
			srv.AddUser("bob", "secret")
			var mu sync.Mutex
			var expiries []time.Time
			d := newDialer(t, connection.DialerOptions{Trace: &connection.Trace{Certificate: func(_ string, notAfter time.Time) {
				mu.Lock()
				defer mu.Unlock()
				expiries = append(expiries, notAfter)
			}}})
			looked := make(chan struct{}, 1)
			w := d.Watch(srv.Config("alice"), "INBOX", func(context.Context, *connection.Mailbox, wire.Wake) error {
				looked <- struct{}{}
				return nil
			})
			defer w.Close(context.Background())
			<-looked
			visit(t, d, srv.Config("bob"))
			visit(t, d, srv.Config("alice"))
			if _, resumed := h.take(); !slices.Equal(resumed, []bool{false, true, true}) {
				t.Errorf("resumed: %v; want all but the first", resumed)
			}
			mu.Lock()
			seen := slices.Clone(expiries)
			mu.Unlock()
			if len(seen) != 3 || seen[0].IsZero() || !seen[1].Equal(seen[0]) || !seen[2].Equal(seen[0]) {
				t.Fatalf("the certificate expires at %v; want three times the same", seen)
			}
			if s := w.Status(); s.TLS == nil || !s.TLS.NotAfter.Equal(seen[0]) {
				t.Errorf("the status says of TLS: %+v", s.TLS)
			}
			for _, s := range d.Check(context.Background(), srv.Config("bob"), nil, nil) {
				if !s.OK {
					t.Errorf("%s: %s", s.Step, s.Detail)
				}
			}
			if offered, _ := h.take(); !slices.Equal(offered, []bool{false}) {
				t.Errorf("Check offered tickets: %v; want one full handshake", offered)
			}
		})
	}
}

// A server that breaks off where it is offered a ticket is not offered any for a while.
// Nobody notices.
func TestResumeRefused(t *testing.T) {
	for _, mode := range []string{connection.ModeImplicit, connection.ModeExplicit} {
		t.Run(mode, func(t *testing.T) {
			h := handshakes{refuse: true}
			srv := newServer(t, connectiontest.Options{Mode: mode, TLS: h.watch})
			d := newDialer(t, connection.DialerOptions{Trace: &connection.Trace{Error: func(_, stage string) { t.Errorf("an error at %s is counted", stage) }}})
			for range 4 {
				visit(t, d, srv.Config("alice"))
			}
			offered, resumed := h.take()
			if !slices.Equal(offered, []bool{false, true, false, false, false}) || slices.Contains(resumed, true) {
				t.Errorf("offered: %v, resumed: %v; want a single offer, at the second connect", offered, resumed)
			}
		})
	}
}

// A server that is gone is not asked twice at once for ever: the connect fails as ever.
func TestResumeServerGone(t *testing.T) {
	var h handshakes
	srv := newServer(t, connectiontest.Options{TLS: h.watch})
	d := newDialer(t, connection.DialerOptions{})
	cfg := srv.Config("alice")
	visit(t, d, cfg)
	h.mu.Lock()
	h.refuse = true
	h.mu.Unlock()
	srv.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := d.Do(ctx, cfg, "INBOX", func(context.Context, *connection.Mailbox) error { return nil })
	var e *connection.Error
	if !errors.As(err, &e) || e.Stage != connection.StageConnect {
		t.Errorf("the error is %v; want one of %s", err, connection.StageConnect)
	}
	h.mu.Lock()
	h.refuse = false
	h.mu.Unlock()
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	h.take()
	visit(t, d, cfg)
	if _, resumed := h.take(); !slices.Equal(resumed, []bool{true}) {
		t.Errorf("after an outage resumed: %v; want true", resumed)
	}
}

// With real servers it goes well, whatever they make of a ticket: Dovecot breaks off where
// it would like to have a client certificate, and refuses the login only without a ticket.
func TestResumeRig(t *testing.T) {
	for unit, refused := range map[string]bool{"main": false, "tls12": false, "cyrus": false, "mtls": true} {
		t.Run(unit, func(t *testing.T) {
			d := newDialer(t, connection.DialerOptions{})
			cfg := rigConfig(t, unit, "alice", "alice-pw")
			cfg.SetDefaults()
			for range 3 {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				err := d.Do(ctx, cfg, "INBOX", func(context.Context, *connection.Mailbox) error { return nil })
				cancel()
				var e *connection.Error
				if refused && (!errors.As(err, &e) || e.Stage != connection.StageLogin) || !refused && err != nil {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}
