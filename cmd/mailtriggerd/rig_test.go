package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest/rigtest"
)

// A daemonUnderTest is the real program, running on a config of the test's.
type daemonUnderTest struct {
	t      *testing.T
	dir    string
	env    []string // besides the test's own
	cmd    *exec.Cmd
	mu     sync.Mutex
	lines  []string
	grew   chan struct{}
	exited chan struct{}
}

func newDaemonUnderTest(t *testing.T, config string) *daemonUnderTest {
	t.Helper()
	d := &daemonUnderTest{t: t, dir: t.TempDir()}
	d.write("config.toml", config)
	return d
}

func (d *daemonUnderTest) path(name string) string { return filepath.Join(d.dir, name) }

func (d *daemonUnderTest) write(name, content string) {
	d.t.Helper()
	mode := os.FileMode(0o600)
	if strings.HasSuffix(name, ".sh") {
		mode = 0o700
	}
	if err := os.WriteFile(d.path(name), []byte(content), mode); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemonUnderTest) start() {
	d.t.Helper()
	cmd := program(d.t, "--config", d.path("config.toml"))
	cmd.Env = append(cmd.Env, d.env...)
	out, err := cmd.StderrPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.cmd, d.grew, d.exited = cmd, make(chan struct{}, 1), make(chan struct{})
	d.mu.Lock()
	d.lines = nil
	d.mu.Unlock()
	go func() {
		defer close(d.exited)
		for s := bufio.NewScanner(out); s.Scan(); {
			d.mu.Lock()
			d.lines = append(d.lines, s.Text())
			d.mu.Unlock()
			select {
			case d.grew <- struct{}{}:
			default:
			}
		}
		_ = cmd.Wait()
	}()
	d.t.Cleanup(d.kill)
}

func (d *daemonUnderTest) kill() {
	_ = d.cmd.Process.Kill()
	<-d.exited
}

func (d *daemonUnderTest) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemonUnderTest) terminate() int {
	d.signal(syscall.SIGTERM)
	<-d.exited
	return d.cmd.ProcessState.ExitCode()
}

func (d *daemonUnderTest) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

