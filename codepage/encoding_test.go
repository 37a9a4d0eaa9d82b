package codepage

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/transform"
)

// supported calls f for every page that has an encoding.
func supported(t *testing.T, f func(*testing.T, *Page)) {
	for i := range entries {
		if p := &entries[i].Page; p.Encoding != nil {
			t.Run(fmt.Sprint(p), func(t *testing.T) { f(t, p) })
		}
	}
}

// chunked transforms data as it comes in pieces of n bytes, through a small buffer.
func chunked(t testing.TB, tr transform.Transformer, data []byte, n int) []byte {
	t.Helper()
	tr.Reset()
	var out, src []byte
	dst := make([]byte, maxSpelled)
	for {
		piece := data[:min(n, len(data))]
		data = data[len(piece):]
		src = append(src, piece...)
		for {
			nDst, nSrc, err := tr.Transform(dst, src, len(data) == 0)
			out, src = append(out, dst[:nDst]...), src[nSrc:]
			if err == transform.ErrShortDst && nDst+nSrc > 0 {
				continue
			}
			if err == transform.ErrShortSrc && len(data) > 0 {
				break
			}
			if err != nil {
				t.Fatalf("%v after %q", err, out)
			}
			if len(data) == 0 {
				return out
			}
			break
		}
	}
}

// C1 controls are what the standards say, x/text or not.
func TestC1(t *testing.T) {
	for _, name := range strings.Fields("iso-8859-1 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-8-i iso-8859-9 iso-8859-10 iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16") {
		p, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		for b := 0x80; b <= 0x9F; b++ {
			if got, err := p.Encoding.NewDecoder().String(string([]byte{byte(b)})); got != string(rune(b)) || err != nil {
				t.Errorf("%s: %02X is %q, %v", name, b, got, err)
			}
		}
	}
	if got, _ := Windows1252.Encoding.NewDecoder().String("\x81\x80"); got != "\u0081€" {
		t.Errorf("windows-1252: %q", got)
	}
}

// What the pages decode to is encoded to bytes that decode to it again.
func TestRoundTrip(t *testing.T) {
	supported(t, func(t *testing.T, p *Page) {
		var texts []string
		d := p.Encoding.NewDecoder()
		for _, q := range inquiries(t) {
			if q.page != fmt.Sprint(p.Number) && q.page != p.Name || q.Program == "python" && p.Number != 950 {
				continue
			}
			for code := range ours(t, q) {
				s, err := d.String(q.Prefix + code + q.Suffix)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, s)
			}
		}
		e := p.Encoding.NewEncoder()
		lost := 0
		for _, text := range texts {
			b, err := e.String(text)
			if err != nil {
				lost++
				continue
			}
			if again, err := d.String(b); err != nil || again != text {
				t.Errorf("%q is %q is %q, %v", text, b, again, err)
			}
		}
		// Of the pages of this package nothing is lost; those of x/text decode more than they encode.
		if _, own := p.Encoding.(interface{ own() }); own && lost > 0 || lost > len(texts)/2 && p.Number != 50221 {
			t.Errorf("%d of %d are not encoded", lost, len(texts))
		}
	})
}

