package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"mailtrigger/codepage"
)

// A text whose label is wrong is read alike wherever it stands: in the body, in
// raw header fields below a Content-Type, in encoded words and in parameters.
func TestPolicyEverywhere(t *testing.T) {
	page := func(name string) *codepage.Page {
		p, err := codepage.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	encode := func(name, s string) []byte {
		b, err := page(name).Encoding.NewEncoder().Bytes([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const fallback, override = "iso-8859-15", "windows-1251"
	cases := []struct {
		name, label string
		bytes       []byte
		want        string // in mode fallback
		used        string
		defect      string
	}{
		{"us-ascii with 8 bits", "us-ascii", encode(fallback, "5 € für Öl"), "5 € für Öl", fallback, codepage.Contradicted},
		{"us-ascii that is UTF-8", "us-ascii", []byte("5 € für Öl"), "5 € für Öl", "utf-8", codepage.Contradicted},
		{"utf-8 that is not valid", "utf-8", encode(fallback, "5 € für Öl"), "5 € für Öl", fallback, codepage.Contradicted},
		{"iso-8859-1 with C1", "iso-8859-1", encode("windows-1252", "„Öl“ – 5 €"), "„Öl“ – 5 €", "windows-1252", codepage.Contradicted},
		{"gb2312 that needs GB 18030", "gb2312", encode("gb18030", "你好㐀"), "你好㐀", "GB18030", codepage.Contradicted},
		{"shift_jis that needs 932", "shift_jis", []byte("\x87\x40\x93\xfa\x96\x7b"), "①日本", "shift_jis", ""},
		{"unknown", "x-nonsense", encode(fallback, "5 € für Öl"), "5 € für Öl", fallback, codepage.Unknown},
	}
	mail := func(subject, contentType, body []byte) []byte {
		return fmt.Appendf(nil, "Subject: %s\r\nMIME-Version: 1.0\r\nContent-Type: %s\r\n\r\n%s", subject, contentType, body)
	}
	percent := func(b []byte, sign string) string {
		var s strings.Builder
		for _, c := range b {
			fmt.Fprintf(&s, "%s%02X", sign, c)
		}
		return s.String()
	}
	places := []struct {
		name string
		mail func(label string, b []byte) []byte
		read func(m *Message) string
	}{
		{"body", func(label string, b []byte) []byte { return mail(nil, []byte("text/plain; charset="+label), b) },
			func(m *Message) string { return m.Text }},
		{"raw header", func(label string, b []byte) []byte { return mail(b, []byte("text/plain; charset="+label), nil) },
			func(m *Message) string { return m.Subject }},
		{"word in base64", func(label string, b []byte) []byte {
			return mail([]byte("=?"+label+"?B?"+base64.StdEncoding.EncodeToString(b)+"?="), []byte("text/plain"), nil)
		}, func(m *Message) string { return m.Subject }},
		{"word in quoted-printable", func(label string, b []byte) []byte {
			return mail([]byte("=?"+label+"?Q?"+percent(b, "=")+"?="), []byte("text/plain"), nil)
		}, func(m *Message) string { return m.Subject }},
		{"parameter", func(label string, b []byte) []byte {
			return mail(nil, []byte("image/png; name*="+label+"''"+percent(b, "%")), nil)
		}, func(m *Message) string { return m.Attachments[0].Name }},
		{"parameter in pieces", func(label string, b []byte) []byte {
			return mail(nil, []byte("image/png; name*0*="+label+"''"+percent(b[:1], "%")+"; name*1*="+percent(b[1:], "%")), nil)
		}, func(m *Message) string { return m.Attachments[0].Name }},
		{"word in a parameter", func(label string, b []byte) []byte {
			return mail(nil, []byte("image/png; name=\"=?"+label+"?B?"+base64.StdEncoding.EncodeToString(b)+"?=\""), nil)
		}, func(m *Message) string { return m.Attachments[0].Name }},
	}
	for _, c := range cases {
		for _, place := range places {
			t.Run(c.name+"/"+place.name, func(t *testing.T) {
				raw := place.mail(c.label, c.bytes)
				m := Parse(raw, Options{Policy: codepage.Policy{Page: page(fallback)}})
				if got := place.read(m); got != c.want {
					t.Errorf("got %q (%v), want %q", got, m.CodePage, c.want)
				}
				if place.name == "raw header" { // its label is the body's: only the page is told
					c.defect = ""
				}
				if !strings.Contains(strings.Join(m.Defects, " "), c.defect) {
					t.Errorf("defects %q, want %s", m.Defects, c.defect)
				}
				if c.defect != "" && m.CodePage.Used != c.used && !strings.Contains(m.CodePage.Why, " "+c.used+": declared "+c.label) {
					t.Errorf("used %v, want a mention of %s", m.CodePage, c.used)
				}
				m = Parse(raw, Options{Policy: codepage.Policy{Page: page(override), Mode: codepage.Override}})
				want, _ := page(override).Encoding.NewDecoder().Bytes(c.bytes)
				if got := place.read(m); got != string(bytes.TrimSpace(want)) || m.CodePage.Used != override {
					t.Errorf("override: got %q with %v, want %q", got, m.CodePage, want)
				}
			})
		}
	}
}
