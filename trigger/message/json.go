package message

import (
	"bytes"
	"encoding/json"
	"time"
)

// form is the JSON form of a Message.
type form struct {
	MessageID     string       `json:"message_id"`
	Date          *time.Time   `json:"date"`
	Subject       string       `json:"subject"`
	From          []Address    `json:"from"`
	To            []Address    `json:"to"`
	Cc            []Address    `json:"cc"`
	Bcc           []Address    `json:"bcc"`
	ReplyTo       []Address    `json:"reply_to"`
	Headers       []Header     `json:"headers"`
	Text          string       `json:"text"`
	HTML          string       `json:"html"`
	Size          int64        `json:"size"`
	Flags         []string     `json:"flags"`
	Attachments   []Attachment `json:"attachments"`
	CodePage      CodePage     `json:"code_page"`
	Authenticated bool         `json:"authenticated"`
	Defects       []string     `json:"defects"`
}

// Form returns what encodes to the message's JSON: an absent date is null and an
// absent list is [], so that who reads the event needs no special cases. It is
// for a value that has the message in it: MarshalJSON would copy a long text.
func (m *Message) Form() any {
	f := form{
		m.MessageID, nil, m.Subject, list(m.From), list(m.To), list(m.Cc), list(m.Bcc), list(m.ReplyTo),
		list(m.Headers), m.Text, m.HTML, m.Size, list(m.Flags), list(m.Attachments), m.CodePage,
		m.Authenticated, list(m.Defects),
	}
	// Years beyond four digits are no JSON time; Parse makes none.
	if y := m.Date.Year(); !m.Date.IsZero() && y >= 0 && y <= 9999 {
		f.Date = &m.Date
	}
	return f
}

// MarshalJSON implements json.Marshaler; it gives what Form gives.
func (m Message) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // whoever embeds this in HTML escapes it there
	if err := e.Encode(m.Form()); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// list returns l, or the empty list where it is nil.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
