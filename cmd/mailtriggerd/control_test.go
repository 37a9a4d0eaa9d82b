package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"mailtrigger/metrics"
)

// A trigger whose action fails for good until a file is there.
const failingTrigger = `
[trigger.invoices]
connection = "office"
start = "all"
[[trigger.invoices.action]]
name = "book"
type = "exec"
command = ["/bin/sh", "-c", "[ -e @DIR@/works ] && echo $MAILTRIGGER_ATTEMPT >> @DIR@/done || { printf 'no \\033[31mledger\\n'; exit 65; }"]
`

// What a sender writes to play with the terminal of whoever lists dead letters.
const hostileMail = "From: =?utf-8?q?Mallory_=1B]0;owned=07=E2=80=AEtxt?= <mallory@example.com>\r\nTo: ops@example.com\r\n" +
	"Subject: =?utf-8?q?pay_=1B[2Jnow=0D=0Afake-id_=C2=9B31m?=\r\nMessage-ID: <%@example.com>\r\nDate: Mon, 5 Jan 2026 09:30:00 +0100\r\n\r\nHello.\r\n"

// jsonLines decodes each line strictly into a T: what the outputs hold is known here.
func jsonLines[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v T
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, v)
	}
	return all
}

// letterJSON is a line of --dead-letters --json.
type letterJSON struct {
	ID         string    `json:"id"`
	When       time.Time `json:"when"`
	Trigger    string    `json:"trigger"`
	Connection string    `json:"connection"`
	Mailbox    string    `json:"mailbox"`
	UID        uint32    `json:"uid"`
	EventID    string    `json:"event_id"`
	MessageID  string    `json:"message_id"`
	From       string    `json:"from"`
	Subject    string    `json:"subject"`
	Reason     string    `json:"reason"`
	HasMail    bool      `json:"has_mail"`
	Actions    []struct {
		Name     string `json:"name"`
		State    string `json:"state"`
		Attempts int    `json:"attempts"`
		Error    string `json:"error"`
		Output   string `json:"output"`
	} `json:"actions"`
}

// plain fails if a text that a person looks at could do anything to the terminal,
// or if a line ends in spaces.
func plain(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("a character that is not to be printed at %d: %q", i, line)
		}
		if strings.HasSuffix(line, " ") {
			t.Errorf("spaces at the end: %q", line)
		}
	}
}

// aligned fails unless each column of a table begins, or ends, where its head does.
// Lines that begin with a space are notes.
func aligned(t *testing.T, text string) {
	t.Helper()
	heads := regexp.MustCompile(`\S+(?: \S+)*`)
	for block := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(strings.TrimRight(block, "\n"), "\n")
		if strings.ToUpper(lines[0]) != lines[0] {
			continue // no table
		}
		for _, line := range lines[1:] {
			if strings.HasPrefix(line, " ") {
				continue
			}
			r := []rune(line + "  ")
			for _, head := range heads.FindAllStringIndex(lines[0], -1) {
				begins := len(r) > head[0] && r[head[0]] != ' ' && (head[0] == 0 || r[head[0]-1] == ' ')
				ends := len(r) > head[1] && r[head[1]-1] != ' ' && r[head[1]] == ' '
				if !begins && !ends {
					t.Errorf("%q does not stand under %q in\n%s", line, lines[0][head[0]:head[1]], block)
				}
			}
		}
	}
}

