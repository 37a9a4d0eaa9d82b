package message

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// A fragment is a piece of the message's text: plain, HTML, or the same in both.
type fragment struct {
	plain, html       string
	hasPlain, hasHTML bool
	page              CodePage
}

// budget is how many bytes of text may still be taken, and of RTF be unpacked.
type budget struct{ text, html, rtf int }

// contentType reads the Content-Type field (RFC 2045, section 5.2: plain text
// where there is none or it makes no sense).
func (w *walker) contentType(fields []field, p place) parameters {
	n := 0
	for i := range fields {
		if fields[i].is("Content-Type") {
			n++
		}
	}
	if n > 1 {
		w.defects.add(DefectFieldRepeated)
	}
	v, ok := get(fields, "Content-Type")
	if !ok {
		if p.parent == "digest" {
			return parameters{value: "message/rfc822"}
		}
		return parameters{value: "text/plain"}
	}
	ct := w.parameters(v)
	ct.value = w.short(ct.value)
	major, minor, ok := strings.Cut(ct.value, "/")
	switch {
	case ok && major != "" && minor != "":
	case major == "text": // "text", "text/": of mailers older than MIME
		w.defects.add(DefectContentType)
		ct.value = "text/plain"
	case major == "multipart":
		w.defects.add(DefectContentType)
		ct.value = "multipart/mixed"
	default:
		w.defects.add(DefectContentType)
		ct.value = "text/plain"
	}
	return ct
}

// leaf reads a part that has no parts: raw[begin:end] is its body.
func (w *walker) leaf(ct parameters, fields []field, p place, begin, end int) []fragment {
	e := w.transferEncoding(fields)
	if !w.isText(ct, fields, p) {
		slot := w.attach(ct, fields, p, e)
		w.locate(slot, begin, end)
		if slot >= 0 && isTNEF(&w.m.Attachments[slot]) {
			w.unpackTNEF(slot)
		}
		return nil
	}
	if w.leaves++; w.leaves > MaxParts {
		w.defects.add(DefectPartLimit)
		return nil
	}
	body := w.raw[begin:end]
	if e == base64Encoding && !looksBase64(body) {
		w.defects.add(DefectTransfer)
		e = identity
	}
	isHTML := ct.value == "text/html"
	left := &w.budget.text
	if isHTML {
		left = &w.budget.html
	}
	data, all := w.decode(e, body, *left, true)
	label := w.parameter(ct, "charset")
	if isHTML && label == "" {
		label = metaCharset(data)
	}
	if !isHTML {
		data = w.uuFiles(data, e, begin, end)
	}
	s, choice, whole := w.text(label, data, *left)
	if !all || !whole {
		w.defects.add(DefectTextLimit)
	}
	*left -= len(s)
	f := fragment{page: CodePage{choice.Page.Name, choice.Why}}
	if isHTML {
		f.html, f.hasHTML = s, true
	} else {
		if strings.EqualFold(w.parameter(ct, "format"), "flowed") {
			s = unflow(s, strings.EqualFold(w.parameter(ct, "delsp"), "yes"))
		}
		f.plain, f.hasPlain = s, true
	}
	return []fragment{f}
}

// cut returns at most n bytes of s, whole characters, and whether that is all.
func cut(s string, n int) (string, bool) {
	if len(s) <= n {
		return s, true
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n], false
}

// looksBase64 reports whether a body said to be base64 is. Plain words under
// that label are common in mail that a filter has rewritten: blanks within lines.
func looksBase64(body []byte) bool {
	sample := bytes.TrimSpace(body[:min(len(body), 2<<10)])
	blanks, foreign := 0, 0
	for i, c := range sample {
		switch {
		case c == ' ' && i > 0 && alphabet64[sample[i-1]] < 64:
			blanks++
		case c > ' ' && c != '=' && alphabet64[c] >= 64:
			foreign++
		}
	}
	return blanks*20 < len(sample) || foreign == 0
}

// isText reports whether a leaf is the message's text rather than an attachment.
func (w *walker) isText(ct parameters, fields []field, p place) bool {
	minor, ok := strings.CutPrefix(ct.value, "text/")
	if !ok {
		return false
	}
	disposition, name := w.disposition(ct, fields)
	if disposition == "attachment" {
		return false
	}
	switch minor {
	case "plain", "html":
		// A name makes it a file, but where only the text can be: alone, or as
		// the first part, unless it says inline (Apple Mail sends files so).
		return name == "" || p.parent == "" || p.index == 0 && (disposition == "" || p.parent != "mixed")
	case "calendar", "directory", "vcard", "x-vcard", "rtf", "richtext", "rfc822-headers", "x-amp-html", "watch-html":
		return false
	case "csv", "css", "javascript", "xml", "tab-separated-values", "x-patch", "x-diff":
		return p.parent == "" && name == ""
	}
	return name == "" // RFC 2046, section 4.1.4: text of any kind can be read as plain
}

