package message

import (
	"io"
	"time"

	"mailtrigger/codepage"
)

// A Message is a mail as a person reads it. Its JSON form is the "message" of
// the event. A Message is immutable once Parse has returned it, but for Path of
// attachments, Flags and Authenticated, which the engine sets on its copy.
type Message struct {
	MessageID     string       `json:"message_id"`
	Date          time.Time    `json:"date"` // zero (JSON null by MarshalJSON) where there is none
	Subject       string       `json:"subject"`
	From          []Address    `json:"from"`
	To            []Address    `json:"to"`
	Cc            []Address    `json:"cc"`
	Bcc           []Address    `json:"bcc"`
	ReplyTo       []Address    `json:"reply_to"`
	Headers       []Header     `json:"headers"` // in order, decoded
	Text          string       `json:"text"`
	HTML          string       `json:"html"`
	Size          int64        `json:"size"`  // RFC822.SIZE, bytes of the raw message
	Flags         []string     `json:"flags"` // as the server gave them
	Attachments   []Attachment `json:"attachments"`
	CodePage      CodePage     `json:"code_page"`
	Authenticated bool         `json:"authenticated"`
	Defects       []string     `json:"defects"` // short words from Defects' documented list, sorted, unique
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

// CodePage says which page the text was read with, and why.
type CodePage struct {
	Used string `json:"used"` // a Page's Name
	Why  string `json:"why"`
}

// An Attachment is a part that is not the message's text.
type Attachment struct {
	Name        string `json:"name"` // as the sender gave it, decoded; SafeName is fit for a file system
	ContentType string `json:"content_type"`
	Size        int64  `json:"size"`   // decoded
	SHA256      string `json:"sha256"` // of the decoded bytes, hex
	Disposition string `json:"disposition"`
	ContentID   string `json:"content_id"`
	Path        string `json:"path,omitempty"` // once saved

	// open gives the decoded bytes, from the raw message that Parse was given.
	open func() io.Reader
}

// Open returns the decoded bytes. They are never transcoded.
func (a *Attachment) Open() io.Reader { return a.open() }

// Options says how to read a message. The zero value reads with Windows-1252 as fallback.
type Options struct {
	Policy codepage.Policy
}

// Parse reads a message. It never fails: at worst the message has its raw text
// and a defect that says so. raw must not be changed while the Message is in use.
func Parse(raw []byte, opts Options) *Message {
	return &Message{Size: int64(len(raw)), Text: string(raw)}
}

// ParseHeader reads a message's header alone: everything of a Message that does not need the body.
func ParseHeader(raw []byte, opts Options) *Message {
	return &Message{}
}

// SafeName makes a file name of any text that is good on every file system:
// no path, no control or reserved character or name, at most 200 bytes, never empty.
func SafeName(name string) string { return "attachment" }
