package message

import (
	"bytes"
	"strings"
)

// A walker goes once over the bytes of a message, part by part. Boundaries of
// all open multiparts are looked for at the same time: an outer one ends the
// parts within, so a missing end costs nothing but a defect, and nesting costs
// no second look.
type walker struct {
	*reader
	raw      []byte
	outer    *origin // raw is its decoded bytes; nil: raw is the message's own
	pos      int
	bounds   map[string]int // level by boundary, of the open multiparts
	depth    int            // of multiparts and messages
	messages int            // depth of messages alone
	fields   []field        // of the message's own header, while it is read
}

// origin returns where raw[begin:end] comes from.
func (w *walker) origin(begin, end int, e transfer) *origin {
	if w.outer != nil {
		return &origin{outer: w.outer, begin: begin, end: end, encoding: e}
	}
	return &origin{raw: w.raw, begin: begin, end: end, encoding: e}
}

// A delimiter is a boundary line, or the end of all bytes.
type delimiter struct {
	level   int  // whose it is; 0: the end of all bytes
	closing bool // the last of its multipart
	begin   int  // where the content before it ends
}

// seek returns the next delimiter from the line at from, and goes behind it.
func (w *walker) seek(from int) delimiter {
	for at := from; len(w.bounds) > 0 && at < len(w.raw); {
		if !bytes.HasPrefix(w.raw[at:], []byte("--")) {
			i := bytes.Index(w.raw[at:], []byte("\n--"))
			if i < 0 {
				break
			}
			at += i + 1
		}
		line, next := lineAt(w.raw, at)
		if level, closing := w.lookup(line); level > 0 {
			w.pos = next
			return delimiter{level, closing, from + len(trimOneEOL(w.raw[from:at]))}
		}
		at = next
	}
	w.pos = len(w.raw)
	return delimiter{begin: len(w.raw)}
}

// trimOneEOL takes off the line end that belongs to the boundary (RFC 2046,
// section 5.1.1).
func trimOneEOL(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r"))
}

// lookup returns the level that a line is a delimiter of, 0 if of none.
func (w *walker) lookup(line []byte) (level int, closing bool) {
	line = bytes.TrimRight(line, " \t")
	if len(line) < 3 || len(line) > maxBoundary+4 || line[0] != '-' || line[1] != '-' {
		return 0, false
	}
	if level, ok := w.bounds[string(line[2:])]; ok {
		return level, false
	}
	if line, ok := bytes.CutSuffix(line, []byte("--")); ok && len(line) > 2 {
		return w.bounds[string(line[2:])], true
	}
	return 0, false
}

// maxBoundary is how long a boundary may be: RFC 2046 says 70, mailers do not.
const maxBoundary = 1000

// A place is where in the tree a part stands.
type place struct {
	parent string // the multipart's subtype, "" for a message's own body
	index  int    // in the parent, from 0
	nested bool   // in a message within the message
	report bool   // below a multipart/report
}

// part reads the part at pos, header and body, up to the delimiter behind it.
func (w *walker) part(p place) ([]fragment, delimiter) {
	s := section{raw: w.raw, maxSize: MaxPartHeaderSize, maxFields: MaxPartHeaderFields, stop: w.stops, defects: &w.defects}
	w.pos = s.read(w.pos)
	return w.entity(s.fields, p)
}

func (w *walker) stops(line []byte) bool {
	level, _ := w.lookup(line)
	return level > 0
}

// entity reads a body whose header is fields.
func (w *walker) entity(fields []field, p place) ([]fragment, delimiter) {
	ct := w.contentType(fields, p)
	sub, isMultipart := strings.CutPrefix(ct.value, "multipart/")
	switch {
	case (isMultipart || isMessage(ct.value)) && w.depth >= MaxDepth:
		w.defects.add(DefectDepthLimit)
	case isMultipart:
		return w.multipart(sub, ct, fields, p)
	case isMessage(ct.value) && w.messages >= MaxMessages:
		w.defects.add(DefectDepthLimit)
	case isMessage(ct.value):
		return w.message(ct, fields, p)
	}
	begin := w.pos
	d := w.seek(begin)
	return w.leaf(ct, fields, p, begin, d.begin), d
}

// isMessage reports whether a part of that type is a message (RFC 2046,
// section 5.2.1; RFC 6532, section 3.7).
func isMessage(contentType string) bool {
	switch contentType {
	case "message/rfc822", "message/global", "message/news", "message/x-rfc822":
		return true
	}
	return false
}

// multipart reads the parts of a multipart (RFC 2046, section 5.1).
func (w *walker) multipart(sub string, ct parameters, fields []field, p place) ([]fragment, delimiter) {
	begin := w.pos
	w.depth++
	defer func() { w.depth-- }()
	close, shared := w.open(strings.TrimRight(w.parameter(ct, "boundary"), " \t"))
	d := w.seek(begin)
	if d.level != w.depth { // the boundary is missing or never comes
		close()
		w.defects.add(DefectBoundary)
		guess := w.guess(w.raw[begin:d.begin])
		if guess == "" {
			return w.leaf(parameters{value: "text/plain"}, nil, p, begin, d.begin), d
		}
		close, shared = w.open(guess)
		d = w.seek(begin)
	}
	var (
		parts [][]fragment
		ended bool
	)
	for level := w.depth; d.level == level; {
		if w.leaves > MaxParts { // enough: only the end is of interest
			ended = ended || d.closing
			d = w.seek(w.pos)
			continue
		}
		if !d.closing {
			var f []fragment
			f, d = w.part(place{sub, len(parts), p.nested, p.report || sub == "report"})
			parts = append(parts, f)
			continue
		}
		if ended = true; shared {
			break // what follows is the outer multipart's
		}
		d = w.seek(w.pos) // the epilogue; parts in it are read all the same
	}
	close()
	if !ended {
		w.defects.add(DefectBoundaryEnd)
	} else if shared {
		d = w.seek(w.pos)
	}
	return combine(sub, parts), d
}

// open makes a boundary that of the current depth, until close. It is shared
// if an outer multipart has the same, as broken mailers have it.
func (w *walker) open(boundary string) (close func(), shared bool) {
	if boundary == "" || len(boundary) > maxBoundary {
		return func() {}, false
	}
	if w.bounds == nil {
		w.bounds = make(map[string]int)
	}
	outer, shared := w.bounds[boundary]
	w.bounds[boundary] = w.depth
	return func() {
		if shared {
			w.bounds[boundary] = outer
		} else {
			delete(w.bounds, boundary)
		}
	}, shared
}

// guess finds the boundary that a multipart's body really has: the first line
// that begins with two hyphens and stands above a field of a part's header. It
// is done a few times a message only, for each costs a look over the body.
func (w *walker) guess(body []byte) string {
	const most = 8
	if w.guesses++; w.guesses > most {
		return ""
	}
	for at := 0; at < len(body); {
		if !bytes.HasPrefix(body[at:], []byte("--")) {
			i := bytes.Index(body[at:], []byte("\n--"))
			if i < 0 {
				return ""
			}
			at += i + 1
		}
		line, next := lineAt(body, at)
		following, _ := lineAt(body, next)
		name, _, ok := splitField(following)
		line = bytes.TrimRight(line[2:], " \t")
		if ok && known(name) && len(line) > 0 && len(line) <= maxBoundary {
			return string(line)
		}
		at = next
	}
	return ""
}

// message reads a message within the message: an attachment as a whole, and
// its own attachments behind it.
func (w *walker) message(ct parameters, fields []field, p place) ([]fragment, delimiter) {
	begin := w.pos
	e := w.transferEncoding(fields)
	slot := w.attach(ct, fields, p, e)
	w.depth++
	w.messages++
	defer func() { w.depth--; w.messages-- }()
	within := place{nested: true, report: p.report}

	if e != identity { // RFC 2046 forbids it; mailers do it
		d := w.seek(begin)
		w.locate(slot, begin, d.begin)
		if slot >= 0 && w.decoded < MaxDecoded {
			w.decodedMessage(slot, w.raw[begin:d.begin], within)
		}
		return nil, d
	}
	s := section{raw: w.raw, maxSize: MaxHeaderSize, maxFields: MaxHeaderFields, top: true, stop: w.stops, defects: &w.defects}
	w.pos = s.read(begin)
	title := w.title(s.fields)
	texts, d := w.entity(s.fields, within)
	w.locate(slot, begin, d.begin)
	if slot >= 0 {
		w.m.Attachments[slot].title = title
	}
	w.inner = append(w.inner, texts...)
	return nil, d
}

// decodedMessage looks into a message that is an encoded part.
func (w *walker) decodedMessage(slot int, body []byte, within place) {
	a := &w.m.Attachments[slot]
	raw, all := w.decode(a.origin.encoding, body, MaxDecoded-w.decoded, false)
	if !all {
		return
	}
	w.decoded += len(raw)
	in := &walker{reader: w.reader, raw: raw, outer: a.origin, depth: w.depth, messages: w.messages}
	s := section{raw: raw, maxSize: MaxHeaderSize, maxFields: MaxHeaderFields, top: true, defects: &w.defects}
	in.pos = s.read(0)
	a.title = w.title(s.fields)
	texts, _ := in.entity(s.fields, within)
	w.inner = append(w.inner, texts...)
	w.decoded -= len(raw)
}

func (w *walker) title(fields []field) string {
	v, _ := get(fields, "Subject")
	return w.short(w.unstructured(v))
}
