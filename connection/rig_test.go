package connection_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest/rigtest"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
)

func TestMain(m *testing.M) { os.Exit(rigtest.Main(m)) }

// rigEnv returns a setting of the rig of real servers (testdata/rig), which each
// test process has for itself, so that frozen servers trouble nobody else.
func rigEnv(t *testing.T, name string) string {
	t.Helper()
	return rigtest.Setting(t, name)
}

// rigConfig returns how to reach a unit of the rig with implicit TLS, or in the
// clear if it has no TLS.
func rigConfig(t *testing.T, unit, user, password string) *connection.Config {
	t.Helper()
	key := "RIG_" + strings.ToUpper(unit)
	c := &connection.Config{Name: unit, Address: rigEnv(t, key+"_HOST"), Timeout: setting.Duration(10 * time.Second)}
	if unit == "plain" {
		c.Encryption.Protocol = "none"
		c.Port = atoi(t, rigEnv(t, key+"_IMAP"))
	} else {
		c.Port = atoi(t, rigEnv(t, key+"_IMAPS"))
		c.Encryption.CAFile = rigEnv(t, "RIG_CA")
	}
	c.Authentication.Username = user
	c.Authentication.Password.Literal = setting.NewSecret(password)
	return c
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Each way a connection fails says what is wrong and what to do.
func TestRigCheck(t *testing.T) {
	for _, c := range []struct {
		name, unit string
		change     func(c *connection.Config)
		steps      string // the steps, the last one with "!" where it fails
		detail     string // of the last step
		hint       string
		suggest    string
		within     time.Duration
	}{
		{name: "main", unit: "main", steps: "secrets proxy connect tls greeting capabilities login mailbox idle", detail: "idle"},
		{name: "tls12", unit: "tls12", steps: "secrets proxy connect tls greeting capabilities login mailbox idle", detail: "idle"},
		{name: "cyrus", unit: "cyrus", steps: "secrets proxy connect tls greeting capabilities login mailbox idle", detail: "idle"},
		{name: "no IDLE", unit: "minimal", steps: "secrets proxy connect tls greeting capabilities login mailbox idle", detail: "poll"},
		{name: "plain", unit: "plain", steps: "secrets proxy connect tls greeting capabilities login mailbox idle", detail: "idle"},
		{name: "explicit", unit: "main", change: func(c *connection.Config) {
			c.Port = atoi(t, rigEnv(t, "RIG_MAIN_IMAP"))
			c.Encryption.Mode = "explicit"
		}, steps: "secrets proxy connect tls greeting capabilities login mailbox idle", detail: "idle"},
		{name: "expired", unit: "expired", steps: "secrets proxy connect tls!", detail: "the certificate expired on", hint: "pin_sha256 = [", suggest: "pin_sha256 = ["},
		{name: "wrong host", unit: "wronghost", steps: "secrets proxy connect tls!", detail: "the certificate is for", hint: "server_name =", suggest: "pin_sha256"},
		{name: "self-signed", unit: "selfsigned", steps: "secrets proxy connect tls!", detail: "self-signed", hint: "ca_file", suggest: "pin_sha256"},
		{name: "unknown CA", unit: "main", change: func(c *connection.Config) { c.Encryption.CAFile = "" },
			steps: "secrets proxy connect tls!", detail: "issued by", hint: "ca_file", suggest: "pin_sha256"},
		{name: "wrong pin", unit: "main", change: func(c *connection.Config) {
			c.Encryption.PinSHA256 = []string{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}
		}, steps: "secrets proxy connect tls!", detail: "not one of those in pin_sha256", hint: "pin_sha256 = [", suggest: "pin_sha256"},
		{name: "old TLS", unit: "tls10", steps: "secrets proxy connect tls!", detail: "TLS", hint: "versions", suggest: `versions = ["TLS1.0"]`},
		{name: "new TLS only", unit: "tls13", change: func(c *connection.Config) { c.Encryption.Versions = []string{"TLS1.2"} },
			steps: "secrets proxy connect tls!", detail: "TLS", hint: "versions", suggest: `versions = ["TLS1.3"]`},
		{name: "plain server on a TLS port", unit: "plain", change: func(c *connection.Config) { c.Encryption.Protocol = "tls"; c.Encryption.Mode = "implicit" },
			steps: "secrets proxy connect tls!", detail: "speaks plain IMAP", hint: `mode = "explicit"`, suggest: "explicit", within: 5 * time.Second},
		{name: "no STARTTLS", unit: "plain", change: func(c *connection.Config) { c.Encryption.Protocol = "tls"; c.Encryption.Mode = "explicit" },
			steps: "secrets proxy connect tls!", detail: "STARTTLS", within: 5 * time.Second},
		{name: "TLS server on a plain port", unit: "main", change: func(c *connection.Config) { c.Encryption.Protocol = "none"; c.Encryption.Mode = "" },
			steps: "secrets proxy connect tls greeting!", detail: "speaks TLS", hint: `mode = "implicit"`, suggest: "implicit", within: 6 * time.Second},
		{name: "TLS server on a STARTTLS port", unit: "main", change: func(c *connection.Config) { c.Encryption.Mode = "explicit" },
			steps: "secrets proxy connect greeting!", detail: "speaks TLS", hint: `mode = "implicit"`, within: 6 * time.Second},
		{name: "LOGINDISABLED", unit: "main", change: func(c *connection.Config) {
			c.Address = rigEnv(t, "RIG_MAIN_REMOTE_HOST")
			c.Port = atoi(t, rigEnv(t, "RIG_MAIN_IMAP"))
			c.Encryption.Protocol = "none"
			c.Authentication.Mechanism = "plain"
		}, steps: "secrets proxy connect tls greeting capabilities login!", detail: "", hint: "", within: 5 * time.Second},
		{name: "LOGINDISABLED, auto", unit: "main", change: func(c *connection.Config) {
			c.Address = rigEnv(t, "RIG_MAIN_REMOTE_HOST")
			c.Port = atoi(t, rigEnv(t, "RIG_MAIN_IMAP"))
			c.Encryption.Protocol = "none"
		}, steps: "secrets proxy connect tls greeting capabilities login!", detail: "LOGINDISABLED", hint: `protocol = "tls"`, within: 5 * time.Second},
		{name: "wrong password", unit: "main", change: func(c *connection.Config) { c.Authentication.Password.Literal = setting.NewSecret("wr0ng-pw") },
			steps: "secrets proxy connect tls greeting capabilities login!", detail: "AUTHENTICATIONFAILED", hint: "password", within: 5 * time.Second},
		{name: "unknown alias", unit: "main", change: func(c *connection.Config) {
			c.Authentication.Username, c.Authentication.Alias = "master", "nobody-here"
			c.Authentication.Password.Literal = setting.NewSecret("master-pw")
		}, steps: "secrets proxy connect tls greeting capabilities login!", hint: "alias", within: 5 * time.Second},
		{name: "no such password file", unit: "main", change: func(c *connection.Config) {
			c.Authentication.Password = setting.Source{File: "/nonexistent/password"}
		}, steps: "secrets!", detail: "the password cannot be read", hint: "check the path"},
		{name: "closed port", unit: "main", change: func(c *connection.Config) { c.Port = 1 },
			steps: "secrets proxy connect!", detail: "refuses connections", hint: "port"},
		{name: "closed port, and no proxy for it in the environment", unit: "main", change: func(c *connection.Config) { c.Port, c.Proxy.Type = 1, "environment" },
			steps: "secrets proxy connect!", detail: "refuses connections", hint: "port"},
		{name: "unknown name", unit: "main", change: func(c *connection.Config) { c.Address = "no-such-host.invalid" },
			steps: "secrets proxy connect!", detail: "", hint: ""},
		{name: "no client certificate", unit: "mtls", steps: "secrets proxy connect tls greeting capabilities login!", within: 5 * time.Second},
		{name: "client certificate", unit: "mtls", change: func(c *connection.Config) {
			c.Encryption.ClientCertificateFile, c.Encryption.ClientKeyFile = rigEnv(t, "RIG_CLIENT_CERT"), rigEnv(t, "RIG_CLIENT_KEY")
		}, steps: "secrets proxy connect tls greeting capabilities login mailbox idle"},
		{name: "closed proxy", unit: "main", change: func(c *connection.Config) {
			c.Proxy.Type, c.Proxy.Address, c.Proxy.Port = "socks5", "127.0.0.1", 1
		}, steps: "secrets proxy!", detail: "proxy", hint: "proxy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := rigConfig(t, c.unit, "alice", "alice-pw")
			if c.change != nil {
				c.change(cfg)
			}
			cfg.SetDefaults()
			if ps := cfg.Validate(); len(ps) > 0 {
				t.Fatal(ps)
			}
			d := newDialer(t, connection.DialerOptions{})
			started := time.Now()
			steps := d.Check(context.Background(), cfg, nil, nil)
			took := time.Since(started)
			var names []string
			for _, s := range steps {
				name := s.Step
				if !s.OK {
					name += "!"
				}
				names = append(names, name)
				t.Logf("%-12s ok=%-5v %.3fs %s | %s | %q", s.Step, s.OK, s.Seconds, s.Detail, s.Hint, s.Suggest)
				if strings.Contains(s.Detail+s.Hint, "wr0ng-pw") {
					t.Error("a secret is shown")
				}
			}
			if got := strings.Join(names, " "); got != c.steps {
				t.Errorf("steps %s\nwant  %s", got, c.steps)
			}
			last := steps[len(steps)-1]
			if !strings.Contains(last.Detail, c.detail) || !strings.Contains(last.Hint, c.hint) || !strings.Contains(strings.Join(last.Suggest, "\n"), c.suggest) {
				t.Errorf("detail %q, hint %q, suggest %q", last.Detail, last.Hint, last.Suggest)
			}
			if !last.OK && last.Hint == "" {
				t.Error("no hint")
			}
			if c.within > 0 && took > c.within {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestRigLimit(t *testing.T) {
	cfg := rigConfig(t, "limit", "bob", "bob-pw")
	cfg.SetDefaults()
	d := newDialer(t, connection.DialerOptions{})
	err := d.Do(context.Background(), cfg, "INBOX", func(ctx context.Context, mb *connection.Mailbox) error {
		steps := d.Check(ctx, cfg, nil, nil)
		last := steps[len(steps)-1]
		if last.OK || !strings.Contains(last.Detail, "LIMIT") || !strings.Contains(last.Hint, "max_connections") {
			t.Errorf("%+v", last)
		}
		// A watch leaves the server alone for a while.
		w := d.Watch(cfg, "INBOX", func(context.Context, *connection.Mailbox, wire.Wake) error { return nil })
		defer w.Close(ctx)
		waitState(t, w, connection.StateBackoff)
		if s := w.Status(); time.Until(s.NextRetry) < 55*time.Second || s.LastError.Permanent {
			t.Errorf("next try in %s: %+v", time.Until(s.NextRetry), s.LastError)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A watch sees what is delivered, through frozen and killed servers.
func TestRigWatch(t *testing.T) {
	for _, unit := range []string{"main", "minimal", "cyrus", "plain"} {
		t.Run(unit, func(t *testing.T) {
			cfg := rigConfig(t, unit, "carol", "carol-pw")
			cfg.Timeout = setting.Duration(2 * time.Second)
			cfg.Session.PollInterval = setting.Duration(time.Second)
			cfg.Session.IdleRefresh = setting.Duration(2 * time.Second)
			cfg.SetDefaults()
			d := newDialer(t, connection.DialerOptions{})
			w := newRigWatcher()
			watch := d.Watch(cfg, "INBOX", w.look)
			defer func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if err := watch.Close(ctx); err != nil {
					t.Error(err)
				}
			}()
			w.begin(t)
			deliver := func(n int) {
				t.Helper()
				args := []string{"deliver", "-i", unit, "-u", "carol", "-n", strconv.Itoa(n)}
				if unit == "cyrus" {
					args = append(args, "-v", "append")
				}
				rigtest.Run(t, args...)
				w.expect(t, n)
			}
			deliver(1)
			deliver(5)
			rigtest.Run(t, "fault", "freeze", unit)
			waitState(t, watch, connection.StateBackoff)
			rigtest.Run(t, "fault", "thaw", unit)
			deliver(1)
			if unit == "minimal" {
				return
			}
			rigtest.Run(t, "fault", "kill9", unit)
			waitState(t, watch, connection.StateBackoff)
			rigtest.Run(t, "start", unit)
			deliver(2)
		})
	}
}

// rigWatcher counts new messages.
type rigWatcher struct {
	*watcher
	count chan int
	first bool
}

func newRigWatcher() *rigWatcher {
	return &rigWatcher{watcher: newWatcher(), count: make(chan int, 1000)}
}

func (w *rigWatcher) look(ctx context.Context, mb *connection.Mailbox, _ wire.Wake) error {
	infos, err := mb.List(ctx, w.last)
	if err != nil {
		return err
	}
	if len(infos) > 0 {
		w.last = infos[len(infos)-1].UID
	}
	if !w.first {
		w.first = true
		w.count <- -1
		return nil
	}
	if len(infos) > 0 {
		w.count <- len(infos)
	}
	return nil
}

func (w *rigWatcher) begin(t *testing.T) {
	t.Helper()
	select {
	case <-w.count:
	case <-time.After(patience):
		t.Fatal("no first look")
	}
}

func (w *rigWatcher) expect(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(patience)
	for n > 0 {
		select {
		case k := <-w.count:
			n -= k
		case <-timeout:
			t.Fatalf("%d messages did not come", n)
		}
	}
	if n < 0 {
		t.Errorf("%d messages too many", -n)
	}
}
