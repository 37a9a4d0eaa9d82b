package message

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// pythonWrong are the values that Python reads without complaint and wrongly, with
// the reason; the corpus's expectations hold us to what is right.
var pythonWrong = map[string]string{
	"charset-c1-latin1 text":                   "C1 controls under the label ISO-8859-1 are Windows-1252",
	"charset-latin1-is-1252 text":              "C1 controls under the label ISO-8859-1 are Windows-1252",
	"charset-latin1-is-utf8 text":              "the bytes are UTF-8",
	"header-word-utf8-in-latin1-label subject": "the bytes are UTF-8",
	"charset-raw-iso2022jp subject":            "escapes without a label",
	"charset-raw-iso2022jp text":               "escapes without a label",
	"empty-plain-full-html text":               "the plain form is empty, the HTML is not",
	"eudora-uuencode text":                     "a file in the text",
	"uuencode-cut text":                        "a file in the text",
	"uuencode-two-files-qp text":               "files in the text",
	"header-8bit-key subject":                  "an 8-bit key ends Python's header",
	"header-utf8-key subject":                  "an 8-bit key ends Python's header",
	"header-bare-cr-in-subject subject":        "a bare CR ends Python's line",
	"header-blank-before-colon subject":        "a blank before the colon",
	"header-colonless-line subject":            "a line without a colon ends Python's header",
	"header-crcrlf subject":                    "CR CR LF",
	"header-crcrlf text":                       "CR CR LF",
	"header-empty-lines-above subject":         "empty lines above the header",
	"header-empty-lines-above text":            "empty lines above the header",
	"header-fold-without-blank subject":        "a fold without its blank",
	"header-mbox-from-quoted subject":          "a quoted mbox line",
	"header-nul-in-subject subject":            "control characters",
	"header-word-question-mark subject":        "a question mark within a word",
	"mailman-footer-on-base64 text":            "the list's footer behind base64",
	"mime-encoding-comment text":               "a comment behind the transfer encoding",
	"mime-encoding-quoted text":                "a quoted transfer encoding",
	"mime-flowed-quotes text":                  "Python does not unflow",
	"mutt-delsp text":                          "Python does not unflow",
	"thunderbird-flowed text":                  "Python does not unflow",
	"mime-html-in-parts text":                  "Python takes one text of three",
	"mime-qp-soft-breaks text":                 "blanks behind a soft line break",
}

// TestPython compares what we read with what Python's email package reads, by
// its record in testdata/python.json, which python.py there makes anew.
func TestPython(t *testing.T) {
	b, err := os.ReadFile("testdata/python.json")
	if err != nil {
		t.Fatal(err)
	}
	var record map[string]*struct {
		Subject, Text *string
		Attachments   *[]string
	}
	if err := json.Unmarshal(b, &record); err != nil {
		t.Fatal(err)
	}
	expected := expectations(t)
	compared, wrong := 0, map[string]bool{}
	corpus(t, func(name string, raw []byte) {
		p, ok := record[name]
		if !ok {
			t.Fatalf("%s: python.json does not know it", name)
		}
		if p == nil {
			return
		}
		m := Parse(raw, Options{Policy: policy(t, expected[name].Policy)})
		differs := func(what, got, want string) {
			if _, ok := pythonWrong[name+" "+what]; ok {
				wrong[name+" "+what] = true
			} else {
				t.Errorf("%s: %s\n   we %.1000q\nPython %.1000q", name, what, got, want)
			}
		}
		if p.Subject != nil {
			compared++
			if got, want := words(m.Subject), words(*p.Subject); got != want {
				differs("subject", got, want)
			}
		}
		if p.Text != nil {
			compared++
			if got, want := words(m.Text), words(*p.Text); got != want {
				differs("text", got, want)
			}
		}
		if p.Attachments != nil {
			compared++
			var ours []string
			for i := range m.Attachments {
				ours = append(ours, m.Attachments[i].SHA256)
			}
			for _, hash := range *p.Attachments {
				if !slices.Contains(ours, hash) {
					differs("attachments", strings.Join(ours, " "), hash)
				}
			}
		}
	})
	if compared < 600 {
		t.Errorf("only %d values compared", compared)
	}
	for name := range pythonWrong {
		if !wrong[name] {
			t.Errorf("%s: Python reads it as we do now", name)
		}
	}
}

// words is s with its blanks and line ends made one blank each: Python keeps
// the folds of headers and the breaks of flowed text.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }
