package main

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtrigger/metrics"
)

// The daemon's page tells of a dead letter. Sender and subject are on it only while
// the config says so, and what a sender wrote does nothing to it.
func TestDaemonPage(t *testing.T) {
	srv := newMailServer(t)
	d := newService(t, officeConfig(srv, `metrics.listen = "unix:@DIR@/m.sock"`, failingTrigger))
	d.start()
	d.says(1, 30*time.Second, "watching from now on")
	srv.Append(serviceUser, "INBOX", []byte(strings.Replace(hostileMail, "=1B[2J", "<script>", 1)), nil, time.Now())
	d.says(1, 30*time.Second, "dead letter")
	get := func(path string) string {
		t.Helper()
		resp, err := d.over().Get("http://daemon" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
		}
		return string(body)
	}
	waitUntil(t, "the page shows the dead letter", func() bool { return strings.Contains(get("/"), "1 message failed for good") })
	for _, path := range []string{"/", "/api/status", "/api/status?q=mallory"} {
		if body := get(path); strings.Contains(body, "mallory@example.com") || strings.Contains(body, "id_") {
			t.Errorf("%s tells who wrote, or what:\n%s", path, body)
		}
	}

	// --status --json is the same.
	waitUntil(t, "the firing is listed", func() bool {
		var now metrics.Status
		return json.Unmarshal([]byte(get("/api/status")), &now) == nil && len(now.Firings) == 1
	})
	out, stderr, code := d.call("--status", "--json")
	if code != exitOK || stderr != "" {
		t.Fatalf("--status --json: %d %s", code, stderr)
	}
	var printed, served metrics.Status
	if err := json.Unmarshal([]byte(out), &printed); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(get("/api/status")), &served); err != nil {
		t.Fatal(err)
	}
	if printed.Summary != served.Summary || !reflect.DeepEqual(printed.Firings, served.Firings) || len(served.Firings) != 1 || served.Firings[0].Outcome != "dead" {
		t.Errorf("--status --json says\n%+v\n/api/status\n%+v", printed, served)
	}

	d.write("config.toml", "metrics.show_subjects = true\n"+readFile(t, d.path("config.toml")))
	d.signal(syscall.SIGHUP)
	waitUntil(t, "the page shows the sender", func() bool { return strings.Contains(get("/"), "mallory@example.com") })
	if body := get("/"); !strings.Contains(body, "&lt;script&gt;") || strings.Contains(body, "<script>") || strings.ContainsAny(body, "\x1b\u202e\u009b") {
		t.Errorf("the subject is not shown as it should be:\n%s", body)
	}
	if code := d.terminate(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
