package trigger

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/gate"
)

// largeText is a mail that is judged by its header first. Who reads it whole
// finds a defect: its multipart has no end.
func largeText(subject string) []byte {
	return append(append([]byte("Content-Type: multipart/mixed; boundary=b\r\n"), mailText(subject)...),
		"--b\r\n\r\n"+strings.Repeat("A line of a large mail.\r\n", 60_000)...)
}

// A large mail's body is fetched only if the header does not decide, in groups
// and expressions too.
func TestLargeMailIsJudgedByItsHeader(t *testing.T) {
	yes, no := Condition{Field: "subject", Contains: []string{"big"}}, Condition{Field: "subject", Contains: []string{"other"}}
	body := Condition{Field: "body", Contains: []string{"large mail"}}
	for _, c := range []struct {
		name    string
		rule    condition.Rule
		fetched bool
		fires   bool
	}{
		{"header fails", condition.Rule{Match: "all", Conditions: []Condition{no, body}}, false, false},
		{"header does not decide", condition.Rule{Match: "all", Conditions: []Condition{yes, body}}, true, true},
		{"a group fails", condition.Rule{Match: "all", Conditions: []Condition{body, {Any: []Condition{no, {All: []Condition{body, no}}}}}}, false, false},
		{"none fails", condition.Rule{Match: "none", Conditions: []Condition{body, yes}}, false, false},
		{"an expression over the header fails", condition.Rule{Match: "all", Conditions: []Condition{body}, Expression: `message.size < 1000`}, false, false},
		{"an expression over the body", condition.Rule{Match: "all", Expression: `message.text contains "nothing of this"`}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := newRecorder("rec")
			cfg := newTrigger("t", rec)
			cfg.Conditions, cfg.Match, cfg.Expression = c.rule.Conditions, c.rule.Match, c.rule.Expression
			all := newRecorder("all")
			small := newTrigger("small", all) // shows that the mail was passed
			small.Conditions = []Condition{{Field: "size", Below: "100kB"}}
			w := newWorld(t, cfg, small)
			var fetched atomic.Bool
			w.trace = &Trace{Defect: func(string) { fetched.Store(true) }}
			w.start()
			w.srv.Append(alice, "INBOX", largeText("big"), nil, time.Now())
			w.append("after it")
			all.wait(t, 1)
			w.quiet()
			if fetched.Load() != c.fetched {
				t.Errorf("its body was fetched: %v; want %v", fetched.Load(), c.fetched)
			}
			if fired := len(rec.subjects()) > 0 && rec.subjects()[0] == "big"; fired != c.fires {
				t.Errorf("fired for %q", rec.subjects())
			}
		})
	}
}

// A message that the expression cannot be worked out for is neither passed over
// nor acted upon.
func TestExpressionThatFailsIsADeadLetter(t *testing.T) {
	rec := newRecorder("rec")
	cfg := newTrigger("t", rec)
	cfg.Expression = `int(message.subject) > 10`
	w := newWorld(t, cfg)
	w.start()
	w.append("no number", "5", "50")
	rec.wait(t, 1)
	l := w.letter()
	if !strings.Contains(l.Reason, "the expression could not be worked out: column 1: ") || !strings.Contains(l.Reason, "retry") || l.Job.Subject != "no number" {
		t.Errorf("dead letter %+v", l)
	}
	equal(t, "fired", rec.subjects(), []string{"50"})
	w.restart()
	if err := w.engine.Retry(l.ID); err != nil {
		t.Fatal(err)
	}
	rec.wait(t, 1)
	equal(t, "fired", rec.subjects(), []string{"50", "no number"})
}

