package metrics

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"mailtrigger/connection"
	"mailtrigger/trigger"
)

// one is a daemon of one connection and one trigger.
func one() Source {
	s := many(1)
	s.Connections[0].Name = "office"
	s.Watches()[0].Connection = "office"
	s.Triggers()[0] = trigger.TriggerStatus{Name: "invoices", Actions: []string{"book", "move"}, Queue: 3, DeadLetters: 2, Oldest: time.Unix(1767600000, 0)}
	return s
}

func get(t *testing.T, m *Metrics, path string) (code int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func gather(t *testing.T, m *Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	families := make(map[string]*dto.MetricFamily)
	for _, f := range all {
		families[strings.TrimPrefix(f.GetName(), namespace+"_")] = f
	}
	return families
}

// value returns the value of the one series with these labels: name=value, in any order.
func value(t *testing.T, m *Metrics, name string, labels ...string) float64 {
	t.Helper()
	for _, s := range gather(t, m)[name].GetMetric() {
		have := 0
		for _, l := range s.GetLabel() {
			if slices.Contains(labels, l.GetName()+"="+l.GetValue()) {
				have++
			}
		}
		if have < len(labels) {
			continue
		}
		if s.Counter != nil {
			return s.Counter.GetValue()
		}
		return s.Gauge.GetValue()
	}
	t.Fatalf("%s%v is not there", name, labels)
	return 0
}

func TestLint(t *testing.T) {
	m := New(Build{Version: "1", Go: "go1", Commit: "c"})
	m.Watch(one())
	_, body := get(t, m, "/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What is exposed is what is documented: names, types, labels and words, from the
// first scrape on, before anything has happened.
func TestDocumentation(t *testing.T) {
	m := New(Build{Version: "1", Go: "go1", Commit: "c"})
	m.Watch(one())
	families := gather(t, m)
	if !sort.SliceIsSorted(Documentation, func(i, j int) bool { return Documentation[i].Name < Documentation[j].Name }) {
		t.Error("Documentation is not sorted")
	}
	for _, d := range Documentation {
		f := families[d.Name]
		if f == nil {
			t.Errorf("%s is documented and not there", d.Name)
			continue
		}
		if kind := strings.ToLower(f.GetType().String()); kind != d.Type || f.GetHelp() != d.Help {
			t.Errorf("%s is a %s: %s", d.Name, kind, f.GetHelp())
		}
		for _, s := range f.GetMetric() {
			var labels []string
			for _, l := range s.GetLabel() {
				labels = append(labels, l.GetName())
			}
			if !slices.Equal(labels, d.Labels) {
				t.Errorf("%s has the labels %q, documented are %q", d.Name, labels, d.Labels)
			}
		}
		delete(families, d.Name)
	}
	for name := range families {
		t.Errorf("%s is there and not documented", name)
	}
}

// A label's value is a name of the configuration or one of a few words. What
// messages and servers say never becomes one.
func TestLabels(t *testing.T) {
	m := New(Build{Version: "1", Go: "go1", Commit: "c"})
	s := one()
	s.Watches()[0].Mailbox = "evil\"} 1\nmailbox"
	s.Watches()[0].LastError = &connection.Error{Stage: connection.StageLogin, Text: "evil\ntext", Permanent: true}
	m.Watch(s)
	ct, tt := m.ConnectionTrace(), m.TriggerTrace()
	ct.ConnectDone("office", &connection.Error{Text: "evil"}, time.Second)
	ct.Error("office", connection.StageLook)
	tt.Message("office")
	tt.Defect("date")
	tt.Match("invoices", time.Now())
	tt.Suppressed("invoices", "own_move")
	tt.Action("invoices", "book", "exec", "retry", time.Second)
	word := regexp.MustCompile(`^[a-z0-9_.-]+$`)
	for name, f := range gather(t, m) {
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				if strings.Contains(l.GetValue(), "evil") || !word.MatchString(l.GetValue()) {
					t.Errorf("%s{%s=%q}", name, l.GetName(), l.GetValue())
				}
			}
		}
	}
}

func TestCounts(t *testing.T) {
	m := New(Build{})
	m.Watch(one())
	ct, tt := m.ConnectionTrace(), m.TriggerTrace()
	ct.ConnectDone("office", nil, 2*time.Second)
	ct.ConnectDone("office", &connection.Error{}, time.Second)
	ct.ConnectDone("office", &connection.Error{}, time.Second)
	ct.Error("office", connection.StageIdle)
	tt.Message("office")
	tt.Defect("date")
	tt.Match("invoices", time.Unix(1767600001, 0))
	tt.Suppressed("invoices", "limit")
	tt.Action("invoices", "book", "exec", "retry", time.Second)
	tt.Action("invoices", "book", "exec", "dead", time.Second)
	tt.PushToAction(time.Millisecond)
	tt.MailboxReset()
	at := time.Unix(1767600002, 0)
	m.Loaded(nil, at)
	m.Loaded(errors.New("bad"), at.Add(time.Hour))
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "connection_connects_total", []string{"connection=office", "result=ok"}},
		{2, "connection_connects_total", []string{"connection=office", "result=failed"}},
		{1, "connection_errors_total", []string{"stage=idle"}},
		{0, "connection_errors_total", []string{"stage=look"}},
		{1, "messages_total", []string{"connection=office"}},
		{1, "message_defects_total", []string{"defect=date"}},
		{1, "trigger_matches_total", []string{"trigger=invoices"}},
		{1767600001, "trigger_last_match_timestamp_seconds", []string{"trigger=invoices"}},
		{1, "trigger_suppressed_total", []string{"trigger=invoices", "reason=limit"}},
		{0, "actions_total", []string{"trigger=invoices", "action=book", "result=ok"}},
		{1, "actions_total", []string{"trigger=invoices", "action=book", "result=dead"}},
		{0, "actions_total", []string{"trigger=invoices", "action=move", "result=ok"}},
		{3, "queue_length", []string{"trigger=invoices"}},
		{1767600000, "queue_oldest_timestamp_seconds", []string{"trigger=invoices"}},
		{2, "dead_letters", []string{"trigger=invoices"}},
		{1, "mailbox_resets_total", nil},
		{0, "journal_errors_total", nil},
		{0, "config_last_reload_successful", nil},
		{1767600002, "config_last_reload_success_timestamp_seconds", nil},
		{1, "connection_up", []string{"connection=office"}},
		{1, "connections", []string{"state=parked"}},
		{0, "connections", []string{"state=backoff"}},
		{1, "mailboxes", []string{"mode=idle"}},
		{1800000000, "connection_tls_certificate_expiry_timestamp_seconds", []string{"connection=office"}},
	} {
		if got := value(t, m, c.name, c.labels...); got != c.want {
			t.Errorf("%s%v = %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	families := gather(t, m)
	for name, want := range map[string]uint64{"connection_connect_duration_seconds": 1, "push_to_action_seconds": 1} {
		if got := families[name].GetMetric()[0].GetHistogram().GetSampleCount(); got != want {
			t.Errorf("%s counted %d, want %d", name, got, want)
		}
	}
}

// A connection is as well as its worst mailbox.
func TestSeveralMailboxes(t *testing.T) {
	s := one()
	early, late := time.Unix(1767600000, 0), time.Unix(1767600100, 0)
	watches := []connection.Status{
		{Connection: "office", State: connection.StateParked, Connected: true, Mode: "idle", LastProof: late, RoundTrip: time.Second, Connects: 1},
		{Connection: "office", State: connection.StateBackoff, LastProof: early, RoundTrip: time.Millisecond,
			LastError: &connection.Error{Stage: connection.StageLogin, Permanent: true}},
	}
	s.Watches = func() []connection.Status { return watches }
	m := New(Build{})
	m.Watch(s)
	for name, want := range map[string]float64{
		"connection_up": 0, "connection_auth_required": 1, "connection_round_trip_seconds": 1, "connection_last_activity_timestamp_seconds": 1767600000,
	} {
		if got := value(t, m, name, "connection=office"); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if n := value(t, m, "connections", "state=backoff"); n != 1 {
		t.Errorf("%v connections in backoff", n)
	}
}

// What a new configuration no longer has leaves nothing behind, and what it keeps
// goes on counting.
func TestReload(t *testing.T) {
	m := New(Build{})
	s := many(2)
	m.Watch(s)
	ct, tt := m.ConnectionTrace(), m.TriggerTrace()
	for i := range 2 {
		name := fmt.Sprintf("customer-%05d", i)
		ct.ConnectDone(name, nil, time.Second)
		tt.Match(name, time.Now())
		tt.Action(name, "exec", "exec", "ok", time.Second)
	}
	less := many(1)
	less.Triggers()[0].Actions = []string{"save"}
	m.Watch(less)
	_, body := get(t, m, "/metrics")
	for line := range strings.Lines(body) {
		if strings.Contains(line, "customer-00001") || strings.Contains(line, `action="exec"`) {
			t.Errorf("still there: %s", line)
		}
	}
	if n := value(t, m, "connection_connects_total", "connection=customer-00000", "result=ok"); n != 1 {
		t.Errorf("the connection that stayed counts %v connects", n)
	}
	m.Watch(s)
	for name, label := range map[string]string{"connection_connects_total": "connection", "trigger_matches_total": "trigger", "actions_total": "trigger"} {
		if n := value(t, m, name, label+"=customer-00001"); n != 0 {
			t.Errorf("%s of what came back begins at %v", name, n)
		}
	}
	if n := value(t, m, "actions_total", "trigger=customer-00000", "action=exec", "result=ok"); n != 0 {
		t.Errorf("the action that came back begins at %v", n)
	}
}

// At 10,000 connections a scrape is still cheap.
func TestManyConnections(t *testing.T) {
	const n = 10_000
	m := New(Build{})
	m.Watch(many(n))
	for range 2 { // the counters of each are made by the first
		before := cpuTime(t)
		w, allocated := scrape(m)
		cpu := cpuTime(t) - before
		t.Logf("%d connections with a trigger each: %d series and comments, %.1f MB of text, %.1f KiB allocated a connection, %s of CPU time",
			n, w.lines, float64(w.bytes)/1e6, float64(allocated)/1024/n, cpu.Round(time.Millisecond))
		if most := 18*n + 500; w.lines > most+n {
			t.Errorf("%d lines, more than %d", w.lines, most)
		}
		if w.bytes > 25e6 {
			t.Errorf("%d bytes of text, more than 25 MB", w.bytes)
		}
		if allocated > 12*1024*n {
			t.Errorf("%d bytes allocated, more than 12 KiB a connection", allocated)
		}
		if cpu > 1500*time.Millisecond*slowdown {
			t.Errorf("%s of CPU time, more than 1.5 s", cpu)
		}
	}
	kept := heap()
	m.mu.Lock()
	m.connections, m.triggers = nil, nil
	m.mu.Unlock()
	kept -= heap()
	runtime.KeepAlive(m)
	t.Logf("%d bytes kept a connection between scrapes", kept/n)
	if kept > 1024*n {
		t.Errorf("%d bytes kept between scrapes, more than 1 KiB a connection", kept)
	}
}

// heap is what is in use, in bytes.
func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC() // what a pool held goes with the second
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// cpuTime is what the process has used so far.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
