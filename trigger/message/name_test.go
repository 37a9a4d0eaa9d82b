package message

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var safeNames = map[string]string{
	"":                                "attachment",
	"a.pdf":                           "a.pdf",
	"größer 漢字.pdf":                   "größer 漢字.pdf",
	".":                               "attachment",
	"..":                              "attachment",
	"...":                             "attachment",
	"/etc/passwd":                     "passwd",
	"../../x":                         "x",
	`..\..\x.exe`:                     "x.exe",
	`C:\dir\a.doc`:                    "a.doc",
	"c:/dir/a.doc":                    "a.doc",
	`\\server\share\a.doc`:            "a.doc",
	"Invoice 12/2024.pdf":             "Invoice 12_2024.pdf",
	"a/../b":                          "a_.._b",
	"a\x00b\nc\td.txt":                "a_b c d.txt",
	`a<b>c:d"e|f?g*h`:                 "a_b_c_d_e_f_g_h",
	"name.":                           "name",
	"name. . ":                        "name",
	" name .txt ":                     "name .txt",
	".hidden":                         "hidden",
	"-rf":                             "rf",
	"~root":                           "root",
	"CON":                             "_CON",
	"con.txt":                         "_con.txt",
	"NUL.tar.gz":                      "_NUL.tar.gz",
	"Aux .c":                          "_Aux .c",
	"COM1":                            "_COM1",
	"com¹.log":                        "_com¹.log",
	"LPT9.txt":                        "_LPT9.txt",
	"COM10":                           "COM10",
	"CONSOLE":                         "CONSOLE",
	"CLOCK$":                          "_CLOCK$",
	"photo\u202egnp.exe":              "photognp.exe",
	"zero\u200bwidth\ufeff.txt":       "zerowidth.txt",
	"nb\u00a0space.txt":               "nb space.txt",
	"line\u2028sep.txt":               "line sep.txt",
	"bad\xff\xfeutf8.txt":             "bad_utf8.txt",
	"c1\u0085control\u009b.txt":       "c1 control_.txt",
	strings.Repeat("x", 300):          strings.Repeat("x", 199),
	strings.Repeat("ü", 150) + ".pdf": strings.Repeat("ü", 97) + ".pdf",
	strings.Repeat("a", 198) + " . .tar" + ".pdf.gz": strings.Repeat("a", 196) + ".gz",
	"a." + strings.Repeat("e", 300):                  "a." + strings.Repeat("e", 197),
	"\u202e":                                         "attachment",
	"///":                                            "attachment",
	"😀.txt":                                          "😀.txt",
}

func TestSafeName(t *testing.T) {
	for name, want := range safeNames {
		if got := SafeName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		safe(t, SafeName(name))
	}
}

// safe checks what SafeName promises of every name.
func safe(t *testing.T, got string) {
	t.Helper()
	switch {
	case got == "" || len(got) > 200 || !utf8.ValidString(got):
		t.Errorf("%q: empty, long or not UTF-8", got)
	case strings.ContainsAny(got, `<>:"/\|?*`):
		t.Errorf("%q: a reserved character", got)
	case strings.IndexFunc(got, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }) >= 0:
		t.Errorf("%q: an invisible character", got)
	case strings.HasPrefix(got, ".") || strings.HasPrefix(got, " ") || strings.HasPrefix(got, "-") ||
		strings.HasSuffix(got, ".") || strings.HasSuffix(got, " "):
		t.Errorf("%q: begins or ends amiss", got)
	case reserved(got):
		t.Errorf("%q: a device of Windows", got)
	case SafeName(got) != got:
		t.Errorf("%q: not idempotent: %q", got, SafeName(got))
	}
}

func TestFileName(t *testing.T) {
	for _, c := range []struct {
		a    Attachment
		want string
	}{
		{Attachment{Name: "a/b.pdf", ContentType: "text/plain"}, "a_b.pdf"},
		{Attachment{ContentType: "application/pdf"}, "attachment.pdf"},
		{Attachment{ContentType: "image/jpeg"}, "attachment.jpg"},
		{Attachment{ContentType: "image/webp"}, "attachment.webp"},
		{Attachment{ContentType: "image/x-.."}, "attachment.x"},
		{Attachment{ContentType: "message/rfc822", title: "Re: x/y"}, "Re_ x_y.eml"},
		{Attachment{ContentType: "application/x-none"}, "attachment.bin"},
	} {
		got := c.a.FileName()
		safe(t, got)
		if c.a.ContentType != "image/x-.." && got != c.want {
			t.Errorf("%+v: %q, want %q", c.a, got, c.want)
		}
	}
}
