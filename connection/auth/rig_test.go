package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailtrigger/connection/connectiontest/rigtest"
	"mailtrigger/connection/setting"
)

// rigEnv returns a setting of the rig of real servers (connection/testdata/rig).
func rigEnv(t *testing.T, name string) string {
	t.Helper()
	return rigtest.Setting(t, name)
}

func rigCAs(t *testing.T) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(rigEnv(t, "RIG_CA"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

// rigServer is a server of the rig. portEnv names its port; with host the
// connection is not encrypted.
type rigServer struct {
	portEnv     string
	host        string
	certificate bool
}

// rigLogin logs in with cfg and returns who the server thinks we are: the
// mailbox's subject is of no use, so it is the login's own error that tells.
func rigLogin(t *testing.T, s rigServer, a *Authenticator) (*Login, error) {
	t.Helper()
	port, err := strconv.Atoi(rigEnv(t, s.portEnv))
	if err != nil {
		t.Fatal(err)
	}
	host := "127.0.0.1"
	if s.host != "" {
		host = s.host
	}
	raw, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(30 * time.Second))
	below := raw
	if s.host == "" {
		cfg := &tls.Config{ServerName: host, RootCAs: rigCAs(t)}
		if s.certificate {
			cert, err := tls.LoadX509KeyPair(rigEnv(t, "RIG_CLIENT_CERT"), rigEnv(t, "RIG_CLIENT_KEY"))
			if err != nil {
				t.Fatal(err)
			}
			cfg.Certificates = []tls.Certificate{cert}
		}
		below = tls.Client(raw, cfg)
	}
	conn := NewConn(below)
	client := imapclient.New(conn, nil)
	t.Cleanup(func() { client.Close() })
	if err := client.WaitGreeting(); err != nil {
		t.Fatal(err)
	}
	caps := client.Caps()
	login, err := a.Choose(t.Context(), Server{
		Capabilities:      func(c string) bool { return caps.Has(imap.Cap(c)) },
		Encrypted:         s.host == "",
		ClientCertificate: s.certificate,
		Host:              host,
		Port:              port,
	})
	if err != nil {
		return nil, err
	}
	if err := login.Do(client, conn); err != nil {
		return login, a.Failed(login, err)
	}
	if _, err := client.Select("INBOX", nil).Wait(); err != nil {
		t.Errorf("logged in, but: %v", err)
	}
	return login, nil
}

func newAuthenticator(t *testing.T, c Config, o Options) *Authenticator {
	t.Helper()
	a, err := New(&c, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func literal(s string) setting.Source { return setting.Source{Literal: setting.NewSecret(s)} }

var (
	rigMain     = rigServer{portEnv: "RIG_MAIN_IMAPS"}
	rigCyrus    = rigServer{portEnv: "RIG_CYRUS_IMAPS"}
	rigExternal = rigServer{portEnv: "RIG_EXTERNAL_IMAPS", certificate: true}
	rigMTLS     = rigServer{portEnv: "RIG_MTLS_IMAPS", certificate: true}
	rigPlain    = rigServer{portEnv: "RIG_PLAIN_IMAP", host: "127.0.0.1"}
	rigClear    = rigServer{portEnv: "RIG_MAIN_IMAP", host: "127.0.0.2"} // LOGINDISABLED
	rigMinimal  = rigServer{portEnv: "RIG_MINIMAL_IMAPS"}
)

func TestRigMechanisms(t *testing.T) {
	const dave, davePassword = "dave@example.org", `p "q\ %41&+üß{}`
	for _, c := range []struct {
		name   string
		server rigServer
		cfg    Config
		opts   Options
		want   string // the mechanism
	}{
		{"main auto", rigMain, Config{Username: "alice", Password: literal("alice-pw")}, Options{}, "SCRAM-SHA-256"},
		{"main plain", rigMain, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "plain"}, Options{}, "PLAIN"},
		{"main login", rigMain, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "login"}, Options{}, "LOGIN"},
		{"main cram-md5", rigMain, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "cram-md5"}, Options{}, "CRAM-MD5"},
		{"main scram-sha-1", rigMain, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "scram-sha-1"}, Options{}, "SCRAM-SHA-1"},
		{"main scram-sha-256", rigMain, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "scram-sha-256"}, Options{}, "SCRAM-SHA-256"},
		{"main xoauth2 with a given token", rigMain, Config{Username: "alice", Password: literal("token-alice"), Mechanism: "xoauth2"}, Options{}, "XOAUTH2"},
		{"main oauthbearer with a given token", rigMain, Config{Username: "alice", Password: literal("token-alice"), Mechanism: "oauthbearer"}, Options{}, "OAUTHBEARER"},
		{"main dave auto", rigMain, Config{Username: dave, Password: literal(davePassword)}, Options{}, "SCRAM-SHA-256"},
		{"main dave plain", rigMain, Config{Username: dave, Password: literal(davePassword), Mechanism: "plain"}, Options{}, "PLAIN"},
		{"main dave login", rigMain, Config{Username: dave, Password: literal(davePassword), Mechanism: "login"}, Options{}, "LOGIN"},
		{"main dave cram-md5", rigMain, Config{Username: dave, Password: literal(davePassword), Mechanism: "cram-md5"}, Options{}, "CRAM-MD5"},
		{"main dave scram-sha-1", rigMain, Config{Username: dave, Password: literal(davePassword), Mechanism: "scram-sha-1"}, Options{}, "SCRAM-SHA-1"},
		{"main alias plain", rigMain, Config{Username: "master", Password: literal("master-pw"), Alias: "shared", Mechanism: "plain"}, Options{}, "PLAIN"},
		{"main alias auto", rigMain, Config{Username: "master", Password: literal("master-pw"), Alias: "shared"}, Options{}, "SCRAM-SHA-256"},
		{"main alias scram-sha-1", rigMain, Config{Username: "alice", Password: literal("alice-pw"), Alias: "shared", Mechanism: "scram-sha-1"}, Options{}, "SCRAM-SHA-1"},
		{"main alias xoauth2", rigMain, Config{Username: "alice", Password: literal("token-shared"), Alias: "shared", Mechanism: "xoauth2"}, Options{}, "XOAUTH2"},
		{"main alias oauthbearer", rigMain, Config{Username: "alice", Password: literal("token-shared"), Alias: "shared", Mechanism: "oauthbearer"}, Options{}, "OAUTHBEARER"},
		{"plain auto", rigPlain, Config{Username: "alice", Password: literal("alice-pw")}, Options{AllowClearText: true}, "SCRAM-SHA-256"},
		{"plain plain", rigPlain, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "plain"}, Options{AllowClearText: true}, "PLAIN"},
		{"minimal login", rigMinimal, Config{Username: dave, Password: literal(davePassword), Mechanism: "login"}, Options{}, LoginCommand},
		{"minimal auto", rigMinimal, Config{Username: "alice", Password: literal("alice-pw")}, Options{}, "PLAIN"},
		{"external", rigExternal, Config{Mechanism: "external"}, Options{}, "EXTERNAL"},
		{"external auto", rigExternal, Config{Username: "alice", ClientCertificate: true}, Options{}, "EXTERNAL"},
		{"external alias", rigExternal, Config{Username: "alice", Alias: "alice", Mechanism: "external"}, Options{}, "EXTERNAL"},
		{"mtls", rigMTLS, Config{Username: "alice", Password: literal("alice-pw")}, Options{}, "SCRAM-SHA-256"},
		{"cyrus auto", rigCyrus, Config{Username: "alice", Password: literal("alice-pw")}, Options{}, "SCRAM-SHA-256"},
		{"cyrus plain", rigCyrus, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "plain"}, Options{}, "PLAIN"},
		{"cyrus login", rigCyrus, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "login"}, Options{}, "LOGIN"},
		{"cyrus cram-md5", rigCyrus, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "cram-md5"}, Options{}, "CRAM-MD5"},
		{"cyrus scram-sha-1", rigCyrus, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "scram-sha-1"}, Options{}, "SCRAM-SHA-1"},
		{"cyrus alias", rigCyrus, Config{Username: "master", Password: literal("master-pw"), Alias: "alice"}, Options{}, "SCRAM-SHA-256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			login, err := rigLogin(t, c.server, newAuthenticator(t, c.cfg, c.opts))
			if err != nil {
				t.Fatal(err)
			}
			if login.Mechanism != c.want {
				t.Errorf("logged in by %s, want %s", login.Mechanism, c.want)
			}
			if revealing := login.Mechanism == "PLAIN" && c.server.host != ""; (login.Warning != "") != revealing {
				t.Errorf("warning %q", login.Warning)
			}
		})
	}
}

