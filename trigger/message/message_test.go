package message

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"

	"mailtrigger/codepage"
)

// crlf gives a message written with LF the line ends of mail.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

const ordinary = `Message-ID: <1@example.com>
From: =?utf-8?Q?J=C3=BCrgen?= <j@example.com>
To: "Doe, J" <a@example.com>, b@example.com
Date: Tue, 2 Jan 2024 10:00:00 +0100 (CET)
Subject: =?utf-8?B?R3LDvMOf?=
 =?utf-8?B?ZQ==?= and more
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b1"

A preamble.
--b1
Content-Type: multipart/alternative; boundary=b2

--b2
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe, =
everybody
--b2
Content-Type: text/html; charset=utf-8

<p>Hello &amp; <b>bye</b></p>
--b2--
--b1
Content-Type: application/pdf
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename*=windows-1251''%CF%F0%E8.pdf

SGVsbG8gd29ybGQ=
--b1--
`

func TestParseOrdinary(t *testing.T) {
	raw := crlf(ordinary)
	m := Parse(raw, Options{})
	if m.Subject != "Grüße and more" || m.MessageID != "<1@example.com>" || m.Size != int64(len(raw)) {
		t.Errorf("subject %q, id %q, size %d", m.Subject, m.MessageID, m.Size)
	}
	if want := []Address{{"Jürgen", "j@example.com"}}; !reflect.DeepEqual(m.From, want) {
		t.Errorf("from %q", m.From)
	}
	if want := []Address{{"Doe, J", "a@example.com"}, {"", "b@example.com"}}; !reflect.DeepEqual(m.To, want) {
		t.Errorf("to %q", m.To)
	}
	if !m.Date.Equal(time.Date(2024, 1, 2, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("date %v", m.Date)
	}
	if m.Text != "Grüße, everybody" || m.HTML != "<p>Hello &amp; <b>bye</b></p>" {
		t.Errorf("text %q, html %q", m.Text, m.HTML)
	}
	if len(m.Defects) != 0 {
		t.Errorf("defects %q", m.Defects)
	}
	if len(m.Attachments) != 1 {
		t.Fatalf("%d attachments", len(m.Attachments))
	}
	a := &m.Attachments[0]
	sum := sha256.Sum256([]byte("Hello world"))
	if a.Name != "При.pdf" || a.Size != 11 || a.SHA256 != hex.EncodeToString(sum[:]) || a.Inline() {
		t.Errorf("attachment %+v", a)
	}
	for range 2 {
		if b, err := io.ReadAll(a.Open()); err != nil || string(b) != "Hello world" {
			t.Errorf("open: %q, %v", b, err)
		}
	}
}

func TestParseHeader(t *testing.T) {
	whole := Parse(crlf(ordinary), Options{})
	head, _, _ := strings.Cut(ordinary, "\n\n")
	for _, raw := range []string{head, head + "\n", head + "\n\n", ordinary} {
		m := ParseHeader(crlf(raw), Options{})
		if !reflect.DeepEqual(m.Headers, whole.Headers) || m.Subject != whole.Subject || !m.Date.Equal(whole.Date) || m.Text != "" {
			t.Errorf("%q: %+v", raw, m)
		}
	}
}

func TestJSON(t *testing.T) {
	for _, raw := range []string{"", "Subject: \xff\xfe\x00\n\n\xff<>", "\xc3"} {
		b, err := json.Marshal(Parse([]byte(raw), Options{}))
		if err != nil {
			t.Fatal(err)
		}
		s := string(b)
		if !strings.Contains(s, `"date":null`) || !strings.Contains(s, `"attachments":[]`) || strings.Contains(s, ":null,\"from") && strings.Contains(s, "[null") {
			t.Errorf("%q: %s", raw, s)
		}
		var back Message
		if err := json.Unmarshal(b, &back); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	}
	b, err := json.Marshal(Message{})
	if err != nil || strings.Count(string(b), "null") != 1 {
		t.Errorf("zero message: %s, %v", b, err)
	}
	var a Attachment
	if _, err := io.ReadAll(a.Open()); err == nil {
		t.Error("an attachment of no message could be opened")
	}
}

func TestPolicy(t *testing.T) {
	kyrillic, err := codepage.Lookup("koi8-r")
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte("From: \xf0\xd2\xc9 <a@b>\nSubject: \xf0\xd2\xc9\nContent-Type: text/plain\n\n\xf0\xd2\xc9\n")
	m := Parse(raw, Options{Policy: codepage.Policy{Page: kyrillic}})
	if m.Subject != "При" || m.Text != "При\n" || m.From[0].Name != "При" || m.CodePage.Used != kyrillic.Name || m.CodePage.Why == "" {
		t.Errorf("fallback: %+v", m)
	}
	raw = []byte("Subject: =?iso-8859-1?Q?=F0=D2=C9?=\nContent-Type: text/plain; charset=iso-8859-1; name*=iso-8859-1''%F0\nContent-Transfer-Encoding: base64\n\n8NLJ\n")
	m = Parse(raw, Options{Policy: codepage.Policy{Page: kyrillic, Mode: codepage.Override}})
	if m.Subject != "При" || m.Text != "При" {
		t.Errorf("override: %+v", m)
	}
	ebcdic, err := codepage.Lookup("37")
	if err != nil {
		t.Fatal(err)
	}
	raw = []byte("Subject: plain and gr\xfcn\n\n\xc8\x85\x93\x93\x96\n")
	m = Parse(raw, Options{Policy: codepage.Policy{Page: ebcdic}})
	if m.Subject != "plain and grün" {
		t.Errorf("a page for bodies spoilt the header: %q", m.Subject)
	}
}

func TestDefectsDocumented(t *testing.T) {
	for word, sentence := range Defects {
		if word == "" || strings.ContainsAny(word, " _") || word != strings.ToLower(word) || len(sentence) < 20 {
			t.Errorf("%q: %q", word, sentence)
		}
	}
	for _, word := range codepage.Defects {
		if Defects[word] == "" {
			t.Errorf("%q has no sentence", word)
		}
	}
}

// panics is an encoding as none should be.
type panics struct{ encoding.Encoding }

func (panics) NewDecoder() *encoding.Decoder { panic("no decoder") }

// TestRawFallback makes reading panic, by a page that cannot decode, and holds
// it to its last promise.
func TestRawFallback(t *testing.T) {
	broken := Options{Policy: codepage.Policy{Page: &codepage.Page{Name: "broken", Encoding: panics{}}, Mode: codepage.Override}}
	for _, raw := range []string{"Subject: x\n\nwords \xff", "Subject: x\n\nwörds"} {
		m := Parse([]byte(raw), broken)
		if !strings.Contains(m.Text, "rds") || !reflect.DeepEqual(m.Defects, []string{DefectRaw}) || m.Size != int64(len(raw)) || m.From == nil {
			t.Errorf("%+v", m)
		}
		if b, err := json.Marshal(m); err != nil || !strings.Contains(string(b), "rds") {
			t.Errorf("%s, %v", b, err)
		}
	}
	m := ParseHeader([]byte("Subject: gr\xfcn\n\nwords"), broken)
	if m.Headers == nil || m.Size == 0 {
		t.Errorf("%+v", m)
	}
}

// TestAllocation holds the memory of reading to the message's text: a big
// attachment costs nothing, and a small message little.
func TestAllocation(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  []byte
		most uint64
	}{{"small", smallMail(), 64 << 10}, {"5 MB", bigMail(), 64 << 10}} {
		Parse(c.raw, Options{}) // what is made once is not counted
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m := Parse(c.raw, Options{})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > c.most || len(m.Attachments) != 1 {
			t.Errorf("%s: %d bytes allocated", c.name, n)
		}
	}
}

