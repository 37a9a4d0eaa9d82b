package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
)

// What the README shows of the program's output is what it prints.

// readmeDir makes a directory with the README's first config, its trigger of
// invoices added, and its mail, and works there.
func readmeDir(t *testing.T) {
	t.Helper()
	blocks, mails := fenced(t, "toml"), fenced(t, "eml")
	invoices := slices.IndexFunc(blocks, func(b string) bool { return strings.HasPrefix(b, "[trigger.invoices]\n") })
	if invoices < 0 || len(mails) != 1 {
		t.Fatalf("README.md has %d TOML blocks, none begins with the trigger of invoices, and %d mails", len(blocks), len(mails))
	}
	t.Chdir(t.TempDir())
	write(t, "config.toml", blocks[0]+"\n"+blocks[invoices])
	write(t, "invoice.eml", mails[0])
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// output runs a call and returns what it prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	run(t.Context(), args, &out, &out)
	return out.String()
}

func TestReadmeTestTrigger(t *testing.T) {
	call := "mailtriggerd --config config.toml --test-trigger invoices --message invoice.eml"
	want := console(t, call)
	mentioned := fenced(t, "json")
	readmeDir(t)
	args := strings.Fields(call)[1:]
	if got := output(t, args...); got != want {
		t.Errorf("README.md shows of %s\n%s\nit prints\n%s", call, want, got)
	}
	var printed struct{ Event map[string]any }
	var shown map[string]any
	if err := json.Unmarshal([]byte(output(t, append(args, "--json")...)), &printed); err != nil {
		t.Fatal(err)
	}
	if len(mentioned) != 1 {
		t.Fatalf("README.md has %d JSON blocks", len(mentioned))
	}
	if err := json.Unmarshal([]byte(mentioned[0]), &shown); err != nil {
		t.Fatal(err)
	}
	for _, e := range []map[string]any{printed.Event, shown} {
		for _, varies := range []string{"id", "received"} {
			if s, _ := e[varies].(string); s == "" {
				t.Errorf("an event without %s: %v", varies, e)
			}
			e[varies] = ""
		}
	}
	if !reflect.DeepEqual(printed.Event, shown) {
		b, _ := json.MarshalIndent(printed.Event, "", "  ")
		t.Errorf("README.md shows another event than is printed:\n%s", b)
	}
}

func TestReadmeCheckConfig(t *testing.T) {
	call := "mailtriggerd --config config.toml --check-config --no-secrets"
	want := console(t, call)
	bad := strings.NewReplacer("\naddress", "\nadress", `= "work"`, `= "wrok"`, ".Subject}}", ".Subjekt}}").Replace(fenced(t, "toml")[0])
	t.Chdir(t.TempDir())
	write(t, "config.toml", bad)
	if got := output(t, strings.Fields(call)[1:]...); got != want {
		t.Errorf("README.md shows of %s\n%s\nit prints\n%s", call, want, got)
	}
}

// A watched buffer says when a text has been written to it.
type watched struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	want string
	seen chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if w.want != "" && strings.Contains(w.buf.String(), w.want) {
		w.want = ""
		close(w.seen)
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// wait waits until text has been written.
func (w *watched) wait(t *testing.T, text string) {
	t.Helper()
	w.mu.Lock()
	if strings.Contains(w.buf.String(), text) {
		w.mu.Unlock()
		return
	}
	w.want, w.seen = text, make(chan struct{})
	seen := w.seen
	w.mu.Unlock()
	select {
	case <-seen:
	case <-time.After(30 * time.Second):
		t.Fatalf("nothing said %q:\n%s", text, w.String())
	}
}

// begin runs a call until the test ends.
func begin(t *testing.T, args ...string) *watched {
	t.Helper()
	w := &watched{}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, w, w) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("%s: exit code %d\n%s", args, code, w)
		}
	})
	return w
}

