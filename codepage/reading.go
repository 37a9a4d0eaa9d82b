package codepage

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// A reading is a text read with one page, and how well that went.
type reading struct {
	page *Page
	data []byte // as it came, if it reads the same in the page
	text []byte // decoded, if not
	good int    // runes above ASCII
	bad  int    // U+FFFD and C1 control characters: the bytes are hardly of this page
	lost int    // U+FFFD alone
}

// readWith decodes data. A page that is ASCII below 0x80 costs nothing if data is ASCII.
func readWith(page *Page, data []byte) reading {
	r := reading{page: page, data: data}
	if page.kind == asciiBased && isASCII(data) {
		return r
	}
	if page == utf8Page {
		if r.good, r.bad = countUTF8(data); r.bad == 0 && !bytes.HasPrefix(data, bomUTF8) {
			return r
		}
		r.lost = r.bad
	}
	text, err := page.Encoding.NewDecoder().Bytes(data)
	if err != nil { // no decoder of this package returns one; one of a caller's page might
		text = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	r.text = text
	if page == utf8Page {
		return r
	}
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		c, n := utf8.DecodeRune(text[i:])
		i += n
		switch {
		case c == utf8.RuneError:
			r.lost++
			r.bad++
		case c <= 0x9F && page.kind != ebcdic: // EBCDIC text has such controls, NEL for one, between its lines
			r.bad++
		default:
			r.good++
		}
	}
	return r
}

func (r reading) string() string {
	if r.text == nil {
		return string(r.data)
	}
	return string(r.text)
}

// clean says that the bytes can be a text of the page.
func (r reading) clean() bool { return r.bad == 0 }

// damaged says that they can be, but for a few.
func (r reading) damaged() bool { return r.bad > 0 && r.good >= 4*r.bad }

var (
	bomUTF8    = []byte("\xEF\xBB\xBF")
	bomUTF16LE = []byte("\xFF\xFE")
	bomUTF16BE = []byte("\xFE\xFF")

	utf8Page    = numbered(65001)
	asciiPage   = numbered(20127)
	utf16lePage = numbered(1200)
	utf16bePage = numbered(1201)
	utf32lePage = numbered(12000)
	utf32bePage = numbered(12001)
	gbkPage     = numbered(936)
	gb18030Page = numbered(54936)
)

// supersets are the pages that have the characters of a page, and more, so that
// text beyond the page is read as what its sender meant: most programs for
// Windows declare the ISO page and use their own.
var supersets = map[*Page][]*Page{
	numbered(28591): {numbered(1252)},
	numbered(28592): {numbered(1250)}, // not quite: they differ in letters; but ISO 8859-2 has none at 0x80-0x9F
	numbered(28597): {numbered(1253)},
	numbered(28598): {numbered(1255)},
	numbered(38598): {numbered(1255)},
	numbered(28599): {numbered(1254)},
	numbered(28603): {numbered(1257)},
	gbkPage:         {gb18030Page},
	numbered(20936): {gb18030Page},
	numbered(51936): {gb18030Page},
	numbered(50227): {gb18030Page},
	numbered(50220): {numbered(932), numbered(51932)},
	numbered(50221): {numbered(932), numbered(51932)},
	numbered(50222): {numbered(932), numbered(51932)},
	numbered(50225): {numbered(949)},
	numbered(50229): {gbkPage, gb18030Page, numbered(950)},
	numbered(52936): {gbkPage, gb18030Page},
}

// latin are the pages in whose languages a letter of a UTF-8 sequence's first
// byte is never followed by what its other bytes are: signs and controls.
var latin = []*Page{
	asciiPage, Windows1252, numbered(1250), numbered(1254), numbered(1257), numbered(850), numbered(437), numbered(858),
	numbered(28591), numbered(28592), numbered(28593), numbered(28594), numbered(28599), numbered(28603), numbered(28605),
}

// provesUTF8 is the number of characters in UTF-8 after which a text that another
// page reads as well is UTF-8 all the same. Two words of Chinese in GBK are
// valid UTF-8 once in some hundred mails, five hardly ever.
const provesUTF8 = 5

// apart are the pages of one byte whose letters are nearly all above 0xBF: words in them have no
// bytes that continue UTF-8, so that fewer characters prove it. doubled are those of two bytes
// a character whose common leads begin nothing in UTF-8, so that two of three bytes do.
var (
	apart = []*Page{
		numbered(1251), numbered(20866), numbered(21866), numbered(1253), numbered(28597),
		numbered(1255), numbered(28598), numbered(38598), numbered(1256),
	}
	doubled = []*Page{numbered(932), numbered(949), numbered(51949), numbered(20949), numbered(950), numbered(51932), numbered(20932)}
)

