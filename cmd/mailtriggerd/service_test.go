package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
)

const (
	serviceUser     = "ops@example.com"
	servicePassword = "canary-7f3a91-secret"
)

// newMailServer starts a mail server with one account.
func newMailServer(t *testing.T) *connectiontest.Server {
	t.Helper()
	srv, err := connectiontest.NewServer(connectiontest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	srv.AddUser(serviceUser, servicePassword)
	return srv
}

// officeConfig has the server as connection "office"; what else there is to say
// comes before it (general) and after it (tables).
func officeConfig(srv *connectiontest.Server, general, tables string) string {
	host, port, _ := strings.Cut(srv.Addr(), ":")
	return fmt.Sprintf(`state_dir = "state"
%s
[connection.office]
address = %q
port = %s
timeout = 10
authentication = {username = %q, password_file = "password"}
encryption = {pin_sha256 = [%q]}
%s
`, general, host, port, serviceUser, srv.Pin(), tables)
}

const invoiceTrigger = `
[trigger.invoices]
connection = "office"
start = "all"
[[trigger.invoices.condition]]
field = "subject"
contains = "invoice"
[[trigger.invoices.action]]
type = "exec"
command = ["/bin/sh", "-c", "exit 0"]
`

// newService makes a daemon that runs on the configuration, not started yet; @DIR@
// in it is where it stands.
func newService(t *testing.T, configuration string) *daemonUnderTest {
	t.Helper()
	d := newDaemonUnderTest(t, "")
	d.write("config.toml", strings.ReplaceAll(configuration, "@DIR@", d.dir))
	d.write("password", servicePassword+"\n")
	return d
}

// call makes a call of the program with the daemon's configuration.
func (d *daemonUnderTest) call(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	var out, err bytes.Buffer
	cmd := program(d.t, append([]string{"--config", d.path("config.toml")}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := cmd.Run(); e != nil && cmd.ProcessState == nil {
		d.t.Fatal(e)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

func deliver(srv *connectiontest.Server, subject string) {
	srv.Append(serviceUser, "INBOX", []byte("From: Anna <anna@example.com>\r\nTo: ops@example.com\r\nSubject: "+subject+
		"\r\nMessage-ID: <1@example.com>\r\nDate: Mon, 5 Jan 2026 09:30:00 +0100\r\n\r\nHello.\r\n"), nil, time.Now())
}

// A notifySocket receives what a service tells systemd.
type notifySocket struct {
	t    *testing.T
	path string
	got  chan string
}

func newNotifySocket(t *testing.T) *notifySocket {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	n := &notifySocket{t, filepath.Join(dir, "s"), make(chan string, 10_000)}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			k, err := c.Read(buf)
			if err != nil {
				close(n.got)
				return
			}
			n.got <- string(buf[:k])
		}
	}()
	return n
}

// until waits for a message with the text and returns it.
func (n *notifySocket) until(text string) string {
	n.t.Helper()
	end := time.After(30 * time.Second)
	for {
		select {
		case s, ok := <-n.got:
			if !ok {
				n.t.Fatalf("the socket was closed; nothing said %q", text)
			}
			if strings.Contains(s, text) {
				return s
			}
		case <-end:
			n.t.Fatalf("systemd was never told %q", text)
		}
	}
}

// all returns what has been told so far and not looked at.
func (n *notifySocket) all() (said []string) {
	for {
		select {
		case s := <-n.got:
			said = append(said, s)
		default:
			return said
		}
	}
}

// The daemon as systemd sees it: ready when the config stands, how many watch, fed
// through an outage of the mail server, and an orderly end.
func TestNotify(t *testing.T) {
	srv := newMailServer(t)
	n := newNotifySocket(t)
	d := newService(t, officeConfig(srv, `metrics.listen = ""`, strings.Replace(invoiceTrigger, "exit 0", "touch @DIR@/begun; while [ ! -e @DIR@/go ]; do sleep 0.05; done", 1)))
	d.env = []string{"NOTIFY_SOCKET=" + n.path, "WATCHDOG_USEC=200000"}
	d.start()

	first := n.until("")
	if !strings.HasPrefix(first, "READY=1\nSTATUS=") {
		t.Errorf("first systemd is told %q", first)
	}
	if _, _, code := d.call("--status"); code != exitOK {
		t.Error("READY, and --status does not work yet")
	}
	n.until("STATUS=watching 1 of 1 connection (1 of 1 mailbox); 0 queued")
	for range 3 {
		n.until("WATCHDOG=1")
	}
	srv.Stop()
	n.until("STATUS=watching 0 of 1 connection (0 of 1 mailbox)")
	for range 5 {
		n.until("WATCHDOG=1") // an outage is no reason for a restart
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	n.until("STATUS=watching 1 of 1 connection (1 of 1 mailbox); 0 queued")

	deliver(srv, "invoice 1")
	n.until("1 queued")
	waitFile(t, d.path("begun"))
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	n.until("STOPPING=1") // while the action still runs
	d.write("go", "")
	<-d.exited
	if code := d.cmd.ProcessState.ExitCode(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, s := range n.all() {
		if strings.Contains(s, "WATCHDOG") || strings.Contains(s, "READY") || strings.Contains(s, "STOPPING") {
			t.Errorf("after STOPPING, systemd is told %q", s)
		}
	}
}

// What cannot start says nothing to systemd, and its exit code says whether a
// restart can help.
func TestNotifyNotReady(t *testing.T) {
	srv := newMailServer(t)
	for name, c := range map[string]struct {
		config string
		code   int
	}{
		"bad config":     {officeConfig(srv, "colour = 1", invoiceTrigger), exitConfig},
		"no state":       {strings.Replace(officeConfig(srv, "", invoiceTrigger), `"state"`, `"/proc/none"`, 1), exitState},
		"taken listener": {officeConfig(srv, fmt.Sprintf("metrics.listen = %q", srv.Addr()), invoiceTrigger), exitFailed},
		"taken control":  {officeConfig(srv, `control = "config.toml"`, invoiceTrigger), exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNotifySocket(t)
			d := newService(t, c.config)
			d.env = []string{"NOTIFY_SOCKET=" + n.path, "WATCHDOG_USEC=200000"}
			d.start()
			<-d.exited
			if code := d.cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d\n%s", code, c.code, d.log())
			}
			if said := n.all(); len(said) > 0 {
				t.Errorf("systemd is told %q", said)
			}
		})
	}
}

// The watchdog is not fed while the daemon is not well.
func TestWatchdog(t *testing.T) {
	n := newNotifySocket(t)
	t.Setenv("NOTIFY_SOCKET", n.path)
	t.Setenv("WATCHDOG_USEC", "20000")
	var log watched
	nf := newNotifier(slog.New(slog.NewTextHandler(&log, nil)))
	ctx, stop := context.WithCancel(t.Context())
	sick := make(chan error, 1)
	sick <- nil
	health := func() error { err := <-sick; sick <- err; return err }
	ended := make(chan struct{})
	go func() { defer close(ended); nf.keepUp(ctx, func() string { return "same" }, health) }()
	n.until("STATUS=same")
	for range 3 {
		n.until("WATCHDOG=1")
	}
	<-sick
	sick <- errors.New("the journal is stuck")
	log.wait(t, "the journal is stuck")
	n.all()
	for range 3 { // it still looks, and feeds nothing
		<-sick
		sick <- errors.New("the journal is stuck")
	}
	log.mu.Lock()
	log.buf.Reset()
	log.mu.Unlock()
	log.wait(t, "the journal is stuck")
	if said := n.all(); len(said) > 0 {
		t.Errorf("while it is not well, systemd is told %q", said)
	}
	<-sick
	sick <- nil
	n.until("WATCHDOG=1")
	stop()
	<-ended
	n.until("STOPPING=1")
}

// Under systemd each line has its priority and no time of its own; where stderr is
// not the journal, lines are as anywhere.
func TestJournal(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		for _, journal := range []bool{true, false} {
			t.Run(fmt.Sprint(format, journal), func(t *testing.T) {
				srv := newMailServer(t)
				d := newService(t, officeConfig(srv, "metrics.listen = \"\"\nlog = {level = \"debug\", format = \""+format+"\"}", invoiceTrigger))
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				cmd := program(t, "--config", d.path("config.toml"))
				cmd.Stderr = w
				stream := "1:2"
				if journal {
					stream = inode(t, w)
				}
				cmd.Env = append(cmd.Env, "JOURNAL_STREAM="+stream)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				_ = w.Close()
				lines := make(chan string, 1000)
				go readLines(r, lines)
				priorities := map[string]bool{}
				for line := range lines {
					priorities[judgeLine(t, line, format, journal)] = true
					switch {
					case strings.Contains(line, "watching from now on"):
						srv.AddUser(serviceUser, "changed")
						srv.Drop()
					case strings.Contains(line, "password"), strings.Contains(line, "cannot connect"):
						_ = cmd.Process.Signal(syscall.SIGTERM)
					}
				}
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
				for _, level := range []string{"INFO", "WARN"} {
					if !priorities[level] {
						t.Errorf("no line of level %s", level)
					}
				}
			})
		}
	}
}

func TestPriorities(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		o := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}
		var h slog.Handler = slog.NewTextHandler(&priorityWriter{&out}, o)
		if format == "json" {
			h = slog.NewJSONHandler(&priorityWriter{&out}, o)
		}
		log := slog.New(h)
		log.Debug("a level=ERROR")
		log.Info(`b "level":"ERROR"`)
		log.Warn("c\nlevel=INFO")
		log.Error("d", "level", "DEBUG")
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 4 {
			t.Fatalf("%d lines: %q", len(lines), lines)
		}
		for i, want := range []string{"<7>", "<6>", "<4>", "<3>"} {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: want %s", lines[i], want)
			}
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// waitFile waits until a file is there.
func waitFile(t *testing.T, name string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for {
		if _, err := os.Stat(name); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s never came", name)
		}
	}
}

// inode is f's device and inode, as JOURNAL_STREAM has them.
func inode(t *testing.T, f *os.File) string {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

func readLines(r io.Reader, lines chan<- string) {
	defer close(lines)
	for s := bufio.NewScanner(r); s.Scan(); {
		lines <- s.Text()
	}
}

var levelPrefix = map[string]string{"DEBUG": "<7>", "INFO": "<6>", "WARN": "<4>", "ERROR": "<3>"}

// judgeLine looks at a line's form and returns its level.
func judgeLine(t *testing.T, line, format string, journal bool) (level string) {
	t.Helper()
	rest := line
	if journal {
		if len(line) < 3 {
			t.Fatalf("a line without a priority: %q", line)
		}
		rest = line[3:]
	}
	var timed bool
	if format == "json" {
		var v map[string]any
		if err := json.Unmarshal([]byte(rest), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		level, _ = v["level"].(string)
		_, timed = v["time"]
	} else {
		_, level, _ = strings.Cut(rest, "level=")
		level, _, _ = strings.Cut(level, " ")
		timed = strings.HasPrefix(rest, "time=")
	}
	if timed == journal {
		t.Errorf("with the journal %v: %q", journal, line)
	}
	if journal && !strings.HasPrefix(line, levelPrefix[level]) {
		t.Errorf("level %s: %q", level, line)
	}
	return level
}

// over returns a client of the service's HTTP listener at @DIR@/m.sock.
func (d *daemonUnderTest) over() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.path("m.sock"))
	}}}
}

// scrapeService returns what /metrics says.
func scrapeService(t *testing.T, d *daemonUnderTest) string {
	t.Helper()
	resp, err := d.over().Get("http://daemon/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s %v", resp.Status, err)
	}
	return string(b)
}
