package connection_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
)

// A fault is one thing that is wrong, and what a person is told of it.
type fault struct {
	name   string
	server string // of servers; "" is implicit
	mech   string // "" is plain
	change func(t *testing.T, c *connection.Config)
	stage  string
	text   string             // in the step that fails
	hint   string             // likewise
	routes func(r route) bool // nil: two of them, taken in turn
	setenv bool               // changes the environment
}

const wrongPassword = "wr0ng-pässword"

func setVersions(v ...string) func(*testing.T, *connection.Config) {
	return func(_ *testing.T, c *connection.Config) { c.Encryption.Versions = v }
}

func isProxy(r route) bool { return r.url != "" && r.kind != "environment" }

// faults are the wrong proxies, versions, certificates and logins.
func faults() []fault {
	all := []fault{
		// The proxy.
		{name: "dead proxy", stage: "proxy", text: "cannot reach the proxy", hint: "check the proxy's address and port", routes: isProxy,
			change: func(t *testing.T, c *connection.Config) { c.Proxy.Port = closedPort(t) }},
		{name: "proxy in the environment is dead", stage: "proxy", text: "cannot reach the proxy", hint: "check the proxy's address and port",
			routes: func(r route) bool { return r.kind == "environment" }, setenv: true,
			change: func(t *testing.T, _ *connection.Config) {
				t.Setenv("ALL_PROXY", fmt.Sprintf("socks5://127.0.0.1:%d", closedPort(t)))
			}},
		{name: "wrong proxy password", stage: "proxy", text: "refused", hint: "check the proxy's username and password",
			routes: func(r route) bool { return r.login },
			change: func(_ *testing.T, c *connection.Config) {
				c.Proxy.Password.Literal = setting.NewSecret(wrongPassword)
			}},
		{name: "no proxy password", stage: "proxy", text: "wants user name and password", hint: "set the proxy's username and password",
			routes: func(r route) bool { return r.login },
			change: func(_ *testing.T, c *connection.Config) { c.Proxy.UseCredentials = new(bool) }},
		{name: "wrong SOCKS 4 user id", stage: "proxy", text: "the proxy", hint: "username",
			routes: func(r route) bool { return strings.HasPrefix(r.kind, "socks4") },
			change: func(_ *testing.T, c *connection.Config) { c.Proxy.Username = "somebody" }},
		{name: "proxy of another type", stage: "proxy", text: "", hint: "type",
			routes: isProxy,
			change: func(_ *testing.T, c *connection.Config) {
				other := proxy.Config{Type: "http", Address: c.Proxy.Address, Port: c.Proxy.Port}
				if c.Proxy.Type == "http" || c.Proxy.Type == "https" {
					other.Type = "socks5"
				}
				c.Proxy, c.Timeout = other, setting.Duration(2*time.Second)
			}},
		{name: "proxy's certificate is not known", stage: "proxy", text: "certificate", hint: "ca_file",
			routes: func(r route) bool { return strings.HasPrefix(r.name, "https") },
			change: func(_ *testing.T, c *connection.Config) { c.Proxy.CAFile = "" }},
		{name: "closed port behind the proxy", stage: "proxy", text: "", hint: "check the server's address and port", routes: isProxy,
			change: func(t *testing.T, c *connection.Config) { c.Port = closedPort(t) }},
		{name: "unknown name behind the proxy", stage: "proxy", text: "", hint: "address", routes: isProxy,
			change: func(_ *testing.T, c *connection.Config) { c.Address = "nosuch.rig.test" }},
		{name: "proxy's password cannot be read", stage: "secrets", text: "the proxy's password cannot be read", hint: "check the path",
			routes: func(r route) bool { return r.login },
			change: func(_ *testing.T, c *connection.Config) {
				c.Proxy.Password = setting.Source{File: "/nonexistent/password"}
			}},

		// TLS.
		{name: "server too old", server: "TLS1.0", stage: "tls", text: "TLS version", hint: "TLS1.0", change: setVersions()},
		{name: "server too old, explicit", server: "TLS1.1, explicit", stage: "tls", text: "TLS version", hint: "TLS1.1", change: setVersions("TLS1.2", "TLS1.3")},
		{name: "server too new", server: "TLS1.3, explicit", stage: "tls", text: "TLS version", hint: "TLS1.3", change: setVersions("TLS1.0", "TLS1.1", "TLS1.2")},
		{name: "version in the gap", server: "TLS1.2", stage: "tls", text: "TLS1.2, which versions does not allow", hint: `add "TLS1.2" to versions`, change: setVersions("TLS1.1", "TLS1.3")},
		{name: "version in the gap, explicit", server: "TLS1.1, explicit", stage: "tls", text: "TLS1.1, which versions does not allow", hint: `add "TLS1.1" to versions`, change: setVersions("TLS1.0", "TLS1.2")},
		{name: "expired", server: "pin: expired, explicit", stage: "tls", text: "expired on 2020-01-01", hint: "administrator must renew it; or, to trust this certificate as it is, add to the encryption table: pin_sha256",
			change: func(t *testing.T, c *connection.Config) {
				c.Encryption.PinSHA256, c.Encryption.CAFile = nil, rigEnv(t, "RIG_CA")
			}},
		{name: "self-signed", server: "pin: self-signed", stage: "tls", text: "self-signed", hint: "pin_sha256",
			change: func(*testing.T, *connection.Config) {}},
		{name: "wrong host", server: "server_name", stage: "tls", text: "the certificate is for imap.elsewhere.test", hint: `server_name = "imap.elsewhere.test"`,
			change: func(_ *testing.T, c *connection.Config) { c.Encryption.ServerName = "" }},
		{name: "unknown CA", stage: "tls", text: "issued by Rig CA", hint: "ca_file",
			change: func(_ *testing.T, c *connection.Config) { c.Encryption.CAFile = "" }},
		{name: "wrong pin", stage: "tls", text: "not one of those in pin_sha256", hint: "pin_sha256 = [",
			change: func(_ *testing.T, c *connection.Config) {
				c.Encryption.PinSHA256 = []string{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}
			}},
		{name: "no TLS on the port", server: "none", stage: "tls", text: "plain IMAP", hint: `mode = "explicit"`,
			change: func(t *testing.T, c *connection.Config) {
				c.Encryption.Protocol, c.Encryption.Mode = "tls", "implicit"
			}},
		{name: "no STARTTLS", server: "none", stage: "tls", text: "STARTTLS", hint: "993",
			change: func(t *testing.T, c *connection.Config) {
				c.Encryption.Protocol, c.Encryption.Mode = "tls", "explicit"
			}},
		{name: "TLS from the first byte on", stage: "greeting", text: "speaks TLS", hint: `mode = "implicit"`,
			change: func(t *testing.T, c *connection.Config) { c.Encryption.Mode = "explicit" }},
		{name: "no client certificate", server: "client certificate", stage: "login", text: "", hint: "client_certificate_file",
			change: func(_ *testing.T, c *connection.Config) {
				c.Encryption.ClientCertificateFile, c.Encryption.ClientKeyFile = "", ""
			}},

		// The login.
		{name: "external without a certificate", server: "certificate only", mech: "external", stage: "login", text: "EXTERNAL", hint: "client_certificate_file",
			change: func(_ *testing.T, c *connection.Config) {
				c.Encryption.ClientCertificateFile, c.Encryption.ClientKeyFile = "", ""
			}},
		{name: "not offered", server: "implicit (Cyrus)", mech: "oauthbearer", stage: "login", text: "the server does not offer it", hint: `mechanism = "auto"`,
			change: func(*testing.T, *connection.Config) {}},
		{name: "may not use the alias", mech: "plain", stage: "login", text: "", hint: "alias",
			change: func(_ *testing.T, c *connection.Config) { c.Authentication.Alias = "carol" }},
	}
	for _, m := range mechanisms {
		if m == "external" {
			continue
		}
		hint := "check username and password"
		if m == "xoauth2" || m == "oauthbearer" {
			hint = "check username and the access token"
		}
		for _, s := range []string{"none", "implicit", "explicit", "implicit (Cyrus)"} {
			if s == "implicit (Cyrus)" && hint != "check username and password" {
				continue
			}
			all = append(all, fault{name: "wrong " + m + " over " + s, server: s, mech: m, stage: "login", text: "the server said", hint: hint,
				change: func(_ *testing.T, c *connection.Config) {
					c.Authentication.Password.Literal = setting.NewSecret(wrongPassword)
				}})
		}
	}
	return all
}

