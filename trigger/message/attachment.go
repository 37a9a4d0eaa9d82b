package message

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/url"
	"strings"
)

// An Attachment is a part that is not the message's text.
type Attachment struct {
	Name        string `json:"name"`         // as the sender gave it, decoded; FileName is fit for a file system
	ContentType string `json:"content_type"` // lower-case type/subtype, no parameters
	Size        int64  `json:"size"`         // decoded
	SHA256      string `json:"sha256"`       // of the decoded bytes, hex
	Disposition string `json:"disposition"`  // attachment or inline, never empty
	ContentID   string `json:"content_id"`   // without its angle brackets
	Path        string `json:"path,omitempty"`

	// origin is where the bytes are in the raw message that Parse was given.
	origin *origin
	inline bool              // see Inline
	nested bool              // see Nested
	title  string            // what a name can be made of where the sender gave none
	params map[string]string // see Parameters
}

// errNoOrigin is what Open's reader says for an Attachment that did not come from Parse.
var errNoOrigin = errors.New("the attachment's message is not at hand: parse its raw bytes again to open it")

// Open returns the decoded bytes, decoding as they are read. They are never
// transcoded. Each call gives a reader of its own; calls may be concurrent. An
// Attachment that did not come from Parse (from JSON, say) gives a reader that
// fails.
func (a *Attachment) Open() io.Reader {
	if a.origin == nil {
		return failingReader{}
	}
	return a.origin.open()
}

// Inline reports whether the part is shown within the text or serves it, rather than
// being a file of its own: an image that the HTML refers to by its content id,
// a nameless part marked inline, a signature, the machine's half of a report,
// an alternative form of the text. A calendar part and an inline part with a
// name (the way Apple Mail sends files) are files.
func (a *Attachment) Inline() bool { return a.inline }

// Parameters returns the parameters of the content type that say how the bytes are to be
// read: charset, format, method and the like, by their lower-case names. It may be nil.
func (a *Attachment) Parameters() map[string]string { return maps.Clone(a.params) }

// Nested reports whether the part is one of a message that is an attachment itself, and
// so is in that attachment's bytes as well.
func (a *Attachment) Nested() bool { return a.nested }

// FileName returns a name that is good on every file system: SafeName of the
// sender's, or one made of the type and, for a message, its subject.
func (a *Attachment) FileName() string {
	switch {
	case a.Name != "":
		return SafeName(a.Name)
	case a.title != "":
		return SafeName(a.title + extension(a.ContentType))
	}
	return SafeName("attachment" + extension(a.ContentType))
}

// extension returns the usual file name extension of a type, with its dot.
func extension(contentType string) string {
	if e, ok := extensions[contentType]; ok {
		return e
	}
	major, minor, _ := strings.Cut(contentType, "/")
	switch {
	case major == "message":
		return ".eml"
	case major == "text":
		return ".txt"
	case (major == "image" || major == "audio" || major == "video") && len(minor) <= 4:
		return "." + minor
	}
	return ".bin"
}

// extensions are those that types are best known by. The system's table is not
// asked: a name must not depend on the machine.
var extensions = map[string]string{
	"application/gzip": ".gz", "application/json": ".json", "application/msword": ".doc",
	"application/pdf": ".pdf", "application/pgp-encrypted": ".pgp", "application/pgp-keys": ".asc",
	"application/pgp-signature": ".asc", "application/pkcs7-mime": ".p7m", "application/pkcs7-signature": ".p7s",
	"application/rtf": ".rtf", "application/vnd.ms-excel": ".xls", "application/vnd.ms-powerpoint": ".ppt",
	"application/vnd.oasis.opendocument.spreadsheet":                            ".ods",
	"application/vnd.oasis.opendocument.text":                                   ".odt",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         ".xlsx",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   ".docx",
	"application/x-pkcs7-mime":                                                  ".p7m", "application/x-pkcs7-signature": ".p7s",
	"application/xml": ".xml", "application/zip": ".zip", "audio/mpeg": ".mp3", "image/jpeg": ".jpg",
	"image/pjpeg": ".jpg", "image/svg+xml": ".svg", "image/tiff": ".tif", "message/delivery-status": ".txt",
	"message/disposition-notification": ".txt", "message/feedback-report": ".txt", "text/calendar": ".ics",
	"text/csv": ".csv", "text/html": ".html", "text/rfc822-headers": ".txt", "text/rtf": ".rtf",
	"text/vcard": ".vcf", "text/x-vcard": ".vcf", "text/xml": ".xml", "video/quicktime": ".mov",
}

