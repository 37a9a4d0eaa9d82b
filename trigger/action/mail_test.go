package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/smtp"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// A post office takes mail as a server would, and keeps it.
type postOffice struct {
	refuse map[string]int // recipients and the code by which they are refused
	err    error          // of the next mail
	sent   []sent
}

type sent struct {
	from string
	to   []string
	utf8 bool
	raw  []byte
	*message.Message
}

func (p *postOffice) SendMail(_ context.Context, _ *connection.SMTP, m *smtp.Mail) (*smtp.Receipt, error) {
	if err := p.err; err != nil {
		p.err = nil
		return nil, err
	}
	r := &smtp.Receipt{Reply: "ok"}
	for _, to := range m.To {
		if code := p.refuse[to]; code != 0 {
			r.Refused = append(r.Refused, smtp.Refusal{To: to, Err: &smtp.Error{Command: "RCPT", Code: code, Text: "no"}})
		} else {
			r.Accepted = append(r.Accepted, to)
		}
	}
	if len(r.Accepted) == 0 {
		return r, nil
	}
	var b bytes.Buffer
	if err := m.Write(&b, true); err != nil {
		return nil, err
	}
	p.sent = append(p.sent, sent{m.From, r.Accepted, m.UTF8, b.Bytes(), message.Parse(b.Bytes(), message.Options{})})
	return r, nil
}

// last returns the only mail that was sent since the last call.
func (p *postOffice) last(t testing.TB) sent {
	t.Helper()
	if len(p.sent) != 1 {
		t.Fatalf("%d mails were sent; want one", len(p.sent))
	}
	m := p.sent[0]
	p.sent = nil
	return m
}

// sender sets an action up that sends by a table with From robot@example.com.
func sender[D Sender](t testing.TB, d D) D {
	t.Helper()
	ready(t, d)
	table := &connection.SMTP{Name: "out", Address: "smtp.example.com", From: "Robot <robot@example.com>"}
	table.SetDefaults()
	if problems := d.Use(table); problems != nil {
		t.Fatal(problems)
	}
	return d
}

// posted returns a run whose mail goes to a post office of its own.
func posted(t testing.TB, change ...func(*event.Event)) (*Run, *postOffice) {
	r, p := newRun(t, change...), &postOffice{}
	r.Env.Mailer = p
	return r, p
}

func TestMail(t *testing.T) {
	a := sender(t, &Mail{Envelope: Envelope{SMTP: "out", To: []string{"Ops <ops@example.com>", "{{(index .Message.From 0).Address}}, ops@EXAMPLE.com"},
		Cc: []string{"c@bücher.example"}, Bcc: []string{"secret@example.com"}, Subject: "New: {{.Message.Subject}}", Body: "In {{.Mailbox}}: {{.Saved}}"}})
	r, post := posted(t, mail("From: a@x.example", "Subject: one", " two", "X-Loop: other", "", "hello"))
	result := a.Run(t.Context(), r)
	wantDone(t, result)
	m := post.last(t)
	if got, want := fmt.Sprintln(m.from, m.to, m.utf8), "robot@example.com [ops@example.com a@x.example c@xn--bcher-kva.example secret@example.com] false\n"; got != want {
		t.Errorf("envelope %s; want %s", got, want)
	}
	if m.Subject != "New: one two" || strings.TrimSpace(m.Text) != "In INBOX: [/var/lib/example/invoice.pdf /var/lib/example/sample.eml]" || m.Get("Auto-Submitted") != "auto-generated" ||
		m.From[0] != (message.Address{Name: "Robot", Address: "robot@example.com"}) || len(m.To) != 2 || len(m.Cc) != 1 || bytes.Contains(m.raw, []byte("secret@")) {
		t.Errorf("mail:\n%s", m.raw)
	}
	if !strings.Contains(string(result.Output), m.MessageID) {
		t.Errorf("output %q", result.Output)
	}
	// The same event and action: the same Message-ID; another action: another.
	wantDone(t, a.Run(t.Context(), r))
	if again := post.last(t); again.MessageID != m.MessageID || m.MessageID == "" {
		t.Errorf("Message-ID %q, then %q", m.MessageID, again.MessageID)
	}
	r.Key += "-1"
	wantDone(t, a.Run(t.Context(), r))
	if again := post.last(t); again.MessageID == m.MessageID {
		t.Error("another key, the same Message-ID")
	}
}

