package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest/rigtest"
	"mailtrigger/connection/setting"
)

// rigEnv returns a setting of the rig of real servers (connection/testdata/rig).
func rigEnv(t *testing.T, name string) string {
	t.Helper()
	return rigtest.Setting(t, name)
}

// rigProxy makes a Config of one of the rig's URLs.
func rigProxy(t *testing.T, name string) *Config {
	t.Helper()
	c, err := parseProxyURL(rigEnv(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if c.Type == "https" {
		c.CAFile = rigEnv(t, "RIG_CA")
	}
	return c
}

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// greeting reads the first line of an IMAP server.
func greeting(t *testing.T, conn net.Conn) string {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal("no greeting through the proxy:", err)
	}
	return line
}

// closedPort is a port of this machine where nobody listens.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

var rigProxies = []struct {
	name, env      string
	authentication string
	login          bool // it checks user name and password
	resolves       bool // it can resolve a name itself
}{
	{"socks", "RIG_SOCKS_URL", "", false, true},
	{"socksauth", "RIG_SOCKSAUTH_URL", "", true, true},
	{"microsocks", "RIG_MICROSOCKS_URL", "", true, true},
	{"socks4a", "RIG_SOCKS4_URL", "", false, true},
	{"socks4", "RIG_SOCKS4_URL", "", false, false},
	{"socks4 danted", "RIG_SOCKS_URL", "", false, false},
	{"tinyproxy", "RIG_TINYPROXY_URL", "", false, true},
	{"tinyproxy-basic auto", "RIG_TINYPROXY_BASIC_URL", "auto", true, true},
	{"tinyproxy-basic", "RIG_TINYPROXY_BASIC_URL", "basic", true, true},
	{"squid-basic auto", "RIG_SQUID_BASIC_URL", "auto", true, true},
	{"squid-basic", "RIG_SQUID_BASIC_URL", "basic", true, true},
	{"squid-digest auto", "RIG_SQUID_DIGEST_URL", "auto", true, true},
	{"squid-digest", "RIG_SQUID_DIGEST_URL", "digest", true, true},
	{"squid-ntlm auto", "RIG_SQUID_NTLM_URL", "auto", true, true},
	{"squid-ntlm", "RIG_SQUID_NTLM_URL", "ntlm", true, true},
	{"tlsproxy", "RIG_TLSPROXY_URL", "", false, true},
	{"tlsproxy basic", "RIG_TLSPROXY_BASIC_URL", "basic", true, true},
	{"tlsproxy basic auto", "RIG_TLSPROXY_BASIC_URL", "auto", true, true},
}

func TestRig(t *testing.T) {
	const canary = "c4nary-pässwort"
	for _, p := range rigProxies {
		t.Run(p.name, func(t *testing.T) {
			config := func() *Config {
				c := rigProxy(t, p.env)
				if strings.HasPrefix(p.name, "socks4 ") || p.name == "socks4" {
					c.Type = "socks4"
				}
				if p.name == "socks4 danted" {
					c.Username = ""
				}
				c.Authentication = p.authentication
				return c
			}
			imap := net.JoinHostPort("127.0.0.1", rigEnv(t, "RIG_PLAIN_IMAP"))
			dial := func(c *Config, address string, d time.Duration) (net.Conn, *Error) {
				t.Helper()
				dialer, err := c.Dialer(nil)
				if err != nil {
					t.Fatal(err)
				}
				conn, err := dialer.DialContext(deadline(t, d), "tcp", address)
				if err == nil {
					t.Cleanup(func() { conn.Close() })
					return conn, nil
				}
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("not an *Error: %T %v", err, err)
				}
				if e.Proxy == "" || e.Stage == "" || e.Text == "" {
					t.Errorf("the error lacks something: %#v", e)
				}
				if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "ppass") {
					t.Errorf("the error holds the password: %v", err)
				}
				t.Log(err)
				return nil, e
			}
			fails := func(t *testing.T, e *Error, stage string, permanent bool) {
				t.Helper()
				if e == nil {
					t.Fatal("no error")
				}
				if e.Stage != stage || e.Permanent != permanent {
					t.Errorf("stage %s permanent %v, want %s %v: %v", e.Stage, e.Permanent, stage, permanent, e)
				}
			}
			t.Run("right", func(t *testing.T) {
				conn, e := dial(config(), imap, 20*time.Second)
				if e != nil {
					t.Fatal(e)
				}
				if g := greeting(t, conn); !strings.HasPrefix(g, "* OK") {
					t.Errorf("greeting %q", g)
				}
				for {
					below, ok := conn.(interface{ NetConn() net.Conn })
					if !ok {
						break
					}
					conn = below.NetConn()
				}
				if _, ok := conn.(*net.TCPConn); !ok {
					t.Errorf("the lowest connection is a %T", conn)
				}
			})
			t.Run("wrong password", func(t *testing.T) {
				if !p.login {
					t.Skip("it checks no password")
				}
				c := config()
				c.Password = setting.Source{Literal: setting.NewSecret(canary)}
				_, e := dial(c, imap, 20*time.Second)
				fails(t, e, StageLogin, true)
			})
			t.Run("no password", func(t *testing.T) {
				if !p.login {
					t.Skip("it checks no password")
				}
				c := config()
				c.UseCredentials = new(bool)
				_, e := dial(c, imap, 20*time.Second)
				fails(t, e, StageLogin, true)
			})
			t.Run("dead proxy", func(t *testing.T) {
				c := config()
				c.Port = closedPort(t)
				_, e := dial(c, imap, 20*time.Second)
				fails(t, e, StageConnect, false)
			})
			t.Run("frozen proxy", func(t *testing.T) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				c := config()
				c.Port = l.Addr().(*net.TCPAddr).Port
				_, e := dial(c, imap, 300*time.Millisecond)
				if e == nil || e.Permanent || !errors.Is(e, context.DeadlineExceeded) {
					t.Errorf("got %v", e)
				}
			})
			t.Run("unreachable target", func(t *testing.T) {
				_, e := dial(config(), net.JoinHostPort("127.0.0.1", strconv.Itoa(closedPort(t))), 20*time.Second)
				fails(t, e, StageTarget, false)
			})
			t.Run("unknown name", func(t *testing.T) {
				_, e := dial(config(), "nosuch.rig.test:993", 20*time.Second)
				fails(t, e, StageTarget, false)
			})
			t.Run("name only the proxy knows", func(t *testing.T) {
				address := net.JoinHostPort(rigEnv(t, "RIG_PROXY_ONLY_HOST"), rigEnv(t, "RIG_PLAIN_IMAP"))
				conn, e := dial(config(), address, 20*time.Second)
				if !p.resolves {
					fails(t, e, StageTarget, false)
					return
				}
				if e != nil {
					t.Fatal(e)
				}
				greeting(t, conn)
			})
			t.Run("IPv6 target", func(t *testing.T) {
				if _, err := net.Dial("tcp", net.JoinHostPort("::1", rigEnv(t, "RIG_MAIN_IMAPS"))); err != nil {
					t.Skip("no IPv6 here:", err)
				}
				_, e := dial(config(), net.JoinHostPort("::1", rigEnv(t, "RIG_MAIN_IMAPS")), 20*time.Second)
				if strings.HasPrefix(p.name, "socks4") {
					fails(t, e, StageTarget, true)
				} else if e != nil {
					t.Log("this proxy cannot:", e)
				}
			})
			t.Run("TLS to the server inside", func(t *testing.T) {
				conn, e := dial(config(), net.JoinHostPort("127.0.0.1", rigEnv(t, "RIG_MAIN_IMAPS")), 20*time.Second)
				if e != nil {
					t.Fatal(e)
				}
				pem, err := os.ReadFile(rigEnv(t, "RIG_CA"))
				if err != nil {
					t.Fatal(err)
				}
				pool := x509.NewCertPool()
				pool.AppendCertsFromPEM(pem)
				inner := tls.Client(conn, &tls.Config{ServerName: "127.0.0.1", RootCAs: pool})
				greeting(t, inner)
			})
		})
	}
}

