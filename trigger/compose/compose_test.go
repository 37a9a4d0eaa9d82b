package compose

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mailtrigger/trigger/message"
)

func newLetter(change func(*Letter)) *Letter {
	l := &Letter{
		ID: "0123-tell", Date: time.Date(2026, time.January, 5, 9, 30, 0, 0, time.UTC),
		From:    message.Address{Name: "Röbot", Address: "robot@example.com"},
		To:      []message.Address{{Name: "Ops, \"Team\"", Address: "ops@example.com"}},
		Subject: "Invoice", Auto: "auto-generated", Text: "hello\nworld",
	}
	if change != nil {
		change(l)
	}
	return l
}

func written(t testing.TB, l *Letter, eightBit bool) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := l.Write(&b, eightBit); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := l.Write(&again, eightBit); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("a second Write gives another message (%v)", err)
	}
	wellFormed(t, b.Bytes(), eightBit)
	return b.Bytes()
}

// wellFormed checks what every message of ours keeps to, whatever is in it.
func wellFormed(t testing.TB, raw []byte, eightBit bool) {
	t.Helper()
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Errorf("the last line has no end: %q", raw[max(0, len(raw)-50):])
	}
	for line := range bytes.Lines(raw) {
		line, ended := bytes.CutSuffix(line, []byte("\r\n"))
		if !ended || bytes.ContainsAny(line, "\r\n\x00") {
			t.Errorf("a bare line end or NUL: %.100q", line)
		}
		if len(line) > 998 {
			t.Errorf("a line of %d bytes: %.100q", len(line), line)
		}
		if !eightBit && bytes.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }) {
			t.Errorf("8 bits: %.100q", line)
		}
	}
}

// names are the fields of a header, in order.
func names(raw []byte) string {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	var list []string
	for line := range strings.Lines(string(head)) {
		if name, _, ok := strings.Cut(line, ":"); ok && line[0] != ' ' && line[0] != '\t' {
			list = append(list, name)
		}
	}
	return strings.Join(list, " ")
}

func TestWrite(t *testing.T) {
	raw := written(t, newLetter(func(l *Letter) {
		l.Cc = []message.Address{{Address: "c@example.com"}}
		l.Loops = []string{"mark"}
	}), false)
	if got, want := names(raw), "Date From To Cc Message-Id Subject Auto-Submitted X-Loop Mime-Version Content-Type Content-Transfer-Encoding"; got != want {
		t.Errorf("header %s; want %s", got, want)
	}
	m := message.Parse(raw, message.Options{})
	if m.Subject != "Invoice" || m.From[0].Name != "Röbot" || m.To[0] != (message.Address{Name: `Ops, "Team"`, Address: "ops@example.com"}) ||
		m.Text != "hello\nworld\n" || len(m.Defects) > 0 {
		t.Errorf("read back: %+v", m)
	}
	if !m.Date.Equal(time.Date(2026, time.January, 5, 9, 30, 0, 0, time.UTC)) {
		t.Errorf("date %s", m.Date)
	}
}

func TestMessageID(t *testing.T) {
	one, other := newLetter(nil), newLetter(func(l *Letter) { l.ID = "0123-tell-1" })
	if one.MessageID() != newLetter(func(l *Letter) { l.Subject, l.Date = "else", time.Now() }).MessageID() {
		t.Error("the same letter has another message id")
	}
	if one.MessageID() == other.MessageID() || !strings.HasSuffix(one.MessageID(), "@example.com>") {
		t.Errorf("%s and %s", one.MessageID(), other.MessageID())
	}
}

