package compose

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"

	"github.com/emersion/go-message/textproto"
)

// A part is one entity of a message: a text or file, or a multipart with parts.
//
// Go-message's own Writer takes parts that are UTF-8 only: by it no file could keep the
// charset that it is in. So parts are encoded here, and the rest is go-message's.
type part struct {
	fields   [][2]string      // of its content
	encoding string           // Content-Transfer-Encoding
	open     func() io.Reader // its content, before it is encoded
	children []*part          // of a multipart, instead
	boundary string
}

// maxLine is the longest line of a part, without its end (RFC 5322, section 2.1.1).
const maxLine = 998

// textPart is a text of ours. It is sent as it is if that is possible, else in the
// shorter of the encodings.
func textPart(subtype, text string) *part {
	text = lines(strings.ToValidUTF8(text, "\uFFFD"))
	encoding := "7bit"
	foreign, controls, length := 0, 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\n':
			length = 0
			continue
		case c >= 0x80:
			foreign++
		case c < ' ' && c != '\t' && c != '\r' || c == 0x7f:
			controls++
		}
		if length++; length > 900 {
			encoding = "quoted-printable"
		}
	}
	switch {
	case foreign*6 > len(text):
		encoding = "base64"
	case foreign+controls > 0:
		encoding = "quoted-printable"
	}
	return &part{
		fields:   [][2]string{{"Content-Type", "text/" + subtype + "; charset=utf-8"}, {"Content-Transfer-Encoding", encoding}},
		encoding: encoding,
		open:     func() io.Reader { return strings.NewReader(text) },
	}
}

// lines ends each line with CRLF, the last one, too.
func lines(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return strings.ReplaceAll(s, "\n", "\r\n")
}

// filePart is a file: in base64, but for messages that can travel as they are.
func filePart(f *File, eightBit bool) (*part, error) {
	kind := f.Type
	if mime.FormatMediaType(kind, nil) == "" || strings.HasPrefix(kind, "multipart/") {
		kind = "application/octet-stream"
	}
	encoding := "base64"
	if strings.HasPrefix(kind, "message/") {
		needs, err := travels(f.Open())
		switch {
		case err != nil:
			return nil, err
		case needs == "7bit" || needs == "8bit" && eightBit:
			encoding = needs
		default:
			kind = "application/octet-stream"
		}
	}
	if s := mime.FormatMediaType(kind, f.Parameters); s != "" && kind == f.Type {
		kind = s
	}
	fields := [][2]string{{"Content-Type", kind}, {"Content-Transfer-Encoding", encoding}}
	if id := f.ContentID; isID(id) {
		fields = append(fields, [2]string{"Content-ID", "<" + id + ">"}, [2]string{"Content-Disposition", disposition("inline", f.Name)})
	} else {
		fields = append(fields, [2]string{"Content-Disposition", disposition("attachment", f.Name)})
	}
	return &part{fields: fields, encoding: encoding, open: f.Open}, nil
}

// travels says how a text can be sent as it is: "7bit", "8bit", or "" if its bytes
// would not arrive as they are: a bare CR or LF, a NUL, a long line.
func travels(r io.Reader) (encoding string, err error) {
	encoding = "7bit"
	buf := make([]byte, 32<<10)
	length, cr := 0, false
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			switch {
			case cr != (c == '\n'), c == 0:
				return "", nil
			case c >= 0x80:
				encoding = "8bit"
			}
			if cr = c == '\r'; cr {
				continue
			}
			if length++; c == '\n' {
				length = 0
			}
			if length > maxLine {
				return "", nil
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if cr {
				return "", nil
			}
			return encoding, nil
		case err != nil:
			return "", err
		}
	}
}

// multipart puts parts into one; a single part needs none around it.
func multipart(boundary, subtype string, parts []*part) *part {
	if len(parts) == 1 {
		return parts[0]
	}
	return &part{
		fields:   [][2]string{{"Content-Type", `multipart/` + subtype + `; boundary="` + boundary + `"`}},
		children: parts,
		boundary: boundary,
	}
}

// headerOf returns a header with the fields in their order; empty ones are left out.
func headerOf(fields [][2]string) textproto.Header {
	var h textproto.Header
	for i := len(fields) - 1; i >= 0; i-- { // what is added last is written first
		if f := fields[i]; f[1] != "" {
			h.Add(f[0], f[1])
		}
	}
	return h
}

// isID reports whether a text can stand between the angle brackets of an id.
func isID(s string) bool {
	return s != "" && len(s) < 250 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' })
}

// write writes the part as a whole message, with further fields of its header.
func (p *part) write(w io.Writer, fields [][2]string) error {
	end := &lastByte{w: w}
	err := textproto.WriteHeader(end, headerOf(append(fields, p.fields...)))
	if err == nil {
		err = p.fill(end)
	}
	if err == nil && end.last != '\n' { // as base64 has no end of its last line
		_, err = io.WriteString(w, "\r\n")
	}
	return err
}

// lastByte remembers the last byte that was written.
type lastByte struct {
	w    io.Writer
	last byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.last = p[len(p)-1]
	}
	return l.w.Write(p)
}

// fill writes the part's content.
func (p *part) fill(w io.Writer) error {
	if p.children == nil {
		e := encoder(p.encoding, w)
		if _, err := io.Copy(e, p.open()); err != nil {
			return err
		}
		return e.Close()
	}
	m := textproto.NewMultipartWriter(w)
	if err := m.SetBoundary(p.boundary); err != nil {
		return err
	}
	for _, child := range p.children {
		inner, err := m.CreatePart(headerOf(child.fields))
		if err != nil {
			return err
		}
		if err := child.fill(inner); err != nil {
			return err
		}
	}
	return m.Close()
}

// encoder returns what encodes for w (RFC 2045, section 6).
func encoder(encoding string, w io.Writer) io.WriteCloser {
	switch encoding {
	case "base64":
		return base64.NewEncoder(base64.StdEncoding, &wrapper{w: w})
	case "quoted-printable":
		return quotedprintable.NewWriter(w)
	}
	return asItIs{w} // 7bit, 8bit
}

type asItIs struct{ io.Writer }

func (asItIs) Close() error { return nil }

// A wrapper breaks what has no lines into lines of 76 characters.
type wrapper struct {
	w      io.Writer
	length int // of the line so far
}

func (l *wrapper) Write(p []byte) (written int, err error) {
	const most = 76 // RFC 2045, section 6.8
	for len(p) > 0 {
		if l.length == most {
			if _, err := io.WriteString(l.w, "\r\n"); err != nil {
				return written, err
			}
			l.length = 0
		}
		n, err := l.w.Write(p[:min(len(p), most-l.length)])
		written += n
		if err != nil {
			return written, err
		}
		l.length += n
		p = p[n:]
	}
	return written, nil
}