// TestRigWrongType points each type of proxy at servers that are something else.
func TestRigWrongType(t *testing.T) {
	socks, err := url.Parse(rigEnv(t, "RIG_SOCKS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	tiny, err := url.Parse(rigEnv(t, "RIG_TINYPROXY_URL"))
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]string{"socks": socks.Port(), "http": tiny.Port(), "imap": rigEnv(t, "RIG_PLAIN_IMAP"), "imaps": rigEnv(t, "RIG_MAIN_IMAPS")}
	for _, kind := range []string{"http", "https", "socks4a", "socks5"} {
		for what, port := range ports {
			if what == kind {
				continue
			}
			t.Run(kind+" to "+what, func(t *testing.T) {
				c := &Config{Type: kind, Address: "127.0.0.1"}
				c.Port, _ = strconv.Atoi(port)
				d, err := c.Dialer(nil)
				if err != nil {
					t.Fatal(err)
				}
				conn, err := d.DialContext(deadline(t, time.Second), "tcp", "127.0.0.1:"+rigEnv(t, "RIG_PLAIN_IMAP"))
				if err == nil {
					conn.Close()
					if strings.HasPrefix(kind, what) { // danted knows SOCKS 4 and 5
						return
					}
					t.Fatal("no error")
				}
				t.Log(err)
				var e *Error
				if !errors.As(err, &e) || e.Stage == StageConnect {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}
