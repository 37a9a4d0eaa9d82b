package condition

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// letter is a mail with a text, HTML and two attachments.
const letter = `From: "Müller, Jörg" <joerg@xn--bcher-kva.example>
To: Ops <ops@example.com>, second@example.com
Cc: copy@example.com
Reply-To: answers@example.com
Delivered-To: robot+orders@example.com
X-Original-To: <alias@example.net>
Subject: Rechnung Nr. 2041: STRASSE
Date: Mon, 05 Jan 2026 09:30:00 +0100
Message-ID: <2041@example.com>
List-Id: Orders <orders.example.com>
X-Count: 12
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="next"

--next
Content-Type: text/plain; charset=utf-8

Bitte zahlen Sie
bis morgen.
--next
Content-Type: application/pdf; name="2041.pdf"
Content-Disposition: attachment
Content-Transfer-Encoding: base64

JVBERi0xLjQKJSVFT0YK
--next
Content-Type: text/csv; name="lines.csv"
Content-Disposition: attachment

a;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q;r;s;t;u;v;w;x;y;z
--next--
`

var now = time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC)

// mailOf returns a mail as the engine judges it, whole or by its header alone.
func mailOf(raw string, whole bool) *Mail {
	bytes := []byte(strings.ReplaceAll(raw, "\n", "\r\n"))
	var m *message.Message
	if whole {
		m = message.Parse(bytes, message.Options{})
	} else {
		m = message.ParseHeader(bytes, message.Options{})
	}
	m.Size, m.Flags = int64(len(bytes)), []string{`\Seen`, "$Forwarded"}
	return &Mail{
		Event: &event.Event{
			ID: "0123", Kind: event.KindMessage, Trigger: "t", Connection: "c", Mailbox: "INBOX", UIDValidity: 7, UID: 42,
			Received: now.Add(-2 * time.Hour), Message: m,
		},
		Whole: whole, Now: now,
	}
}

func TestExpression(t *testing.T) {
	for _, c := range []struct {
		source string
		header Truth // what the header alone says
		whole  Truth
	}{
		{`true`, Yes, Yes},
		{`message.subject startsWith "Rechnung"`, Yes, Yes},
		{`message.subject matches "(?i)nr\\. \\d+" and uid == 42 and mailbox == "INBOX"`, Yes, Yes},
		{`message.from[0].address endsWith "example" and len(message.to) > 2`, No, No},
		{`any(message.to, .address == "second@example.com")`, Yes, Yes},
		{`count(message.headers, .name == "Subject") == 1`, Yes, Yes},
		{`int(header("x-count")) >= 12 && header("Nothing") == ""`, Yes, Yes},
		{`message.size > 100000`, No, No},
		{`"\\Seen" in message.flags`, Yes, Yes},
		{`now() - received > duration("1h") and now().Year() == 2026`, Yes, Yes},
		{`message.date < date("2026-01-05T08:31:00Z")`, Yes, Yes},
		{`not message.authenticated`, Yes, Yes},
		{`len(message.attachments) == 2`, Unknown, Yes},
		{`message["text"] contains "zahlen"`, Unknown, Yes},
		{`sum(message.attachments, .size) > 1000`, Unknown, No},
		{`any(filter(message.attachments, .size > 10), .name endsWith ".pdf")`, Unknown, Yes},
		{`let m = message; m.subject != ""`, Unknown, Yes},
		{`[1, message][1].subject != ""`, Unknown, Yes},
		{`"boundary" in message.defects`, Unknown, No},
	} {
		x, err := compileExpression(c.source)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		for whole, want := range map[bool]Truth{false: c.header, true: c.whole} {
			if got, err := x.judge(newSight(mailOf(letter, whole))); got != want || err != nil {
				t.Errorf("%s, whole %v: %v, %v; want %v", c.source, whole, got, err, want)
			}
		}
	}
}

func TestExpressionMistakes(t *testing.T) {
	for source, want := range map[string]string{
		`message.subjekt == "x"`:       `column 9: message has no key "subjekt"; did you mean "subject"?`,
		`betreff == "x"`:               `column 1: unknown name "betreff"; there are id, kind, trigger,`,
		`message.size`:                 "must give true or false, and this gives int",
		`message.subject`:              "this gives string",
		`message.size > "1MB"`:         "column 14: ",
		"true and\nmessage.subject ==": "line 2, column 18: unexpected token",
		`any(message.to, any(message.cc, .address == "x"))`:                 "a predicate in a predicate",
		`any(message.to, message.text matches .address)`:                    "the pattern of matches must be",
		`message.text matches "("`:                                          "missing closing )",
		`$env.message.subject == "x"`:                                       "$env is not available",
		`repeat(message.subject, 1000000) == ""`:                            `unknown name "repeat"`,
		`reduce(message.headers, #acc + .value, "") == ""`:                  "reduce is not available",
		strings.Repeat("true or ", 2000) + "true":                           "exceeds maximum allowed nodes",
		`"` + strings.Repeat("x", maxExpression) + `" == ""`:                "at most 16384 are read",
		`message.Subject == "x"`:                                            `message has no key "Subject"; did you mean "subject"?`,
		`header(1) == ""`:                                                   "cannot use int as argument",
		`{"a": message.subject}["a"]`:                                       "",
		`__clock`:                                                           "",
		`message.attachments[0].path == ""`:                                 `attachment has no key "path"; there are name,`,
		`action == "x"`:                                                     `unknown name "action"`,
		`map(message.to, .address)[0] matches map(message.to, .address)[1]`: "the pattern of matches must be",
	} {
		_, err := compileExpression(source)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80s: %v; want %s", source, err, want)
		}
	}
}

// What fails at one message has a defined end.
func TestExpressionFails(t *testing.T) {
	for source, want := range map[string]string{
		`message.bcc[0].address == "x"`:                                 "out of range",
		`int(message.subject) > 1`:                                      "invalid operation",
		`len(1..2000000) == 0`:                                          "memory budget",
		`any(1..900000, message.text contains "absent" + message.text)`: "it takes longer than 10s",
		`message.text matches "(?:[as]?){400}zz"`:                       "it takes longer than 10s",
	} {
		x, err := compileExpression(source)
		if err != nil {
			t.Fatal(err)
		}
		mail := mailOf(letter, true)
		if strings.Contains(want, "longer") {
			mail.Message.Text = strings.Repeat("absen", 200_000)
		}
		begin := time.Now()
		s := newSight(mail)
		s.deadline = begin.Add(100 * time.Millisecond)
		got, err := x.judge(s)
		if got != Unknown || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %s", source, got, err, want)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s took %s", source, took)
		}
	}
}

// The names are those of the event's JSON.
func TestExpressionNames(t *testing.T) {
	b, err := json.Marshal(event.Sample(event.KindMessage))
	if err != nil {
		t.Fatal(err)
	}
	var ev, msg map[string]json.RawMessage
	if err := json.Unmarshal(b, &ev); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(ev["message"], &msg); err != nil {
		t.Fatal(err)
	}
	own := append(namesOf(reflect.TypeFor[environment]()), "version", "action", "attempt")
	for key := range ev {
		if !slices.Contains(own, key) {
			t.Errorf("expressions do not know %s of the event", key)
		}
	}
	if of := namesOf(reflect.TypeFor[messageKeys]()); len(of) != len(msg) {
		t.Errorf("expressions know %q of a message, the JSON has %d keys", of, len(msg))
	}
	for _, key := range namesOf(reflect.TypeFor[messageKeys]()) {
		if msg[key] == nil {
			t.Errorf("the JSON of a message has no %s", key)
		}
	}
	for _, key := range bodyKeys {
		if msg[key] == nil {
			t.Errorf("a message has no %s", key)
		}
	}
}
