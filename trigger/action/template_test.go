package action

import (
	"context"
	"strings"
	"testing"
	"time"

	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// expand runs a template on the event.
func expand(t testing.TB, s, guard string, e *event.Event) (string, error) {
	t.Helper()
	x, err := newText(s, maxText, guard)
	if err != nil {
		return "", err
	}
	return x.run(t.Context(), e)
}

func TestTemplate(t *testing.T) {
	e := event.Sample(event.KindMessage)
	e.Match = map[string]string{"number": "2026-001"}
	e.Attachment = &e.Message.Attachments[0]
	for s, want := range map[string]string{
		"plain {text}":                           "plain {text}",
		"{{.ID}}":                                e.ID,
		"{{.Kind}}":                              "message",
		"{{.UID}}/{{.UIDValidity}}/{{.Attempt}}": "1/1/1",
		"{{.Trigger}} {{.Connection}} {{.Mailbox}}": "sample sample INBOX",
		`{{.Received.Format "2006"}}`:               "2026",
		"{{.Message.Subject}}":                      "Invoice 2026-001",
		"{{(index .Message.From 0).Address}}":       "billing@example.com",
		"{{.Attachment.Name}}":                      "invoice.pdf",
		"{{.Match.number}}":                         "2026-001",
		"{{range .Saved}}{{.}} {{end}}":             "/var/lib/example/invoice.pdf /var/lib/example/sample.eml ",
		"{{range $i, $a := .Message.To}}{{$i}}{{$a.Address}}{{else}}none{{end}}":                        "0ops@example.com",
		"{{range .Message.Bcc}}x{{else}}none{{end}}":                                                    "none",
		"{{range .Message.To}}{{if eq .Address \"ops@example.com\"}}{{break}}{{end}}x{{end}}":           "",
		"{{with .Message}}{{.Size}}{{end}}":                                                             "611",
		`{{json .Message.Subject}}`:                                                                     `"Invoice 2026-001"`,
		`{{json .Message.To}}`:                                                                          `[{"name":"Ops Example","address":"ops@example.com"}]`,
		`{{json "<&>"}}`:                                                                                `"<&>"`,
		`{{truncate 3 "äöüß"}}|{{truncate 9 "äö"}}|{{"abc" | truncate 0}}`:                              "äöü|äö|",
		`{{date "2006-01-02" .Received}}`:                                                               "2026-01-05",
		`{{.Received | date "15:04"}}`:                                                                  "09:30",
		`{{header "list-id"}}|{{header "List-Id" .}}|{{header "List-Id" .Message}}|{{header "X-None"}}`: "<sample.example.com>|<sample.example.com>|<sample.example.com>|",
		`{{default "none" .Message.HTML}}`:                                                              "none",
		`{{.Message.Subject | default "none"}}`:                                                         "Invoice 2026-001",
		`{{lower "ÄB"}}{{upper "äb"}}`:                                                                  "äbÄB",
		`{{pathsafe "a/b"}}`:                                                                            message.SafeName("a/b"),
		`{{printf "%03d" 7}}{{print 1 2}}`:                                                              "0071 2",
	} {
		if got, err := expand(t, s, "", e); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", s, got, err, want)
		}
	}
}

