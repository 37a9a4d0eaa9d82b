package connection_test

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest/rigtest"
	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
)

// The matrix of everything a connection can be made of: a proxy, an encryption, a
// mechanism. The tests below run a covering set of it on the rig.

// A route is a proxy of the rig.
type route struct {
	name     string
	url      string // the rig's setting
	kind     string // "" is that of the URL
	auth     string // of HTTP
	login    bool   // it checks a password
	resolves bool   // it finds imap.rig.test, which this machine does not know
}

var routes = []route{
	{name: "none"},
	{name: "environment", url: "RIG_MICROSOCKS_URL", kind: "environment", resolves: true},
	{name: "socks4", url: "RIG_SOCKS4_URL", kind: "socks4"},
	{name: "socks4a", url: "RIG_SOCKS4_URL", kind: "socks4a", resolves: true},
	{name: "socks5", url: "RIG_SOCKS_URL", resolves: true},
	{name: "socks5, password (danted)", url: "RIG_SOCKSAUTH_URL", login: true, resolves: true},
	{name: "socks5, password (microsocks)", url: "RIG_MICROSOCKS_URL", login: true, resolves: true},
	{name: "http (tinyproxy)", url: "RIG_TINYPROXY_URL", resolves: true},
	{name: "http, auto: Basic (tinyproxy)", url: "RIG_TINYPROXY_BASIC_URL", auth: "auto", login: true, resolves: true},
	{name: "http, basic (squid)", url: "RIG_SQUID_BASIC_URL", auth: "basic", login: true, resolves: true},
	{name: "http, digest (squid)", url: "RIG_SQUID_DIGEST_URL", auth: "digest", login: true, resolves: true},
	{name: "http, auto: Digest (squid)", url: "RIG_SQUID_DIGEST_URL", auth: "auto", login: true, resolves: true},
	{name: "http, ntlm (squid)", url: "RIG_SQUID_NTLM_URL", auth: "ntlm", login: true, resolves: true},
	{name: "http, auto: NTLM (squid)", url: "RIG_SQUID_NTLM_URL", auth: "auto", login: true, resolves: true},
	{name: "https (stunnel)", url: "RIG_TLSPROXY_URL", resolves: true},
	{name: "https, basic (stunnel)", url: "RIG_TLSPROXY_BASIC_URL", auth: "basic", login: true, resolves: true},
}

// apply has a connection take the route.
func (r route) apply(t *testing.T, c *connection.Config) {
	t.Helper()
	if r.resolves {
		c.Address = rigEnv(t, "RIG_PROXY_ONLY_HOST")
	}
	switch {
	case r.url == "":
		return
	case r.kind == "environment":
		c.Proxy.Type = r.kind // and $ALL_PROXY
		return
	}
	u, err := url.Parse(rigEnv(t, r.url))
	if err != nil {
		t.Fatal(err)
	}
	c.Proxy = proxy.Config{Type: cmp.Or(r.kind, u.Scheme), Address: u.Hostname(), Port: atoi(t, u.Port()), Authentication: r.auth, Username: u.User.Username()}
	if password, has := u.User.Password(); has && c.Proxy.Type != "socks4" && c.Proxy.Type != "socks4a" {
		c.Proxy.Password.Literal = setting.NewSecret(password)
	}
	if c.Proxy.Type == "https" {
		c.Proxy.CAFile = rigEnv(t, "RIG_CA")
	}
}

// A server is a unit of the rig, and the encryption to reach it with.
type server struct {
	name     string
	unit     string
	explicit bool
	versions []string
	change   func(t *testing.T, e *connection.Encryption)
	detail   string // what the step "tls" must say
}