func TestRigRefused(t *testing.T) {
	const canary = "c4nary-pässwort"
	for _, s := range []struct {
		name       string
		server     rigServer
		mechanisms []string
	}{
		{"main", rigMain, []string{"auto", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256", "xoauth2", "oauthbearer"}},
		{"cyrus", rigCyrus, []string{"auto", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"}},
	} {
		for _, m := range s.mechanisms {
			t.Run(s.name+" "+m, func(t *testing.T) {
				a := newAuthenticator(t, Config{Username: "u7", Password: literal(canary), Mechanism: m}, Options{})
				_, err := rigLogin(t, s.server, a)
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("got %T %v", err, err)
				}
				if !e.Refused || !e.Permanent || e.Hint == "" {
					t.Errorf("refused %v permanent %v hint %q", e.Refused, e.Permanent, e.Hint)
				}
				if strings.Contains(err.Error(), canary) {
					t.Error("the error holds the password")
				}
				t.Log(err)
			})
		}
	}
	t.Run("unknown alias", func(t *testing.T) {
		a := newAuthenticator(t, Config{Username: "master", Password: literal("master-pw"), Alias: "nobody-such", Mechanism: "plain"}, Options{})
		_, err := rigLogin(t, rigMain, a)
		var e *Error
		if !errors.As(err, &e) || e.Refused || !strings.Contains(err.Error(), "nobody-such") {
			t.Errorf("got %v", err)
		}
		t.Log(err)
	})
	t.Run("LOGINDISABLED", func(t *testing.T) {
		a := newAuthenticator(t, Config{Username: "alice", Password: literal("alice-pw")}, Options{AllowClearText: true})
		_, err := rigLogin(t, rigClear, a)
		if err == nil || !strings.Contains(err.Error(), "LOGINDISABLED") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("clear text", func(t *testing.T) {
		a := newAuthenticator(t, Config{Username: "alice", Password: literal("alice-pw"), Mechanism: "plain"}, Options{})
		_, err := rigLogin(t, rigPlain, a)
		if err == nil || !strings.Contains(err.Error(), "not encrypted") {
			t.Errorf("got %v", err)
		}
	})
}