// says waits until n log lines hold all of the words.
func (d *daemonUnderTest) says(n int, within time.Duration, words ...string) {
	d.t.Helper()
	end := time.After(within)
	for {
		d.mu.Lock()
		have := 0
		for _, line := range d.lines {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				have++
			}
		}
		d.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-d.grew:
		case <-end:
			d.t.Fatalf("%d of %d log lines with %q within %s; the log:\n%s", have, n, words, within, tail(d.log(), 4000))
		}
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// ledger returns the lines that actions have written.
func (d *daemonUnderTest) ledger() []string {
	b, err := os.ReadFile(d.path("ledger"))
	if err != nil && !os.IsNotExist(err) {
		d.t.Fatal(err)
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

// recordScript is the command of the tests: it notes begin and end of a run, with
// the length of its input, and keeps environment and input.
const recordScript = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
id=$MAILTRIGGER_CONNECTION.$MAILTRIGGER_UID
echo "begin $id $MAILTRIGGER_EVENT_ID $MAILTRIGGER_ATTEMPT" >>ledger
cat >"in.$id.$$"
env >"env.$id"
mv "in.$id.$$" "in.$id"
echo "end $id $MAILTRIGGER_EVENT_ID $(wc -c <"in.$id")" >>ledger
`

// rigConnection is the table of a connection to a unit of the rig.
func rigConnection(t *testing.T, name, unit, mode, user, extra string) string {
	t.Helper()
	key := "RIG_" + strings.ToUpper(unit)
	host, port := rigtest.Setting(t, key+"_HOST"), ""
	encryption := fmt.Sprintf("protocol = \"tls\"\nmode = %q\nca_file = %q\n", mode, rigtest.Setting(t, "RIG_CA"))
	switch mode {
	case "implicit":
		port = rigtest.Setting(t, key+"_IMAPS")
	case "explicit":
		port = rigtest.Setting(t, key+"_IMAP")
		if unit == "main" {
			host = rigtest.Setting(t, "RIG_MAIN_REMOTE_HOST") // the server demands STARTTLS there
		}
	default:
		port, encryption = rigtest.Setting(t, key+"_IMAP"), "protocol = \"none\"\n"
	}
	return fmt.Sprintf("[connection.%s]\naddress = %q\nport = %s\ntimeout = 5\n%s\n[connection.%[1]s.authentication]\nusername = %[5]q\npassword = %[6]q\n[connection.%[1]s.encryption]\n%[7]s\n",
		name, host, port, extra, user, user+"-pw", encryption)
}

const rigHead = "state_dir = \"state\"\nmetrics.listen = \"\"\n"

func recordTrigger(connections string) string {
	return "[trigger.record]\nconnection = " + connections + "\n[[trigger.record.action]]\ntype = \"exec\"\ncommand = [\"./record.sh\"]\n"
}

// Each kind of server delivers, and 300 messages at once give 300 runs, in order, none twice.
func TestRigDelivers(t *testing.T) {
	units := []struct{ name, unit, mode, user, extra, deliver string }{
		{"starttls", "main", "explicit", "alice", "", "maildir"},
		{"implicit", "main", "implicit", "bob", "", "maildir"},
		{"plain", "plain", "none", "alice", "", "maildir"},
		{"noidle", "minimal", "implicit", "alice", "session.poll_interval = \"1s\"\n", "maildir"},
		{"cyrus", "cyrus", "implicit", "alice", "", "append"},
	}
	config := rigHead
	for _, u := range units {
		config += rigConnection(t, u.name, u.unit, u.mode, u.user, u.extra)
	}
	d := newDaemonUnderTest(t, config+recordTrigger(`"*"`))
	d.write("record.sh", recordScript)
	d.start()
	d.says(len(units), 20*time.Second, "watching from now on")
	for _, u := range units {
		rigtest.Run(t, "deliver", "-i", u.unit, "-u", u.user, "-v", u.deliver, "-S", "first for "+u.name)
	}
	d.says(len(units), 20*time.Second, "action done")
	for _, u := range units {
		checkRun(t, d, u.name)
	}
	const burst = 300
	for _, u := range units[:4] {
		rigtest.Run(t, "deliver", "-i", u.unit, "-u", u.user, "-n", fmt.Sprint(burst))
	}
	d.says(len(units)+4*burst, 2*time.Minute, "action done")
	if code := d.terminate(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	uids := make(map[string][]int)
	for _, line := range d.ledger() {
		var what, id, event string
		var attempt, uid int
		if _, err := fmt.Sscan(line, &what, &id, &event, &attempt); err != nil || what != "begin" {
			continue
		}
		name, number, _ := strings.Cut(id, ".")
		fmt.Sscan(number, &uid)
		uids[name] = append(uids[name], uid)
	}
	for i, u := range units {
		want := 1
		if i < 4 {
			want += burst
		}
		got := uids[u.name]
		if len(got) != want || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != want {
			t.Errorf("%s: %d runs, want %d in the order of UIDs, none twice: %v", u.name, len(got), want, got)
		}
	}
}

// checkRun looks at what the command of the first message was given.
func checkRun(t *testing.T, d *daemonUnderTest, name string) {
	t.Helper()
	inputs, err := filepath.Glob(d.path("in." + name + ".*"))
	if err != nil || len(inputs) != 1 {
		t.Errorf("%s: inputs %q, %v", name, inputs, err)
		return
	}
	b, err := os.ReadFile(inputs[0])
	if err != nil {
		t.Fatal(err)
	}
	var ev struct {
		Version    int
		ID         string
		Trigger    string
		Connection string
		Message    struct {
			Subject string
			From    []struct{ Name, Address string }
		}
	}
	if err := json.Unmarshal(b, &ev); err != nil {
		t.Errorf("%s: event: %v", name, err)
		return
	}
	if ev.Version != 1 || ev.Trigger != "record" || ev.Connection != name || ev.Message.Subject != "first for "+name+" 1/1" || ev.Message.From[0].Address == "" {
		t.Errorf("%s: event %+v", name, ev)
	}
	env, err := os.ReadFile(strings.Replace(inputs[0], "/in.", "/env.", 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"MAILTRIGGER_EVENT_ID=" + ev.ID, "MAILTRIGGER_SUBJECT=first for " + name + " 1/1", "MAILTRIGGER_CONNECTION=" + name,
		"MAILTRIGGER_KIND=message", "MAILTRIGGER_ATTEMPT=1", "MAILTRIGGER_MAILBOX=INBOX",
	} {
		if !strings.Contains("\n"+string(env), "\n"+want+"\n") {
			t.Errorf("%s: the environment lacks %s", name, want)
		}
	}
}

// Killed five times while commands of a burst run: every message's command ran to
// its end with its whole input, and only what ran at a kill ran twice, under the
// same event id.
func TestRigKill9(t *testing.T) {
	d := newDaemonUnderTest(t, rigHead+rigConnection(t, "office", "main", "implicit", "carol", "")+recordTrigger(`"office"`))
	d.write("record.sh", recordScript)
	d.start()
	d.says(1, 20*time.Second, "watching from now on")
	rigtest.Run(t, "deliver", "-u", "carol", "-n", "300", "-s", "100000")
	for kill := range 5 {
		d.says(1+kill*7, time.Minute, "action done")
		d.kill()
		d.start()
	}
	ends := func() (ids map[string]string, repeats int) {
		ids = make(map[string]string)
		for _, line := range d.ledger() {
			var what, id, event string
			var size int
			if _, err := fmt.Sscan(line, &what, &id, &event, &size); err != nil || what != "end" {
				continue
			}
			if size < 100000 {
				t.Errorf("%s had only %d bytes of input", id, size)
			}
			if before, ok := ids[id]; ok {
				repeats++
				if before != event {
					t.Errorf("%s ran under two event ids", id)
				}
			}
			ids[id] = event
		}
		return ids, repeats
	}
	waitFor(t, 2*time.Minute, "all 300 have run", func() bool { ids, _ := ends(); return len(ids) >= 300 })
	d.terminate()
	ids, repeats := ends()
	if len(ids) != 300 {
		t.Errorf("%d messages fired, want 300", len(ids))
	}
	if repeats > 5 {
		t.Errorf("%d repeats after 5 kills, with one command at a time", repeats)
	}
	t.Logf("5 kills, 300 messages, %d repeats", repeats)
}

func waitFor(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(within)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not so within %s: %s", within, what)
		}
	}
}

// A server that is frozen in IDLE is noticed within idle_refresh + timeout, and
// what came meanwhile fires after the thaw; one that is killed comes back by itself.
func TestRigFreezeAndKillServer(t *testing.T) {
	d := newDaemonUnderTest(t, rigHead+rigConnection(t, "office", "tls13", "implicit", "alice", "session.idle_refresh = \"2s\"\n")+recordTrigger(`"office"`))
	d.write("record.sh", recordScript)
	d.start()
	d.says(1, 20*time.Second, "watching from now on")
	began := time.Now()
	rigtest.Run(t, "fault", "freeze", "tls13")
	d.says(1, 2*time.Second+5*time.Second+3*time.Second, "connection lost")
	t.Logf("noticed after %s, with idle_refresh 2s and timeout 5s", time.Since(began).Round(100*time.Millisecond))
	// All of Dovecot is frozen, its tool for delivering too: drop a file.
	drop := filepath.Join(rigtest.Setting(t, "RIG_DIR"), "mail/tls13/alice/Maildir/new", fmt.Sprintf("%d.frozen.test", time.Now().Unix()))
	if err := os.WriteFile(drop, []byte("From: a@example.com\nSubject: while frozen\n\ntext\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rigtest.Run(t, "fault", "thaw", "tls13")
	d.says(1, 30*time.Second, "action done")
	rigtest.Run(t, "fault", "kill9", "tls13")
	d.says(2, 15*time.Second, "connection lost")
	rigtest.Run(t, "start", "tls13")
	rigtest.Run(t, "deliver", "-i", "tls13", "-S", "while dead")
	d.says(2, 30*time.Second, "action done")
	if runs := len(d.ledger()); runs != 4 {
		t.Errorf("%d lines in the ledger, want begin and end of two runs", runs)
	}
}

// What --test-connection says of each fault is what a person can act on.
func TestRigTestConnection(t *testing.T) {
	closed := rigConnection(t, "closed", "main", "implicit", "alice", "")
	closed = strings.Replace(closed, "port = "+rigtest.Setting(t, "RIG_MAIN_IMAPS"), "port = 1", 1)
	wrong := strings.Replace(rigConnection(t, "wrongpassword", "main", "implicit", "alice", ""), "alice-pw", "not-this-one", 1)
	old := strings.Replace(rigConnection(t, "version", "tls12", "implicit", "alice", ""), "protocol = \"tls\"", "protocol = \"tls\"\nversions = [\"TLS1.3\"]", 1)
	for _, c := range []struct{ name, config, step, words string }{
		{"good", rigConnection(t, "good", "main", "implicit", "alice", ""), "", ""},
		{"expired", rigConnection(t, "expired", "expired", "implicit", "alice", ""), "tls", "expired"},
		{"wronghost", rigConnection(t, "wronghost", "wronghost", "implicit", "alice", ""), "tls", "imap.elsewhere.test"},
		{"selfsigned", rigConnection(t, "selfsigned", "selfsigned", "implicit", "alice", ""), "tls", "pin_sha256"},
		{"version", old, "tls", "TLS"},
		{"wrongpassword", wrong, "login", "password"},
		{"closed", closed, "connect", "port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDaemonUnderTest(t, rigHead+c.config)
			began := time.Now()
			cmd := program(t, "--config", d.path("config.toml"), "--test-connection", c.name, "--json")
			out, err := cmd.Output()
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("took %s, with a timeout of 5 s", took)
			}
			var answer struct {
				OK    bool
				Steps []struct {
					Step, Detail, Hint string
					OK                 bool
				}
			}
			if err := json.Unmarshal(out, &answer); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			last := answer.Steps[len(answer.Steps)-1]
			if c.step == "" {
				if err != nil || !answer.OK {
					t.Errorf("%v: %s", err, out)
				}
				return
			}
			if code := cmd.ProcessState.ExitCode(); code != exitFailed {
				t.Errorf("exit code %d, want %d", code, exitFailed)
			}
			if answer.OK || last.OK || last.Step != c.step || !strings.Contains(string(out), c.words) || last.Hint == "" {
				t.Errorf("want a failure of %s with %q and a hint: %s", c.step, c.words, out)
			}
			if strings.Contains(string(out), "not-this-one") {
				t.Error("the password is shown")
			}
		})
	}
}
