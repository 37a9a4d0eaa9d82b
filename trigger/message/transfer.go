package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
)

// A transfer is a Content-Transfer-Encoding.
type transfer uint8

const (
	identity transfer = iota // 7bit, 8bit, binary
	quotedPrintable
	base64Encoding
	uuencode
)

// transferEncoding reads a Content-Transfer-Encoding field (RFC 2045, section 6).
func (r *reader) transferEncoding(fields []field) transfer {
	v, ok := get(fields, "Content-Transfer-Encoding")
	if !ok {
		return identity
	}
	s := strings.ToLower(string(bytes.TrimSpace(v[:min(len(v), 100)])))
	word := strings.Trim(s, `"';, `)
	if i := strings.IndexAny(word, "; \t\r\n("); i > 0 && !strings.HasPrefix(word, "8 bit") && !strings.HasPrefix(word, "7 bit") {
		word = word[:i]
	}
	if word != s {
		r.defects.add(DefectTransfer)
	}
	switch word {
	case "7bit", "8bit", "binary":
		return identity
	case "base64":
		return base64Encoding
	case "quoted-printable":
		return quotedPrintable
	case "x-uuencode", "uuencode", "x-uue", "uue":
		return uuencode
	}
	r.defects.add(DefectTransfer)
	switch word {
	case "base-64", "b", "x-base64", "base 64":
		return base64Encoding
	case "quoted_printable", "quotedprintable", "quoted", "q", "qp", "quoted printable":
		return quotedPrintable
	}
	return identity
}

// A decoder undoes a transfer encoding step by step: next appends some decoded
// bytes to dst, at least one unless all is done.
type decoder interface {
	next(dst []byte) []byte
	malformed() string // the defect met so far, or ""
}

// newDecoder returns a decoder of src; not for identity, which needs none.
func newDecoder(e transfer, src []byte) decoder {
	switch e {
	case quotedPrintable:
		return &qpDecoder{src: src}
	case base64Encoding:
		return &base64Decoder{src: src}
	default:
		return &uuDecoder{src: src}
	}
}

// step is about how many encoded bytes a decoder takes in one step.
const step = 8 << 10

// decodeReader is a decoder as a stream.
type decodeReader struct {
	d   decoder
	buf []byte
	off int
}

// newDecodeReader returns the decoded bytes of src as a stream.
func newDecodeReader(e transfer, src []byte) io.Reader {
	if e == identity {
		return bytes.NewReader(src)
	}
	return &decodeReader{d: newDecoder(e, src)}
}

// Read implements io.Reader.
func (r *decodeReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.off == len(r.buf) {
		if r.fill(); len(r.buf) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, r.buf[r.off:])
	r.off += n
	return n, nil
}

// WriteTo implements io.WriterTo: no second copy for who takes all of it.
func (r *decodeReader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if r.off == len(r.buf) {
			if r.fill(); len(r.buf) == 0 {
				return n, nil
			}
		}
		k, err := w.Write(r.buf[r.off:])
		n += int64(k)
		r.off += k
		if err != nil {
			return n, err
		}
	}
}

func (r *decodeReader) fill() {
	if r.buf == nil {
		r.buf = make([]byte, 0, step+step/8)
	}
	r.buf, r.off = r.d.next(r.buf[:0]), 0
}

// decodedSize is how many bytes src has at most when decoded.
func decodedSize(e transfer, src []byte) int {
	if e == identity || e == quotedPrintable {
		return len(src)
	}
	return len(src)/4*3 + 3
}

// decode returns at most limit decoded bytes, and whether that is all. For
// identity they are src's own. What stands behind the end of base64 is the
// footer that a list appended: footer says whether it is wanted.
func (r *reader) decode(e transfer, src []byte, limit int, footer bool) (b []byte, all bool) {
	if e == identity {
		if len(src) > limit {
			return src[:limit], false
		}
		return src, true
	}
	d := newDecoder(e, src)
	b = make([]byte, 0, min(decodedSize(e, src), limit)+step)
	for len(b) <= limit {
		n := len(b)
		if b = d.next(b); len(b) == n {
			r.defects.add(d.malformed())
			if d, ok := d.(*base64Decoder); ok && footer && len(d.src) > 0 && len(b)+len(d.src) < limit {
				b = append(append(b, '\n'), d.src...)
			}
			return b, true
		}
	}
	r.defects.add(d.malformed())
	return b[:limit], false
}

// A base64Decoder decodes base64 (RFC 2045, section 6.8) line by line. What is
// not in the alphabet is skipped. Behind padding it goes on only with a line
// that is base64 throughout: some mailers join encoded pieces, others append a
// list's footer as plain text, which is what src has left in the end.
type base64Decoder struct {
	src    []byte
	quad   [4]byte // alphabet characters not decoded yet
	n      int     // how many
	padded bool
	done   bool
	bad    bool
}

func (d *base64Decoder) malformed() string {
	if d.bad {
		return DefectBase64
	}
	return ""
}