// Every kind of event has a subject and a text by default.
func TestMailDefaults(t *testing.T) {
	for _, test := range []struct {
		when    When
		kind    event.Kind
		subject string
	}{
		{OnMatch, event.KindMessage, "invoices: Invoice 2026-001"},
		{OnSilence, event.KindSilence, "invoices: not_arrived"},
		{OnDead, event.KindDead, "invoices: Invoice 2026-001"},
	} {
		a := &Mail{Envelope: Envelope{SMTP: "out", To: []string{"ops@example.com"}}}
		a.When = test.when
		sender(t, a)
		r, post := posted(t)
		r.Event = event.Sample(test.kind)
		r.Event.Trigger = "invoices"
		wantDone(t, a.Run(t.Context(), r))
		if m := post.last(t); m.Subject != test.subject || !strings.Contains(m.Text, "Trigger invoices, sample/INBOX") {
			t.Errorf("%s: subject %q, text %q", test.when, m.Subject, m.Text)
		}
		if would, err := a.Describe(r); err != nil || !strings.Contains(would, "RCPT TO:<ops@example.com>\n") || !strings.Contains(would, "\nSubject: "+test.subject+"\n") {
			t.Errorf("%s: would %s, %v", test.when, would, err)
		}
		if len(post.sent) > 0 {
			t.Error("Describe sends")
		}
	}
}

func TestMailEachAttachment(t *testing.T) {
	a := &Mail{Envelope: Envelope{SMTP: "out", To: []string{"a@example.com", "b@example.com"}, Subject: "{{.Attachment.Name}}", AsAttachment: true}, Include: []string{"*.txt"}}
	a.ForEach = eachAttachment
	sender(t, a)
	r, post := posted(t, mail("From: a@x.example", "MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="b"`, "",
		"--b", `Content-Disposition: attachment; filename="1.txt"`, "", "one", "--b", `Content-Disposition: attachment; filename="2.pdf"`, "", "two",
		"--b", `Content-Disposition: attachment; filename="3.txt"`, "", "three", "--b--", ""))
	post.refuse = map[string]int{"b@example.com": 451}
	first := a.Run(t.Context(), r)
	if first.Outcome != Retry || first.Note == "" || len(post.sent) != 1 || post.sent[0].Subject != "1.txt" {
		t.Fatalf("%+v, %d sent", first, len(post.sent))
	}
	post.refuse, post.sent = nil, nil
	r.Progress, r.Note = first.Progress, first.Note
	wantDone(t, a.Run(t.Context(), r))
	var got []string
	for _, m := range post.sent {
		got = append(got, fmt.Sprint(m.Subject, m.to, m.Attachments[0].Name, m.Attachments[0].Size))
	}
	if want := []string{"1.txt[b@example.com]1.txt3", "3.txt[a@example.com b@example.com]3.txt5"}; !slices.Equal(got, want) {
		t.Errorf("sent %q; want %q", got, want)
	}
}

