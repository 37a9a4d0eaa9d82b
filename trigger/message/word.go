package message

import (
	"strings"
)

// unstructured decodes a field of free text (RFC 5322, section 2.2.1; RFC 2047).
func (r *reader) unstructured(value []byte) string {
	return strings.TrimSpace(tame(r.words(r.header(unfold(value, &r.defects)))))
}

// words decodes the encoded words in s (RFC 2047), where they may be and where
// they may not: within quotes, touching other text, with blanks in them. The
// bytes of adjacent words of one charset are joined before they are decoded,
// for many mailers cut characters in two.
func (r *reader) words(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	var (
		out     strings.Builder
		charset string
		pending []byte // of charset, not yet decoded
		inWord  bool   // a word ends at last
		last    int    // s is done up to here
		scan    = wordScanner{s: s, tail: -1}
	)
	flush := func() {
		if inWord {
			out.WriteString(r.decodeAs(charset, pending))
			pending, inWord = pending[:0], false
		}
	}
	for from := 0; ; {
		i := strings.Index(s[from:], "=?")
		if i < 0 {
			break
		}
		i += from
		w, ok := scan.word(i)
		if !ok {
			from = i + 2
			continue
		}
		gap := s[last:i]
		if !inWord || strings.Trim(gap, " \t") != "" {
			flush()
			out.WriteString(gap)
		} else if gap == "" {
			r.defects.add(DefectEncodedWord)
		}
		if inWord && !strings.EqualFold(charset, w.charset) {
			flush()
		}
		if !inWord && i > 0 && !wordBorder(s[i-1]) || w.end < len(s) && !wordBorder(s[w.end]) && !strings.HasPrefix(s[w.end:], "=?") {
			r.defects.add(DefectEncodedWord)
		}
		charset, inWord = w.charset, true
		pending = r.wordBytes(pending, w)
		last, from = w.end, w.end
	}
	flush()
	out.WriteString(s[last:])
	return out.String()
}

func wordBorder(c byte) bool {
	return strings.IndexByte(" \t()\",<>:;", c) >= 0
}

// An encodedWord is one word, its text still encoded.
type encodedWord struct {
	charset string
	base64  bool
	text    string
	end     int // behind the word
}

// A wordScanner finds encoded words in s. It remembers where the next "?=" is,
// so that text full of beginnings without an end takes no more than its length.
type wordScanner struct {
	s    string
	tail int // where "?=" was last found; -1: not looked yet, len(s): there is none
}

// word reads the word that begins with the "=?" at i.
func (c *wordScanner) word(i int) (w encodedWord, ok bool) {
	const maxCharset = 60
	rest := c.s[i+2:]
	n := strings.IndexByte(rest[:min(len(rest), maxCharset)], '?')
	if n <= 0 || len(rest) < n+3 || rest[n+2] != '?' || strings.ContainsAny(rest[:n], " \t=") {
		return w, false
	}
	w.charset, _, _ = strings.Cut(rest[:n], "*") // a language, RFC 2231, section 5
	switch rest[n+1] {
	case 'B', 'b':
		w.base64 = true
	case 'Q', 'q':
	default:
		return w, false
	}
	text := i + 2 + n + 3
	if c.tail < text && c.tail != len(c.s) {
		if t := strings.Index(c.s[text:], "?="); t >= 0 {
			c.tail = text + t
		} else {
			c.tail = len(c.s)
		}
	}
	if c.tail == len(c.s) || c.tail < text {
		return w, false
	}
	w.text, w.end = c.s[text:c.tail], c.tail+2
	// Without an end of its own the word ran into the next one.
	if strings.Contains(w.text, "=?") {
		return w, false
	}
	return w, true
}

// wordBytes appends the word's bytes.
func (r *reader) wordBytes(b []byte, w encodedWord) []byte {
	if w.base64 {
		d := base64Decoder{src: []byte(w.text)}
		for {
			n := len(b)
			if b = d.next(b); len(b) == n {
				break
			}
		}
		if d.bad || strings.ContainsAny(w.text, " \t") {
			r.defects.add(DefectEncodedWord)
		}
		return b
	}
	for i := 0; i < len(w.text); i++ {
		switch c := w.text[i]; c {
		case '_':
			b = append(b, ' ')
		case '=':
			if i+2 < len(w.text) {
				if h, ok := hexByte(w.text[i+1], w.text[i+2]); ok {
					b = append(b, h)
					i += 2
					continue
				}
			}
			r.defects.add(DefectEncodedWord)
			b = append(b, c)
		case ' ', '\t':
			r.defects.add(DefectEncodedWord)
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return b
}

func hexByte(a, b byte) (byte, bool) {
	x, y := hexDigit[a], hexDigit[b]
	return x<<4 | y&15, x < 16 && y < 16
}

// hexDigit maps a hexadecimal digit to its value, all else to 255.
var hexDigit = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i := byte(0); i < 10; i++ {
		t['0'+i] = i
	}
	for i := byte(0); i < 6; i++ {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()
