package message

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/unicode"

	"mailtrigger/codepage"
)

// isTNEF reports whether an attachment is Outlook's winmail.dat (MS-OXTNEF).
func isTNEF(a *Attachment) bool {
	return a.ContentType == "application/ms-tnef" || a.ContentType == "application/vnd.ms-tnef" ||
		strings.EqualFold(a.Name, "winmail.dat")
}

// unpackTNEF puts what a winmail.dat holds in its place: its files, and its text
// where the message has no other. It stays beside them if something in it
// could not be read, or if only its text is of use; then it is no file of its own.
func (w *walker) unpackTNEF(slot int) {
	a := w.m.Attachments[slot]
	if a.Size > int64(MaxDecoded-w.decoded) {
		return
	}
	data := a.origin.decoded()
	w.decoded += len(data)
	defer func() { w.decoded -= len(data) }()
	t := tnef{data: data, page: codepage.Windows1252}
	ok := t.read(0, len(data), 0)
	if !ok {
		w.defects.add(DefectTNEF)
	}
	if w.m.Attachments[slot].inline = ok; ok && len(t.files) > 0 {
		w.m.Attachments = w.m.Attachments[:slot]
	}
	for i := range t.files {
		if w.leaves++; w.leaves > MaxParts {
			w.defects.add(DefectPartLimit)
			break
		}
		f := &t.files[i]
		b := Attachment{
			Name: w.short(tameName(t.string(f.name))), ContentType: w.short(strings.ToLower(tame(t.string(f.mime)))),
			ContentID: w.short(tameName(t.string(f.id))), Disposition: "attachment",
			origin: &origin{outer: a.origin, begin: f.begin, end: f.end},
		}
		if !strings.Contains(b.ContentType, "/") {
			if b.ContentType = typeOf(b.Name); f.object {
				b.ContentType = "application/ms-tnef"
			}
		}
		w.measure(&b, data[f.begin:f.end])
		w.m.Attachments = append(w.m.Attachments, b)
	}
	w.tnefText(&t)
}

// tnefText takes the text of a winmail.dat.
func (w *walker) tnefText(t *tnef) {
	var f fragment
	if t.body.ok() && w.budget.text > 0 {
		f.plain, f.hasPlain = lines(strings.TrimRight(t.string(t.body), "\x00")), true
		f.plain, _ = cut(f.plain, w.budget.text)
		f.page = CodePage{t.page.Name, "declared in winmail.dat"}
	} else if !t.html.ok() {
		b := decompressRTF(t.rtf, w.budget.rtf)
		w.budget.rtf -= len(b)
		s, isHTML := rtfText(b)
		if isHTML {
			f.html, _ = cut(s, w.budget.html)
		} else {
			f.plain, _ = cut(s, w.budget.text)
		}
		f.hasPlain, f.hasHTML = f.plain != "", f.html != ""
		f.page = CodePage{t.page.Name, "declared in winmail.dat"}
	}
	if t.html.ok() && w.budget.html > 0 {
		s, c, _ := w.text(metaCharset(t.html.bytes), t.html.bytes, w.budget.html)
		f.html, f.hasHTML = s, true
		f.page = CodePage{c.Page.Name, c.Why}
	}
	w.budget.text -= len(f.plain)
	w.budget.html -= len(f.html)
	if f.hasPlain || f.hasHTML {
		w.inner = append(w.inner, f)
	}
}

// A tnef reads the stream of a winmail.dat.
type tnef struct {
	data  []byte
	page  *codepage.Page // of strings that are not Unicode
	body  tnefText
	html  tnefText
	rtf   []byte // compressed
	files []tnefFile
}

// A tnefFile is one attachment of it, at data[begin:end].
type tnefFile struct {
	name, mime, id tnefText
	long           bool // name is the long one
	begin, end     int
	object         bool // an embedded message
}

// A tnefText is a string as it stands, or a binary one.
type tnefText struct {
	bytes   []byte
	unicode bool
}

func (s tnefText) ok() bool { return len(s.bytes) > 0 }

// The attributes of MS-OXTNEF, section 2.1.3, that matter here.
const (
	tnefBody        = 0x800C
	tnefAttachData  = 0x800F
	tnefAttachTitle = 0x8010
	tnefAttachStart = 0x9002
	tnefProperties  = 0x9003
	tnefAttachProps = 0x9005
	tnefCodePage    = 0x9007
)

var tnefSignature = []byte{0x78, 0x9f, 0x3e, 0x22}

