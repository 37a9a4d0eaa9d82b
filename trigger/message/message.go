package message

import (
	"strings"
	"time"
	"unicode/utf8"

	"mailtrigger/codepage"
)

// A Message is a mail as a person reads it. Its JSON form is the "message" of
// the event. A Message is immutable once Parse has returned it, but for Path of
// attachments, Flags and Authenticated, which the engine sets on its copy.
type Message struct {
	MessageID     string       `json:"message_id"` // as in the field, with its angle brackets
	Date          time.Time    `json:"date"`       // zero (JSON null by MarshalJSON) where there is none
	Subject       string       `json:"subject"`
	From          []Address    `json:"from"`
	To            []Address    `json:"to"`
	Cc            []Address    `json:"cc"`
	Bcc           []Address    `json:"bcc"`
	ReplyTo       []Address    `json:"reply_to"`
	Headers       []Header     `json:"headers"` // in order, decoded, unfolded
	Text          string       `json:"text"`    // of the HTML where there is no plain text; lines end in LF
	HTML          string       `json:"html"`
	Size          int64        `json:"size"`  // RFC822.SIZE, bytes of the raw message
	Flags         []string     `json:"flags"` // as the server gave them
	Attachments   []Attachment `json:"attachments"`
	CodePage      CodePage     `json:"code_page"`
	Authenticated bool         `json:"authenticated"`
	Defects       []string     `json:"defects"` // short words from Defects' documented list, sorted, unique

	trace    []Header // see Trace
	mended   bool     // see HeaderMended
	doubtful bool     // the From fields are not plain to read
}

// Trace returns the fields Received and Authentication-Results, in order,
// unfolded but not decoded: an encoded word within them is a sender's, and what
// it hides must not become syntax.
func (m *Message) Trace() []Header { return m.trace }

// HeaderMended reports whether it was not plain where the header's fields begin and
// end. Another reader, a mail server for one, may then see other fields in it.
func (m *Message) HeaderMended() bool { return m.mended }

// Author returns the one address of the one From field. It is not ok where there
// is any doubt about it, since another reader might then see another author: no
// or several From fields or addresses, a From field that had to be read by guess,
// or HeaderMended.
func (m *Message) Author() (address string, ok bool) {
	if m.mended || m.doubtful || len(m.From) != 1 || m.From[0].Address == "" {
		return "", false
	}
	return m.From[0].Address, true
}

// An Address is one mailbox of an address list.
type Address struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// A Header is one header field, decoded.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CodePage says which page the text was read with, and why. Where header fields or
// further texts were read with a page that is neither this one nor the declared one, Why says so too.
type CodePage struct {
	Used string `json:"used"` // a Page's Name
	Why  string `json:"why"`
}

// Options says how to read a message. The zero value reads with Windows-1252 as fallback.
type Options struct {
	// Policy is for bodies, raw 8-bit header fields, encoded words and parameters.
	Policy codepage.Policy
}

// Parse reads a message. It never fails: at worst the message has its raw text
// and a defect that says so. raw must not be changed while the Message is in use.
func Parse(raw []byte, opts Options) (m *Message) {
	// Hostile mail is the normal case, and one message must never take down the
	// watch of all others. No panic is known; the fuzz targets look for one.
	defer func() {
		if recover() != nil {
			m = rawMessage(raw)
		}
	}()
	r := newReader(opts)
	r.body(r.top(raw))
	return r.message(int64(len(raw)))
}

// ParseHeader reads a message's header alone: everything of a Message that does
// not need the body. raw may end behind the header section or go on. Size is
// what is given: the caller knows the message's own.
func ParseHeader(raw []byte, opts Options) (m *Message) {
	defer func() {
		if recover() != nil {
			m = rawMessage(nil)
			m.Size = int64(len(raw))
		}
	}()
	r := newReader(opts)
	r.top(raw)
	return r.message(int64(len(raw)))
}

// Get returns the value of the first field of that name, in any case, or "".
func (m *Message) Get(name string) string {
	for i := range m.Headers {
		if strings.EqualFold(m.Headers[i].Name, name) {
			return m.Headers[i].Value
		}
	}
	return ""
}

// rawMessage is the last resort: the bytes as text.
func rawMessage(raw []byte) *Message {
	r := newReader(Options{})
	r.m.Size = int64(len(raw))
	r.defects.add(DefectRaw)
	if len(raw) > MaxText {
		raw = raw[:MaxText]
		r.defects.add(DefectTextLimit)
	}
	if utf8.Valid(raw) {
		r.m.Text = string(raw)
		r.m.CodePage = CodePage{"utf-8", "the raw bytes are UTF-8"}
	} else {
		r.m.Text = latin1(raw)
		r.m.CodePage = CodePage{"iso-8859-1", "the raw bytes, one character each"}
	}
	return r.message(r.m.Size)
}

// latin1 decodes without any table: it cannot fail.
func latin1(b []byte) string {
	var s strings.Builder
	s.Grow(len(b) * 2)
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// A reader is what reading one message needs to know.
type reader struct {
	opts    Options
	m       *Message
	defects defects

	headerPolicy codepage.Policy // for raw header bytes; see charset.go
	headerLabel  string          // the charset that the message's own header declares
	policySet    bool
	mentions     []mention // of pages that were not the sender's

	budget  budget     // of text
	texts   []fragment // the message's own text, in order
	inner   []fragment // text of messages within it, used where it has none
	leaves  int        // looked at so far
	guesses int        // of boundaries made so far
	decoded int        // bytes decoded to be looked into, at this time
	buf     []byte     // scratch
}

func newReader(opts Options) *reader {
	return &reader{opts: opts, m: &Message{}, budget: budget{text: MaxText, html: MaxText, rtf: MaxRTF}}
}

// message finishes: no nil slice, defects sorted.
func (r *reader) message(size int64) *Message {
	m := r.m
	m.Size = size
	m.Defects = r.defects.list()
	for _, l := range []*[]Address{&m.From, &m.To, &m.Cc, &m.Bcc, &m.ReplyTo} {
		if *l == nil {
			*l = []Address{}
		}
	}
	if m.Headers == nil {
		m.Headers = []Header{}
	}
	if m.Flags == nil {
		m.Flags = []string{}
	}
	if m.Attachments == nil {
		m.Attachments = []Attachment{}
	}
	if m.CodePage.Used == "" {
		c := r.opts.Policy.Choose("", nil)
		m.CodePage = CodePage{c.Page.Name, "no text"}
	}
	m.CodePage = r.withMentions(m.CodePage)
	return m
}