func TestPartialDelivery(t *testing.T) {
	a := sender(t, &Mail{Envelope: Envelope{SMTP: "out", To: []string{"yes@example.com", "later@example.com", "Never@example.com"}}})
	r, post := posted(t)
	post.refuse = map[string]int{"later@example.com": 450, "Never@example.com": 550}
	result := a.Run(t.Context(), r)
	if result.Outcome != Retry || !strings.Contains(result.Err.Error(), "<later@example.com>: the server answered 450") || !strings.Contains(result.Err.Error(), "<Never@example.com>") {
		t.Fatalf("%+v", result)
	}
	post.last(t)
	// Then only those who have not got it, until only what is for good is left.
	r.Note = result.Note
	delete(post.refuse, "later@example.com")
	result = a.Run(t.Context(), r)
	if m := post.last(t); result.Outcome != Dead || !slices.Equal(m.to, []string{"later@example.com"}) {
		t.Fatalf("%+v, to %v", result, m.to)
	}
	// A retry of the dead letter.
	r.Note = result.Note
	delete(post.refuse, "Never@example.com")
	result = a.Run(t.Context(), r)
	wantDone(t, result)
	if m := post.last(t); !slices.Equal(m.to, []string{"Never@example.com"}) {
		t.Errorf("to %v", m.to)
	}
}

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name    string
		err     error
		outcome Outcome
		after   time.Duration
		want    string
	}{
		{"connect", &connection.Error{SMTP: "out", Stage: "connect", Text: "refused"}, Retry, 0, `smtp "out": connect: refused`},
		{"login", &connection.Error{SMTP: "out", Stage: "login", Text: "no", Permanent: true, Retry: 20 * time.Minute}, Retry, 20 * time.Minute, "login"},
		{"4xx", &smtp.Error{Command: "MAIL", Code: 451, Text: "busy"}, Retry, 0, "451 busy"},
		{"5xx", &smtp.Error{Command: "message", Code: 554, Text: "spam"}, Dead, 0, `smtp "out": the server answered 554 spam to the message`},
		{"sender", &smtp.Error{Command: "MAIL", Code: 550, Text: "not yours"}, Dead, 0, "see from"},
		{"login wanted", &smtp.Error{Command: "MAIL", Code: 530, Text: "5.7.0 Authentication required"}, Retry, 0, "authentication table"},
		{"unsure", &smtp.Error{Command: "message", Text: "EOF", Unsure: true}, Retry, 0, "same Message-ID"},
		{"stop", context.Canceled, Retry, 0, "canceled"},
	} {
		a := sender(t, &Mail{Envelope: Envelope{SMTP: "out", To: []string{"ops@example.com"}}})
		r, post := posted(t)
		post.err, r.Note = test.err, "0011223344556677"
		result := a.Run(t.Context(), r)
		if result.Outcome != test.outcome || result.RetryAfter != test.after || result.Err == nil || !strings.Contains(result.Err.Error(), test.want) || result.Note != r.Note {
			t.Errorf("%s: %+v; want %v, %q", test.name, result, test.outcome, test.want)
		}
	}
}

func TestRecipients(t *testing.T) {
	many := make([]string, maxRecipients+1)
	for i := range many {
		many[i] = fmt.Sprintf("a%d@example.com", i)
	}
	for _, test := range []struct{ to, subject, want string }{
		{to: "{{.Message.Subject}}", subject: "", want: "nobody is to get the mail"},
		{to: "{{.Message.Subject}}", subject: "not an address", want: `"not an address" is no address`},
		{to: "{{.Message.Subject}}", subject: "a@b@c <x", want: "is no address"},
		{to: "{{.Message.Subject}}", subject: strings.Join(many, ", "), want: "would go to 101 people"},
		{to: "{{.Message.Subject}}", subject: "a@" + strings.Repeat("xxxxxxxxx.", 30) + "example", want: "longer than 254"},
	} {
		a := &Mail{Envelope: Envelope{SMTP: "out", To: []string{test.to}, Subject: "x"}}
		ready(t, a)
		sender(t, a)
		r, post := posted(t, mail("From: a@x.example", "Subject: "+test.subject, "", "hello"))
		result := a.Run(t.Context(), r)
		if result.Outcome != Dead || !strings.Contains(result.Err.Error(), test.want) || len(post.sent) > 0 {
			t.Errorf("%.40s: %+v; want %q", test.subject, result, test.want)
		}
	}
}