// read reads the stream in data[begin:end]; false if it is malformed.
func (t *tnef) read(begin, end, depth int) bool {
	if end-begin < 6 || !bytes.HasPrefix(t.data[begin:end], tnefSignature) {
		return false
	}
	file := -1 // the current one, in t.files
	for pos := begin + 6; pos < end; {
		if end-pos < 11 {
			return len(bytes.Trim(t.data[pos:end], "\x00\r\n ")) == 0 // padding
		}
		id := binary.LittleEndian.Uint16(t.data[pos+1:])
		size := int64(binary.LittleEndian.Uint32(t.data[pos+5:]))
		pos += 9
		if size > int64(end-pos-2) {
			if id == tnefAttachData && file >= 0 { // cut short: what is there
				t.files[file].begin, t.files[file].end = pos, end
			}
			return false
		}
		from, to := pos, pos+int(size)
		value := t.data[from:to]
		pos = to + 2 // and the checksum, which tells nothing that the sizes do not
		if id == tnefAttachStart {
			if len(t.files) >= MaxParts {
				return false
			}
			file = len(t.files)
			t.files = append(t.files, tnefFile{begin: from, end: from})
			continue
		}
		switch {
		case id == tnefCodePage && size >= 4:
			if p, err := codepage.Lookup(strconv.Itoa(int(binary.LittleEndian.Uint32(value)))); err == nil {
				t.page = p
			}
		case id == tnefBody && depth == 0:
			t.body = tnefText{bytes: value}
		case id == tnefProperties:
			if !t.properties(from, to, -1, depth) {
				return false
			}
		case file < 0:
		case id == tnefAttachTitle && !t.files[file].long:
			t.files[file].name = tnefText{bytes: bytes.TrimRight(value, "\x00")}
		case id == tnefAttachData:
			t.files[file].begin, t.files[file].end = from, to
		case id == tnefAttachProps:
			if !t.properties(from, to, file, depth) {
				return false
			}
		}
	}
	return true
}

// The properties of MS-OXPROPS that matter here, and the types of MS-OXCDATA,
// section 2.11.1.
const (
	mapiBody         = 0x1000
	mapiHTML         = 0x1013
	mapiRTF          = 0x1009
	mapiAttachData   = 0x3701
	mapiAttachName   = 0x3704
	mapiAttachLong   = 0x3707
	mapiAttachMime   = 0x370E
	mapiAttachID     = 0x3712
	mapiString8      = 0x001E
	mapiUnicode      = 0x001F
	mapiBinary       = 0x0102
	mapiObject       = 0x000D
	mapiMany         = 0x1000
	mapiNamedFrom    = 0x8000
	mapiMessageStart = 16 // an object's value begins with the interface's GUID
)

// properties reads MAPI properties in data[from:to]; of the message if file is negative.
func (t *tnef) properties(from, to int, file, depth int) bool {
	c := &cursor{data: t.data[:to], pos: from}
	for n := c.uint32(); n > 0 && c.ok(); n-- {
		kind, id := c.uint16(), c.uint16()
		if id >= mapiNamedFrom {
			c.skip(16)
			if c.uint32() == 0 {
				c.skip(4)
			} else {
				c.skip(padded(c.uint32()))
			}
		}
		values := uint32(1)
		base := kind &^ mapiMany
		variable := base == mapiString8 || base == mapiUnicode || base == mapiBinary || base == mapiObject
		if variable || kind&mapiMany != 0 {
			values = c.uint32()
		}
		for ; values > 0 && c.ok(); values-- {
			if !variable {
				c.skip(fixedSize(base))
				continue
			}
			size := c.uint32()
			begin := c.pos
			if c.skip(padded(size)); !c.ok() {
				return false
			}
			t.property(id, base, begin, begin+int(size), file, depth)
		}
	}
	return c.ok()
}

// property takes one value.
func (t *tnef) property(id, kind uint16, begin, end int, file, depth int) {
	s := tnefText{bytes: t.data[begin:end], unicode: kind == mapiUnicode}
	if file < 0 {
		switch {
		case depth > 0:
		case id == mapiBody && kind != mapiBinary:
			t.body = s
		case id == mapiHTML:
			t.html = s
		case id == mapiRTF:
			t.rtf = s.bytes
		}
		return
	}
	f := &t.files[file]
	switch id {
	case mapiAttachLong:
		f.name, f.long = s, true
	case mapiAttachName:
		if !f.long {
			f.name = s
		}
	case mapiAttachMime:
		f.mime = s
	case mapiAttachID:
		f.id = s
	case mapiAttachData:
		if kind == mapiObject && end-begin > mapiMessageStart {
			begin += mapiMessageStart
			f.begin, f.end, f.object = begin, end, true
			if depth < 3 { // the files of the embedded message
				t.read(begin, end, depth+1)
			}
		} else if kind == mapiBinary {
			f.begin, f.end = begin, end
		}
	}
}

// string decodes a string.
func (t *tnef) string(s tnefText) string {
	e := t.page.Encoding
	if s.unicode {
		e = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	}
	text, err := e.NewDecoder().Bytes(s.bytes)
	if err != nil {
		return ""
	}
	return strings.TrimRight(valid(string(text)), "\x00")
}

// fixedSize is how many bytes a value of a type takes, which are at least four.
func fixedSize(kind uint16) uint32 {
	switch kind {
	case 0x05, 0x06, 0x07, 0x14, 0x40: // double, currency, time, 64 bits
		return 8
	case 0x48: // GUID
		return 16
	}
	return 4
}

// padded is the size of a value with what fills its last four bytes.
func padded(n uint32) uint32 { return (min(n, 1<<31) + 3) &^ 3 }

// A cursor reads little-endian numbers; past the end it is no longer ok, and reads zeros.
type cursor struct {
	data []byte
	pos  int
	bad  bool
}

func (c *cursor) ok() bool { return !c.bad }

func (c *cursor) skip(n uint32) []byte {
	if c.bad || int64(n) > int64(len(c.data)-c.pos) {
		c.bad = true
		return make([]byte, 4)
	}
	c.pos += int(n)
	return c.data[c.pos-int(n) : c.pos]
}

func (c *cursor) uint32() uint32 { return binary.LittleEndian.Uint32(c.skip(4)) }
func (c *cursor) uint16() uint16 { return binary.LittleEndian.Uint16(c.skip(2)) }