var servers = []server{
	{name: "none", unit: "plain", detail: "nothing is encrypted"},
	{name: "implicit", unit: "main", detail: "TLS1.3"},
	{name: "explicit", unit: "main", explicit: true, detail: "TLS1.3"},
	{name: "TLS1.0", unit: "tls10", versions: []string{"TLS1.0"}, detail: "TLS1.0"},
	{name: "TLS1.1, explicit", unit: "tls11", versions: []string{"TLS1.1"}, explicit: true, detail: "TLS1.1"},
	{name: "TLS1.2", unit: "tls12", detail: "TLS1.2"},
	{name: "TLS1.3, explicit", unit: "tls13", versions: []string{"TLS1.3"}, explicit: true, detail: "TLS1.3"},
	{name: "TLS1.0 + 1.3 (a gap)", unit: "main", versions: []string{"TLS1.0", "TLS1.3"}, detail: "TLS1.3"},
	{name: "legacy ciphers", unit: "tls12", change: func(_ *testing.T, e *connection.Encryption) { e.Ciphers = connection.CiphersLegacy }, detail: "TLS1.2"},
	{name: "pin: self-signed", unit: "selfsigned", change: pinned, detail: "pinned"},
	{name: "pin: expired, explicit", unit: "expired", explicit: true, change: pinned, detail: "pinned"},
	{name: "server_name", unit: "wronghost", change: func(_ *testing.T, e *connection.Encryption) { e.ServerName = "imap.elsewhere.test" }, detail: "imap.elsewhere.test"},
	{name: "client certificate", unit: "mtls", change: certified, detail: "TLS1.3"},
	{name: "certificate only", unit: "external", change: certified, detail: "TLS1.3"},
	{name: "implicit (Cyrus)", unit: "cyrus", detail: "TLS1"},
}

