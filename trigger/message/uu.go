package message

import (
	"bytes"
)

// uuFiles takes the uuencoded files out of a text, as mail had them before
// MIME, makes attachments of them and returns the text without. data is what
// raw[begin:end] holds, decoded.
func (w *walker) uuFiles(data []byte, e transfer, begin, end int) []byte {
	var rest []byte // data up to done, without files; nil: no file yet
	done := 0
	for at := 0; at < len(data); {
		i := bytes.Index(data[at:], []byte("begin "))
		if i < 0 {
			break
		}
		at += i
		line, next := lineAt(data, at)
		if at > 0 && data[at-1] != '\n' || !isUUBegin(line) {
			at += len("begin ")
			continue
		}
		from := at
		last, ended := uuEnd(data, next)
		if at = last; last == next {
			continue // a sentence that begins so
		}
		if !ended {
			w.defects.add(DefectUUEncode)
		}
		if w.leaves++; w.leaves > MaxParts {
			w.defects.add(DefectPartLimit)
			break
		}
		_, name, _ := bytes.Cut(line[len("begin "):], []byte(" "))
		o := w.origin(begin+from, begin+last, uuencode)
		if e != identity {
			o = &origin{outer: w.origin(begin, end, e), begin: from, end: last, encoding: uuencode}
		}
		a := Attachment{Name: w.short(tameName(w.words(w.header(bytes.TrimSpace(name))))), Disposition: "attachment", origin: o}
		a.ContentType = typeOf(a.Name)
		w.measure(&a, data[from:last])
		w.m.Attachments = append(w.m.Attachments, a)
		rest = append(rest, data[done:from]...)
		done = last
	}
	if rest == nil && done == 0 {
		return data
	}
	return append(rest, data[done:]...)
}

// uuEnd returns where the uuencoded lines from pos on end, behind "end" if
// there is one.
func uuEnd(data []byte, pos int) (last int, ended bool) {
	for pos < len(data) {
		line, next := lineAt(data, pos)
		if bytes.Equal(bytes.TrimRight(line, " \t"), []byte("end")) {
			return next, true
		}
		if _, ok := uuLine(line); !ok && len(line) > 0 {
			break
		}
		pos = next
	}
	return pos, false
}

// A uuDecoder decodes uuencode line by line: from the line behind "begin" to
// "end". Lines that are none are skipped.
type uuDecoder struct {
	src  []byte
	bad  bool
	open bool // begin was there, or the first line is data
	done bool
}

func (d *uuDecoder) malformed() string {
	if d.bad || !d.done {
		return DefectUUEncode
	}
	return ""
}

func (d *uuDecoder) next(dst []byte) []byte {
	begin := len(dst)
	for len(dst) == begin && !d.done && len(d.src) > 0 {
		for budget := step; budget > 0 && len(d.src) > 0 && !d.done; {
			line, next := lineAt(d.src, 0)
			d.src = d.src[next:]
			budget -= next
			switch {
			case isUUBegin(line):
				d.open = true
			case !d.open && len(bytes.TrimSpace(line)) == 0:
			case bytes.Equal(bytes.TrimRight(line, " \t"), []byte("end")):
				d.done = true
			default:
				if n, ok := uuLine(line); ok {
					d.open = true
					dst = uuDecode(dst, line[1:], n)
				} else if d.open && len(line) > 0 {
					d.bad = true
				}
			}
		}
	}
	return dst
}

// isUUBegin reports whether a line is "begin MODE NAME".
func isUUBegin(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("begin "))
	if !ok || len(rest) < 5 {
		return false
	}
	mode, name, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(mode) < 3 || len(mode) > 4 || len(bytes.TrimSpace(name)) == 0 {
		return false
	}
	for _, c := range mode {
		if c < '0' || c > '7' {
			return false
		}
	}
	return true
}

// uuLine reports how many bytes a line says it holds, and whether it can be a
// line of uuencode: its length must fit, give or take the blanks that mailers
// strip and the check character that encoders add.
func uuLine(line []byte) (n int, ok bool) {
	if len(line) == 0 || line[0] < ' ' || line[0] > '`' {
		return 0, false
	}
	n = int(line[0]-' ') & 63
	want := (n + 2) / 3 * 4
	for _, c := range line[1:] {
		if c < ' ' || c > '`' {
			return 0, false
		}
	}
	if len(line)-1 > want+2 {
		return 0, false
	}
	// Stripped blanks are zeros at the line's end: more than a few are chance.
	return n, len(line)-1 >= want-8 && (n == 0 || len(line) > 1)
}

// uuDecode appends the n bytes of a line's characters.
func uuDecode(dst, s []byte, n int) []byte {
	at := func(i int) byte {
		if i < len(s) {
			return (s[i] - ' ') & 63
		}
		return 0
	}
	for i := 0; n > 0; i += 4 {
		q := uint32(at(i))<<18 | uint32(at(i+1))<<12 | uint32(at(i+2))<<6 | uint32(at(i+3))
		b := []byte{byte(q >> 16), byte(q >> 8), byte(q)}
		dst = append(dst, b[:min(n, 3)]...)
		n -= 3
	}
	return dst
}
