package codepage

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
)

// in encodes s with a page.
func in(t testing.TB, page, s string) string {
	t.Helper()
	p, err := Lookup(page)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Encoding.NewEncoder().String(s)
	if err != nil {
		t.Fatalf("%s in %s: %v", s, page, err)
	}
	return b
}

func TestFallback(t *testing.T) {
	utf16be := func(s string) string { return in(t, "1201", s) }
	tests := []struct {
		name, page, label, data string
		want                    string
		used                    int
		why                     string // a part of it
		defect                  string
	}{
		{"declared", "28605", "iso-8859-2", "\xB1", "ą", 28592, "declared", ""},
		{"declared UTF-8", "28605", "utf-8", "€", "€", 65001, "declared", ""},
		{"UTF-8 mark", "", "utf-8", "\xEF\xBB\xBF€", "€", 65001, "declared", ""},
		{"ASCII as declared", "", "iso-8859-1", "abc", "abc", 28591, "declared", ""},
		{"nothing at all", "", "", "", "", 20127, "all ASCII", ""},
		{"undeclared ASCII", "28605", "", "abc", "abc", 20127, "undeclared, all ASCII", ""},
		{"undeclared ASCII, EBCDIC page", "37", "", "abc", "abc", 20127, "undeclared, all ASCII", ""},
		{"undeclared EBCDIC", "37", "", "\x88\x85\x93\x93\x96", "hello", 37, "undeclared; the fallback", Undeclared},
		{"undeclared, wide page", "1200", "", "a\x00b\x00", "ab", 1200, "undeclared; the fallback", Undeclared},
		{"undeclared 8 bits", "28605", "", "\xA4 5", "€ 5", 28605, "undeclared; the fallback", Undeclared},
		{"undeclared 8 bits, no page", "", "", "\x80 5", "€ 5", 1252, "undeclared; the fallback", Undeclared},
		{"undeclared UTF-8", "28605", "", "gr\xC3\xBCn", "grün", 65001, "undeclared, but the bytes are UTF-8", Undeclared},
		{"undeclared UTF-16 by its mark", "", "", "\xFF\xFEa\x00", "a", 1200, "byte order mark", Undeclared},
		{"undeclared UTF-16 big", "", "", "\xFE\xFF\x00a", "a", 1201, "byte order mark", Undeclared},
		{"undeclared ISO-2022-JP", "", "", "\x1b$B$\"\x1b(B", "あ", 50220, "escapes", Undeclared},
		{"a terminal's escapes", "", "", "\x1b[1mx\x1b[0m", "\x1b[1mx\x1b[0m", 20127, "all ASCII", ""},
		{"unknown", "28605", "x-nonsense", "\xA4", "€", 28605, "x-nonsense, which is not known; the fallback", Unknown},
		{"unknown, ASCII", "28605", "x-nonsense", "a", "a", 20127, "x-nonsense, which is not known, all ASCII", Unknown},
		{"unknown, UTF-8", "28605", "x-unknown", "é", "é", 65001, "not known, but the bytes are UTF-8", Unknown},
		{"without a table", "28605", "x-cp20001", "\xA4", "€", 28605, "which cannot be read; the fallback", Unknown},
		{"hostile label", "28605", strings.Repeat("\x00A", 5000), "\xA4", "€", 28605, "\"...", Unknown},
		{"label in quotes", "", ` "ISO-8859-2" `, "\xB1", "ą", 28592, "declared", ""},

		{"us-ascii with 8 bits", "28605", "us-ascii", "\xA4", "€", 28605, "declared us-ascii, but the bytes are not; the fallback", Contradicted},
		{"us-ascii that is UTF-8", "28605", "us-ascii", "é", "é", 65001, "declared us-ascii, but the bytes are UTF-8", Contradicted},
		{"us-ascii with escapes", "", "us-ascii", "\x1b$B$\"\x1b(B", "あ", 50220, "escapes", Contradicted},
		{"utf-8 that is not", "28605", "utf-8", "caf\xE9 \xA4", "café €", 28605, "declared utf-8, but the bytes are not; the fallback", Contradicted},
		{"utf-8 cut short", "28605", "utf-8", "äöüäöü\xE2\x82", "äöüäöü\uFFFD", 65001, "though 1 place", Undecodable},
		{"iso-8859-1 that is 1252", "28605", "iso-8859-1", "\x93hi\x94 \x80", "“hi” €", 1252, "declared iso-8859-1, but the bytes are windows-1252", Contradicted},
		{"iso-8859-1 that is UTF-8", "28605", "iso-8859-1", "gr\xC3\xBCn", "grün", 65001, "UTF-8", Contradicted},
		{"iso-8859-1 indeed", "28605", "iso-8859-1", "gr\xFCn", "grün", 28591, "declared", ""},
		{"iso-8859-9 that is 1254", "", "iso-8859-9", "\x80 \xFD", "€ ı", 1254, "windows-1254", Contradicted},
		{"iso-8859-2 that is 1250", "", "iso-8859-2", "\x8A\x9A", "Šš", 1250, "windows-1250", Contradicted},
		{"iso-8859-8-i that is 1255", "", "iso-8859-8-i", "\x80\xE0", "€א", 1255, "windows-1255", Contradicted},
		{"iso-8859-8-i", "", "iso-8859-8-i", "\xE0", "א", 38598, "declared", ""},
		{"tis-620 is 874", "", "tis-620", "\xA1\x85", "ก…", 874, "declared", ""},
		{"iso-8859-11 is 874", "", "iso-8859-11", "\xA1", "ก", 874, "declared", ""},
		{"gb2312 that is GBK", "", "gb2312", "\x81\x40", "丂", 936, "declared", ""},
		{"gb2312 that is GB18030", "", "gb2312", "\xC4\xE3\x81\x39\xEE\x39", "你㐀", 54936, "but the bytes are GB18030", Contradicted},
		{"gb2312, valid UTF-8 by chance", "", "gb2312", "\xD0\xBB\xD0\xBB", "谢谢", 936, "declared", ""},
		{"gb2312 that is UTF-8", "", "gb2312", "你好", "你好", 65001, "but the bytes are UTF-8", Contradicted},
		{"gb2312 cut short", "28605", "gb2312", in(t, "936", "中文邮件标题") + "\xD6", "中文邮件标题\uFFFD", 936, "though 1 place", Undecodable},
		{"shift_jis that is CP932", "", "shift_jis", "\x87\x40", "①", 932, "declared", ""},
		{"windows-31j", "", "windows-31j", "\x87\x40", "①", 932, "declared", ""},
		{"shift_jis that is UTF-8", "", "shift_jis", "こんにちは", "こんにちは", 65001, "UTF-8", Contradicted},
		{"ks_c_5601-1987 that is 949", "", "ks_c_5601-1987", "\x81\x41", "갂", 949, "declared", ""},
		{"euc-kr that is 949", "", "euc-kr", "\x81\x41", "갂", 51949, "declared", ""},
		{"big5 that is HKSCS", "", "big5", "\x87\x40", "䏰", 950, "declared", ""},
		{"big5-hkscs", "", "big5-hkscs", "\x87\x40", "䏰", 950, "declared", ""},
		{"windows-1251", "", "windows-1251", in(t, "1251", "Привет"), "Привет", 1251, "declared", ""},
		{"windows-1251 that is UTF-8", "", "windows-1251", "Привет", "Привет", 65001, "UTF-8", Contradicted},
		{"windows-1251 that is a word of UTF-8", "", "windows-1251", "Тест", "Тест", 65001, "UTF-8", Contradicted},
		{"windows-1251, valid UTF-8 by chance", "", "windows-1251", "\xC8\xBB, \xC2\x85", "И», В…", 1251, "declared", ""},
		{"koi8-r, valid UTF-8 by chance", "", "koi8-r", "\xC5\xA3 \xC5\xA3", "её её", 20866, "declared", ""},
		{"shift_jis that is a word of UTF-8", "", "shift_jis", "日本", "日本", 65001, "UTF-8", Contradicted},
		{"shift_jis, valid UTF-8 by chance", "", "shift_jis", "\xC3\xBD \xC3\xBD", "ﾃｽ ﾃｽ", 932, "declared", ""},
		{"euc-kr that is a word of UTF-8", "", "euc-kr", "한국", "한국", 65001, "UTF-8", Contradicted},
		{"windows-874, valid UTF-8 by chance", "", "windows-874", "\xE1\xBA\xBA \xE1\xBA\xBA", "แบบ แบบ", 874, "declared", ""},
		{"koi8-r", "", "koi8-r", in(t, "koi8-r", "Привет"), "Привет", 20866, "declared", ""},
		{"koi8-u", "", "koi8-u", "\xA4\xAD", "єґ", 21866, "declared", ""},
		{"iso-2022-jp", "", "iso-2022-jp", "\x1b$B$\"\x1b(B a", "あ a", 50220, "declared", ""},
		{"iso-2022-jp that is Shift JIS", "", "iso-2022-jp", "\x82\xA0", "あ", 932, "but the bytes are shift_jis", Contradicted},
		{"iso-2022-jp that is EUC", "", "iso-2022-jp", in(t, "euc-jp", "日本語"), "日本語", 51932, "but the bytes are euc-jp", Contradicted},
		{"hz-gb-2312", "", "hz-gb-2312", "~{<:Ky~}", "己所", 52936, "declared", ""},
		{"utf-16 without a mark, big", "", "utf-16", utf16be("Hé"), "Hé", 1201, "declared", ""},
		{"utf-16 without a mark, little", "", "utf-16", "H\x00\xE9\x00", "Hé", 1200, "declared", ""},
		{"utf-16 with a mark", "", "utf-16", "\xFE\xFF\x00H", "H", 1201, "declared", ""},
		{"utf-16 that is ASCII", "", "utf-16", "Hello there", "Hello there", 20127, "but the bytes are ASCII", Contradicted},
		{"utf-16 that is UTF-8", "", "utf-16", "Grün", "Grün", 65001, "but the bytes are UTF-8", Contradicted},
		{"utf-16 that is UTF-8, even", "", "utf-16", "Grüne", "Grüne", 65001, "but the bytes are UTF-8", Contradicted},
		{"utf-16 of Chinese", "", "utf-16be", utf16be("中文邮件标题"), "中文邮件标题", 1201, "declared", ""},
		{"utf-16 of Russian", "", "utf-16le", in(t, "1200", "Привет"), "Привет", 1200, "declared", ""},
		{"utf-16le that is marked big", "", "utf-16le", "\xFE\xFF\x00H", "H", 1201, "byte order mark", Contradicted},
		{"a mark that is letters", "", "windows-1251", "\xFE\xFF", "юя", 1251, "declared", ""},
		{"UTF-8 by its mark", "", "gbk", "\xEF\xBB\xBFä", "ä", 65001, "byte order mark", Contradicted},
		{"undeclared ASCII, 7-bit page", "50220", "", "abc", "abc", 20127, "undeclared, all ASCII", ""},
		{"undeclared, national page", "20106", "", "K|se", "Köse", 20106, "undeclared; the fallback", Undeclared},
		{"undeclared ASCII, DOS Arabic", "864", "", "100%", "100%", 20127, "undeclared, all ASCII", ""},
		{"declared DOS Arabic", "", "cp864", "100%", "100٪", 864, "declared", ""},
		{"undeclared UTF-8 cut short", "28605", "", "äöüäöü\xE2\x82", "äöüäöü\uFFFD", 65001, "most of the bytes are utf-8", Undecodable},
		{"undeclared ISO-2022-KR", "", "", "\x1b$)C\x0E\x30\x21\x0F", "가", 50225, "escapes", Undeclared},
		{"undeclared ISO-2022-CN", "", "", "\x1b$)A\x0E\x30\x21\x0F", "啊", 50229, "escapes", Undeclared},
		{"iso-2022-kr that is EUC", "", "iso-2022-kr", in(t, "949", "한국어"), "한국어", 949, "but the bytes are ks_c_5601-1987", Contradicted},
		{"utf-7", "", "utf-7", "+AKM-", "£", 65000, "declared", ""},
		{"utf-7 that is not", "28605", "utf-7", "a+b", "a+b", 28605, "the fallback", Contradicted},
		{"undeclared UTF-7 is never guessed", "", "", "+ADw-script+AD4-", "+ADw-script+AD4-", 20127, "all ASCII", ""},
		{"hz that is GBK", "", "hz-gb-2312", in(t, "936", "中文"), "中文", 936, "but the bytes are gb2312", Contradicted},
		{"windows-1252 with a hole", "28605", "windows-1252", "\xE4\xF6\xFC\xDF\x81", "äöüß\u0081", 1252, "though 1 place cannot be", ""},
		{"windows-1252 that is damaged UTF-8", "28605", "windows-1252", "äöüß\x81", "äöüß\uFFFD", 65001, "most of the bytes are utf-8", Undecodable},
		{"utf-8 half broken", "28605", "utf-8", "ä \xE9", "Ã€ é", 28605, "the bytes are not; the fallback", Contradicted},
		{"utf-16 that does not tell its order", "", "utf-16", utf16be("中文"), "中文", 1201, "declared", ""},
		{"EBCDIC that could be UTF-8", "", "ibm037", strings.Repeat("\xC3\x85", 6), "CeCeCeCeCeCe", 37, "declared", ""},
		{"EBCDIC that is UTF-8", "", "ibm037", "Grüße für Jörg, äöü", "Grüße für Jörg, äöü", 65001, "but the bytes are UTF-8", Contradicted},
		{"utf-32", "", "utf-32", "\x00\x00\x00H", "H", 12001, "declared", ""},
		{"EBCDIC", "", "ibm037", "\xC3\x85", "Ce", 37, "declared", ""},
		{"EBCDIC that is ASCII", "", "ibm037", "Hello", "Hello", 20127, "but the bytes are ASCII", Contradicted},
		{"nothing fits", "20127", "utf-8", "\xFF", "\uFFFD", 20127, "the fallback", Undecodable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var p Policy
			if test.page != "" {
				page, err := Lookup(test.page)
				if err != nil {
					t.Fatal(err)
				}
				p.Page = page
			}
			got, c := p.Decode(test.label, []byte(test.data))
			if got != test.want || c.Page.Number != test.used || !strings.Contains(c.Why, test.why) || c.Defect != test.defect {
				t.Errorf("got %q with %v (%s) [%s]", got, c.Page, c.Why, c.Defect)
			}
			if c.Defect != "" && !slices.Contains(Defects, c.Defect) {
				t.Errorf("defect %q is not documented", c.Defect)
			}
			if again := p.Choose(test.label, []byte(test.data)); again != c {
				t.Errorf("Choose says %v, Decode %v", again, c)
			}
			if len(c.Why) > 200 {
				t.Errorf("why is %d bytes long", len(c.Why))
			}
		})
	}
}