func TestUnsupportedRune(t *testing.T) {
	for name, want := range map[string]string{"28605": "a\x1Ab", "500": "\x81\x3F\x82", "1361": "a\x1Ab", "50939": "\x81\x3F\x82", "iso-2022-kr": "\x1b$)Ca\x1Ab", "51950": "a\x1Ab"} {
		p, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Encoding.NewEncoder().String("a😀b"); !errors.As(err, new(missing)) {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := encoding.ReplaceUnsupported(p.Encoding.NewEncoder()).String("a😀b"); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
		if _, err := p.Encoding.NewEncoder().String("a\xFFb"); err == nil {
			t.Errorf("%s: what is not UTF-8 is taken", name)
		}
	}
}

func TestUTF7(t *testing.T) {
	p, err := Lookup("utf-7")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ bytes, text string }{
		{"A+ImIDkQ.", "A≢Α."}, // RFC 2152
		{"Hi Mom -+Jjo--!", "Hi Mom -☺-!"},
		{"+ZeVnLIqe-", "日本語"},
		{"Item 3 is +AKM-1.", "Item 3 is £1."},
		{"1 +- 1", "1 + 1"},
		{"+2D3eAA-", "😀"},
		{"+2D3eAA", "😀"},
		{"+AKM", "£"},
		{"+AKMAow", "££"},
		{"a+AKM\n", "a£\n"},
		{"+", ""},
		{"+!", "\uFFFD!"},
		{"+AK", "\uFFFD"},
		{"+AA-", "\uFFFD"},
		{"+2D0-x", "\uFFFDx"},
		{"+2D0AYQ-", "\uFFFDa"},
		{"+3gA-", "\uFFFD"},
		{"+AKN-", "£\uFFFD"}, // the padding is not zero
		{"\xA3", "\uFFFD"},
		{"~\\", "~\\"},
	} {
		if got, err := p.Encoding.NewDecoder().String(test.bytes); err != nil || got != test.text {
			t.Errorf("%q is %q, %v; want %q", test.bytes, got, err, test.text)
		}
	}
	var all strings.Builder
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf16.IsSurrogate(r) {
			all.WriteRune(r)
			if r%7 == 0 {
				all.WriteString("a/-+ "[r%5 : r%5+1])
			}
		}
	}
	b, err := p.Encoding.NewEncoder().String(all.String())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.Encoding.NewDecoder().String(b); err != nil || again != all.String() {
		t.Error("all of Unicode does not come back", err)
	}
}

func TestISO2022(t *testing.T) {
	for _, test := range []struct{ page, bytes, text string }{
		{"50220", "\x1b$B\x46\x7c\x4b\x5c\x1b(B", "日本"},
		{"50220", "\x1b$B\x46\x7c\nab", "日\nab"},         // a line ends in ASCII
		{"50220", "\x1b(I\x31\x32\x1b(B", "ｱｲ"},          // katakana by an escape,
		{"50222", "\x0E\x31\x32\x0Fa", "ｱｲa"},            // by a shift,
		{"50220", "\xB1\xB2a", "ｱｲa"},                    // and in eight bits
		{"50220", "\x1b(J\\~", "\\~"},                    // JIS X 0201's letters are ASCII
		{"50220", "\x1b&@\x1b$B\x46\x7c\x1b(B", "日"},     // JIS X 0208-1990 announced
		{"50220", "\x1b$(D\x30\x21\x1b(B", "丂"},          // JIS X 0212
		{"50220", "\x1b$A\x30\x21\x1b$(C\x30\x21", "啊가"}, // ISO-2022-JP-2
		{"50220", "\x1b.A\x1bNi\x1bN a", "é\u00A0a"},
		{"50220", "\x1b.F\x1bNa", "α"},
		{"50220", "\x1b$B\x46", "\uFFFD"},
		{"50220", "\x1b$B\x46\n", "\uFFFD\n"},
		{"50220", "\x1b[m", "\uFFFD[m"},
		{"50220", "\x1b$", "\uFFFD$"},
		{"50220", "\x1b.A\x1bN", "\uFFFD"},
		{"50220", "\x1b.A\x1bN\n", "\uFFFD\n"},
		{"50225", "\x1b$)C\x0E\x30\x21\x0F a", "가 a"},
		{"50225", "\x0E\x30\x21\x0F a", "가 a"}, // without the designation, as in .NET
		{"50225", "\x0E\x30\x21\nab", "가\nab"},
		{"iso-2022-cn", "\x1b$)A\x0E\x30\x21\x0F\x1b$*H\x1bN\x21\x21", "啊乂"},
		{"iso-2022-cn", "\x1b$)A\x0E\x30\x21\n\x0Ea", "啊\n\x0Ea"}, // a designation lasts a line
		{"hz-gb-2312", "~{0!~}~~", "啊~"},
		{"50939", "\x81\x0E\x42\xC1\x0F\x81", "aＡa"},
		{"50939", "\x0E\x42", "\uFFFD"},
		{"50939", "\x0E\x42\x25\x81", "\uFFFD\n\uFFFD"},
		{"51950", "\xA4\x40\x8E\xA2\xA1\xA1\x8E\xA2\xA1", "\uFFFD@乂\uFFFD"},
		{"51950", "\x8E\xB5\xA1\xA1a\x8E", "\uFFFDa\uFFFD"},
		{"1361", "\x88\x61\xD1\n\xFF", "가\uFFFD\n\uFFFD"},
		{"20269", "\xC2e\xC1", "é\uFFFD"},
	} {
		p, err := Lookup(test.page)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Encoding.NewDecoder().String(test.bytes); err != nil || got != test.text {
			t.Errorf("%s: %q is %q, %v; want %q", test.page, test.bytes, got, err, test.text)
		}
	}
}