// A long text with entities is unescaped in pieces: what is cut there is whole again.
func TestHTMLEntitiesInPieces(t *testing.T) {
	for shift := range 45 {
		unit := "ä&amp;b&CounterClockwiseContourIntegral; c"
		got := htmlText("<p>" + strings.Repeat("x", shift) + strings.Repeat(unit, 2000))
		if want := strings.Repeat("x", shift) + strings.Repeat("ä&b∳ c", 2000) + "\n"; got != want {
			t.Fatalf("shifted by %d: %d bytes, want %d", shift, len(got), len(want))
		}
	}
}

// What is one address is one in a list, too, whatever it hides: a template that names
// the sender never names two.
func TestAddressIsOne(t *testing.T) {
	for _, test := range []struct{ field, want string }{
		{`"v@example.com, x"@evil.example`, `"v@example.com, x"@evil.example`},
		{`=?utf-8?q?v=40example.com=2C_x?=@evil.example`, `"v@example.com,x"@evil.example`},
		{`<=?utf-8?q?v=40example.com=2C_x=40evil.example?=>`, `"v@example.com,x"@evil.example`},
		{`<v@example.com, x@evil.example>`, `"v@example.com,x"@evil.example`},
		{`<v@example.com; x@evil.example>`, `"v@example.com;x"@evil.example`},
		{`<"a\"b"@x.example>`, `"a\"b"@x.example`},
		{`<a"b@x.example>`, `"a\"b"@x.example`},
		{`<a.b+c@x.example>`, `a.b+c@x.example`},
	} {
		m := Parse([]byte("From: "+test.field+"\r\n\r\nx"), Options{})
		if len(m.From) != 1 || m.From[0].Address != test.want {
			t.Errorf("%s: %q; want %q", test.field, m.From, test.want)
			continue
		}
		if again := ParseAddresses(m.From[0].Address); len(again) != 1 || again[0].Address != test.want {
			t.Errorf("%s: in a list %q", test.field, again)
		}
	}
}