// isUTF8 says that data is UTF-8, whatever the page stated for it, which reads it as r.
func isUTF8(stated *Page, r reading, data []byte) bool {
	n, bad := countUTF8(data)
	switch {
	case bad > 0 || n == 0:
		return false
	case stated.kind == wide && r.clean(): // three characters without any space, sign or Latin letter, and with bytes that fit
		return bytes.IndexByte(data, 0) < 0 && len(data) >= 6
	case stated.kind == ebcdic && r.clean(): // two capitals are a sequence; but a space is 0x40, and 0x20 and 0x0A are never used
		return n >= provesUTF8 && bytes.ContainsAny(data, " \n")
	case slices.Contains(latin, stated) || !r.clean():
		return true
	case stated == gbkPage || stated.Number == 20936 || stated.Number == 51936:
		return n >= provesUTF8 || !isEUC(data)
	case slices.Contains(apart, stated):
		return n >= 3
	case slices.Contains(doubled, stated):
		return n >= provesUTF8 || n >= 2 && bytes.IndexFunc(data, func(r rune) bool { return r >= utf8.RuneSelf && r < 0x800 }) < 0
	}
	return n >= provesUTF8
}

// isEUC says that data is ASCII and pairs of bytes above 0xA0: GB 2312, without what GBK adds.
func isEUC(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] < utf8.RuneSelf {
			continue
		}
		if i+1 == len(data) || data[i] <= 0xA0 || data[i+1] <= 0xA0 {
			return false
		}
		i++
	}
	return true
}

// countUTF8 counts the sequences in data above ASCII, and the places where bytes belong to none.
func countUTF8(data []byte) (good, bad int) {
	broken := 0 // end of the last byte that belongs to none
	for i := 0; i < len(data); {
		if data[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			if i == 0 || i != broken || utf8.RuneStart(data[i]) {
				bad++
			}
			broken = i + 1
		} else {
			good++
		}
		i += n
	}
	return good, bad
}

func isASCII(data []byte) bool {
	for _, c := range data {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// looksASCII says that data is a text in ASCII, and no part of it in units of more bytes or in EBCDIC.
func looksASCII(data []byte) bool {
	for _, c := range data {
		if c >= 0x7F || c < 0x20 && (c < '\t' || c > '\r') && c != 0x1B {
			return false
		}
	}
	return true
}

// marked finds the page of a byte order mark that data begins with, nil if none.
func marked(data []byte) *Page {
	switch {
	case bytes.HasPrefix(data, bomUTF8):
		return utf8Page
	case bytes.HasPrefix(data, []byte("\xFF\xFE\x00\x00")):
		return utf32lePage
	case bytes.HasPrefix(data, []byte("\x00\x00\xFE\xFF")):
		return utf32bePage
	case bytes.HasPrefix(data, bomUTF16LE):
		return utf16lePage
	case bytes.HasPrefix(data, bomUTF16BE):
		return utf16bePage
	}
	return nil
}

// escapes are the ISO-2022 designations by which undeclared text is known.
var escapes = []struct {
	sequence string
	page     *Page
}{
	{"\x1b$B", numbered(50220)},
	{"\x1b$@", numbered(50220)},
	{"\x1b$(D", numbered(50220)},
	{"\x1b(I", numbered(50220)},
	{"\x1b$)C", numbered(50225)},
	{"\x1b$)A", numbered(50229)},
	{"\x1b$)G", numbered(50229)},
}

// escaped reads data of seven bits by its ISO-2022 escapes.
func escaped(data []byte) (reading, bool) {
	if bytes.IndexByte(data, 0x1B) < 0 {
		return reading{}, false
	}
	for _, e := range escapes {
		if e.page.Encoding != nil && bytes.Contains(data, []byte(e.sequence)) {
			if r := readWith(e.page, data); r.clean() && r.good > 0 {
				return r, true
			}
		}
	}
	return reading{}, false
}

// ordered tells the byte order of data that is declared as UTF-16 or UTF-32 and
// no more. Without a mark it is that in which more units are Latin letters, spaces and line
// ends, and big-endian if that says nothing (RFC 2781, section 4.3).
func ordered(page *Page, data []byte) *Page {
	little, big, unit := utf16lePage, utf16bePage, 2
	if page == utf32lePage {
		little, big, unit = utf32lePage, utf32bePage, 4
	}
	if m := marked(data); m == little || m == big {
		return m
	}
	zeros := 0 // after the first byte of a unit, less those before the last
	for ; len(data) >= unit; data = data[unit:] {
		first, last := data[0], data[unit-1]
		if last == 0 && first != 0 {
			zeros++
		} else if first == 0 && last != 0 {
			zeros--
		}
	}
	if zeros > 0 {
		return little
	}
	return big
}
