package event

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mailtrigger/trigger/message"
)

// keys returns the keys of a JSON object in order.
func keys(t *testing.T, object []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	var list []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, key.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(list, " ")
}

func TestJSON(t *testing.T) {
	e := Sample(KindMessage)
	e.Message.Subject = "<a> & b\nc"
	b, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsAny(b, "\n\r") || !bytes.Contains(b, []byte(`"subject":"<a> & b\nc"`)) {
		t.Errorf("not one line of plain JSON: %s", b)
	}
	if got, want := keys(t, b), "version id kind trigger action connection mailbox uidvalidity uid attempt received message"; got != want {
		t.Errorf("keys %s; want %s", got, want)
	}
	var parts struct{ Message json.RawMessage }
	if err := json.Unmarshal(b, &parts); err != nil {
		t.Fatal(err)
	}
	if got, want := keys(t, parts.Message), "message_id date subject from to cc bcc reply_to headers text html size flags attachments code_page authenticated defects"; got != want {
		t.Errorf("keys of message %s; want %s", got, want)
	}
	if m, err := json.Marshal(e); err != nil || !json.Valid(m) {
		t.Errorf("Marshal: %s, %v", m, err)
	}
}

func TestJSONSilence(t *testing.T) {
	e := Sample(KindSilence)
	e.Received = time.Time{}
	b, err := e.JSON()
	if err != nil || !strings.HasSuffix(string(b), `"received":null,"message":null}`) || !strings.Contains(string(b), `"kind":"silence","reason":"not_arrived"`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestJSONNoNullArrays(t *testing.T) {
	e := &Event{Message: &message.Message{}}
	b, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"from", "to", "cc", "bcc", "reply_to", "headers", "flags", "attachments", "defects"} {
		if !strings.Contains(string(b), `"`+key+`":[]`) {
			t.Errorf("%s is not an empty array: %s", key, b)
		}
	}
	if e.Message.From != nil {
		t.Error("the message was changed")
	}
}

func TestEnviron(t *testing.T) {
	e := Sample(KindMessage)
	got := strings.Join(e.Environ("/files/x"), "\n")
	want := `MAILTRIGGER_EVENT_ID=` + e.ID + `
MAILTRIGGER_KIND=message
MAILTRIGGER_ATTEMPT=1
MAILTRIGGER_TRIGGER=sample
MAILTRIGGER_ACTION=sample
MAILTRIGGER_CONNECTION=sample
MAILTRIGGER_MAILBOX=INBOX
MAILTRIGGER_UIDVALIDITY=1
MAILTRIGGER_UID=1
MAILTRIGGER_MESSAGE_ID=<sample@example.com>
MAILTRIGGER_FROM=billing@example.com
MAILTRIGGER_FROM_NAME=Billing Example
MAILTRIGGER_TO=ops@example.com
MAILTRIGGER_SUBJECT=Invoice 2026-001
MAILTRIGGER_DATE=2026-01-05T09:30:00Z
MAILTRIGGER_SIZE=611
MAILTRIGGER_ATTACHMENTS=1
MAILTRIGGER_FILE=/files/x`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n := len(Sample(KindSilence).Environ("")); n != 19 {
		t.Errorf("%d variables at silence; want 19", n)
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		s    string
		max  int
		want string
	}{
		{"a\r\nb\x00\tc\x7fd\u0085e\u2028f", 100, "a  b  c d e f"},
		{"ok \xff\xc3", 100, "ok \uFFFD\uFFFD"},
		{"äöü", 5, "äö"},
		{"äöü", 6, "äöü"},
		{"abc", 0, ""},
		{"\xff\xff\xff", 4, "\uFFFD"},
	} {
		if got := Line(c.s, c.max); got != c.want {
			t.Errorf("Line(%q, %d) = %q; want %q", c.s, c.max, got, c.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\nb", 3)
	f.Add("\xff\xfe\x00", 2)
	f.Add(strings.Repeat("\u2028ä", 50), 33)
	f.Fuzz(func(t *testing.T, s string, max int) {
		max = max & 0xffff
		got := Line(s, max)
		if len(got) > max || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\n\r\t\x1b\u2028") {
			t.Fatalf("Line(%q, %d) = %q", s, max, got)
		}
	})
}