// typeOf guesses a type by a file's name.
func typeOf(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "application/octet-stream"
	}
	switch ext := strings.ToLower(name[i:]); ext {
	case ".txt":
		return "text/plain"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png", ".gif", ".bmp":
		return "image/" + ext[1:]
	case ".eml":
		return "message/rfc822"
	case ".rtf":
		return "application/rtf"
	case ".xml":
		return "application/xml"
	case ".asc", ".p7m", ".p7s", ".vcf", ".bin", ".tif":
	default:
		for t, e := range extensions {
			if e == ext {
				return t
			}
		}
	}
	return "application/octet-stream"
}

// An origin is where the encoded bytes of a part are: a piece of the raw
// message, or of the decoded bytes of another part, which are decoded anew when
// they are asked for so that nothing decoded is kept.
type origin struct {
	raw        []byte  // of the message; nil if in another part
	outer      *origin // the other part
	begin, end int
	encoding   transfer
}

// bytes returns the encoded bytes.
func (o *origin) bytes() []byte {
	raw := o.raw
	if o.outer != nil {
		raw = o.outer.decoded()
	}
	return raw[o.begin:o.end]
}

// decoded returns the decoded bytes, all at once.
func (o *origin) decoded() []byte {
	if o.encoding == identity {
		return o.bytes()
	}
	src := o.bytes()
	d := newDecoder(o.encoding, src)
	b := make([]byte, 0, decodedSize(o.encoding, src)+step)
	for {
		n := len(b)
		if b = d.next(b); len(b) == n {
			return b
		}
	}
}

// open returns the decoded bytes as a stream.
func (o *origin) open() io.Reader {
	if o.outer == nil {
		return newDecodeReader(o.encoding, o.bytes())
	}
	return &lazyReader{o: o}
}

// A lazyReader decodes the outer part once somebody reads.
type lazyReader struct {
	o *origin
	r io.Reader
}

// Read implements io.Reader.
func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil {
		l.r = newDecodeReader(l.o.encoding, l.o.bytes())
	}
	return l.r.Read(p)
}

type failingReader struct{}

// Read implements io.Reader.
func (failingReader) Read([]byte) (int, error) { return 0, errNoOrigin }

// measure sets size and hash in one pass over src, the origin's encoded bytes.
func (r *reader) measure(a *Attachment, src []byte) {
	h := sha256.New()
	if a.origin.encoding == identity {
		h.Write(src)
		a.Size = int64(len(src))
	} else {
		d := newDecoder(a.origin.encoding, src)
		a.Size, _ = (&decodeReader{d: d, buf: r.scratch()}).WriteTo(h)
		r.defects.add(d.malformed())
	}
	var sum [sha256.Size]byte
	a.SHA256 = hex.EncodeToString(h.Sum(sum[:0]))
}

// scratch returns the buffer that parts are decoded with, one after the other.
func (r *reader) scratch() []byte {
	if r.buf == nil {
		r.buf = make([]byte, 0, step+step/8)
	}
	return r.buf[:0]
}

// contentID reads a Content-ID field.
func (r *reader) contentID(fields []field) string {
	v, ok := get(fields, "Content-ID")
	if !ok {
		return ""
	}
	id := tameName(r.header(unfold(v, &r.defects)))
	id = strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
	return r.short(id)
}

// short cuts what is kept of a part's header to MaxName.
func (r *reader) short(s string) string {
	if len(s) <= MaxName {
		return s
	}
	r.defects.add(DefectNameLimit)
	s, _ = cut(s, MaxName)
	return s
}

// references returns the content ids that an HTML text refers to.
func references(html string) map[string]bool {
	const longest = 256
	var ids map[string]bool
	for n := 0; n < 10*MaxParts; n++ {
		i := strings.Index(html, "cid:")
		if i < 0 {
			return ids
		}
		html = html[i+len("cid:"):]
		end := strings.IndexAny(html[:min(len(html), longest)], "\"'<>) \t\r\n")
		if end <= 0 {
			continue
		}
		if ids == nil {
			ids = make(map[string]bool)
		}
		id := html[:end]
		ids[id] = true
		if p, err := url.PathUnescape(id); err == nil {
			ids[p] = true
		}
	}
	return ids
}
