package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The canaries: secrets that may appear nowhere.
const (
	canaryPassword = "canary-password-3f9a \"%&é"
	canaryWrong    = "canary-wrong-password-77"
	canaryProxy    = "canary-proxy-password-19"
	canaryHook     = "canary-hook-secret-5c"
	canaryHeader   = "canary-bearer-8d"
	canaryURL      = "canary-url-token-2e"
)

var canaries = []string{canaryPassword, canaryWrong, canaryProxy, canaryHook, canaryHeader, canaryURL, canarySMTP, canaryOAuth}

// hunt fails if a canary is in text, as it is or as protocols and programs write it.
func hunt(t *testing.T, where, text string) {
	t.Helper()
	for _, c := range canaries {
		for how, form := range map[string]string{
			"as it is":  c,
			"quoted":    strings.Trim(fmt.Sprintf("%q", c), `"`),
			"base64":    strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(c)), "="),
			"PLAIN":     strings.TrimRight(base64.StdEncoding.EncodeToString([]byte("\x00"+serviceUser+"\x00"+c)), "="),
			"user:pass": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(serviceUser+":"+c)), "="),
			"in a URL":  url.QueryEscape(c),
			"in a path": url.PathEscape(c),
			"hex":       hex.EncodeToString([]byte(c)),
		} {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%s: %s, %s: ...%s...", where, c, how, text[max(0, i-200):min(len(text), i+200)])
			}
		}
	}
}

// huntFiles hunts in all files below dir.
func huntFiles(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		files++
		hunt(t, path, path+"\n"+readFile(t, path))
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("%d files in %s: %v", files, dir, err)
	}
}

// No secret is in any output: logs at every level, children, metrics, status,
// dead letters, connection tests, dry runs, complaints about the config, a stack
// dump, the state directory.
func TestCanary(t *testing.T) {
	for _, log := range []string{`level = "debug"`, `level = "debug", format = "json"`, `level = "info"`, `level = "warn"`, `level = "error"`} {
		t.Run(log, func(t *testing.T) { huntDaemon(t, log) })
	}
}

// A hookServer that fails with what it was given, as some do.
func newEcho(t *testing.T) (address string, asked func() int) {
	var mu sync.Mutex
	n := 0
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "bad request")
	}))
	t.Cleanup(echo.Close)
	return echo.URL, func() int { mu.Lock(); defer mu.Unlock(); return n }
}

func huntDaemon(t *testing.T, log string) {
	srv := newMailServer(t)
	srv.AddUser(serviceUser, canaryPassword)
	echo, asked := newEcho(t)
	config := officeConfig(srv, `metrics.listen = "unix:@DIR@/m.sock"`+"\nlog = {"+log+"}", fmt.Sprintf(`
[connection.env]
extends = "office"
authentication = {username = %[1]q, password_env = "MAIL_PASSWORD"}

[connection.proxied]
extends = "office"
proxy = {type = "http", address = "127.0.0.1", port = 1, username = "me", password = %[2]q}

[trigger.invoices]
connection = ["office", "env", "proxied"]
start = "all"
[[trigger.invoices.action]]
name = "look"
type = "exec"
command = ["/bin/sh", "-c", "cat /proc/self/environ /proc/$$/environ /proc/self/cmdline /proc/$$/cmdline /proc/$PPID/cmdline >> @DIR@/seen; cat >> @DIR@/seen; echo end >> @DIR@/seen"]
[[trigger.invoices.action]]
name = "post"
type = "webhook"
url = "%[3]s/hook?token=%[4]s"
headers = {Authorization = "Bearer %[5]s"}
secret = %[6]q
`, serviceUser, canaryProxy, echo, canaryURL, canaryHeader, base64Secret(canaryHook)))
	d := newService(t, config)
	d.write("password", canaryPassword+"\n")
	d.write("mail.eml", "From: a@example.com\r\nSubject: invoice\r\n\r\nHello.\r\n")
	d.env = []string{"MAIL_PASSWORD=" + canaryPassword}
	t.Setenv("MAIL_PASSWORD", canaryPassword) // of the calls
	d.start()
	waitFile(t, d.path("m.sock"))
	deliver(srv, "invoice")
	waitUntil(t, "the hook is asked", func() bool { return asked() > 0 })
	waitUntil(t, "the dead letter", func() bool { out, _, _ := d.call("--dead-letters"); return strings.Contains(out, "invoice") })
	if log == `level = "debug"` {
		// Each output of the calls.
		for _, args := range [][]string{
			{"--status"}, {"--status", "--json"}, {"--dead-letters"}, {"--dead-letters", "--json"},
			{"--test-connection", "all"}, {"--test-connection", "all", "--json"}, {"--check-config"}, {"--check-config", "--json"},
			{"--test-trigger", "invoices", "--message", d.path("mail.eml")}, {"--test-trigger", "invoices", "--message", d.path("mail.eml"), "--json"},
		} {
			out, stderr, code := d.call(args...)
			if out+stderr == "" {
				t.Errorf("%s says nothing: %d", args, code)
			}
			hunt(t, strings.Join(args, " "), out+stderr)
		}
		good := readFile(t, d.path("config.toml"))
		for _, mistake := range []string{"password = ", "username = ", "secret = ", "headers = ", "url = "} {
			d.write("config.toml", strings.ReplaceAll(good, mistake, "x"+mistake))
			out, stderr, _ := d.call("--check-config")
			hunt(t, "a mistake near "+mistake, out+stderr)
			d.write("config.toml", strings.ReplaceAll(good, mistake, mistake+"[1, "))
			out, stderr, _ = d.call("--check-config", "--json")
			hunt(t, "bad TOML near "+mistake, out+stderr)
		}
		d.write("config.toml", good)
	}
	hunt(t, "metrics", scrapeService(t, d))

	// A password that is refused, by a server that repeats it.
	srv.AddUser(serviceUser, "changed")
	srv.Fail("LOGIN", "NO the password "+canaryWrong+" of "+serviceUser+" is wrong", 1000)
	d.write("password", canaryWrong+"\n")
	srv.Drop()
	waitUntil(t, "the refusal", func() bool { out, _, _ := d.call("--status"); return strings.Contains(out, "login") })
	out, stderr, _ := d.call("--test-connection", "office", "--json")
	hunt(t, "a refused login", out+stderr)
	out, stderr, _ = d.call("--status")
	hunt(t, "status of a refused login", out+stderr)
	hunt(t, "metrics of a refused login", scrapeService(t, d))

	// A stack dump of all goroutines.
	_ = d.cmd.Process.Signal(syscall.SIGQUIT)
	<-d.exited
	if !strings.Contains(d.log(), "goroutine ") {
		t.Error("no stack dump")
	}
	hunt(t, "log", d.log())
	seen := readFile(t, d.path("seen"))
	if !strings.Contains(seen, "MAILTRIGGER_EVENT_ID=") || !strings.Contains(seen, "mailtrigger") {
		t.Errorf("the child saw nothing: %q", seen)
	}
	hunt(t, "what a child sees", seen)
	huntFiles(t, d.path("state"))
	if files, err := filepath.Glob(filepath.Join(os.TempDir(), "mailtriggerd-*")); err == nil {
		for _, f := range files {
			if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
				hunt(t, f, readFile(t, f))
			}
		}
	}
}

func base64Secret(s string) string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(s)) }

// waitUntil waits until something is so.
func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}