// The kinds are what the policy takes them for.
func TestKinds(t *testing.T) {
	var plain []byte
	for b := range byte(0x80) {
		if b != escape && b != shiftIn && b != shiftOut {
			plain = append(plain, b)
		}
	}
	supported(t, func(t *testing.T, p *Page) {
		text, err := p.Encoding.NewDecoder().Bytes(plain)
		if err != nil {
			t.Fatal(err)
		}
		same := bytes.Equal(text, plain)
		switch p.kind {
		case asciiBased:
			if !same {
				t.Errorf("ASCII is %q", text)
			}
		case nearlyASCII, wide, ebcdic:
			if same {
				t.Error("it is ASCII")
			}
		}
		if a, err := p.Encoding.NewDecoder().String("\x81"); p.kind == ebcdic && p.Number != 20290 && p.Number != 50930 && p.Number != 20420 && p.Number != 50933 && a != "a" {
			t.Errorf("EBCDIC has a at 81, not %q, %v", a, err)
		}
	})
}

// Whatever the bytes, and wherever the stream is cut, the text is the same, and UTF-8.
func FuzzDecode(f *testing.F) {
	for i := range entries {
		f.Add(i, 1, []byte("plain\x1b$B\x46\x7c\x1b(B\x0E\x42\xC1\x0F\x8E\xA2\xA1\xA1\xC2e~{0!~}+AKM-\n\xFF"))
	}
	f.Add(0, 3, []byte("+2D3eAA-\x1b$*H\x1bN\x21\x21\x1b.A\x1bN "))
	f.Fuzz(func(t *testing.T, page, n int, data []byte) {
		p := &entries[uint(page)%uint(len(entries))].Page
		if p.Encoding == nil || len(data) > 1<<12 {
			return
		}
		d := p.Encoding.NewDecoder()
		whole, err := d.Bytes(data)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(whole) {
			t.Fatalf("%v: %q is no UTF-8", p, whole)
		}
		if got := chunked(t, d.Transformer, data, 1+int(uint(n)%64)); !bytes.Equal(got, whole) {
			t.Fatalf("%v: in pieces %q, at once %q", p, got, whole)
		}
	})
}

// Whatever the text, what can be encoded comes back, wherever the stream is cut.
func FuzzEncode(f *testing.F) {
	for i := range entries {
		f.Add(i, 1, "plain äß Ж 日本語 한국 中文 ｱｲ € 😀 +-/\n丂")
	}
	f.Fuzz(func(t *testing.T, page, n int, text string) {
		p := &entries[uint(page)%uint(len(entries))].Page
		if _, own := p.Encoding.(interface{ own() }); !own || len(text) > 1<<12 {
			return
		}
		var kept strings.Builder
		e := p.Encoding.NewEncoder()
		for _, r := range text {
			if _, err := e.String(string(r)); err == nil && r != utf8.RuneError && r != escape && r != shiftIn && r != shiftOut && r != 0xFEFF {
				kept.WriteRune(r)
			}
		}
		b, err := e.String(kept.String())
		if err != nil {
			t.Fatal(err)
		}
		if got := chunked(t, e.Transformer, []byte(kept.String()), 1+int(uint(n)%64)); string(got) != b {
			t.Fatalf("%v: in pieces %q, at once %q", p, got, b)
		}
		if again, err := p.Encoding.NewDecoder().String(b); err != nil || again != kept.String() {
			t.Fatalf("%v: %q is %q is %q, %v", p, kept.String(), b, again, err)
		}
	})
}