func pinned(t *testing.T, e *connection.Encryption) {
	t.Helper()
	unit := "expired"
	if strings.HasSuffix(e.ServerName, "selfsigned") {
		unit = "selfsigned"
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(rigEnv(t, "RIG_CA")), unit+".crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	e.CAFile, e.ServerName, e.PinSHA256 = "", "", []string{connection.Pin(cert)}
}

func certified(t *testing.T, e *connection.Encryption) {
	t.Helper()
	e.ClientCertificateFile, e.ClientKeyFile = rigEnv(t, "RIG_CLIENT_CERT"), rigEnv(t, "RIG_CLIENT_KEY")
}

// apply has a connection go to the server.
func (s server) apply(t *testing.T, c *connection.Config) {
	t.Helper()
	key := "RIG_" + strings.ToUpper(s.unit)
	c.Address, c.Encryption = rigEnv(t, key+"_HOST"), connection.Encryption{Versions: slices.Clone(s.versions)}
	e := &c.Encryption
	switch {
	case s.unit == "plain":
		c.Port, e.Protocol = atoi(t, rigEnv(t, key+"_IMAP")), connection.ProtocolNone
		return
	case s.explicit:
		c.Port, e.Mode = atoi(t, rigEnv(t, key+"_IMAP")), connection.ModeExplicit
	default:
		c.Port, e.Mode = atoi(t, rigEnv(t, key+"_IMAPS")), connection.ModeImplicit
	}
	e.CAFile = rigEnv(t, "RIG_CA")
	if s.change != nil {
		e.ServerName = s.unit
		if s.unit == "mtls" || s.unit == "external" || s.unit == "tls12" {
			e.ServerName = ""
		}
		s.change(t, e)
	}
}

var mechanisms = []string{"plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256", "xoauth2", "oauthbearer", "external", "auto"}

// takes reports whether the server can be logged in to by the mechanism.
func (s server) takes(mechanism string) bool {
	bearer := mechanism == "xoauth2" || mechanism == "oauthbearer"
	switch {
	case s.unit == "external":
		return mechanism == "external" || mechanism == "auto"
	case s.unit == "cyrus":
		return !bearer && mechanism != "external"
	}
	return mechanism != "external"
}

// loginAs gives a connection what the mechanism needs.
func loginAs(c *connection.Config, s server, user, mechanism string) {
	a := &c.Authentication
	a.Username, a.Mechanism, a.Password.Literal = user, mechanism, setting.NewSecret(user+"-pw")
	switch {
	case mechanism == "external", s.unit == "external":
		a.Password = setting.Source{}
	case mechanism == "xoauth2", mechanism == "oauthbearer":
		a.Password.Literal = setting.NewSecret("token-" + user)
	}
}

// A row is one combination.
type row struct {
	route     route
	server    server
	mechanism string
}

func (r row) String() string { return r.route.name + "/" + r.server.name + "/" + r.mechanism }

// covering returns rows in which every proxy meets every encryption and every
// mechanism, and every encryption meets every mechanism that it can.
func covering() []row {
	type pair [2]string
	missing := map[pair]bool{}
	var all []row
	pairs := func(r row) [3]pair {
		return [3]pair{{"p" + r.route.name, r.server.name}, {"p" + r.route.name, r.mechanism}, {r.server.name, r.mechanism}}
	}
	for _, p := range routes {
		for _, s := range servers {
			for _, m := range mechanisms {
				if s.takes(m) {
					r := row{p, s, m}
					all = append(all, r)
					for _, x := range pairs(r) {
						missing[x] = true
					}
				}
			}
		}
	}
	var rows []row
	used := map[string]int{}
	for len(missing) > 0 { // take the row that brings most; of equals, the mechanism that was used least
		best, most := row{}, 0
		for _, r := range all {
			n := 0
			for _, x := range pairs(r) {
				if missing[x] {
					n++
				}
			}
			if n > most || n == most && n > 0 && used[r.mechanism] < used[best.mechanism] {
				best, most = r, n
			}
		}
		for _, x := range pairs(best) {
			delete(missing, x)
		}
		used[best.mechanism]++
		rows = append(rows, best)
	}
	return rows
}

// startMatrix starts everything at once, and sets $ALL_PROXY.
func startMatrix(t *testing.T) {
	t.Helper()
	rigtest.Start(t, strings.Fields("main plain tls10 tls11 tls12 tls13 expired wronghost selfsigned mtls external minimal cyrus oauth socks socksauth socks4 microsocks tinyproxy tinyproxy-basic squid-basic squid-digest squid-ntlm tlsproxy")...)
	t.Setenv("ALL_PROXY", rigEnv(t, "RIG_MICROSOCKS_URL"))
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
}

func newConfig(t *testing.T, r row, user string) *connection.Config {
	t.Helper()
	c := &connection.Config{Name: "matrix", Timeout: setting.Duration(20 * time.Second)}
	r.server.apply(t, c)
	r.route.apply(t, c)
	loginAs(c, r.server, user, r.mechanism)
	return c
}

// valid completes a Config and checks it.
func valid(t *testing.T, c *connection.Config) *connection.Config {
	t.Helper()
	c.SetDefaults()
	if ps := c.Validate(); len(ps) > 0 {
		t.Fatal(ps)
	}
	return c
}

const allSteps = "secrets proxy connect tls greeting capabilities login mailbox idle"

func names(steps []connection.Step) string {
	var names []string
	for _, s := range steps {
		names = append(names, s.Step)
	}
	return strings.Join(names, " ")
}

// together runs subtests that wait for servers rather than compute, more of them
// at once than t.Parallel does.
type together struct {
	t     *testing.T
	limit chan struct{}
	wait  sync.WaitGroup
}

// newTogether returns a together for t, which must call end before it returns.
func newTogether(t *testing.T) *together { return &together{t: t, limit: make(chan struct{}, 16)} }

func (g *together) run(name string, f func(t *testing.T)) {
	g.limit <- struct{}{}
	g.wait.Go(func() {
		defer func() { <-g.limit }()
		g.t.Run(name, f)
	})
}

// end waits for all that run.
func (g *together) end() { g.wait.Wait() }

// Every proxy with every encryption, every proxy with every mechanism, every
// encryption with every mechanism.
func TestMatrix(t *testing.T) {
	startMatrix(t)
	all := newTogether(t)
	defer all.end()
	for _, r := range covering() {
		all.run(r.String(), func(t *testing.T) {
			cfg := valid(t, newConfig(t, r, "alice"))
			steps := newDialer(t, connection.DialerOptions{}).Check(context.Background(), cfg, nil, nil)
			if got := names(steps); got != allSteps {
				t.Errorf("steps %s", got)
			}
			for _, s := range steps {
				switch {
				case !s.OK:
					t.Errorf("%s: %s (%s)", s.Step, s.Detail, s.Hint)
				case s.Step == "tls" && !strings.Contains(s.Detail, r.server.detail),
					s.Step == "proxy" && (s.Detail == "none") != (r.route.url == ""),
					s.Step == "login" && !strings.HasPrefix(s.Detail, strings.ToUpper(cmp.Or(strings.TrimPrefix(r.mechanism, "auto")))):
					t.Errorf("%s: %s", s.Step, s.Detail)
				}
			}
		})
	}
}

// The table of what TestMatrix runs, for README.md.
func TestMatrixTable(t *testing.T) {
	const file = "testdata/matrix.md"
	table := markdown(covering())
	if *update {
		if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != table {
		t.Errorf("%s is not what is run; write it anew with -update", file)
	}
}

var update = flag.Bool("update", false, "write the tables in testdata anew")

func markdown(rows []row) string {
	var b strings.Builder
	b.WriteString("| Proxy |")
	for _, s := range servers {
		fmt.Fprintf(&b, " %s |", s.name)
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(servers)+1) + "\n")
	for _, p := range routes {
		fmt.Fprintf(&b, "| %s |", p.name)
		for _, s := range servers {
			var cell []string
			for _, r := range rows {
				if r.route.name == p.name && r.server.name == s.name {
					cell = append(cell, r.mechanism)
				}
			}
			fmt.Fprintf(&b, " %s |", strings.Join(cell, ", "))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// A watch over each kind of proxy sees what is delivered: parked in TLS, in TLS
// after STARTTLS, in the clear, and in TLS within the proxy's TLS.
func TestMatrixWatch(t *testing.T) {
	startMatrix(t)
	d := newDialer(t, connection.DialerOptions{})
	const user = "bob"
	var watches []*connection.Watch
	var watchers []*rigWatcher
	for i, p := range routes {
		for k, s := range []server{servers[1], servers[2], servers[0]} {
			if k != i%3 && !strings.HasPrefix(p.name, "https") {
				continue
			}
			cfg := newConfig(t, row{p, s, "auto"}, user)
			cfg.Name = strings.ReplaceAll(p.name+"/"+s.name, " ", "")
			cfg.Session.MaxConnections = 100
			cfg.Session.IdleRefresh = setting.Duration(time.Second)
			w := newRigWatcher()
			watch := d.Watch(valid(t, cfg), "INBOX", w.look)
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if err := watch.Close(ctx); err != nil {
					t.Error(cfg.Name, err)
				}
			})
			watches, watchers = append(watches, watch), append(watchers, w)
		}
	}
	for _, w := range watchers {
		w.begin(t)
	}
	for n := 1; n <= 2; n++ {
		for _, w := range watches {
			waitState(t, w, connection.StateParked)
		}
		for _, unit := range []string{"main", "plain"} {
			rigtest.Run(t, "deliver", "-i", unit, "-u", user, "-n", strconv.Itoa(n))
		}
		for i, w := range watchers {
			t.Log(watches[i].Status().Connection)
			w.expect(t, n)
		}
	}
	for _, w := range watches {
		if s := w.Status(); s.Connects != 1 || s.LastError != nil {
			t.Errorf("%+v", s)
		}
	}
}

// A proxy that dies takes the session along; the watch says what it is, and comes
// back with it.
func TestMatrixProxyDies(t *testing.T) {
	startMatrix(t)
	for name, unit := range map[string]string{"socks5, password (microsocks)": "microsocks", "http, ntlm (squid)": "squid-ntlm", "https (stunnel)": "tlsproxy"} {
		t.Run(unit, func(t *testing.T) {
			r := routes[slices.IndexFunc(routes, func(r route) bool { return r.name == name })]
			d := newDialer(t, connection.DialerOptions{MaxBackoff: time.Second})
			w := newRigWatcher()
			watch := d.Watch(valid(t, newConfig(t, row{r, servers[1], "auto"}, "carol")), "INBOX", w.look)
			defer watch.Close(context.Background())
			w.begin(t)
			waitState(t, watch, connection.StateParked)
			rigtest.Run(t, "fault", "kill9", unit)
			t.Cleanup(func() { rigtest.Run(t, "start", unit) })
			deadline := time.After(patience)
			for e := watch.Status().LastError; e == nil || e.Stage != "proxy" || e.Hint == ""; e = watch.Status().LastError {
				select {
				case <-deadline:
					t.Fatalf("the error is %v", e)
				case <-time.Tick(time.Millisecond):
				}
			}
			t.Log(watch.Status().LastError)
			rigtest.Run(t, "start", unit)
			rigtest.Run(t, "deliver", "-u", "carol")
			w.expect(t, 1)
		})
	}
}