func TestForward(t *testing.T) {
	original := mail("From: Hans <hans@x.example>", "To: me@example.com", "Date: Mon, 05 Jan 2026 09:30:00 +0000", "Subject: Gr=?utf-8?q?=C3=BC=C3=9Fe?=",
		"MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="b"`, "", "--b", "Content-Type: text/html; charset=utf-8", "", "<p>Hällo &amp; <b>du</b></p>",
		"--b", "Content-Type: application/pdf", `Content-Disposition: attachment; filename="Rechnung Ü.pdf"`, "Content-Transfer-Encoding: base64", "", "JVBERi0A/w==", "--b--", "")
	a := sender(t, &Forward{Envelope: Envelope{SMTP: "out", To: []string{"boss@example.com"}, Body: "For <you>.\n"}})
	r, post := posted(t, original)
	wantDone(t, a.Run(t.Context(), r))
	m := post.last(t)
	if m.Subject != "Fwd: Grüße" || m.from != "robot@example.com" || m.From[0].Address != "robot@example.com" || m.Get("In-Reply-To") != "" || len(m.ReplyTo) != 1 || m.ReplyTo[0].Address != "hans@x.example" {
		t.Errorf("header:\n%s", m.raw)
	}
	for _, want := range []string{"For <you>.\n\n-------- Forwarded", "Subject: Grüße\n", "From: Hans <hans@x.example>\n", "Hällo & du"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("text lacks %q:\n%s", want, m.Text)
		}
	}
	for _, want := range []string{"For &lt;you&gt;.<br>", "From: Hans &lt;hans@x.example&gt;<br>", "<p>Hällo &amp; <b>du</b></p>"} {
		if !strings.Contains(m.HTML, want) {
			t.Errorf("HTML lacks %q:\n%s", want, m.HTML)
		}
	}
	if len(m.Attachments) != 1 || m.Attachments[0].Name != "Rechnung Ü.pdf" || m.Attachments[0].SHA256 != r.Event.Message.Attachments[0].SHA256 {
		t.Errorf("attachments %+v", m.Attachments)
	}

	whole := sender(t, &Forward{Envelope: Envelope{SMTP: "out", To: []string{"boss@example.com"}, AsAttachment: true}})
	wantDone(t, whole.Run(t.Context(), r))
	if m = post.last(t); len(m.Attachments) != 2 || !m.Attachments[1].Nested() || m.Attachments[0].ContentType != "message/rfc822" || m.Attachments[0].Name != "Grüße.eml" || !bytes.Contains(m.raw, r.Event.Raw) {
		t.Errorf("as attachment: %+v\n%s", m.Attachments, m.raw)
	}

	// And on: the message that is attached goes along as it is, and its own file only in it.
	again, post := posted(t, func(e *event.Event) { e.Raw, e.Message = m.raw, m.Message })
	again.Event.Action = "another"
	wantDone(t, a.Run(t.Context(), again))
	if m := post.last(t); strings.Count(string(m.raw), "Content-Disposition: attachment") != 2 || !bytes.Contains(m.raw, r.Event.Raw) {
		t.Errorf("forwarded again:\n%s", m.raw)
	}

	if got := prefixed("Fwd: ", "FWD: x", "fwd:"); got != "FWD: x" {
		t.Errorf("prefixed twice: %q", got)
	}
}

// What says how a file is to be read goes with it.
func TestForwardedFileIsReadable(t *testing.T) {
	koi8 := string([]byte{0xf0, 0xd2, 0xc9, 0xd7, 0xc5, 0xd4})
	raw := mail("From: a@x.example", "MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="b"`, "", "--b", "", "see the files",
		"--b", `Content-Type: text/plain; charset=koi8-r; format=flowed; name="a.txt"; x="a`+strings.Repeat("b", 2000)+`"`, "Content-Disposition: attachment; filename=a.txt", "", koi8,
		"--b", `Content-Type: text/calendar; method="REQUEST;"; charset*=utf-8''utf-8; =?utf-8?q?a?=x`, "Content-Disposition: attachment; filename=b.ics", "", "BEGIN:VCALENDAR",
		"--b", `Content-Type: text/csv; boundary=b; name*0=c; name*1=.csv`, "Content-Disposition: attachment", "", "1;2", "--b--", "")
	want := []string{"Content-Type: text/plain; charset=koi8-r; format=flowed\r\n", "Content-Type: text/calendar; method=\"REQUEST;\"\r\n", "Content-Type: text/csv\r\n"}

	r, post := posted(t, raw)
	wantDone(t, sender(t, &Forward{Envelope: Envelope{SMTP: "out", To: []string{"boss@example.com"}}}).Run(t.Context(), r))
	m := post.last(t)
	for _, want := range want {
		if !strings.Contains(string(m.raw), want) {
			t.Errorf("forwarded without %q:\n%s", want, m.raw)
		}
	}
	if got, _ := io.ReadAll(m.Attachments[0].Open()); string(got) != koi8 {
		t.Errorf("its bytes are %q; want %q", got, koi8)
	}

	r, post = posted(t, raw)
	each := &Mail{Envelope: Envelope{SMTP: "out", To: []string{"boss@example.com"}, AsAttachment: true}}
	each.ForEach = eachAttachment
	wantDone(t, sender(t, each).Run(t.Context(), r))
	for i, m := range post.sent {
		if !strings.Contains(string(m.raw), want[i]) {
			t.Errorf("mailed without %q:\n%s", want[i], m.raw)
		}
	}
}