func TestControl(t *testing.T) {
	srv := newMailServer(t)
	d := newService(t, officeConfig(srv, `metrics.listen = ""`, failingTrigger))
	fails := func(what string, code, want int, stderr, says string) {
		t.Helper()
		if code != want || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit code %d, want %d, and %q in\n%s", what, code, want, says, stderr)
		}
		plain(t, stderr)
	}

	// Before any daemon has run.
	_, stderr, code := d.call("--status")
	fails("--status without a daemon", code, exitFailed, stderr, "no daemon runs")
	if out, stderr, code := d.call("--dead-letters"); code != exitOK || out != "no dead letters\n" {
		t.Errorf("--dead-letters where no daemon ever ran: %d %s%s", code, out, stderr)
	}
	_, stderr, code = d.call("--retry", "7")
	fails("--retry where no daemon ever ran", code, exitFailed, stderr, "no dead letter")
	if _, err := os.Stat(d.path("state")); !os.IsNotExist(err) {
		t.Errorf("the calls made the state directory: %v", err)
	}

	// Beside a running daemon.
	d.start()
	d.says(1, 30*time.Second, "watching from now on")
	if info, err := os.Stat(d.path("state/control.sock")); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("control socket: %v %v", info, err)
	}
	for i := range 3 {
		srv.Append(serviceUser, "INBOX", []byte(strings.Replace(hostileMail, "%", string(rune('a'+i)), 1)), nil, time.Now())
	}
	d.says(3, 30*time.Second, "dead letter")

	out, stderr, code := d.call("--status")
	if code != exitOK || stderr != "" {
		t.Errorf("--status: %d %s", code, stderr)
	}
	t.Logf("\n%s", out)
	plain(t, out)
	aligned(t, out)
	for _, want := range []string{"health: ok", "office", "INBOX", "idle", "invoices", "book"} {
		if !strings.Contains(out, want) {
			t.Errorf("--status does not say %q:\n%s", want, out)
		}
	}
	out, _, _ = d.call("--status", "--json")
	if s := jsonLines[metrics.Status](t, out); len(s) != 1 || len(s[0].Watches) != 1 || !s[0].Watches[0].Watching || s[0].Watches[0].LastProof.IsZero() ||
		len(s[0].Triggers) != 1 || s[0].Triggers[0].DeadLetters != 3 || s[0].Health != "ok" || s[0].Version.Go == "" {
		t.Errorf("--status --json: %s", out)
	}

	out, stderr, code = d.call("--dead-letters")
	if code != exitOK || stderr != "" || strings.Count(out, "mallory@example.com") != 3 {
		t.Errorf("--dead-letters: %d\n%s%s", code, out, stderr)
	}
	t.Logf("\n%s", out)
	plain(t, out)
	aligned(t, out)
	out, _, _ = d.call("--dead-letters", "--json")
	letters := jsonLines[letterJSON](t, out)
	if len(letters) != 3 || letters[0].MessageID != "<a@example.com>" && letters[0].MessageID != "a@example.com" || !letters[0].HasMail || letters[0].UID != 1 ||
		len(letters[0].Actions) != 1 || letters[0].Actions[0].State != "dead" || letters[0].Actions[0].Attempts != 1 ||
		!strings.Contains(letters[0].Actions[0].Output, "ledger") || time.Since(letters[0].When) > time.Minute || letters[0].EventID == "" {
		t.Fatalf("--dead-letters --json: %s", out)
	}

	_, stderr, code = d.call("--retry", "none-such")
	fails("--retry of what is not there", code, exitFailed, stderr, "none-such")
	_, stderr, code = d.call("--discard", "../../etc")
	fails("--discard of what is not there", code, exitFailed, stderr, "etc")

	d.write("works", "")
	if out, stderr, code := d.call("--retry", letters[0].ID); code != exitOK || !strings.Contains(out, "will be tried again") {
		t.Errorf("--retry: %d %s%s", code, out, stderr)
	}
	waitFile(t, d.path("done"))
	if out, stderr, code := d.call("--discard", letters[1].ID, "--json"); code != exitOK || out != `{"id":"`+letters[1].ID+`","result":"dropped"}`+"\n" {
		t.Errorf("--discard --json: %d %s%s", code, out, stderr)
	}
	out, _, _ = d.call("--dead-letters", "--json")
	if left := jsonLines[letterJSON](t, out); len(left) != 1 || left[0].ID != letters[2].ID {
		t.Errorf("left: %s", out)
	}

	// Calls that go to the mail server take no lock.
	out, stderr, code = d.call("--test-connection", "office")
	if code != exitOK || !strings.Contains(out, "office: good\n") || stderr != "" {
		t.Errorf("--test-connection beside the daemon: %d\n%s%s", code, out, stderr)
	}
	t.Logf("\n%s", out)
	plain(t, out)
	_, stderr, code = d.call("--authorize", "office")
	fails("--authorize without OAuth", code, exitFailed, stderr, "office")
	_, stderr, code = d.call("--authorize", "offcie")
	fails("--authorize of no connection", code, exitUsage, stderr, `no connection "offcie"`)

	// A second daemon, with the state of the first, or only its control socket.
	_, stderr, code = d.call()
	fails("a second daemon", code, exitRunning, stderr, "another daemon has the state directory")
	if _, _, code := d.call("--status"); code != exitOK {
		t.Error("the second daemon took the first one's control socket")
	}
	first := readFile(t, d.path("config.toml"))
	d.write("config.toml", strings.Replace(first, `"state"`, `"other"`+"\ncontrol = \"state/control.sock\"", 1))
	_, stderr, code = d.call()
	fails("a second daemon on one control socket", code, exitFailed, stderr, "another process answers at the socket")
	d.write("config.toml", first)
	if _, _, code := d.call("--status"); code != exitOK {
		t.Error("a daemon with another state took the first one's control socket")
	}

	// A daemon that died leaves its socket behind: nothing answers there.
	d.kill()
	if _, err := os.Lstat(d.path("state/control.sock")); err != nil {
		t.Fatalf("no stale socket: %v", err)
	}
	_, stderr, code = d.call("--status")
	fails("--status of a dead daemon", code, exitFailed, stderr, "no daemon runs")
	out, stderr, code = d.call("--dead-letters")
	if code != exitOK || strings.Count(out, "mallory@example.com") != 1 {
		t.Errorf("--dead-letters without a daemon: %d\n%s%s", code, out, stderr)
	}
	if out, stderr, code := d.call("--retry", "all"); code != exitOK || !strings.Contains(out, letters[2].ID+": will be tried again\n") {
		t.Errorf("--retry all without a daemon: %d %s%s", code, out, stderr)
	}
	if out, _, _ := d.call("--dead-letters"); out != "no dead letters\n" {
		t.Errorf("after --retry all: %s", out)
	}
	if out, stderr, code := d.call("--discard", "all"); code != exitOK || out != "no dead letters\n" {
		t.Errorf("--discard all of none: %d %s%s", code, out, stderr)
	}
	d.start()
	d.says(1, 30*time.Second, "action done")
	if code := d.terminate(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(readFile(t, d.path("done")), "\n"); n != 2 {
		t.Errorf("%d runs succeeded, want 2", n)
	}
	if _, err := os.Lstat(d.path("state/control.sock")); !os.IsNotExist(err) {
		t.Errorf("an orderly end left the control socket: %v", err)
	}
}

