package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailtrigger/connection/setting"
)

// script serves one connection after the other: each of the answers is said
// after a request, "" closes the connection. The requests come out.
func script(t *testing.T, answers ...string) (port int, requests chan *http.Request) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests = make(chan *http.Request, len(answers)+1)
	go func() {
		for len(answers) > 0 {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			br := bufio.NewReader(conn)
			for len(answers) > 0 {
				r, err := http.ReadRequest(br)
				if err != nil {
					break
				}
				requests <- r
				answer := answers[0]
				answers = answers[1:]
				if answer == "" {
					conn.Close()
					break
				}
				if _, err := io.WriteString(conn, answer); err != nil {
					break
				}
			}
			if len(answers) > 0 {
				conn.Close()
			} else {
				t.Cleanup(func() { conn.Close() })
			}
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, requests
}

const (
	ok       = "HTTP/1.1 200 OK\r\n\r\n"
	want     = "HTTP/1.1 407 login\r\nContent-Length: 4\r\n"
	greeted  = "* OK ready\r\n"
	digestOf = `Proxy-Authenticate: Digest realm="r", nonce="n1", qop="auth", algorithm=`
)

func TestConnect(t *testing.T) {
	for _, c := range []struct {
		name, authentication, domain string
		answers                      []string
		schemes                      string // of the requests, joined by spaces; "-" is none
		stage                        string // of the error; "" for success
		text                         string // in the error
	}{
		{name: "greeting in the same segment", authentication: "basic", answers: []string{ok + greeted}, schemes: "Basic"},
		{name: "auto without a challenge", answers: []string{ok + greeted}, schemes: "-"},
		{name: "interim reply", answers: []string{"HTTP/1.1 102 wait\r\n\r\n" + ok + greeted}, schemes: "-"},
		{name: "endless interim replies", answers: []string{strings.Repeat("HTTP/1.1 100 wait\r\n\r\n", 20)}, schemes: "-", stage: StageHandshake, text: "interim"},
		{name: "length with a 200", answers: []string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + greeted}, schemes: "-"},
		{name: "auto takes the strongest", answers: []string{want + "Proxy-Authenticate: Basic realm=\"a\", NTLM\r\n" + digestOf + "MD5\r\n\r\nbody", ok + greeted}, schemes: "- Digest"},
		{name: "auto takes ntlm for a domain", domain: "DOM", answers: []string{want + "Proxy-Authenticate: Basic realm=\"a\"\r\nProxy-Authenticate: NTLM\r\n" + digestOf + "MD5\r\n\r\nbody", "", ""}, schemes: "- NTLM NTLM", stage: StageHandshake, text: "closed"},
		{name: "the best digest", authentication: "digest", answers: []string{want + digestOf + "MD5\r\n" + digestOf + "SHA-256\r\n\r\nbody", ok + greeted}, schemes: "- Digest:SHA-256"},
		{name: "stale digest", authentication: "digest", answers: []string{want + digestOf + "MD5\r\n\r\nbody", want + digestOf + "MD5, stale=true\r\n\r\nbody", ok + greeted}, schemes: "- Digest Digest"},
		{name: "stale for ever", authentication: "digest", answers: []string{want + digestOf + "MD5, stale=true\r\n\r\nbody", want + digestOf + "MD5, stale=true\r\n\r\nbody", want + digestOf + "MD5, stale=true\r\n\r\nbody", ok}, schemes: "- Digest Digest", stage: StageLogin, text: "refused"},
		{name: "closed after the challenge", answers: []string{"HTTP/1.0 407 login\r\nProxy-Authenticate: Basic realm=\"a\"\r\n\r\n", "", ok + greeted}, schemes: "- Basic", stage: StageHandshake, text: "closed"},
		{name: "kept, but closed", answers: []string{want + "Proxy-Authenticate: Basic realm=\"a\"\r\n\r\nbody", "", ok + greeted}, schemes: "- Basic Basic"},
		{name: "401 for 407", authentication: "basic", answers: []string{"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\nContent-Length: 0\r\n\r\n"}, schemes: "Basic", stage: StageLogin, text: "refused user name or password"},
		{name: "a scheme we do not know", answers: []string{want + "Proxy-Authenticate: Negotiate\r\n\r\nbody"}, schemes: "-", stage: StageLogin, text: "it offers negotiate"},
		{name: "not the scheme that is set", authentication: "ntlm", answers: []string{want + "Proxy-Authenticate: Basic realm=\"a\"\r\n\r\nbody"}, schemes: "NTLM", stage: StageLogin, text: "it offers basic"},
		{name: "echoed password", authentication: "basic", answers: []string{"HTTP/1.1 403 no " + canary + " for you \x1b[31m\r\n\r\n"}, schemes: "Basic", stage: StageTarget, text: "rules"},
		{name: "echoed header", authentication: "basic", answers: []string{"HTTP/1.1 400 " + basicOf() + "\r\n\r\n"}, schemes: "Basic", stage: StageHandshake, text: "<secret>"},
		{name: "huge header", answers: []string{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n"}, schemes: "-", stage: StageHandshake, text: "more than"},
		{name: "many headers", answers: []string{"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxHead/6) + "\r\n"}, schemes: "-", stage: StageHandshake, text: "more than"},
		{name: "DNS", answers: []string{"HTTP/1.1 503 no\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\nContent-Length: 0\r\n\r\n"}, schemes: "-", stage: StageTarget, text: "cannot resolve imap.rig.test"},
		{name: "web server", answers: []string{"HTTP/1.1 405 Not Allowed\r\nContent-Length: 0\r\n\r\n"}, schemes: "-", stage: StageHandshake, text: "CONNECT"},
		{name: "captive portal", answers: []string{"HTTP/1.1 302 Found\r\nLocation: http://login.test/\r\nContent-Length: 0\r\n\r\n"}, schemes: "-", stage: StageHandshake, text: "redirects"},
		{name: "plain to TLS", answers: []string{"HTTP/1.1 400 Bad Request\r\nContent-Length: 58\r\n\r\nThe plain HTTP request was sent to HTTPS port............."}, schemes: "-", stage: StageHandshake, text: "wants TLS"},
		{name: "socks", answers: []string{"\x05\xff"}, schemes: "-", stage: StageHandshake, text: "SOCKS 5"},
		{name: "nothing", answers: []string{"", "", ""}, schemes: "-", stage: StageHandshake, text: "closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			port, requests := script(t, c.answers...)
			cfg := &Config{Type: "http", Address: "127.0.0.1", Port: port, Username: "puser", Password: setting.Source{Literal: setting.NewSecret(canary)}, Authentication: c.authentication, Domain: c.domain}
			d, err := cfg.Dialer(nil)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := d.DialContext(deadline(t, 20*time.Second), "tcp", "imap.rig.test:993")
			var schemes []string
			for len(requests) > 0 {
				r := <-requests
				if r.Method != "CONNECT" || r.Host != "imap.rig.test:993" {
					t.Errorf("request %s %s", r.Method, r.Host)
				}
				a := r.Header.Get("Proxy-Authorization")
				scheme, _, _ := strings.Cut(a, " ")
				if scheme == "" {
					scheme = "-"
				}
				if strings.Contains(c.schemes, ":") && strings.Contains(a, "SHA-256") {
					scheme += ":SHA-256"
				}
				schemes = append(schemes, scheme)
			}
			if got := strings.Join(schemes, " "); got != c.schemes {
				t.Errorf("requests with %q, want %q", got, c.schemes)
			}
			if c.stage == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, raw := conn.(*net.TCPConn); !raw {
					t.Errorf("the connection is a %T", conn)
				}
				if g := greeting(t, conn); g != greeted {
					t.Errorf("greeting %q", g)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			var e *Error
			if !errors.As(err, &e) || e.Stage != c.stage || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), basicOf()) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("unfit for a log: %q", err)
			}
		})
	}
}

func basicOf() string {
	a, _ := (&basic{&call{username: "puser", password: setting.NewSecret(canary)}}).first()
	return strings.TrimPrefix(a, "Basic ")
}

// TestInjection: nothing may break out of its field.
func TestInjection(t *testing.T) {
	for _, kind := range []string{"http", "socks4", "socks4a", "socks5"} {
		for _, target := range []string{"a\r\nX: y:1", "a b:1", "a\x00b:1", "a:0", "a:99999", "a", "a/b:1", "a@b:1", ":1", strings.Repeat("a", 300) + ":1", "[fe80::1%eth0\r\n]:1"} {
			dialed := false
			d, err := (&Config{Type: kind, Address: "proxy.test"}).Dialer(dialFunc(func() net.Conn { dialed = true; return &canned{} }))
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.DialContext(t.Context(), "tcp", target)
			var e *Error
			if !errors.As(err, &e) || !e.Permanent || dialed {
				t.Errorf("%s to %q: %v, dialed %v", kind, target, err, dialed)
			}
		}
		if kind == "socks4" || kind == "socks4a" {
			continue
		}
		d, err := (&Config{Type: kind, Address: "proxy.test", Username: "u", Password: setting.Source{Literal: setting.NewSecret("a\r\nb")}}).Dialer(nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.DialContext(t.Context(), "tcp", "a:1")
		var e *Error
		if !errors.As(err, &e) || e.Stage != StageSecrets {
			t.Errorf("%s: a password with a line break: %v", kind, err)
		}
	}
}

// TestPasswordIsReadAnew: a changed file is used at the next dial.
func TestPasswordIsReadAnew(t *testing.T) {
	port, requests := script(t, ok, "", ok)
	file := filepath.Join(t.TempDir(), "pw")
	d, err := (&Config{Type: "http", Address: "127.0.0.1", Port: port, Username: "u", Authentication: "basic", Password: setting.Source{File: file}}).Dialer(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.DialContext(t.Context(), "tcp", "a:1")
	var e *Error
	if !errors.As(err, &e) || e.Stage != StageSecrets {
		t.Errorf("without the file: %v", err)
	}
	for _, password := range []string{"one", "two"} {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if conn, err := d.DialContext(deadline(t, 10*time.Second), "tcp", "a:1"); err == nil {
			conn.Close()
		}
		r := <-requests
		r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
		if _, got, _ := r.BasicAuth(); got != password {
			t.Errorf("sent %q, want %q", got, password)
		}
	}
}

// TestSilence: a dial without a deadline ends, too, with every protocol; and a
// cancelled one at once.
func TestSilence(t *testing.T) {
	for _, kind := range []string{"http", "https", "socks4a", "socks5"} {
		synctest.Test(t, func(t *testing.T) {
			cfg := &Config{Type: kind, Address: "proxy.test"}
			d, err := cfg.Dialer(dialFunc(func() net.Conn {
				ours, theirs := net.Pipe()
				go io.Copy(io.Discard, theirs)
				return ours
			}))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = d.DialContext(t.Context(), "tcp", "a:1")
			var e *Error
			if !errors.As(err, &e) || !e.Timeout() || e.Permanent || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != handshakeTimeout {
				t.Errorf("%s: %v after %v", kind, err, time.Since(start))
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				time.Sleep(time.Second) // of the bubble's clock
				cancel()
			}()
			start = time.Now()
			_, err = d.DialContext(ctx, "tcp", "a:1")
			if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
				t.Errorf("%s: cancelled: %v after %v", kind, err, time.Since(start))
			}
		})
	}
}

func TestSOCKS4Request(t *testing.T) {
	for _, c := range []struct{ kind, target, want string }{
		{"socks4a", "imap.test:993", "\x04\x01\x03\xe1\x00\x00\x00\x01puser\x00imap.test\x00"},
		{"socks4a", "192.0.2.7:993", "\x04\x01\x03\xe1\xc0\x00\x02\x07puser\x00"},
		{"socks4", "[::ffff:192.0.2.7]:993", "\x04\x01\x03\xe1\xc0\x00\x02\x07puser\x00"},
		{"socks4a", "bücher.test:143", "\x04\x01\x00\x8f\x00\x00\x00\x01puser\x00xn--bcher-kva.test\x00"},
	} {
		conn := &canned{Reader: bytes.NewReader([]byte("\x00\x5a\x00\x00\x00\x00\x00\x00"))}
		d, err := (&Config{Type: c.kind, Address: "proxy.test", Username: "puser"}).Dialer(dialFunc(func() net.Conn { return conn }))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.DialContext(t.Context(), "tcp", c.target); err != nil || conn.wrote.String() != c.want {
			t.Errorf("%s to %s: sent %q, %v", c.kind, c.target, conn.wrote.String(), err)
		}
	}
}

func TestSOCKS5Replies(t *testing.T) {
	for code, permanent := range map[byte]bool{1: false, 2: true, 3: false, 4: false, 5: false, 6: false, 7: true, 8: true, 99: false} {
		_, _, err := cannedDial("socks5", "", []byte{5, 2, 1, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0})
		var e *Error
		if !errors.As(err, &e) || e.Stage != StageTarget || e.Permanent != permanent {
			t.Errorf("code %d: %v", code, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	port, _ := script(t)
	for _, c := range []struct {
		name, address string
		env           []string
		want          string // which proxy is dialed, or the server itself
		fails         string
	}{
		{name: "nothing", address: "imap.test:993", want: "imap.test:993"},
		{name: "all", address: "imap.test:993", env: []string{"ALL_PROXY", "socks5://p.test:99", "HTTPS_PROXY", "http://q.test"}, want: "p.test:99"},
		{name: "lower-case", address: "imap.test:993", env: []string{"all_proxy", "socks5h://p.test"}, want: "p.test:1080"},
		{name: "https", address: "imap.test:993", env: []string{"HTTPS_PROXY", "q.test:3128"}, want: "q.test:3128"},
		{name: "http is not ours", address: "imap.test:993", env: []string{"HTTP_PROXY", "http://q.test"}, want: "imap.test:993"},
		{name: "no", address: "imap.test:993", env: []string{"ALL_PROXY", "http://p.test", "NO_PROXY", "other.test,.imap.test,test"}, want: "imap.test:993"},
		{name: "no, range", address: "10.1.2.3:993", env: []string{"ALL_PROXY", "http://p.test", "no_proxy", "10.0.0.0/8"}, want: "10.1.2.3:993"},
		{name: "no, other", address: "imap.test:993", env: []string{"ALL_PROXY", "http://p.test", "NO_PROXY", ".imap.test"}, want: "p.test:8080"},
		{name: "no, all", address: "imap.test:993", env: []string{"ALL_PROXY", "http://p.test", "NO_PROXY", "*"}, want: "imap.test:993"},
		{name: "loopback", address: fmt.Sprintf("127.0.0.1:%d", port), env: []string{"ALL_PROXY", "http://p.test"}, want: fmt.Sprintf("127.0.0.1:%d", port)},
		{name: "IPv6 proxy", address: "imap.test:993", env: []string{"ALL_PROXY", "socks5://[2001:db8::1]:99"}, want: "[2001:db8::1]:99"},
		{name: "bad scheme", address: "imap.test:993", env: []string{"ALL_PROXY", "ftp://u:c4nary@p.test"}, fails: `unknown scheme "ftp"`},
		{name: "bad URL", address: "imap.test:993", env: []string{"ALL_PROXY", "http://u:c4nary@p.test:x/%zz"}, fails: "not the URL of a proxy"},
		{name: "line break", address: "imap.test:993", env: []string{"ALL_PROXY", "http://u%0d%0aX:c4nary@p.test"}, fails: "control characters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []string{"ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"} {
				t.Setenv(n, "")
			}
			for i := 0; i < len(c.env); i += 2 {
				t.Setenv(c.env[i], c.env[i+1])
			}
			var dialed string
			cfg := &Config{Type: "environment"}
			if got := cfg.Direct(c.address); got != (c.want == c.address) {
				t.Errorf("direct: %v", got)
			}
			d, err := cfg.Dialer(recorder{&dialed})
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.DialContext(t.Context(), "tcp", c.address)
			if dialed != c.want {
				t.Errorf("dialed %q, want %q", dialed, c.want)
			}
			if c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) || strings.Contains(err.Error(), "c4nary") {
				t.Errorf("got %v", err)
			}
		})
	}
}

type recorder struct{ dialed *string }

func (r recorder) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	*r.dialed = address
	return nil, io.EOF
}

func TestValidate(t *testing.T) {
	yes := true
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, ""},
		{Config{Type: "HTTP", Address: "p"}, ""},
		{Config{Type: "sock5"}, `type: unknown type "sock5"; did you mean "socks5"?`},
		{Config{Type: "http"}, "address: is missing"},
		{Config{Type: "http", Address: "http://p"}, "address: must be a host name or IP address without a scheme"},
		{Config{Type: "http", Address: "p", Port: 70000}, "port: must be"},
		{Config{Type: "http", Address: "p", UseCredentials: &yes, Password: setting.Source{Env: "X"}}, "username: is missing though use_credentials"},
		{Config{Type: "http", Address: "p", Username: "u"}, "password: is missing"},
		{Config{Type: "http", Address: "p", Password: setting.Source{Env: "X"}}, "username: is missing though there is a password"},
		{Config{Type: "http", Address: "p", Authentication: "ntml"}, `authentication: unknown authentication "ntml"; did you mean "ntlm"?`},
		{Config{Type: "http", Address: "p", Authentication: "basic", Domain: "D"}, "domain: is for NTLM only"},
		{Config{Type: "socks5", Address: "p", Domain: "D"}, "domain: is for http"},
		{Config{Type: "socks4", Address: "p", Username: "u"}, ""},
		{Config{Type: "socks4", Address: "p", Username: "u", Password: setting.Source{Env: "X"}}, "password: socks4 has a user id but no password"},
		{Config{Type: "http", Address: "p", CAFile: "x"}, "ca_file: is for https"},
		{Config{Type: "https", Address: "p", CAFile: "/nonexistent"}, "ca_file: open /nonexistent"},
		{Config{Type: "environment", Address: "p"}, "address: is of no use"},
		{Config{Type: "none", Address: "p", Port: 8080}, ""},
		{Config{Address: "p"}, "type: is missing"},
		{Config{Type: "http", Address: "p", Username: "a\nb", Password: setting.Source{Env: "X"}}, "username: must not hold control"},
	} {
		c.cfg.SetDefaults()
		got := ""
		for _, p := range c.cfg.Validate() {
			got += p.Error() + "\n"
		}
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%+v: got %q, want %q", c.cfg, got, c.want)
		}
	}
}
