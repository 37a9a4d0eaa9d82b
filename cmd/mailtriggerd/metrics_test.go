package main

import (
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailtrigger/metrics"
)

// promised are the metrics and labels that outside programs rely on.
var promised = map[string]string{
	"connection_up": "connection", "connections": "state", "connection_last_activity_timestamp_seconds": "connection",
	"connection_connects_total": "connection,result", "connection_errors_total": "stage",
	"connection_connect_duration_seconds": "", "connection_round_trip_seconds": "connection",
	"connection_tls_certificate_expiry_timestamp_seconds": "connection",
	"connection_auth_required":                            "connection", "connection_insecure": "connection",
	"mailboxes": "mode", "mailbox_resets_total": "", "messages_total": "connection", "message_defects_total": "defect",
	"trigger_matches_total": "trigger", "trigger_last_match_timestamp_seconds": "trigger",
	"trigger_suppressed_total": "reason,trigger", "trigger_silent": "trigger",
	"actions_total": "action,result,trigger", "action_duration_seconds": "type", "push_to_action_seconds": "",
	"queue_length": "trigger", "queue_oldest_timestamp_seconds": "trigger", "dead_letters": "trigger",
	"journal_errors_total": "", "config_last_reload_successful": "", "config_last_reload_success_timestamp_seconds": "",
	"build_info": "commit,goversion,version",
}

// A daemon with one connection and one trigger has every metric that is promised
// and none besides, and no mail adds a label.
func TestDaemonMetrics(t *testing.T) {
	srv := newMailServer(t)
	d := newService(t, officeConfig(srv, `metrics.listen = "unix:@DIR@/m.sock"`, failingTrigger))
	started := time.Now()
	d.start()
	d.says(1, 30*time.Second, "watching from now on")
	before := seriesOf(scrapeService(t, d))
	for i := range 3 {
		srv.Append(serviceUser, "INBOX", []byte(strings.Replace(hostileMail, "%", string(rune('a'+i)), 1)), nil, time.Now())
	}
	srv.Append(serviceUser, "INBOX", []byte("no mail at all\x00\xff\r\n"), nil, time.Now())
	d.says(4, 30*time.Second, "dead letter")
	text := scrapeService(t, d)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); text = scrapeService(t, d) {
		if strings.Contains(text, `queue_length{trigger="invoices"} 0`) && strings.Contains(text, `dead_letters{trigger="invoices"} 4`) {
			break // what the log says is counted a moment later
		}
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE mailtriggerd_(\S+) `).FindAllStringSubmatch(text, -1) {
		names[m[1]] = true
		if _, ok := promised[m[1]]; !ok {
			t.Errorf("%s is not promised", m[1])
		}
	}
	for name, labels := range promised {
		if !names[name] {
			t.Errorf("%s is not there", name)
		}
		if i := slices.IndexFunc(metrics.Documentation, func(d metrics.Doc) bool { return d.Name == name }); i < 0 || strings.Join(metrics.Documentation[i].Labels, ",") != labels {
			t.Errorf("%s is documented otherwise", name)
		}
	}
	for series := range seriesOf(text) {
		if !before[series] {
			t.Errorf("mail has made a series: %s", series)
		}
	}
	for _, want := range []string{
		`mailtriggerd_connection_up{connection="office"} 1`, `mailtriggerd_messages_total{connection="office"} 4`,
		`mailtriggerd_actions_total{action="book",result="dead",trigger="invoices"} 4`, `mailtriggerd_dead_letters{trigger="invoices"} 4`,
		`mailtriggerd_trigger_matches_total{trigger="invoices"} 4`, `mailtriggerd_config_last_reload_successful 1`, `mailtriggerd_queue_length{trigger="invoices"} 0`,
		`mailtriggerd_mailboxes{mode="idle"} 1`, `mailtriggerd_connection_connects_total{connection="office",result="ok"} 1`, `mailtriggerd_connection_insecure{connection="office"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("not there: %s", want)
		}
	}
	for _, name := range []string{"config_last_reload_success_timestamp_seconds", `connection_last_activity_timestamp_seconds{connection="office"}`, `trigger_last_match_timestamp_seconds{trigger="invoices"}`} {
		at := regexp.MustCompile(`(?m)^mailtriggerd_` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
		if at == nil {
			t.Errorf("%s is not there", name)
		} else if when := unixTime(t, at[1]); when.Before(started.Add(-time.Second)) || when.After(time.Now().Add(time.Second)) {
			t.Errorf("%s is %s", name, when)
		}
	}
}

// seriesOf are the names and labels of all series.
func seriesOf(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			all[line[:strings.LastIndexByte(line, ' ')]] = true
		}
	}
	return all
}

func unixTime(t *testing.T, s string) time.Time {
	t.Helper()
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(int64(seconds * 1e3))
}

// Ready is what is watched as far as it can be; a mail server's death makes
// nobody unhealthy.
func TestDaemonReady(t *testing.T) {
	srv := newMailServer(t)
	d := newService(t, officeConfig(srv, `metrics.listen = "unix:@DIR@/m.sock"`, strings.Replace(invoiceTrigger, `"office"`, `["office", "dead"]`, 1)+`
[connection.dead]
extends = "office"
port = 1
`))
	d.start()
	waitFile(t, d.path("m.sock"))
	code := func(path string) int {
		t.Helper()
		resp, err := d.over().Get("http://daemon" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	waitUntil(t, "readyz", func() bool { return code("/readyz") == 200 })
	for path, want := range map[string]int{"/healthz": 200, "/readyz?connection=dead": 503, "/readyz?connection=none": 404} {
		if got := code(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	waitUntil(t, "office is watched", func() bool { return code("/readyz?connection=office") == 200 })
	srv.Stop()
	waitUntil(t, "office is not watched", func() bool { return code("/readyz?connection=office") == 503 })
	if got := code("/healthz"); got != 200 {
		t.Errorf("/healthz without the mail server: %d", got)
	}
}
