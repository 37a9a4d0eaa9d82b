package message

import (
	"html"
	"strings"
	"unicode/utf8"
)

// htmlText makes readable text of HTML, for mail that has no other. It is no
// browser: one pass over the tags, with what structure shows in plain text
// (paragraphs, rows, lists, quotes, preformatted text). It takes time and space
// in proportion to the text whatever the tags are, which a parser that builds a
// tree does not; golang.org/x/net/html keeps 32 bytes for each of an endless
// tag's attributes.
func htmlText(s string) string {
	w := htmlWriter{}
	w.out.Grow(len(s))
	for s != "" {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			w.text(s)
			break
		}
		if i > 0 {
			w.text(s[:i])
		}
		s = w.markup(s[i:])
	}
	if w.begun {
		w.out.WriteByte('\n')
	}
	return strings.TrimLeft(w.out.String(), " \t\n")
}

// An htmlWriter writes text with blanks collapsed and lines where blocks begin and end.
type htmlWriter struct {
	out   strings.Builder
	lines int  // line ends owed before the next text
	blank bool // a blank owed before the next text
	begun bool // there is text on this line
	pre   int  // depth of preformatted text
	quote int  // depth of quotes

	endless map[string]bool // see never
}

// text writes what stands between two tags.
func (w *htmlWriter) text(s string) {
	// A long text is unescaped in pieces: what that takes is used again.
	const piece, longest = 32 << 10, 40
	for strings.IndexByte(s, '&') >= 0 && w.out.Len() <= MaxText {
		n := len(s)
		if n > piece {
			if n = strings.LastIndexByte(s[:piece], '&'); n < piece-longest {
				n = piece
				for !utf8.RuneStart(s[n]) {
					n--
				}
			}
		}
		w.unescaped(html.UnescapeString(s[:n]))
		s = s[n:]
	}
	w.unescaped(s)
}

// unescaped writes text without entities.
func (w *htmlWriter) unescaped(s string) {
	if w.pre > 0 {
		for line := range strings.Lines(s) {
			text := strings.TrimSuffix(line, "\n")
			if text != "" {
				w.write(text)
			}
			if len(text) < len(line) {
				w.lines++
			}
		}
		return
	}
	for s != "" {
		n := strings.IndexFunc(s, isHTMLSpace)
		if n < 0 {
			n = len(s)
		}
		if n > 0 {
			w.write(s[:n])
			s = s[n:]
			continue
		}
		s = strings.TrimLeftFunc(s, isHTMLSpace)
		w.blank = w.begun
	}
}

// isHTMLSpace reports whether a character is blank in text; the no-break space
// is, and so are the invisible ones that newsletters pad their previews with.
func isHTMLSpace(c rune) bool {
	switch c {
	case ' ', '\t', '\n', '\r', '\f', '\u00a0', '\u200b', '\u200c', '\u034f', '\ufeff', '\u00ad':
		return true
	}
	return false
}

// write writes text with what is owed before it.
func (w *htmlWriter) write(s string) {
	if w.out.Len() > MaxText {
		return // who finishes the text cuts it and says so
	}
	if w.out.Len() > 0 {
		for ; w.lines > 0; w.lines-- {
			w.out.WriteByte('\n')
			if w.begun, w.blank = false, false; w.lines > 1 {
				w.out.WriteString(strings.TrimRight(w.prefix(), " "))
			}
		}
	}
	w.lines = 0
	if !w.begun {
		w.out.WriteString(w.prefix())
	}
	if w.blank && w.begun {
		w.out.WriteByte(' ')
	}
	w.blank, w.begun = false, true
	w.out.WriteString(s)
}

// prefix is what a line of a quote begins with.
func (w *htmlWriter) prefix() string { return "> > > > "[:2*min(w.quote, 4)] }

// end ends the line, and leaves n-1 lines empty.
func (w *htmlWriter) end(n int) {
	w.blank = false
	if w.begun || w.lines > 0 {
		w.lines = max(w.lines, n)
	}
}

// markup reads what begins with "<", and returns what follows.
func (w *htmlWriter) markup(s string) string {
	if w.endless[">"] || strings.IndexByte(s, '>') < 0 {
		w.never(">")
		w.text("<") // no tag
		return s[1:]
	}
	switch {
	case strings.HasPrefix(s, "<!--") && !w.endless["-->"]:
		if i := strings.Index(s[4:], "-->"); i >= 0 {
			return s[4+i+3:]
		}
		w.never("-->")
		return tagEnd(s)
	case len(s) > 1 && (s[1] == '!' || s[1] == '?'):
		return tagEnd(s)
	}
	name := s[1:]
	closing := strings.HasPrefix(name, "/")
	if closing {
		name = name[1:]
	}
	n := 0
	for n < len(name) && n < 20 && (isLetter(name[n]) || n > 0 && (name[n] >= '0' && name[n] <= '9' || name[n] == ':' || name[n] == '-')) {
		n++
	}
	if n == 0 {
		w.text("<") // no tag
		return s[1:]
	}
	tag := strings.ToLower(name[:n])
	rest := tagEnd(s)
	attributes := s[:len(s)-len(rest)]
	if closing {
		w.close(tag)
		return rest
	}
	return w.open(tag, attributes, rest)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// tagEnd returns what stands behind the tag that s begins with.
func tagEnd(s string) string {
	quote := byte(0)
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && strings.HasSuffix(strings.TrimRight(s[max(0, i-8):i], " \t\r\n"), "="):
			quote = c
		case c == '>':
			return s[i+1:]
		}
	}
	if quote != 0 { // a quote that never ends
		if i := strings.IndexByte(s, '>'); i >= 0 {
			return s[i+1:]
		}
	}
	return ""
}

