package message

import (
	"bytes"
	"strings"
)

// top reads the header of the message itself, and returns the walker that
// stands before its body.
func (r *reader) top(raw []byte) *walker {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') >= 0 {
		r.defects.add(DefectLineEnd)
		raw = bytes.ReplaceAll(raw, []byte("\r"), []byte("\n"))
	}
	w := &walker{reader: r, raw: raw}
	s := section{raw: raw, maxSize: MaxHeaderSize, maxFields: MaxHeaderFields, top: true, defects: &r.defects}
	w.pos = s.read(0)
	w.fields = s.fields
	if v, ok := get(s.fields, "Content-Type"); ok {
		ct := r.parameters(v)
		r.headerLabel = ct.raw("charset")
	}
	r.headers(s.fields)
	return w
}

// body reads the message's body.
func (r *reader) body(w *walker) {
	r.texts, _ = w.entity(w.fields, place{})
	r.finish()
}

// headers reads what every reader wants to know of a message's header.
func (r *reader) headers(fields []field) {
	m := r.m
	m.Headers = make([]Header, 0, len(fields))
	var date, subject, id bool
	for i := range fields {
		f := &fields[i]
		h := Header{Name: tame(r.header(f.name)), Value: r.unstructured(f.value)}
		m.Headers = append(m.Headers, h)
		switch strings.ToLower(h.Name) {
		case "from":
			r.from(f.value)
		case "to":
			m.To = r.addresses(m.To, f.value)
		case "cc":
			m.Cc = r.addresses(m.Cc, f.value)
		case "bcc":
			m.Bcc = r.addresses(m.Bcc, f.value)
		case "reply-to":
			m.ReplyTo = r.addresses(m.ReplyTo, f.value)
		case "subject":
			if r.once(&subject) {
				m.Subject = h.Value
			}
		case "received", "authentication-results":
			m.trace = append(m.trace, Header{Name: h.Name, Value: string(unfold(f.value, &r.defects))})
		case "message-id":
			if r.once(&id) {
				m.MessageID = h.Value
			}
		case "date":
			if !r.once(&date) {
				continue
			}
			t, ok := ParseDate(h.Value)
			if m.Date = t; !ok {
				r.defects.add(DefectDate)
			}
		}
	}
	m.mended = len(fields) == 0 ||
		r.defects.any(DefectHeaderLimit, DefectHeaderLine, DefectHeaderEnd, DefectHeaderMissing, DefectLineEnd, DefectMbox)
}

// from reads a From field. Who wrote a message is in doubt where the field had to
// be read by guess, or where there is another.
func (r *reader) from(value []byte) {
	m := r.m
	if m.From != nil {
		m.doubtful = true
	}
	before := r.defects
	r.defects = nil
	if m.From = r.addresses(m.From, value); m.From == nil {
		m.From = []Address{}
	}
	m.doubtful = m.doubtful || r.defects.any(DefectAddress, DefectAddressLimit, DefectEncodedWord)
	for _, word := range r.defects {
		before.add(word)
	}
	r.defects = before
}

// once reports whether a field is there for the first time.
func (r *reader) once(seen *bool) bool {
	if *seen {
		r.defects.add(DefectFieldRepeated)
		return false
	}
	*seen = true
	return true
}
