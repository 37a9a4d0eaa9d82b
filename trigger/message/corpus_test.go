package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/codepage"
)

var update = flag.Bool("update", false, "write the golden files of the corpus anew")

// An expectation is what corpus.py says is true of a message; a nil field is not checked.
type expectation struct {
	Policy      string // page, and "override"
	Subject     *string
	Text        *string
	HTML        *string
	Page        *string
	MessageID   *string `json:"message_id"`
	Date        json.RawMessage
	From        *[][2]string
	To          *[][2]string
	Cc          *[][2]string
	Bcc         *[][2]string
	ReplyTo     *[][2]string `json:"reply_to"`
	Names       *[]string    // of the attachments
	Inline      *[]bool      // of the attachments
	Safe        *string      // SafeName of the first attachment's name
	FileName    *string      // of the first attachment
	Defects     *[]string
	Attachments *[]struct {
		Name        string
		Size        *int64
		SHA256      string
		ContentType string `json:"content_type"`
		ContentID   string `json:"content_id"`
		Disposition string
		Inline      *bool
	}
}

func policy(t *testing.T, s string) (p codepage.Policy) {
	name, mode, _ := strings.Cut(s, " ")
	if name != "" {
		page, err := codepage.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		p.Page = page
	}
	if mode == "override" {
		p.Mode = codepage.Override
	}
	return p
}

// corpus gives every message of the corpus to f.
func corpus(t testing.TB, f func(name string, raw []byte)) {
	files, err := filepath.Glob("testdata/corpus/*.eml")
	if err != nil || len(files) < 150 {
		t.Fatalf("%d messages, %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f(strings.TrimSuffix(filepath.Base(file), ".eml"), raw)
	}
}

func expectations(t *testing.T) map[string]expectation {
	b, err := os.ReadFile("testdata/expect.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var e map[string]expectation
	if err := d.Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCorpus(t *testing.T) {
	expected := expectations(t)
	corpus(t, func(name string, raw []byte) {
		t.Run(name, func(t *testing.T) {
			e, ok := expected[name]
			if !ok {
				t.Fatal("expect.json does not know it")
			}
			m := Parse(raw, Options{Policy: policy(t, e.Policy)})
			e.check(t, m)
			opens(t, m)
			golden(t, name, m)
			for _, d := range m.Defects {
				if Defects[d] == "" {
					t.Errorf("defect %q has no sentence", d)
				}
			}
		})
	})
}

func (e *expectation) check(t *testing.T, m *Message) {
	same := func(what string, got string, want *string) {
		t.Helper()
		if want != nil && got != *want {
			t.Errorf("%s\n got %.2000q\nwant %.2000q", what, got, *want)
		}
	}
	same("subject", m.Subject, e.Subject)
	same("text", m.Text, e.Text)
	same("html", m.HTML, e.HTML)
	same("page", m.CodePage.Used, e.Page)
	same("message id", m.MessageID, e.MessageID)
	if e.Date != nil {
		want := time.Time{}
		if err := json.Unmarshal(e.Date, &want); err != nil {
			t.Error(err)
		}
		if !m.Date.Equal(want) {
			t.Errorf("date %v, want %v", m.Date, want)
		}
	}
	for _, l := range []struct {
		field string
		got   []Address
		want  *[][2]string
	}{{"from", m.From, e.From}, {"to", m.To, e.To}, {"cc", m.Cc, e.Cc}, {"bcc", m.Bcc, e.Bcc}, {"reply-to", m.ReplyTo, e.ReplyTo}} {
		if l.want == nil {
			continue
		}
		got := [][2]string{}
		for _, a := range l.got {
			got = append(got, [2]string{a.Name, a.Address})
		}
		if !reflect.DeepEqual(got, *l.want) {
			t.Errorf("%s\n got %q\nwant %q", l.field, got, *l.want)
		}
	}
	names, inline := []string{}, []bool{}
	for i := range m.Attachments {
		names = append(names, m.Attachments[i].Name)
		inline = append(inline, m.Attachments[i].Inline())
	}
	if e.Names != nil && !slices.Equal(names, *e.Names) {
		t.Errorf("attachments %q, want %q", names, *e.Names)
	}
	if e.Inline != nil && !slices.Equal(inline, *e.Inline) {
		t.Errorf("attachments inline %v, want %v", inline, *e.Inline)
	}
	if e.Safe != nil {
		same("safe name", SafeName(m.Attachments[0].Name), e.Safe)
	}
	if e.FileName != nil {
		same("file name", m.Attachments[0].FileName(), e.FileName)
	}
	if e.Defects != nil {
		for _, d := range *e.Defects {
			if !slices.Contains(m.Defects, d) {
				t.Errorf("defects %q, want %q", m.Defects, *e.Defects)
			}
		}
		if len(*e.Defects) == 0 && len(m.Defects) > 0 {
			t.Errorf("defects %q, want none", m.Defects)
		}
	}
	if e.Attachments == nil {
		return
	}
	want := *e.Attachments
	if len(m.Attachments) != len(want) {
		t.Errorf("%d attachments %q, want %d", len(names), names, len(want))
		return
	}
	for i := range want {
		a, w := &m.Attachments[i], &want[i]
		same("name", a.Name, &w.Name)
		if w.Size != nil && (a.Size != *w.Size || a.SHA256 != w.SHA256) {
			b, _ := io.ReadAll(a.Open())
			t.Errorf("%s: %d bytes, want %d: %.200q", a.Name, a.Size, *w.Size, b)
		}
		if w.ContentType != "" && a.ContentType != w.ContentType || w.ContentID != "" && a.ContentID != w.ContentID ||
			w.Disposition != "" && a.Disposition != w.Disposition || w.Inline != nil && a.Inline() != *w.Inline {
			t.Errorf("%+v (inline %v)\nwant %+v", *a, a.Inline(), *w)
		}
	}
}

// opens checks that every attachment opens to the bytes that were measured.
func opens(t *testing.T, m *Message) {
	t.Helper()
	for i := range m.Attachments {
		a := &m.Attachments[i]
		for _, read := range []func(r io.Reader) ([]byte, error){
			io.ReadAll,
			func(r io.Reader) ([]byte, error) { // in small pieces, and not by WriteTo
				var b bytes.Buffer
				_, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{r}, make([]byte, 7))
				return b.Bytes(), err
			},
		} {
			b, err := read(a.Open())
			sum := sha256.Sum256(b)
			if err != nil || int64(len(b)) != a.Size || hex.EncodeToString(sum[:]) != a.SHA256 {
				t.Errorf("attachment %d %q: opened %d bytes, measured %d, %v", i, a.Name, len(b), a.Size, err)
			}
		}
	}
}

func golden(t *testing.T, name string, m *Message) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(m); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata/corpus", name+".json")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s differs (go test -update writes it anew); got\n%.4000s", file, b.Bytes())
	}
}