// Whatever the label and the bytes, there is a text and a reason.
func FuzzPolicy(f *testing.F) {
	for _, label := range []string{"", "utf-8", "us-ascii", "iso-8859-1", "gb2312", "utf-16", "utf-7", "iso-2022-kr", "ibm037", "x-nonsense"} {
		f.Add(label, 1252, []byte("a\xC3\xA4\xFF\x1b$B\x46\x7c"))
	}
	f.Fuzz(func(t *testing.T, label string, page int, data []byte) {
		p := Policy{}
		if e := known(fmt.Sprint(page)); e != nil {
			p.Page = &e.Page
		}
		text, c := p.Decode(label, data)
		if !utf8.ValidString(text) || c.Page == nil || c.Why == "" || len(c.Why) > 300 {
			t.Fatalf("%q %v", text, c)
		}
		if isASCII(data) && looksASCII(data) && (label == "" || label == "utf-8") && p.Page == nil && !bytes.Contains(data, []byte{escape}) && text != string(data) {
			t.Fatalf("ASCII %q became %q", data, text)
		}
	})
}

func benchmark(b *testing.B, e encoding.Encoding, text string) {
	encoded, err := e.NewEncoder().String(strings.Repeat(text, 1000))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(encoded)))
		d, data := e.NewDecoder(), []byte(encoded)
		for b.Loop() {
			if _, err := d.Bytes(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		e, data := e.NewEncoder(), []byte(strings.Repeat(text, 1000))
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := e.Bytes(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Pages of this package beside their like in x/text.
func BenchmarkPages(b *testing.B) {
	for _, x := range []struct {
		name string
		e    encoding.Encoding
		text string
	}{
		{"x-text-iso-8859-15", charmap.ISO8859_15, "Grüße für 5 € aus München\n"},
		{"iso-8859-15", numbered(28605).Encoding, "Grüße für 5 € aus München\n"},
		{"x-text-ibm037", charmap.CodePage037, "Gruesse aus dem Rechenzentrum\n"},
		{"ibm500", numbered(500).Encoding, "Gruesse aus dem Rechenzentrum\n"},
		{"x-text-euc-kr", korean.EUCKR, "받는 사람에게 한국어로 mail\n"},
		{"johab", numbered(1361).Encoding, "받는 사람에게 한국어로 mail\n"},
		{"iso-2022-kr", numbered(50225).Encoding, "받는 사람에게 한국어로 mail\n"},
		{"x-text-iso-2022-jp", japanese.ISO2022JP, "日本語のメールです mail\n"},
		{"iso-2022-jp", numbered(50220).Encoding, "日本語のメールです mail\n"},
		{"ibm939", numbered(50939).Encoding, "日本語のメールです mail\n"},
		{"x-text-hz", simplifiedchinese.HZGB2312, "中文邮件的内容 mail\n"},
		{"iso-2022-cn", iso2022CN, "中文邮件的内容 mail\n"},
		{"x-text-big5", traditionalchinese.Big5, "中文郵件的內容 mail\n"},
		{"euc-tw", numbered(51950).Encoding, "中文郵件的內容 mail\n"},
		{"utf-7", numbered(65000).Encoding, "Grüße für 5 € aus 日本語\n"},
	} {
		b.Run(x.name, func(b *testing.B) { benchmark(b, x.e, x.text) })
	}
}