// What a stranger wrote changes no form.
func TestHostileHeader(t *testing.T) {
	for _, s := range []string{
		"a\r\nBcc: evil@example.com", "a\nX: y", "a\r\n\r\nbody", "a\x00b", "\u2028a\u0085b", "=?utf-8?b?QmNjOiB4?=", "=?utf-8?q?=0d=0a?=",
		strings.Repeat("x", 5000), strings.Repeat("ä", 5000), strings.Repeat("a ", 3000), "\xff\xfe", "   ", "🙂" + strings.Repeat("é", 44),
		" leading", "trailing ", `"; x=y`, "<a@b>, <c@d>",
	} {
		raw := written(t, newLetter(func(l *Letter) {
			l.Subject = s
			l.From.Name = s
			l.To = []message.Address{{Name: s, Address: "a@example.com"}}
			l.InReplyTo, l.Answered = s, s+" <ok@example.com> "+s
			l.Files = []File{{Name: s, Type: s, ContentID: s, Open: func() io.Reader { return strings.NewReader(s) }}}
		}), false)
		if got, want := names(raw), "Date From To Message-Id Subject Auto-Submitted Mime-Version Content-Type"; strings.ReplaceAll(got, "In-Reply-To References ", "") != want {
			t.Errorf("%.50q: header %s; want %s", s, got, want)
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		want := strings.ToValidUTF8(oneLine(cut(s, MaxSubject)), "\uFFFD")
		if err != nil || strings.TrimSpace(subject) != strings.TrimSpace(want) {
			t.Errorf("subject %.80q, %v; want %.80q", subject, err, want)
		}
		if to, err := m.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != "a@example.com" {
			t.Errorf("%.50q: To %v, %v", s, to, err)
		}
	}
}

func TestTextEncoding(t *testing.T) {
	for _, test := range []struct{ text, encoding string }{
		{"plain\n", "7bit"},
		{".\n..\nFrom here\n", "7bit"},
		{strings.Repeat("x", 2000), "quoted-printable"},
		{"Größe\n" + strings.Repeat("a", 50), "quoted-printable"},
		{"Отгрузка завтра\n", "base64"},
		{"a\r\nb\rc\nd", "7bit"},
		{"bell \a\x00 end", "quoted-printable"},
		{"", "7bit"},
	} {
		raw := written(t, newLetter(func(l *Letter) { l.Text = test.text }), false)
		if want := "Content-Transfer-Encoding: " + test.encoding + "\r\n"; !strings.Contains(string(raw), want) {
			t.Errorf("%.20q is not sent as %s:\n%.600s", test.text, test.encoding, raw)
		}
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(test.text)
		if m := message.Parse(raw, message.Options{}); strings.TrimRight(m.Text, "\n") != strings.TrimRight(want, "\n") {
			t.Errorf("arrives as %.80q; want %.80q", m.Text, want)
		}
	}
}

// The bytes of an original arrive, whatever they are.
func TestOriginal(t *testing.T) {
	head := "From: a@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\n\r\n"
	for _, test := range []struct {
		name, raw string
		eightBit  bool
		kind      string
	}{
		{"ascii", head + "hello\r\n.\r\nFrom me\r\n", false, "message/rfc822"},
		{"no end", head + "hello", false, "message/rfc822"},
		{"8 bit", head + "hällo\r\n", true, "message/rfc822"},
		{"8 bit to a server without", head + "hällo\r\n", false, "application/octet-stream"},
		{"bare LF", head + "hello\nworld\r\n", true, "application/octet-stream"},
		{"bare CR", head + "hello\rworld\r\n", true, "application/octet-stream"},
		{"CR at the end", head + "hello\r", true, "application/octet-stream"},
		{"NUL", head + "hel\x00lo\r\n", true, "application/octet-stream"},
		{"998", head + strings.Repeat("x", 998) + "\r\n", false, "message/rfc822"},
		{"999", head + strings.Repeat("x", 999) + "\r\n", true, "application/octet-stream"},
		{"its own boundary", head + "--" + newLetter(nil).hash("mixed") + "--\r\n", true, ""},
		{"large", head + strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 5000), false, "message/rfc822"},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := written(t, newLetter(func(l *Letter) {
				l.Files = []File{{Name: "Über.eml", Type: "message/rfc822", Open: func() io.Reader { return strings.NewReader(test.raw) }}}
			}), test.eightBit)
			if test.kind == "" {
				return
			}
			m := message.Parse(raw, message.Options{})
			if len(m.Attachments) != 1 || m.Attachments[0].ContentType != test.kind || m.Attachments[0].Name != "Über.eml" {
				t.Fatalf("attachments %+v; want one %s", m.Attachments, test.kind)
			}
			got, err := io.ReadAll(m.Attachments[0].Open())
			if err != nil || string(got) != test.raw && string(got) != test.raw+"\r\n" {
				t.Errorf("arrives as %.200q, %v; want %.200q", got, err, test.raw)
			}
		})
	}
}

