package metrics

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
)

func TestHealth(t *testing.T) {
	m := New(Build{})
	if code, body := get(t, m, "/healthz"); code != 503 {
		t.Errorf("before the daemon: %d %s", code, body)
	}
	s := one()
	sick := errors.New("journal: no space left on device")
	var health error
	s.Health = func() error { return health }
	s.Watches = func() []connection.Status {
		return []connection.Status{{Connection: "office", State: connection.StateBackoff, LastError: &connection.Error{Text: "refused"}}}
	}
	m.Watch(s)
	if code, body := get(t, m, "/healthz"); code != 200 {
		t.Errorf("with no mail server: %d %s; a mail server's health has no part in it", code, body)
	}
	health = sick
	if code, body := get(t, m, "/healthz"); code != 503 || !strings.Contains(body, sick.Error()) {
		t.Errorf("with a sick journal: %d %s", code, body)
	}
	health = nil
	if code, body := get(t, m, "/healthz"); code != 200 {
		t.Errorf("after it: %d %s", code, body)
	}
}

func TestReady(t *testing.T) {
	watching := func(name string) connection.Status {
		return connection.Status{Connection: name, State: connection.StateParked, Connected: true, Connects: 1}
	}
	failed := func(name string) connection.Status {
		return connection.Status{Connection: name, State: connection.StateBackoff, LastError: &connection.Error{Text: "refused"}}
	}
	untried := func(name string) connection.Status {
		return connection.Status{Connection: name, State: connection.StateConnecting}
	}
	for name, c := range map[string]struct {
		watches []connection.Status
		query   string
		want    int
	}{
		"all watch":                {[]connection.Status{watching("a"), watching("b")}, "", 200},
		"one not tried":            {[]connection.Status{watching("a"), untried("b")}, "", 503},
		"one cannot be reached":    {[]connection.Status{watching("a"), failed("b")}, "", 200},
		"none can be reached":      {[]connection.Status{failed("a")}, "", 200},
		"none yet":                 {nil, "", 503},
		"this one watches":         {[]connection.Status{watching("a"), failed("b")}, "?connection=a", 200},
		"this one fails":           {[]connection.Status{watching("a"), failed("b")}, "?connection=b", 503},
		"this one not tried":       {[]connection.Status{watching("a"), untried("b")}, "?connection=b", 503},
		"another not tried":        {[]connection.Status{watching("a"), untried("b")}, "?connection=a", 200},
		"one of its mailboxes":     {[]connection.Status{watching("a"), failed("a")}, "?connection=a", 503},
		"no such connection":       {[]connection.Status{watching("a")}, "?connection=c", 404},
		"lost, connecting again":   {[]connection.Status{{Connection: "a", State: connection.StateConnecting, Connects: 1}}, "?connection=a", 503},
		"a connection named oddly": {[]connection.Status{watching("a")}, "?connection=%0a%3cscript%3e", 404},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(Build{})
			if code, _ := get(t, m, "/readyz"+c.query); code != 503 {
				t.Errorf("%d before the daemon", code)
			}
			s := one()
			s.Watches = func() []connection.Status { return c.watches }
			m.Watch(s)
			if code, body := get(t, m, "/readyz"+c.query); code != c.want {
				t.Errorf("%d %s, want %d", code, body, c.want)
			}
		})
	}
	m := New(Build{})
	s := one()
	s.Watches, s.Triggers = func() []connection.Status { return nil }, many(0).Triggers
	m.Watch(s)
	if code, body := get(t, m, "/readyz"); code != 200 {
		t.Errorf("with nothing to watch: %d %s", code, body)
	}
}

// serve listens until the test ends.
func serve(t *testing.T, o ListenOptions) *Metrics {
	t.Helper()
	m := New(Build{})
	m.Watch(one())
	stop, err := m.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return m
}

// freeAddress is where nobody listened a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Nothing that the listener serves changes anything, so only GET and HEAD are answered.
func TestMethods(t *testing.T) {
	address := freeAddress(t)
	serve(t, ListenOptions{Address: address})
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
		for _, path := range []string{"/metrics", "/healthz", "/readyz", "/", "/api/status", "/page/page.js"} {
			req, err := http.NewRequest(method, "http://"+address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if want := map[bool]int{true: 200, false: 405}[method == "GET" || method == "HEAD"]; resp.StatusCode != want {
				t.Errorf("%s %s: %d, want %d", method, path, resp.StatusCode, want)
			}
		}
	}
}

func TestHost(t *testing.T) {
	address := freeAddress(t)
	serve(t, ListenOptions{Address: address})
	_, port, _ := net.SplitHostPort(address)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:" + port: 200, "LOCALHOST": 200, "127.0.0.1": 200, "127.0.0.1:" + port: 200, "127.8.9.1": 200, "[::1]:" + port: 200, "[::1]": 200,
		"evil.example": 403, "evil.example:" + port: 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "10.0.0.1": 403, "": 403,
	} {
		for _, path := range []string{"/metrics", "/healthz", "/readyz", "/", "/api/status", "/page/page.js"} {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			if resp.StatusCode != want {
				t.Errorf("%s with host %q: %d, want %d", path, host, resp.StatusCode, want)
			}
		}
	}
}

func unixClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	// What a killed process leaves behind.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()

	m := New(Build{})
	m.Watch(one())
	stop, err := m.Listen(t.Context(), ListenOptions{Address: "unix:" + path})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v, want mode 0660", info.Mode(), err)
	}
	resp, err := unixClient(path).Get("http://any.example/metrics")
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
	if _, err := New(Build{}).Listen(t.Context(), ListenOptions{Address: "unix:" + path}); err == nil || !strings.Contains(err.Error(), "another process answers") {
		t.Errorf("a socket in use was taken: %v", err)
	}
	if resp, err := unixClient(path).Get("http://any.example/healthz"); err != nil || resp.StatusCode != 200 {
		t.Errorf("after another's try: %v %v", resp, err)
	}
	stop()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestUnixSocketRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file: "is no socket",
		filepath.Join(dir, strings.Repeat("long", 50)): "too long for a socket",
		filepath.Join(dir, "missing", "m.sock"):        "no such file or directory",
	} {
		if _, err := ListenUnix(t.Context(), path, 0o600); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is gone: %q %v", b, err)
	}
}

// Clients that send nothing, or no end, are hung up on, and hold up no others for good.
func TestSlowClients(t *testing.T) {
	address := freeAddress(t)
	serve(t, ListenOptions{Address: address, Limits: Limits{Header: 50 * time.Millisecond, Idle: 50 * time.Millisecond, Connections: 3}})
	var slow []net.Conn
	for _, says := range []string{"", "GET /metr", "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: "} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, says)
		slow = append(slow, c)
	}
	resp, err := http.Get("http://" + address + "/healthz") // waits for a place
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("beside slow clients: %v %v", resp, err)
	}
	_ = resp.Body.Close()
	for i, c := range slow {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("slow client %d was not hung up on: %v", i, err)
		}
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if b, _ := io.ReadAll(c); len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 431 ") {
		t.Errorf("a header of 1 MiB: %.100q", b)
	}
}

// A client that does not take its answer does not keep its place.
func TestSlowReader(t *testing.T) {
	address := freeAddress(t)
	m := serve(t, ListenOptions{Address: address, Limits: Limits{Write: 100 * time.Millisecond, Connections: 1}})
	m.Watch(many(10_000))
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(4096)
	_, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.Get("http://" + address + "/healthz")
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("behind a slow reader: %v %v", resp, err)
	}
	_ = resp.Body.Close()
}
