package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
)

// ask asks the handler, with an ETag that the client has, "" for none.
func ask(t *testing.T, m *Metrics, path, tag string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	return w.Result()
}

// status asks for /api/status.
func status(t *testing.T, m *Metrics, query string) (st Status) {
	t.Helper()
	code, body := get(t, m, "/api/status"+query)
	if code != 200 {
		t.Fatalf("%s: %d %s", query, code, body)
	}
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

func watchNames(st Status) string {
	var names []string
	for _, w := range st.Watches {
		names = append(names, w.Connection)
	}
	return strings.Join(names, " ")
}

func TestStatus(t *testing.T) {
	s := newStage(3)
	refused := &connection.Error{Connection: "office", Stage: connection.StageLogin, Text: "wrong password", Permanent: true}
	s.watches[0].Connected, s.watches[0].State, s.watches[0].LastError = false, connection.StateBackoff, refused
	m := s.metrics()
	m.TriggerTrace().Suppressed("sales", "own_move")
	st := status(t, m, "")

	if got, want := watchNames(st), "office sales backup"; got != want { // needs a person, fails, certificate ends soon
		t.Errorf("watches %s, want %s", got, want)
	}
	if want := (Summary{Connections: 3, Used: 3, Up: 1, Mailboxes: 3, Watching: 1, Failing: 2, Expiring: 1, Triggers: 3, Queue: 18, Retrying: 1, DeadLetters: 2}); st.Summary != want {
		t.Errorf("summary %+v, want %+v", st.Summary, want)
	}
	office := st.Watches[0]
	if !office.AuthRequired || office.Stage != "login" || office.Error != "wrong password" || office.Watching || office.TLS == nil || office.TLS.Version != "TLS1.3" {
		t.Errorf("%+v", office)
	}
	if got := st.Triggers[1]; got.Name != "sales" || got.Matches != 1234 || got.Attempts["ok"] != 1234 || got.Attempts["retry"] != 1 || got.Suppressed["own_move"] != 1 ||
		time.Since(got.LastMatch) > 3*time.Minute {
		t.Errorf("%+v", got)
	}
	if got := st.Firings[0]; got.EventID != "event-0" || got.Outcome != "done" || len(got.Actions) != 2 || got.Actions[0] != (FiringAction{"book", "done", 1}) || got.UID != 4711 {
		t.Errorf("%+v", got)
	}
	if st.Health != "ok" || st.Version.Version != "0.1.0" || time.Since(st.Started) > time.Minute || st.Matching != (Matching{3, 3, 30}) {
		t.Errorf("%+v", st)
	}
}

// What a trigger matched before a restart is known from the journal's history.
func TestLastMatchAfterRestart(t *testing.T) {
	s := newStage(3)
	m := New(Build{})
	m.Watch(s.source)
	if got, want := status(t, m, "?q=backup").Triggers[0].LastMatch, s.firings[2].Accepted; !got.Equal(want) {
		t.Errorf("last match %v, want %v", got, want)
	}
}

func TestStatusQueries(t *testing.T) {
	s := newStage(3000)
	s.fail(2000)
	m := s.metrics()
	for query, want := range map[string]struct {
		first string
		shown int
		fit   int
	}{
		"":                             {"customer-00001", defaultLimit, 3000},
		"?limit=3":                     {"customer-00001", 3, 3000},
		"?limit=3&offset=3":            {"customer-00000", 3, 3000},
		"?offset=2995":                 {"customer-02995", 5, 3000},
		"?offset=99999":                {"", 0, 3000},
		"?limit=1000":                  {"customer-00001", 1000, 3000},
		"?q=02000":                     {"customer-02000", 1, 1},
		"?q=CUSTOMER+refused":          {"customer-00001", 2, 2},
		"?q=refused+customer-02":       {"customer-02000", 1, 1},
		"?state=problem":               {"customer-00001", 3, 3},
		"?state=backoff&q=inbox":       {"customer-00001", 2, 2},
		"?state=looking":               {"", 0, 0},
		"?state=parked&limit=1":        {"customer-00002", 1, 2998},
		"?q=no-such":                   {"", 0, 0},
		"?q=%f0%28":                    {"", 0, 0},
		"?other=parameters&are=fine":   {"customer-00001", defaultLimit, 3000},
		"?q=" + strings.Repeat("a", 9): {"", 0, 0},
	} {
		st := status(t, m, query)
		first, _, _ := strings.Cut(watchNames(st), " ")
		if first != want.first || len(st.Watches) != want.shown || st.Matching.Watches != want.fit || st.Summary.Mailboxes != 3000 {
			t.Errorf("%s: %s first, %d of %d shown; want %+v", query, first, len(st.Watches), st.Matching.Watches, want)
		}
	}
	if st := status(t, m, "?trigger_offset=2&limit=2"); len(st.Triggers) != 2 || st.Triggers[0].Name != "orders-00002" || st.Matching.Triggers != 3000 || len(st.Firings) != 2 {
		t.Errorf("triggers %+v", st.Triggers)
	}
	for _, query := range []string{
		"?limit=0", "?limit=1001", "?limit=-1", "?limit=x", "?offset=-1", "?offset=99999999999999999999", "?trigger_offset=1.5",
		"?state=down", "?state=%3Cscript%3E", "?q=" + strings.Repeat("a", maxSearch+1),
	} {
		for _, path := range []string{"/api/status", "/"} {
			if code, body := get(t, m, path+query); code != 400 || strings.Contains(body, "script") {
				t.Errorf("%s%s: %d %s", path, query, code, body)
			}
		}
	}
	// A list that has become shorter than where the reader was.
	if _, body := get(t, m, "/?offset=5000&trigger_offset=70000"); !strings.Contains(body, "2,951 to 3,000 of 3,000") {
		t.Error("the last page is not shown")
	}
}

// A client that has what is shown already gets no more than the word of it.
func TestStatusETag(t *testing.T) {
	s := newStage(3)
	m := s.metrics()
	for _, path := range []string{"/", "/api/status"} {
		tag := ask(t, m, path, "").Header.Get("ETag")
		if resp := ask(t, m, path, tag); tag == "" || resp.StatusCode != 304 || resp.ContentLength > 0 || resp.Header.Get("ETag") != tag {
			t.Errorf("%s: %d with the ETag %s", path, resp.StatusCode, tag)
		}
		s.fail(0)
		m.Watch(s.source) // as if a snapshot's age had passed
		if resp := ask(t, m, path, tag); resp.StatusCode != 200 || resp.Header.Get("ETag") == tag {
			t.Errorf("%s after a change: %d", path, resp.StatusCode)
		}
		s.mend(0)
	}
}

// Names and errors of servers, and subjects of senders, do nothing to the page.
func TestPageOfHostileText(t *testing.T) {
	const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>` + "\x1b[2J\u202e\x00{{.}}'`${1}</title>"
	s := newStage(3)
	s.watches[0].Mailbox = hostile
	s.watches[1].LastError.Text, s.watches[1].LastError.Hint = hostile+strings.Repeat("é", 100_000), hostile
	s.firings[0].Mailbox.Mailbox, s.firings[0].Subject, s.firings[0].From = hostile, hostile, hostile
	s.health = errors.New(hostile)
	s.source.ShowSubjects = true
	code, body := get(t, s.metrics(), "/")
	if code != 200 {
		t.Fatal(code, body)
	}
	for _, bad := range []string{"<script>alert", "<img src=x", "\x1b", "\u202e</bdi>", "\x00", "</title><"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if n := strings.Count(body, "&lt;script&gt;alert(1)"); n < 6 {
		t.Errorf("the page shows it %d times only", n)
	}
	if len(body) > 100_000 {
		t.Errorf("the page has %d bytes", len(body))
	}
	if code, body := get(t, s.metrics(), "/?q="+`%22%3E%3Cscript%3Ealert(3)%3C/script%3E`); code != 200 || strings.Contains(body, "<script>alert") {
		t.Errorf("a search comes back as it was: %d", code)
	}
	if code, body := get(t, s.metrics(), "/api/status"); code != 200 || len(body) > 50_000 || strings.Contains(body, "<") {
		t.Errorf("%d, %d bytes of JSON", code, len(body))
	}
}

// Who wrote, and about what, is shown to nobody who has not asked for it.
func TestSubjects(t *testing.T) {
	for _, show := range []bool{false, true} {
		s := newStage(3)
		s.source.ShowSubjects = show
		m := s.metrics()
		for _, path := range []string{"/", "/api/status", "/?q=invoice+2041", "/api/status?q=billing"} {
			_, body := get(t, m, path)
			body = strings.ReplaceAll(body, `value="invoice 2041"`, "") // what was searched for
			if strings.Contains(body, "Invoice 2041") != show || strings.Contains(body, "billing@acme.example") != show {
				t.Errorf("show_subjects = %v: %s says\n%s", show, path, body)
			}
		}
		want := 0
		if show {
			want = len(s.firings)
		}
		if got := status(t, m, "?q=invoice").Matching.Firings; got != want { // else a search would tell what subjects hold
			t.Errorf("show_subjects = %v: a search finds %d", show, got)
		}
	}
}

// Browsers are told to keep the page from other sites, and to run nothing but its own.
func TestPageHeaders(t *testing.T) {
	m := newStage(3).metrics()
	for _, path := range []string{"/", "/api/status", "/page/page.js", "/page/page.css", "/page/icon.svg", "/?limit=x"} {
		h := ask(t, m, path, "").Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		policy := h.Get("Content-Security-Policy")
		for _, bad := range []string{"unsafe", "*", "http", "data:"} {
			if strings.Contains(policy, bad) {
				t.Errorf("%s: the policy %s has %s", path, policy, bad)
			}
		}
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: the policy is %s", path, policy)
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other sites may read it", path)
		}
	}
	if code, _ := get(t, m, "/page/page.html"); code != 404 {
		t.Errorf("the template is served: %d", code)
	}
}

// Before the daemon runs, the page says that it starts.
func TestPageBeforeTheDaemon(t *testing.T) {
	m := New(Build{Version: "1"})
	if code, body := get(t, m, "/"); code != 200 || !strings.Contains(body, "The daemon is starting.") {
		t.Errorf("%d %s", code, body)
	}
	if st := status(t, m, ""); st.Health != "starting" {
		t.Errorf("%+v", st)
	}
}

// The headline says the worst.
func TestHeadline(t *testing.T) {
	for want, v := range map[string]pageView{
		"The daemon is not well.":                   {Status: Status{Health: "journal: no space", Summary: Summary{Mailboxes: 2, Failing: 1}}},
		"No mailbox is watched.":                    {Status: Status{Health: "ok"}},
		"The mailbox is watched.":                   {Status: Status{Health: "ok", Summary: Summary{Mailboxes: 1, Watching: 1}}},
		"The mailbox is not watched.":               {Status: Status{Health: "ok", Summary: Summary{Mailboxes: 1, Failing: 1}}},
		"All 1,234,567 mailboxes are watched.":      {Status: Status{Health: "ok", Summary: Summary{Mailboxes: 1234567, Watching: 1234567}}},
		"None of the 1,000 mailboxes is watched.":   {Status: Status{Health: "ok", Summary: Summary{Mailboxes: 1000, Failing: 1000}}},
		"1 of 999 mailboxes is not watched.":        {Status: Status{Health: "ok", Summary: Summary{Mailboxes: 999, Watching: 998, Failing: 1}}},
		"2 of 3 mailboxes are not watched.":         {Status: Status{Health: "ok", Summary: Summary{Mailboxes: 3, Watching: 1, Failing: 2}}},
		"Connecting: 1 of 3 mailboxes are watched.": {Status: Status{Health: "ok", Summary: Summary{Mailboxes: 3, Watching: 1}}},
	} {
		if got := v.Headline(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The cost of a poll at 10,000 connections does not grow with the clients.
func BenchmarkPoll(b *testing.B) {
	for _, path := range []string{"/", "/api/status", "/api/status?q=customer+parked"} {
		for _, fresh := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s fresh=%v", path, fresh), func(b *testing.B) {
				m := newStage(10_000).metrics()
				h := m.Handler()
				b.ReportAllocs()
				for b.Loop() {
					if fresh {
						m.lastSnapshot = nil
					}
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
				}
			})
		}
	}
}