func TestReply(t *testing.T) {
	a := sender(t, &Reply{Envelope: Envelope{SMTP: "out", Body: "Thanks.\n\n{{quote .Message.Text}}"}})
	r, post := posted(t, mail("From: Hans <hans@x.example>", "Reply-To: office@x.example", "Subject: order", "Message-ID: <1@x>", "References: <0@x>", "", "one", "two"))
	wantDone(t, a.Run(t.Context(), r))
	m := post.last(t)
	if m.from != "" || !slices.Equal(m.to, []string{"office@x.example"}) || m.Subject != "Re: order" || m.Get("In-Reply-To") != "<1@x>" ||
		m.Get("References") != "<0@x> <1@x>" || m.Get("Auto-Submitted") != "auto-replied" || m.Text != "Thanks.\n\n> one\n> two\n" {
		t.Errorf("from %q to %v:\n%s", m.from, m.to, m.raw)
	}
}

// Who has got a mail is not forgotten because the next attempt had no time to make it.
func TestNoteIsKept(t *testing.T) {
	a := sender(t, &Mail{Envelope: Envelope{SMTP: "out", To: []string{"ops@example.com"}}})
	r, _ := posted(t)
	r.Note = "0011223344556677"
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if result := a.Run(ctx, r); result.Outcome == Done || result.Note != r.Note {
		t.Errorf("%+v; want note %q", result, r.Note)
	}
}

func TestReplyRefused(t *testing.T) {
	a := sender(t, &Reply{Envelope: Envelope{SMTP: "out", Body: "Thanks."}})
	r, post := posted(t, mail("From: a@x.example", "", "hello"))
	post.err = &smtp.Error{Command: "MAIL", Code: 550, Text: "who?"}
	if result := a.Run(t.Context(), r); result.Outcome != Dead || !strings.Contains(result.Err.Error(), "empty return path") {
		t.Errorf("%+v", result)
	}
}

func TestNoReply(t *testing.T) {
	for _, test := range []struct {
		name   string
		header []string
		why    string
	}{
		{"auto", []string{"From: a@x.example", "Auto-Submitted: auto-replied"}, "a program"},
		{"list", []string{"From: a@x.example", "List-Id: <l.x.example>"}, "a program"},
		{"bounce", []string{"From: a@x.example", "Return-Path: <>"}, "a program"},
		{"bulk", []string{"From: a@x.example", "Precedence: bulk"}, "a program"},
		{"daemon", []string{"From: MAILER-DAEMON@x.example"}, "a program"},
		{"ourselves", []string{"From: Robot@Example.com"}, "the one who would answer"},
		{"ourselves by Reply-To", []string{"From: a@x.example", "Reply-To: robot@example.com"}, "the one who would answer"},
		{"nobody", []string{"Subject: x"}, "does not say who"},
		{"no address", []string{"From: nobody"}, ""},
		{"hostile", []string{"From: <a@x.example\x00>"}, ""},
	} {
		a := sender(t, &Reply{Envelope: Envelope{SMTP: "out", Body: "Thanks."}})
		r, post := posted(t, mail(append(test.header, "", "hello")...))
		result := a.Run(t.Context(), r)
		if result.Outcome != Done || !strings.HasPrefix(string(result.Output), "not sent: ") || !strings.Contains(string(result.Output), test.why) || len(post.sent) > 0 {
			t.Errorf("%s: %+v %s, %d sent; want %q", test.name, result, result.Output, len(post.sent), test.why)
		}
		if would, err := a.Describe(r); err != nil || !strings.HasPrefix(would, "send nothing: ") {
			t.Errorf("%s: would %s, %v", test.name, would, err)
		}
	}
}

// A counter is Answers for as long as a test lasts.
type counter map[string]int

func (c counter) Begin(_, _, address string, limit int) (bool, error) {
	if c[address] >= limit {
		return false, nil
	}
	c[address]++
	return true, nil
}

func (c counter) End(_, _, address string, sent bool) {
	if !sent {
		c[address]--
	}
}