func TestTemplateGuard(t *testing.T) {
	e := event.Sample(event.KindMessage)
	e.Message.Subject = "a/b & ../c=ä\\d"
	for _, c := range []struct{ guard, s, want string }{
		{"query", "{{.Message.Subject}}", "a%2Fb+%26+..%2Fc%3D%C3%A4%5Cd"},
		{"query", "{{.Message.Subject | urlquery}}", "a%2Fb+%26+..%2Fc%3D%C3%A4%5Cd"},
		{"query", "{{if .UID}}{{.Message.Subject | truncate 3}}{{end}}", "a%2Fb"},
		{"query", "{{$x := .Message.Subject}}{{range .Message.To}}{{$x}}{{end}}", "a%2Fb+%26+..%2Fc%3D%C3%A4%5Cd"},
		{"component", "x/{{.Message.Subject}}/y", "x/a_b & .._c=ä_d/y"},
		{"component", `{{date "2006/01" .Received}}/{{.Received.Format "2006/01"}}`, "2026/01/2026_01"},
		{"component", `{{.Received | date "2006/01"}}`, "2026/01"},
		{"component", `{{date .Message.Subject .Received}}`, "a_b & .._c=ä_d"},
	} {
		if got, err := expand(t, c.s, c.guard, e); err != nil || got != c.want {
			t.Errorf("%s: %s = %q, %v; want %q", c.guard, c.s, got, err, c.want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	e := event.Sample(event.KindMessage)
	silent := event.Sample(event.KindSilence)
	for _, c := range []struct {
		s    string
		e    *event.Event
		want string
	}{
		{"{{.Subject}}", e, "fields have their Go names: .ID .Kind"},
		{"{{.Match.number}}", e, `map has no entry for key "number"`},
		{"{{.Attachment.Name}}", e, `.Attachment is there only with for_each = "attachment"`},
		{"{{.Message.Subject}}", silent, "silence has no .Message"},
		{"{{env \"HOME\"}}", e, `function "env" not defined; there are json truncate`},
		{"{{", e, "template: "},
		{`{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`, e, "are not for these templates"},
		{`{{template "template" .}}`, e, "template is not for these templates"},
		{`{{block "x" .}}{{end}}`, e, "are not for these templates"},
		{`{{truncate -1 "x"}}`, e, "less than no characters"},
		{strings.Repeat("x", maxTemplate) + "{{.ID}}", e, "longer than 65536 bytes"},
		{`{{range 100000}}{{$.Message.Subject}}{{end}}`, e, "the result is longer than 1048576 bytes; shorten it with truncate"},
		{`{{$x := "abcdefgh"}}{{range 64}}{{$x = printf "%s%s" $x $x}}{{end}}`, e, "the text is longer than"},
		{`{{header "a" "b"}}`, e, "cannot look into a string"},
	} {
		got, err := expand(t, c.s, "", c.e)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s = %.80q, %v; want an error with %q", c.s, got, err, c.want)
		}
	}
}

// TestTemplateTime proves that a loop without output ends with the context, and by
// itself after its time.
func TestTemplateTime(t *testing.T) {
	x, err := newText("{{range 1000000000000}}{{end}}", maxText, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := x.run(ctx, event.Sample(event.KindMessage)); err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}

// TestTemplateCheck proves that the check of the configuration takes every named
// group for granted, wherever it is named.
func TestTemplateCheck(t *testing.T) {
	x, err := newText("{{.Match.a}}{{if true}}{{$.Match.b | upper}}{{end}}{{range .Saved}}{{$.Match.c}}{{end}}{{with .Match.d}}{{end}}{{print (print .Match.e)}}", maxText, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := x.check(event.Sample(event.KindMessage)); err != nil {
		t.Error(err)
	}
	if got := strings.Join(x.names, ""); got != "abcde" {
		t.Errorf("groups %q", got)
	}
}

func TestGroups(t *testing.T) {
	for _, d := range []Definition{
		&Exec{Command: []string{"x", "{{.Match.b}}", "{{.Match.a}}{{.Match.b}}"}},
		&Webhook{URL: "http://x.example/?{{.Match.a}}", Body: "{{.Match.b}}", Headers: map[string]string{"x": "{{.Match.b}}"}},
		&Save{Place: Place{Directory: "/x", Subdirectory: "{{.Match.a}}", FileName: "{{.Match.b}}"}},
		&SaveAttachments{Place: Place{Directory: "/x", Subdirectory: "{{.Match.a}}", FileName: "{{.Match.b}}"}},
	} {
		if got := strings.Join(Groups(ready(t, d)), " "); got != "a b" {
			t.Errorf("%T: groups %q", d, got)
		}
	}
	if got := Groups(ready(t, &Delete{})); got != nil {
		t.Errorf("groups of delete %q", got)
	}
}

func TestTemplateAtOnce(t *testing.T) {
	x, err := newText(`{{header "Subject"}}{{range 3}}.{{end}}`, maxText, "query")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	for i := range 8 {
		go func() {
			e := event.Sample(event.KindMessage)
			e.Message.Headers = []message.Header{{Name: "Subject", Value: strings.Repeat("x", i)}}
			got, err := x.run(context.Background(), e)
			if err != nil || got != strings.Repeat("x", i)+"..." {
				done <- got
				return
			}
			done <- ""
		}()
	}
	for range 8 {
		if got := <-done; got != "" {
			t.Errorf("got %q", got)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{
		"{{.Message.Subject}}", `{{json .}}`, `{{range .Message.Headers}}{{.Name}}{{end}}`, `{{.Message.Text | truncate 20 | upper}}`,
		`{{header "X" .}}`, `{{date "2006" .Received}}`, `{{with $x := .Match.a}}{{$x}}{{end}}`, "{{range 1000000000}}{{end}}",
		`{{$x := "a"}}{{range 40}}{{$x = print $x $x}}{{end}}{{$x}}`, `{{printf "%1000000d" 1}}`, `{{tick}}{{query 1}}{{component 1}}`,
		`{{define "a"}}{{end}}`, `{{template "a"}}`, `{{(.Message.Attachments | len)}}`, `{{.Attachment.Open}}`, `{{slice .ID 1 2}}`, `{{call .ID}}`,
	} {
		f.Add(s, "Invoice")
	}
	f.Fuzz(func(t *testing.T, s, subject string) {
		e := event.Sample(event.KindMessage)
		e.Message.Subject = subject
		for _, guard := range []string{"", "query", "component"} {
			x, err := newText(s, 4096, guard)
			if err != nil {
				continue
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			got, err := x.run(ctx, e)
			cancel()
			if err == nil && x.isTemplate() && len(got) > 4096 {
				t.Fatalf("%d bytes", len(got))
			}
		}
	})
}
