package message

import (
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"mailtrigger/codepage"
)

// FuzzParse looks for mail that breaks what Parse promises: no panic, valid
// UTF-8 everywhere, documented defects, attachments that open to what was
// measured, the same header by ParseHeader.
func FuzzParse(f *testing.F) {
	corpus(f, func(_ string, raw []byte) {
		if len(raw) < 10<<10 {
			f.Add(raw, false)
		}
	})
	f.Add([]byte(ordinary), true)
	f.Fuzz(func(t *testing.T, raw []byte, override bool) {
		p := codepage.Policy{}
		if override {
			p.Mode = codepage.Override
		}
		opts := Options{Policy: p}
		m := Parse(raw, opts)
		b, err := json.Marshal(m)
		if err != nil || !utf8.Valid(b) {
			t.Fatalf("JSON: %v", err)
		}
		if slices.Contains(m.Defects, DefectRaw) {
			t.Fatal("gave up")
		}
		for _, d := range m.Defects {
			if Defects[d] == "" {
				t.Errorf("defect %q has no sentence", d)
			}
		}
		for _, s := range []string{m.Subject, m.Text, m.HTML, m.MessageID} {
			if !utf8.ValidString(s) {
				t.Errorf("%q", s)
			}
		}
		if strings.ContainsAny(m.Subject+m.MessageID, "\r\n\x00") {
			t.Errorf("%q, %q", m.Subject, m.MessageID)
		}
		for _, h := range m.Headers {
			if !utf8.ValidString(h.Name+h.Value) || strings.ContainsAny(h.Name+h.Value, "\r\n\x00") {
				t.Errorf("%q", h)
			}
		}
		for _, a := range slices.Concat(m.From, m.To, m.Cc, m.Bcc, m.ReplyTo) {
			if !utf8.ValidString(a.Name+a.Address) || strings.ContainsAny(a.Name+a.Address, "\r\n\x00") {
				t.Errorf("%q", a)
			}
		}
		for i := range m.Attachments {
			a := &m.Attachments[i]
			if !utf8.ValidString(a.Name + a.ContentType + a.ContentID) {
				t.Errorf("%q", a.Name)
			}
			if a.Disposition != "attachment" && a.Disposition != "inline" {
				t.Errorf("disposition %q", a.Disposition)
			}
			safe(t, a.FileName())
			if n, err := io.Copy(io.Discard, a.Open()); err != nil || n != a.Size {
				t.Errorf("opened %d bytes of %d, %v", n, a.Size, err)
			}
		}
		h := ParseHeader(raw, opts)
		if !reflect.DeepEqual(h.Headers, m.Headers) || !reflect.DeepEqual(h.To, m.To) {
			t.Errorf("ParseHeader differs: %q, %q", h.Headers, m.Headers)
		}
	})
}

func FuzzSafeName(f *testing.F) {
	for name := range safeNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) { safe(t, SafeName(name)) })
}

func FuzzDate(f *testing.F) {
	f.Add("Mon, 1 May 2023 10:20:30 +0200 (CEST)")
	f.Add("2023-05-01T10:20:30.5+02:00")
	f.Add("May 1, 2023 3:04:05 PM")
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := ParseDate(s)
		if !ok {
			return
		}
		if _, err := d.MarshalJSON(); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if d.Year() < 1899 || d.Year() > 9999 {
			t.Errorf("%q: %v", s, d)
		}
	})
}

// FuzzTNEF gives Parse a winmail.dat that is not encoded, and the readers of
// RTF what it may hold.
func FuzzTNEF(f *testing.F) {
	corpus(f, func(name string, raw []byte) {
		if !strings.HasPrefix(name, "outlook-winmail") {
			return
		}
		m := Parse(raw, Options{})
		for i := range m.Attachments {
			for o := m.Attachments[i].origin; o != nil; o = o.outer {
				f.Add(o.decoded())
			}
		}
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := Parse(append([]byte("Content-Type: application/ms-tnef\n\n"), data...), Options{})
		if slices.Contains(m.Defects, DefectRaw) {
			t.Fatal("gave up")
		}
		for i := range m.Attachments {
			a := &m.Attachments[i]
			if n, err := io.Copy(io.Discard, a.Open()); err != nil || n != a.Size {
				t.Errorf("opened %d bytes of %d, %v", n, a.Size, err)
			}
		}
		if s, _ := rtfText(decompressRTF(data, MaxRTF)); !utf8.ValidString(s) {
			t.Errorf("%q", s)
		}
		if s, _ := rtfText(data); !utf8.ValidString(s) {
			t.Errorf("%q", s)
		}
	})
}