func TestDailyLimit(t *testing.T) {
	a := sender(t, &Reply{Envelope: Envelope{SMTP: "out", Body: "Thanks."}, DailyLimit: 2})
	count := counter{}
	answer := func(replyTo string, refuse map[string]int) (Result, *Run) {
		r, post := posted(t, mail("From: x@x.example", "Reply-To: "+replyTo, "", "hello"))
		r.Env.Answers, post.refuse = count, refuse
		return a.Run(t.Context(), r), r
	}
	result, _ := answer("a@x.example", nil)
	wantDone(t, result)
	// What is refused does not count, but who is not refused beside it does.
	result, _ = answer("b@x.example", map[string]int{"b@x.example": 550})
	wantFailure(t, result, Dead, "550")
	result, r := answer("a@x.example, b@x.example", map[string]int{"b@x.example": 450})
	wantFailure(t, result, Retry, "450")
	// The next attempt is for the other one, and counts for that one only.
	r.Note, r.Env.Mailer = result.Note, &postOffice{}
	wantDone(t, a.Run(t.Context(), r))
	if want := (counter{"a@x.example": 2, "b@x.example": 1}); !maps.Equal(count, want) {
		t.Errorf("counted %v; want %v", count, want)
	}
	result, _ = answer("b@x.example, a@x.example", nil)
	wantFailure(t, result, Dead, "daily_limit")
	if count["b@x.example"] != 1 {
		t.Errorf("what was not sent counts: %v", count)
	}
}

// What an action has sent does not make it send again, however it comes back.
func TestLoops(t *testing.T) {
	table := &connection.SMTP{Name: "out", Address: "smtp.example.com", From: "robot@example.com"}
	table.SetDefaults()
	for _, a := range []Sender{
		&Mail{Envelope: Envelope{SMTP: "out", To: []string{"me@example.com"}}},
		&Forward{Envelope: Envelope{SMTP: "out", To: []string{"me@example.com"}}},
		&Forward{Envelope: Envelope{SMTP: "out", To: []string{"me@example.com"}, AsAttachment: true}},
	} {
		ready(t, a)
		a.Use(table)
		r, post := posted(t)
		wantDone(t, a.Run(t.Context(), r))
		first := post.last(t)
		back := func(raw []byte) func(*event.Event) {
			return func(e *event.Event) { e.Raw, e.Message = raw, message.Parse(raw, message.Options{}) }
		}
		run := func(raw []byte, change ...func(*event.Event)) []sent {
			r, post := posted(t, append([]func(*event.Event){back(raw)}, change...)...)
			wantDone(t, a.Run(t.Context(), r))
			return post.sent
		}
		if got := run(first.raw); len(got) > 0 {
			t.Errorf("%T sends on what it has sent", a)
		}
		// Another trigger may, and what it sends comes back to the first.
		other := run(first.raw, func(e *event.Event) { e.Trigger = "other" })
		if len(other) != 1 {
			t.Fatalf("%T of another trigger sends %d", a, len(other))
		}
		if got := run(other[0].raw); len(got) > 0 {
			t.Errorf("%T sends on what another trigger has made of its mail", a)
		}
		// Marks that a stranger has put there do not hide ours.
		var marks strings.Builder
		for i := range 5 * maxMarks {
			fmt.Fprintf(&marks, "X-Loop: %s%024x\r\n", markPrefix, i)
		}
		once := run([]byte(marks.String() + "From: a@x.example\r\n\r\nhello\r\n"))
		if len(once) != 1 {
			t.Fatalf("%T sends %d", a, len(once))
		}
		if other = run(once[0].raw, func(e *event.Event) { e.Trigger = "other" }); len(other) != 1 {
			t.Fatalf("%T of another trigger sends %d", a, len(other))
		}
		if got := run(other[0].raw); len(got) > 0 {
			t.Errorf("%T is led round by marks that a stranger has made", a)
		}
		bounce := []byte("From: MAILER-DAEMON@example.com\r\nAuto-Submitted: auto-replied\r\nContent-Type: text/plain\r\n\r\nReturned:\r\n\r\n" + string(first.raw))
		if got := run(bounce); len(got) > 0 {
			t.Errorf("%T sends on the bounce of its mail", a)
		}
		tired := []byte(strings.Repeat("Received: from a by b\r\n", maxReceived+1) + "From: a@x.example\r\n\r\nhello\r\n")
		if got := run(tired); len(got) > 0 {
			t.Errorf("%T sends on what goes round", a)
		}
	}
}