// authenticated is the connection's server's word, and stays so when the message
// comes from the journal.
func TestAuthenticated(t *testing.T) {
	rec := newRecorder("rec")
	first := true
	rec.do = func(*action.Run) action.Result {
		if first {
			first = false
			return action.Result{Outcome: action.Retry, Err: errors.New("not yet"), RetryAfter: time.Hour}
		}
		return action.Result{}
	}
	cfg := newTrigger("t", rec)
	cfg.Conditions = []Condition{{Field: "authenticated", Is: []string{"true"}}, {Field: "auto-submitted", Is: []string{"false"}}}
	w := newWorld(t, cfg)
	w.conn.AuthservID = "mx.example.com"
	w.start()
	const pass = "Authentication-Results: mx.example.com; dmarc=pass header.from=example.com\r\n"
	for subject, header := range map[string]string{"genuine": pass, "unknown": "", "forged": "Authentication-Results: mx.example.com; dmarc=fail\r\n" + pass, "robot": pass + "Auto-Submitted: auto-replied\r\n"} {
		w.srv.Append(alice, "INBOX", append([]byte(header), mailText(subject)...), nil, time.Now())
	}
	rec.wait(t, 1)
	w.restart()
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"genuine", "genuine"})
	for i, run := range rec.runs {
		if !run.Event.Message.Authenticated {
			t.Errorf("attempt %d: the event is not authenticated", i+1)
		}
	}
}

func TestExplain(t *testing.T) {
	rec := newRecorder("rec")
	cfg := newTrigger("t", rec)
	cfg.Config = gate.Config{Every: 2, QuietHours: "22:00-06:00 UTC", Limit: gate.Limit{Count: 1, Per: 60e9, Over: "skip"}}
	cfg.MaxSize = 1000
	conn := &connection.Config{Name: "test", Address: "imap.example.com"}
	explain := func(raw string) *Explanation {
		t.Helper()
		x, err := Explain(cfg, conn, Mail{Info: connection.Info{UID: 1, Size: int64(len(raw))}, Raw: []byte(raw), Mailbox: "INBOX"}, action.Env{})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := explain("Received: from a by b; Mon, 02 Nov 2026 11:00:00 +0000\r\nReceived: from c by a; Mon, 02 Nov 2026 10:30:00 +0000\r\n" + string(mailText("hello")))
	if got := x.Event.Received.UTC().Format(time.DateTime); got != "2026-11-02 11:00:00" || !x.Matched || len(x.Actions) != 1 {
		t.Errorf("received %s, %+v", got, x)
	}
	if got := strings.Join(x.Gates, "; "); got != "every: 2; quiet_hours: 22:00-06:00 UTC; limit: 1 per 1m0s, over it skip" {
		t.Errorf("gates %q", got)
	}
	if got := explain(string(mailText("hello"))).Event.Received.UTC().Format(time.DateTime); got != "2026-11-02 10:00:00" {
		t.Errorf("without Received, it was received %s", got)
	}
	if x := explain(string(mailText(strings.Repeat("x", 1000)))); !x.Matched || !strings.Contains(x.Problem, "max_size") || len(x.Actions) != 0 {
		t.Errorf("too large: %+v", x)
	}
}

// A dry run shows later actions the files that earlier ones would make.
func TestExplainSaved(t *testing.T) {
	save, tell := &action.SaveAttachments{}, &action.Exec{}
	save.Type, save.Directory = "save_attachments", "files"
	tell.Type, tell.Command = "exec", []string{"tell", "{{index .Saved 1}}", "{{range .Message.Attachments}}<{{.Path}}>{{end}}"}
	cfg := newTrigger("t", save)
	cfg.Actions = append(cfg.Actions, tell)
	for _, a := range cfg.Actions {
		a.SetDefaults()
		if problems := a.Validate(); problems != nil {
			t.Fatal(problems)
		}
	}
	raw := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
		strings.Repeat("--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nx\r\n", 2) + "--b--\r\n"
	mail := Mail{Info: connection.Info{UID: 1, Size: int64(len(raw))}, Raw: []byte(raw), Mailbox: "INBOX"}
	x, err := Explain(cfg, &connection.Config{Name: "test", Address: "imap.example.com"}, mail, action.Env{BaseDir: "/base"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := x.Actions[1].Would, `["tell","/base/files/a-1.txt","</base/files/a.txt></base/files/a-1.txt>"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := x.Event.Message.Attachments[0].Path; got != "" {
		t.Errorf("the event has a path, %s, though nothing is saved", got)
	}
}