// same lines, whatever the port: what is between two "…" is in this order in a line.
func likely(shown, printed string) bool {
	port := regexp.MustCompile(`(127\.0\.0\.1:|port    = )\d+`)
	shown, printed = port.ReplaceAllString(shown, "${1}PORT"), strings.TrimSpace(port.ReplaceAllString(printed, "${1}PORT"))
	for i, part := range strings.Split(shown, "…") {
		part = strings.TrimSpace(part)
		at := strings.Index(printed, part)
		if at < 0 || i == 0 && part != "" && at > 0 {
			return false
		}
		printed = printed[at+len(part):]
	}
	return true
}

// The demo prints the lines that README shows of it, in that order.
func TestReadmeDemo(t *testing.T) {
	t.Parallel()
	w := begin(t, "--demo")
	w.wait(t, "shipped: ")
	printed := strings.Split(w.String(), "\n")
	for line := range strings.Lines(console(t, "go run ./cmd/mailtriggerd --demo")) {
		line = strings.TrimSuffix(line, "\n")
		if strings.TrimSpace(line) == "…" || line == "" {
			continue
		}
		for len(printed) > 0 && !likely(line, printed[0]) {
			printed = printed[1:]
		}
		if len(printed) == 0 {
			t.Fatalf("the demo does not print this, or not in this order:\n%s\nit prints\n%s", line, w)
		}
	}
}

// A daemon whose command refuses the README's mail: its dead letter, and its status.
func TestReadmeDaemon(t *testing.T) {
	letters, status := "mailtriggerd --config config.toml --dead-letters", "mailtriggerd --config config.toml --status"
	wantLetters, wantStatus := console(t, letters), console(t, status)
	readmeDir(t)
	srv, err := connectiontest.NewServer(connectiontest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	srv.AddUser("me@example.com", "secret")
	write(t, "ca.pem", string(srv.CACert()))
	host, port, _ := strings.Cut(srv.Addr(), ":")
	config, err := os.ReadFile("config.toml")
	if err != nil {
		t.Fatal(err)
	}
	connection, triggers, _ := strings.Cut(string(config), "[trigger.hello]")
	_, triggers, _ = strings.Cut(triggers, "[trigger.invoices]")
	connection = strings.NewReplacer(`"imap.example.com"`, `"`+host+`"`+"\nport = "+port+"\nencryption.ca_file = \"ca.pem\"", `password_file = "/etc/mailtriggerd/work.password"`, `password = "secret"`).Replace(connection)
	triggers = strings.Replace(triggers, `["/usr/local/bin/book", `, `["/bin/sh", "-c", "echo cannot book $2: no such ledger; exit 65", "book", `, 1)
	triggers = strings.Replace(triggers, "/srv/invoices", "invoices", 1)
	write(t, "config.toml", "state_dir = \"state\"\nmetrics.listen = \"\"\n"+connection+"[trigger.invoices]"+triggers)

	w := begin(t, "--config", "config.toml")
	w.wait(t, `msg="watching from now on"`)
	mail, err := os.ReadFile("invoice.eml")
	if err != nil {
		t.Fatal(err)
	}
	srv.Append("me@example.com", "INBOX", bytes.ReplaceAll(mail, []byte("\n"), []byte("\r\n")), nil, time.Now())
	w.wait(t, `msg="action failed for good`)

	when := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	printed := ""
	for end := time.Now().Add(30 * time.Second); ; { // the journal has it soon after the log
		if printed = output(t, strings.Fields(letters)[1:]...); printed != "no dead letters\n" || time.Now().After(end) {
			break
		}
	}
	got := when.ReplaceAllString(printed, "2026-01-05 09:30:02")
	if wantLetters = when.ReplaceAllString(wantLetters, "2026-01-05 09:30:02"); got != wantLetters {
		t.Errorf("README.md shows of %s\n%s\nit prints\n%s", letters, wantLetters, got)
	}
	varies := regexp.MustCompile(`\b\d+m?\d*s\b|\b\d+\.\d ms\b`)
	state := regexp.MustCompile(`\b(?:parked|looking)\b`)
	plain := func(s string) string {
		return strings.Join(strings.Fields(state.ReplaceAllString(varies.ReplaceAllString(s, "-"), "parked")), " ")
	}
	if got := output(t, strings.Fields(status)[1:]...); plain(got) != plain(wantStatus) {
		t.Errorf("README.md shows of %s\n%s\nit prints\n%s", status, wantStatus, got)
	}
}