func (d *base64Decoder) next(dst []byte) []byte {
	begin := len(dst)
	for len(dst) == begin && !d.done {
		for budget := step; budget > 0 && len(d.src) > 0; {
			line := d.src
			if i := bytes.IndexByte(line[:min(len(line), step)], '\n'); i >= 0 {
				line = line[:i+1]
			} else if len(line) > step {
				line = line[:step]
			}
			body := trimEOL(line)
			if d.padded && len(body) > 0 && !clean64(body) {
				d.done, d.bad = true, true
				return dst
			}
			d.src = d.src[len(line):]
			budget -= len(line)
			dst = d.line(dst, body)
		}
		if len(d.src) == 0 {
			d.done = true
			dst = d.flush(dst)
		}
	}
	return dst
}

// line decodes one line.
func (d *base64Decoder) line(dst, line []byte) []byte {
	if d.n == 0 && len(line)%4 == 0 && len(line) > 0 {
		n := len(dst)
		dst = grow(dst, len(line)/4*3)
		k, err := base64.StdEncoding.Decode(dst[n:n+len(line)/4*3], line)
		if err == nil && (k == len(line)/4*3 || line[len(line)-1] == '=') {
			d.padded = line[len(line)-1] == '='
			return dst[:n+k]
		}
		dst = dst[:n]
	}
	for _, c := range line {
		if v := alphabet64[c]; v < 64 {
			d.quad[d.n] = v
			if d.n++; d.n == 4 {
				dst = d.quantum(dst)
			}
			d.padded = false
		} else if c == '=' {
			if d.n > 0 {
				dst = d.flush(dst)
				d.padded = true
			}
		} else if c != ' ' && c != '\t' && c != '\r' {
			d.bad = true
		}
	}
	return dst
}

// quantum decodes the characters gathered.
func (d *base64Decoder) quantum(dst []byte) []byte {
	q := uint32(d.quad[0])<<18 | uint32(d.quad[1])<<12 | uint32(d.quad[2])<<6 | uint32(d.quad[3])
	n := max(d.n-1, 0)
	d.quad, d.n = [4]byte{}, 0
	return append(dst, []byte{byte(q >> 16), byte(q >> 8), byte(q)}[:n]...)
}

// flush decodes what is left of an incomplete quantum.
func (d *base64Decoder) flush(dst []byte) []byte {
	if d.n == 1 {
		d.bad = true // six bits are no byte
	}
	return d.quantum(dst)
}

// clean64 reports whether a line is base64 throughout.
func clean64(line []byte) bool {
	line = bytes.TrimRight(line, " \t")
	text := bytes.TrimRight(line, "=")
	if len(line)%4 != 0 || len(line)-len(text) > 2 {
		return false
	}
	for _, c := range text {
		if alphabet64[c] >= 64 {
			return false
		}
	}
	return true
}

// alphabet64 maps base64's characters to their values, all else to 255.
var alphabet64 = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	return t
}()

// grow makes dst n bytes longer.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) < n {
		dst = append(make([]byte, 0, 2*cap(dst)+n), dst...)
	}
	return dst[:len(dst)+n]
}

// A qpDecoder decodes quoted-printable (RFC 2045, section 6.7) line by line.
// Escapes that are none stay as they are.
type qpDecoder struct {
	src []byte
	bad bool
}

func (d *qpDecoder) malformed() string {
	if d.bad {
		return DefectQuotedPrintable
	}
	return ""
}

func (d *qpDecoder) next(dst []byte) []byte {
	begin := len(dst)
	for len(dst) == begin && len(d.src) > 0 {
		for budget := step; budget > 0 && len(d.src) > 0; {
			line := d.src
			whole := true
			if line[0] == '=' && len(line) > 1 && line[1] == '\n' { // nothing but a soft line break, maybe many
				d.src = line[2:]
				budget -= 2
				continue
			}
			if i := bytes.IndexByte(line[:min(len(line), step)], '\n'); i >= 0 {
				line = line[:i+1]
			} else if len(line) > step {
				line, whole = d.piece(), false
			}
			d.src = d.src[len(line):]
			budget -= len(line)
			dst = d.line(dst, line, whole)
		}
	}
	return dst
}

// piece cuts an overlong line where neither an escape nor the blank that may
// be padding is cut.
func (d *qpDecoder) piece() []byte {
	n := step
	for k := 0; k < 3 && n > step-3; k++ {
		if d.src[n-1-k] == '=' {
			n -= k + 1
			break
		}
	}
	if t := len(bytes.TrimRight(d.src[:n], " \t\r")); t > 0 {
		return d.src[:t]
	}
	return d.src[:n]
}

func (d *qpDecoder) line(dst, line []byte, whole bool) []byte {
	var eol []byte
	if whole {
		text := trimEOL(line)
		eol = line[len(text):]
		line = bytes.TrimRight(text, " \t") // padding of transport
		if n := len(line); n > 0 && line[n-1] == '=' {
			line, eol = line[:n-1], nil // a soft line break
		} else if len(eol) == 0 {
			line = text // the body's end: no line, no padding
		}
	}
	for {
		i := bytes.IndexByte(line, '=')
		if i < 0 {
			break
		}
		dst = append(dst, line[:i]...)
		if i+2 < len(line) {
			if h, ok := hexByte(line[i+1], line[i+2]); ok {
				dst = append(dst, h)
				line = line[i+3:]
				continue
			}
		}
		d.bad = true
		dst = append(dst, '=')
		line = line[i+1:]
	}
	dst = append(dst, line...)
	return append(dst, eol...)
}