// What stands at the control socket's path and is none is left alone.
func TestControlPath(t *testing.T) {
	srv := newMailServer(t)
	d := newService(t, officeConfig(srv, "metrics.listen = \"\"\ncontrol = \"precious\"", invoiceTrigger))
	d.write("precious", "data")
	if _, stderr, code := d.call(); code != exitFailed || !strings.Contains(stderr, "is no socket") {
		t.Errorf("%d %s", code, stderr)
	}
	if got := readFile(t, d.path("precious")); got != "data" {
		t.Errorf("the file holds %q", got)
	}
}

// The state of another user is not touched: the daemon could not use what is made in it.
func TestForeignState(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	srv := newMailServer(t)
	d := newService(t, officeConfig(srv, "", invoiceTrigger))
	if err := os.Mkdir(d.path("state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(d.path("state"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := d.call("--dead-letters"); code != exitState || !strings.Contains(stderr, "sudo -u") {
		t.Errorf("%d %s", code, stderr)
	}
	if left, err := os.ReadDir(d.path("state")); err != nil || len(left) > 0 {
		t.Errorf("in it: %v %v", left, err)
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 400 * time.Millisecond: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m1s",
		3*time.Hour + 4*time.Minute + 5*time.Second: "3h4m", 73 * time.Hour: "3d1h", time.Duration(1<<63 - 1): "106751d23h",
	} {
		if got := short(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

// Consent is asked for beside a running daemon.
func TestAuthorizeBesideDaemon(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/device":
			fmt.Fprintf(w, `{"device_code": "d", "user_code": "ABCD-EFGH", "verification_uri": "https://login.example.com/device", "expires_in": 600, "interval": 1}`)
		case "/token":
			fmt.Fprint(w, `{"access_token": "canary-access", "refresh_token": "canary-refresh", "token_type": "Bearer", "expires_in": 3600}`)
		}
	}))
	defer provider.Close()
	srv := newMailServer(t)
	config := officeConfig(srv, `metrics.listen = ""`, invoiceTrigger)
	config = strings.Replace(config, `password_file = "password"`, fmt.Sprintf(`oauth2 = {grant = "device_code", client_id = "id", device_auth_url = "%[1]s/device", token_url = "%[1]s/token", scopes = ["imap"]}`, provider.URL), 1)
	d := newService(t, config)
	d.start()
	d.says(1, 30*time.Second, "cannot connect")
	out, stderr, code := d.call("--authorize", "office")
	if code != exitOK || !strings.Contains(out, "ABCD-EFGH") || !strings.Contains(out, "office: authorized") {
		t.Errorf("%d\n%s%s", code, out, stderr)
	}
	d.says(1, 30*time.Second, "somebody has consented", "connection=office") // it is the daemon that asks
	if strings.Contains(out+stderr+d.log(), "canary") {
		t.Errorf("a token is shown:\n%s%s%s", out, stderr, d.log())
	}
	found := false
	_ = filepath.WalkDir(d.path("state"), func(path string, e fs.DirEntry, err error) error {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && strings.Contains(readFile(t, path), "canary-refresh") {
			found = true
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %s", path, info.Mode())
			}
		}
		return nil
	})
	if !found {
		t.Error("the refresh token is not stored")
	}
}