// Two that answer each other have done so once.
func TestTwoThatAnswer(t *testing.T) {
	one, other := sender(t, &Reply{Envelope: Envelope{SMTP: "out", From: "one@example.com", Body: "Thanks."}}), sender(t, &Reply{Envelope: Envelope{SMTP: "out", From: "other@example.com", Body: "No, thank you."}})
	r, post := posted(t, mail("From: other@example.com", "Subject: x", "", "hello"))
	wantDone(t, one.Run(t.Context(), r))
	first := post.last(t)
	r, post = posted(t, func(e *event.Event) { e.Trigger, e.Raw, e.Message = "theirs", first.raw, first.Message })
	wantDone(t, other.Run(t.Context(), r))
	if len(post.sent) > 0 {
		t.Errorf("an answer was answered:\n%s", post.sent[0].raw)
	}
}

// Who answers a stranger is told by the address as the stranger wrote it, quotes and all.
func TestReplyToUnusual(t *testing.T) {
	for replyTo, want := range map[string]string{
		`"a b, c"@x.example`:               `["a b, c"@x.example]`,
		`Group: a@x.example, b@x.example;`: `[a@x.example b@x.example]`,
		`a@b\u00fccher.example`:            `[a@xn--bcher-kva.example]`,
		`undisclosed-recipients:;`:         `[from@x.example]`,
		`1@x, 2@x, 3@x, 4@x, 5@x`:          `[1@x 2@x 3@x]`,
		`<v@x.example, w@x.example>`:       `["v@x.example,w"@x.example]`,
	} {
		a := sender(t, &Reply{Envelope: Envelope{SMTP: "out", Body: "Thanks."}})
		r, post := posted(t, mail("From: from@x.example", "Reply-To: "+strings.ReplaceAll(replyTo, `\u00fc`, "ü"), "", "hello"))
		wantDone(t, a.Run(t.Context(), r))
		if got := fmt.Sprint(post.last(t).to); got != want {
			t.Errorf("%s: answered to %s; want %s", replyTo, got, want)
		}
	}
}

func TestMailProblems(t *testing.T) {
	silent := func(d Definition) Definition { d.Base().When = OnSilence; return d }
	for _, test := range []struct {
		d    Definition
		want string
	}{
		{&Mail{}, "smtp: is missing"},
		{&Mail{Envelope: Envelope{SMTP: "out"}}, "to: is missing"},
		{&Mail{Envelope: Envelope{SMTP: "out", To: []string{"a@b.example", "c"}}}, `to[1]: "c" is no address`},
		{&Mail{Envelope: Envelope{SMTP: "out", To: []string{""}}}, "to: is empty"},
		{&Mail{Envelope: Envelope{SMTP: "out", Bcc: []string{"{{.Nope}}"}}}, "bcc: template"},
		{&Mail{Envelope: Envelope{SMTP: "out", To: []string{"a@b.example"}, From: "robot"}}, "from: "},
		{&Mail{Envelope: Envelope{SMTP: "out", To: []string{"a@b.example"}}, Include: []string{"*"}}, "include: "},
		{silent(&Mail{Envelope: Envelope{SMTP: "out", To: []string{"a@b.example"}, Subject: "{{.Message.Subject}}"}}), "silence has no .Message"},
		{silent(&Mail{Envelope: Envelope{SMTP: "out", To: []string{"a@b.example"}, AsAttachment: true}}), "as_attachment: "},
		{&Forward{Envelope: Envelope{SMTP: "out"}}, "to: is missing"},
		{silent(&Forward{Envelope: Envelope{SMTP: "out", To: []string{"a@b.example"}}}), "when: silence"},
		{&Reply{Envelope: Envelope{SMTP: "out"}}, "body: is missing"},
		{&Reply{Envelope: Envelope{SMTP: "out", Body: "x"}, DailyLimit: -1}, "daily_limit: "},
	} {
		if got := strings.Join(problemsOf(test.d), "\n"); !strings.Contains(got, test.want) {
			t.Errorf("%+v: %q; want %q", test.d, got, test.want)
		}
	}
	a := ready(t, &Mail{Envelope: Envelope{SMTP: "out", To: []string{"a@b.example"}}})
	if got := a.Use(&connection.SMTP{Name: "out"}); len(got) != 1 || got[0].Key != "from" {
		t.Errorf("no sender at all: %v", got)
	}
	r, _ := posted(t)
	r.Env.Mailer = nil
	if result := sender(t, a).Run(t.Context(), r); result.Outcome != Dead {
		t.Errorf("without a Mailer: %+v", result)
	}
	if _, err := a.Describe(&Run{Event: r.Event}); err != nil {
		t.Error(errors.Unwrap(err))
	}
}
