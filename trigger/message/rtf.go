package message

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf16"

	"mailtrigger/codepage"
)

// rtfDictionary is what the window of compressed RTF begins with (MS-OXRTFCP, section 2.1.2.1).
const rtfDictionary = `{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor ` +
	"MS Sans SerifSymbolArialTimes New RomanCourier" + `{\colortbl\red0\green0\blue0` + "\r\n" + `\par \pard\plain\f0\fs20\b\i\u\tab\tx`

// decompressRTF undoes the compression of Outlook's RTF (MS-OXRTFCP), to at most
// limit bytes. Cut data gives what is there; nil is none.
func decompressRTF(b []byte, limit int) []byte {
	const header = 16
	if len(b) < header || limit <= 0 {
		return nil
	}
	size := min(int(binary.LittleEndian.Uint32(b[4:])), limit)
	switch string(b[8:12]) {
	case "MELA": // not compressed
		return b[header:min(len(b), header+size)]
	case "LZFu":
	default:
		return nil
	}
	var window [4096]byte
	at := copy(window[:], rtfDictionary)
	// A token of two bytes gives 17 at most: the size stated is not believed.
	out := make([]byte, 0, min(size, 9*len(b)))
	put := func(c byte) {
		out = append(out, c)
		window[at] = c
		at = (at + 1) % len(window)
	}
	for b = b[header:]; len(b) > 0; {
		flags := b[0]
		b = b[1:]
		for bit := 0; bit < 8; bit++ {
			if len(out) >= size || len(b) == 0 {
				return out
			}
			if flags>>bit&1 == 0 {
				put(b[0])
				b = b[1:]
				continue
			}
			if len(b) < 2 {
				return out
			}
			token := int(b[0])<<8 | int(b[1])
			b = b[2:]
			from := token >> 4
			if from == at {
				return out // the end's mark
			}
			for n := token&15 + 2; n > 0 && len(out) < size; n-- {
				put(window[from])
				from = (from + 1) % len(window)
			}
		}
	}
	return out
}

// An rtfReader makes plain text of RTF.
type rtfReader struct {
	s       string
	page    *codepage.Page
	out     strings.Builder
	pending []byte // of page, not yet decoded
	stack   []rtfGroup
	group   rtfGroup
	deep    int  // groups opened beyond the stack's limit
	html    bool // HTML is wrapped in it
	first   rune // of a pair of UTF-16 units
	skip    int  // what still follows a \u for readers without Unicode
}

// An rtfGroup is what a closing brace restores.
type rtfGroup struct {
	hidden bool // a destination that is not text
	markup bool // \htmlrtf: RTF that stands for the HTML beside it
	uc     int  // how many characters follow a \u
}

// rtfText returns the text of an RTF; where HTML is wrapped in it (MS-OXRTFEX),
// that HTML.
func rtfText(b []byte) (text string, html bool) {
	r := rtfReader{s: string(b), page: codepage.Windows1252, group: rtfGroup{uc: 1}}
	for r.s != "" {
		c := r.s[0]
		r.s = r.s[1:]
		switch c {
		case '{':
			const deepest = 200
			if len(r.stack) < deepest {
				r.stack = append(r.stack, r.group)
			} else {
				r.deep++
			}
		case '}':
			if r.deep > 0 {
				r.deep--
			} else if n := len(r.stack) - 1; n >= 0 {
				r.group, r.stack = r.stack[n], r.stack[:n]
			}
		case '\\':
			r.control()
		case '\r', '\n', 0:
		default:
			r.byte(c)
		}
	}
	r.flush()
	return valid(r.out.String()), r.html
}

// byte takes one byte of text.
func (r *rtfReader) byte(c byte) {
	if r.skip > 0 {
		r.skip--
	} else if !r.group.hidden && !r.group.markup {
		r.pending = append(r.pending, c)
	}
}

// text writes characters that need no page.
func (r *rtfReader) text(s string) {
	if !r.group.hidden && !r.group.markup {
		r.flush()
		r.out.WriteString(s)
	}
}

func (r *rtfReader) flush() {
	if len(r.pending) > 0 {
		if b, err := r.page.Encoding.NewDecoder().Bytes(r.pending); err == nil {
			r.out.Write(b)
		}
		r.pending = r.pending[:0]
	}
}

// control takes what follows a backslash.
func (r *rtfReader) control() {
	n := 0
	for n < len(r.s) && n < 32 && isLetter(r.s[n]) {
		n++
	}
	if n == 0 {
		r.symbol()
		return
	}
	word := r.s[:n]
	r.s = r.s[n:]
	for n = 0; n < len(r.s) && n < 10 && (r.s[n] >= '0' && r.s[n] <= '9' || n == 0 && r.s[n] == '-'); n++ {
	}
	number, given := 0, false
	if n > 0 {
		v, err := strconv.Atoi(r.s[:n])
		number, given = v, err == nil
	}
	r.s = strings.TrimPrefix(r.s[n:], " ")
	switch word {
	case "par", "line", "row", "sect", "page":
		r.text("\n")
	case "tab", "cell":
		r.text("\t")
	case "emdash":
		r.text("\u2014")
	case "endash":
		r.text("\u2013")
	case "lquote":
		r.text("\u2018")
	case "rquote":
		r.text("\u2019")
	case "ldblquote":
		r.text("\u201c")
	case "rdblquote":
		r.text("\u201d")
	case "bullet":
		r.text("\u2022")
	case "u":
		r.unicode(number)
	case "uc":
		r.group.uc = min(max(number, 0), 8)
	case "ansicpg":
		if p, err := codepage.Lookup(strconv.Itoa(number)); err == nil && asciiSuperset(p) {
			r.flush()
			r.page = p
		}
	case "bin":
		r.s = r.s[min(len(r.s), max(number, 0)):]
	case "fromhtml":
		r.html = true
	case "htmltag":
		r.group.hidden = !r.html
	case "htmlrtf":
		r.group.markup = !given || number != 0
	case "fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "header", "footer", "footnote", "fldinst":
		r.group.hidden = true
	}
}

// symbol takes a backslash with what is no letter.
func (r *rtfReader) symbol() {
	if r.s == "" {
		return
	}
	c := r.s[0]
	r.s = r.s[1:]
	switch c {
	case '\'':
		if len(r.s) >= 2 {
			if b, ok := hexByte(r.s[0], r.s[1]); ok {
				r.byte(b)
			}
			r.s = r.s[2:]
		}
	case '*': // readers that do not know what follows leave the group out
		r.group.hidden = true
	case '~':
		r.text("\u00a0")
	case '_':
		r.text("-")
	case '\r', '\n':
		r.text("\n")
	case '\\', '{', '}':
		r.byte(c)
	}
}

// unicode takes \u: a signed UTF-16 unit. The first of a pair waits for the second.
func (r *rtfReader) unicode(n int) {
	unit := rune(uint16(n))
	r.skip = r.group.uc
	first := r.first
	r.first = 0
	switch {
	case utf16.IsSurrogate(unit) && unit < 0xdc00:
		r.first = unit
	case utf16.IsSurrogate(unit):
		r.text(string(utf16.DecodeRune(first, unit)))
	default:
		r.text(string(unit))
	}
}