func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Whatever is wrong, on whatever way: the message names the stage and the remedy,
// and no secret.
func TestMatrixFaults(t *testing.T) {
	startMatrix(t)
	all := newTogether(t)
	defer all.end()
	turn := 0
	for _, f := range faults() {
		on := f.routes
		if on == nil {
			on = func(r route) bool {
				i := slices.IndexFunc(routes, func(x route) bool { return x.name == r.name })
				return i == turn%len(routes) || i == (turn+5)%len(routes)
			}
		}
		for _, r := range routes {
			if !on(r) {
				continue
			}
			check := func(t *testing.T) {
				srv := servers[1]
				if f.server != "" {
					srv = servers[slices.IndexFunc(servers, func(s server) bool { return s.name == f.server })]
				}
				mech := f.mech
				if mech == "" {
					mech = "plain"
				}
				if f.name == "self-signed" {
					srv.change = nil
				}
				cfg := newConfig(t, row{r, srv, mech}, "alice")
				if f.name == "may not use the alias" {
					loginAs(cfg, srv, "bob", mech)
				}
				f.change(t, cfg)
				steps := newDialer(t, connection.DialerOptions{}).Check(context.Background(), valid(t, cfg), nil, nil)
				last := steps[len(steps)-1]
				t.Logf("%s: %s | %s | %q", last.Step, last.Detail, last.Hint, last.Suggest)
				if last.OK || last.Step != f.stage || !strings.Contains(last.Detail, f.text) || !strings.Contains(last.Hint+strings.Join(last.Suggest, " "), f.hint) {
					t.Errorf("%s ok=%v: %s (%s) %q", last.Step, last.OK, last.Detail, last.Hint, last.Suggest)
				}
				if last.Hint == "" || last.Detail == "" {
					t.Error("no remedy")
				}
				for _, secret := range []string{wrongPassword, "ppass", "alice-pw", "bob-pw", "token-alice"} {
					if strings.Contains(fmt.Sprint(steps), secret) {
						t.Errorf("%q is shown", secret)
					}
				}
			}
			if f.setenv {
				all.end() // the environment is everybody's
				t.Run(f.name+"/"+r.name, check)
				continue
			}
			all.run(f.name+"/"+r.name, check)
		}
		turn++
	}
}