func TestOverride(t *testing.T) {
	page, err := Lookup("28605")
	if err != nil {
		t.Fatal(err)
	}
	p := Policy{page, Override}
	for _, label := range []string{"", "utf-8", "x-nonsense", "us-ascii"} {
		got, c := p.Decode(label, []byte("\xC3\xA4"))
		if got != "Ã€" || c != (Choice{page, "override", ""}) {
			t.Errorf("%s: got %q, %v", label, got, c)
		}
	}
	if got, c := (Policy{Mode: Override}).Decode("utf-8", []byte("\x80")); got != "€" || c.Page != Windows1252 {
		t.Errorf("the zero page: got %q, %v", got, c)
	}
}

// A page whose decoder fails must not lose the text.
func TestDecodeNeverFails(t *testing.T) {
	p := Policy{Page: &Page{Name: "broken", Encoding: encoding.Replacement}}
	if got, _ := p.Decode("", []byte("a\xFF")); got == "" {
		t.Error("the text is gone")
	}
	p = Policy{Page: &Page{Name: "none"}}
	if got, c := p.Decode("", []byte("\x80")); got != "€" || c.Page != Windows1252 {
		t.Errorf("a page without an encoding: %q, %v", got, c)
	}
}

func TestModeText(t *testing.T) {
	for _, m := range []Mode{Fallback, Override} {
		var got Mode
		if err := got.UnmarshalText([]byte(m.String())); err != nil || got != m {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	if err := new(Mode).UnmarshalText([]byte("always")); err == nil || !strings.Contains(err.Error(), `use "fallback" or "override"`) {
		t.Error(err)
	}
}