// HTML keeps its pictures, and files stay files.
func TestHTML(t *testing.T) {
	png := []byte("\x89PNG\r\n\x1a\n\x00\xff")
	open := func() io.Reader { return bytes.NewReader(png) }
	raw := written(t, newLetter(func(l *Letter) {
		l.HTML = `<p>ü <img src="cid:logo@x"></p>`
		l.Files = []File{{Name: "logo.png", Type: "image/png", ContentID: "logo@x", Open: open}, {Name: "a.png", Type: "image/png", Open: open}}
	}), false)
	m := message.Parse(raw, message.Options{})
	if strings.TrimSpace(m.HTML) != `<p>ü <img src="cid:logo@x"></p>` || m.Text != "hello\nworld\n" || len(m.Attachments) != 2 || len(m.Defects) > 0 {
		t.Fatalf("read back: %+v", m)
	}
	for i, a := range m.Attachments {
		if got, _ := io.ReadAll(a.Open()); !bytes.Equal(got, png) || a.Inline() != (i == 0) {
			t.Errorf("%s: inline %v, %q", a.Name, a.Inline(), got)
		}
	}
	if kinds := strings.Count(string(raw), "Content-Type: multipart/"); kinds != 3 {
		t.Errorf("%d multiparts; want mixed, alternative, related:\n%s", kinds, raw)
	}
}

func TestReferences(t *testing.T) {
	var old []string
	for i := range 100 {
		old = append(old, fmt.Sprintf("<%d@example.com>", i))
	}
	raw := written(t, newLetter(func(l *Letter) {
		l.InReplyTo = "junk <last@example.com> junk"
		l.Answered = strings.Join(old, "\r\n ") + " <" + strings.Repeat("x", 1000) + "@example.com> <broken <a b> <ä@x>"
	}), false)
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	ids := strings.Fields(m.Header.Get("References"))
	if len(ids) != maxReferences || ids[0] != "<0@example.com>" || ids[1] != "<82@example.com>" || ids[maxReferences-1] != "<last@example.com>" {
		t.Errorf("References %q", ids)
	}
	if got := m.Header.Get("In-Reply-To"); got != "<last@example.com>" {
		t.Errorf("In-Reply-To %q", got)
	}
}

func FuzzWrite(f *testing.F) {
	f.Add("Subject", "text\r\n", "name.pdf", "application/pdf", "<a@b>", true)
	f.Add("a\r\nb", "\x00\r", "\xff", "message/rfc822", "<a@\r\n>", false)
	f.Fuzz(func(t *testing.T, subject, text, name, kind, id string, eightBit bool) {
		raw := written(t, newLetter(func(l *Letter) {
			l.Subject, l.Text, l.HTML = subject, text, text
			l.To[0].Name = name
			l.InReplyTo, l.Answered = id, id
			l.Files = []File{{Name: name, Type: kind, ContentID: id, Open: func() io.Reader { return strings.NewReader(text) }}}
		}), eightBit)
		if !strings.HasPrefix(kind, "message/") && !utf8.Valid(raw) {
			t.Error("no UTF-8")
		}
		if got := strings.NewReplacer("In-Reply-To References ", "").Replace(names(raw)); got != "Date From To Message-Id Subject Auto-Submitted Mime-Version Content-Type" &&
			got != "Date From To Message-Id Auto-Submitted Mime-Version Content-Type" {
			t.Errorf("header %s", got)
		}
	})
}