// open writes what an opening tag stands for.
func (w *htmlWriter) open(tag, attributes, rest string) string {
	switch tag {
	case "script", "style", "title", "template", "svg", "xml":
		return w.skip(tag, rest)
	case "br":
		w.blank = false
		if w.begun || w.lines > 0 {
			w.lines = min(w.lines+1, 3)
		}
	case "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "figure":
		w.end(2)
	case "blockquote":
		w.end(2)
		w.flush()
		w.quote++
	case "pre", "listing", "xmp":
		w.end(2)
		w.pre++
		return strings.TrimPrefix(strings.TrimPrefix(rest, "\r"), "\n") // HTML, section 13.1.2.5
	case "li":
		w.end(1)
		w.write("-")
		w.blank = true
	case "hr":
		w.end(1)
		w.write("---")
		w.end(1)
	case "td", "th":
		w.blank = w.begun
	case "dd":
		w.end(1)
	case "img":
		if alt := strings.TrimSpace(attribute(attributes, "alt")); alt != "" {
			w.blank = w.begun
			w.text(alt)
			w.blank = true
		}
	default:
		if blocks[tag] {
			w.end(1)
		}
	}
	return rest
}

// close writes what a closing tag stands for.
func (w *htmlWriter) close(tag string) {
	switch tag {
	case "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "figure":
		w.end(2)
	case "blockquote":
		w.end(2)
		w.flush()
		w.quote = max(w.quote-1, 0)
	case "pre", "listing", "xmp":
		w.end(2)
		w.pre = max(w.pre-1, 0)
	case "td", "th":
		w.blank = w.begun
	default:
		if blocks[tag] {
			w.end(1)
		}
	}
}

// flush writes the line ends owed, so that a change of quotes begins behind them.
func (w *htmlWriter) flush() {
	if w.out.Len() == 0 {
		return
	}
	for ; w.lines > 0; w.lines-- {
		w.out.WriteByte('\n')
		w.begun = false
	}
}

// blocks are the elements that begin and end a line.
var blocks = map[string]bool{
	"address": true, "article": true, "aside": true, "body": true, "caption": true, "center": true, "div": true,
	"dt": true, "fieldset": true, "figcaption": true, "footer": true, "form": true, "header": true, "html": true,
	"legend": true, "main": true, "nav": true, "option": true, "section": true, "tbody": true, "tfoot": true,
	"thead": true, "tr": true, "li": true, "dd": true,
}

// skip returns what stands behind an element that holds no text. One that
// never ends holds nothing: readers would show no more, but a trigger must see
// what follows.
func (w *htmlWriter) skip(tag, s string) string {
	if w.endless[tag] {
		return s
	}
	for from := 0; ; {
		i := strings.Index(s[from:], "</")
		if i < 0 {
			break
		}
		from += i + 2
		name := s[from:min(len(s), from+len(tag)+1)]
		if len(name) > len(tag) && strings.EqualFold(name[:len(tag)], tag) && !isLetter(name[len(tag)]) {
			return tagEnd(s[from-2:])
		}
	}
	w.never(tag)
	return s
}

// never remembers that something does not come any more: it is not looked for
// again, or a text full of beginnings would take the square of its length.
func (w *htmlWriter) never(what string) {
	if w.endless == nil {
		w.endless = make(map[string]bool)
	}
	w.endless[what] = true
}

// attribute returns an attribute's value.
func attribute(tag, name string) string {
	for from := 0; ; {
		i := strings.Index(tag[from:], name)
		if i < 0 {
			return ""
		}
		i += from
		from = i + len(name)
		if i == 0 || !strings.ContainsRune(" \t\r\n\"'", rune(tag[i-1])) {
			continue
		}
		v := strings.TrimLeft(tag[from:], " \t\r\n")
		if !strings.HasPrefix(v, "=") {
			continue
		}
		v = strings.TrimLeft(v[1:], " \t\r\n")
		if v == "" {
			return ""
		}
		if q := v[0]; q == '"' || q == '\'' {
			v, _, _ = strings.Cut(v[1:], string(q))
			return v
		}
		if n := strings.IndexAny(v, " \t\r\n>"); n >= 0 {
			v = v[:n]
		}
		return v
	}
}

// metaCharset returns the charset that an HTML text itself declares, if any.
func metaCharset(b []byte) string {
	s := strings.ToLower(string(b[:min(len(b), 4<<10)]))
	for {
		i := strings.Index(s, "<meta")
		if i < 0 {
			return ""
		}
		s = s[i:]
		end := strings.IndexByte(s, '>')
		if end < 0 {
			return ""
		}
		if _, v, ok := strings.Cut(s[:end], "charset"); ok {
			v = strings.TrimLeft(v, " =\"'")
			if n := strings.IndexAny(v, " \"';/>"); n >= 0 {
				v = v[:n]
			}
			if v != "" {
				return v
			}
		}
		s = s[end:]
	}
}