// disposition reads Content-Disposition (RFC 2183) and the file's name, which
// may be in either field. It is "" where there is none.
func (w *walker) disposition(ct parameters, fields []field) (disposition, name string) {
	if v, ok := get(fields, "Content-Disposition"); ok {
		p := w.parameters(v)
		if disposition = p.value; disposition != "inline" && disposition != "" {
			disposition = "attachment" // RFC 2183, section 2.8: so are those unknown
		}
		name = w.parameter(p, "filename")
		if name == "" {
			name = w.parameter(p, "name")
		}
	}
	if name == "" {
		name = w.parameter(ct, "name")
	}
	if name == "" {
		name = w.parameter(ct, "filename")
	}
	return disposition, w.short(name)
}

// attach adds an attachment, whose bytes locate names later, and returns its
// index; -1 if there are too many.
func (w *walker) attach(ct parameters, fields []field, p place, e transfer) int {
	if w.leaves++; w.leaves > MaxParts {
		w.defects.add(DefectPartLimit)
		return -1
	}
	a := Attachment{ContentType: ct.value, ContentID: w.contentID(fields), origin: &origin{encoding: e}, nested: p.nested, params: kept(ct)}
	a.Disposition, a.Name = w.disposition(ct, fields)
	_, minor, _ := strings.Cut(a.ContentType, "/")
	file := minor == "calendar" || isMessage(a.ContentType)
	related := p.parent == "related" && a.ContentID != "" && strings.HasPrefix(a.ContentType, "image/")
	serves := p.report || // the machine's half
		p.parent == "signed" && p.index > 0 ||
		p.parent == "alternative" && !file && a.Name == "" ||
		p.parent == "encrypted" && p.index == 0
	switch {
	case serves || related && a.Disposition != "attachment":
		a.inline = true
		if a.Disposition == "" {
			a.Disposition = "inline"
		}
	case a.Disposition == "inline":
		a.inline = a.Name == "" && !file
	}
	w.m.Attachments = append(w.m.Attachments, a)
	return len(w.m.Attachments) - 1
}

// locate says that an attachment's body is raw[begin:end].
func (w *walker) locate(slot, begin, end int) {
	if slot < 0 {
		return
	}
	a := &w.m.Attachments[slot]
	a.origin = w.origin(begin, end, a.origin.encoding)
	w.measure(a, w.raw[begin:end])
}

// combine makes a multipart's text of its parts' texts.
func combine(sub string, parts [][]fragment) []fragment {
	if sub != "alternative" {
		var all []fragment
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	// The forms of one text: the first plain one, the last HTML one.
	var f fragment
	for _, p := range parts {
		plain, html := join(p)
		if html == "" && !f.hasPlain && plain != "" {
			f.plain, f.hasPlain = plain, true
			if f.page.Used == "" {
				f.page = p[0].page
			}
		}
		if html != "" {
			f.html, f.hasHTML = html, true
			if f.page.Used == "" {
				f.page = p[0].page
			}
		}
	}
	if !f.hasPlain && !f.hasHTML {
		return nil
	}
	return []fragment{f}
}

// join joins the plain texts, and the HTML texts, of fragments.
func join(fragments []fragment) (plain, html string) {
	if len(fragments) == 1 {
		return fragments[0].plain, fragments[0].html
	}
	var p, h strings.Builder
	plains, htmls := 0, 0
	for _, f := range fragments {
		plains += len(f.plain) + len("\n")
		htmls += len(f.html) + len("\n")
	}
	p.Grow(plains)
	h.Grow(htmls)
	for _, f := range fragments {
		glue(&p, f.plain)
		glue(&h, f.html)
	}
	return p.String(), h.String()
}

// glue appends s on a line of its own.
func glue(b *strings.Builder, s string) {
	if s == "" {
		return
	}
	if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
		b.WriteByte('\n')
	}
	b.WriteString(s)
}

// finish makes the message's text of its fragments, and settles which
// attachments the text shows.
func (r *reader) finish() {
	texts := r.texts
	if len(texts) == 0 {
		texts = r.inner
	}
	m := r.m
	plain := make([]fragment, 0, len(texts))
	for _, f := range texts {
		if m.CodePage.Used == "" {
			m.CodePage = f.page
		}
		// An empty plain form beside a full HTML one is a mailer's excuse.
		if f.hasHTML && strings.TrimSpace(f.plain) == "" {
			f.plain = htmlText(f.html)
		}
		plain = append(plain, f)
	}
	m.Text, m.HTML = join(plain)
	var all bool
	if m.Text, all = cut(m.Text, MaxText); !all {
		r.defects.add(DefectTextLimit)
	}
	shown := references(m.HTML)
	for i := range m.Attachments {
		a := &m.Attachments[i]
		if a.ContentID != "" && shown[a.ContentID] {
			a.inline = true
			if a.Disposition == "" {
				a.Disposition = "inline"
			}
		}
		if a.Disposition == "" {
			a.Disposition = "attachment"
		}
	}
}
