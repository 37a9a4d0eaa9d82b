package event

import (
	"bytes"
	"encoding/json"
	"time"

	"mailtrigger/trigger/message"
)

// JSON returns the event as its programs get it: one line, without a line end,
// in UTF-8, <, > and & written as they are. message is null where there is none,
// received is null where the zero time stands for none, arrays are never null.
func (e *Event) JSON() ([]byte, error) {
	b, err := encode(e.form())
	return bytes.TrimSuffix(b, []byte("\n")), err
}

// MarshalJSON implements json.Marshaler; it gives what JSON gives.
func (e *Event) MarshalJSON() ([]byte, error) { return e.JSON() }

// plain is Event without its methods; form adds what the tags cannot say.
type plain Event

type form struct {
	*plain
	Received *time.Time       `json:"received"`
	Message  *message.Message `json:"message"`
}

func (e *Event) form() form {
	f := form{plain: (*plain)(e), Message: withoutNulls(e.Message)}
	if !e.Received.IsZero() {
		f.Received = &e.Received
	}
	return f
}

// withoutNulls returns m with empty arrays in place of nil ones.
func withoutNulls(m *message.Message) *message.Message {
	if m == nil {
		return nil
	}
	c := *m
	for _, list := range []*[]message.Address{&c.From, &c.To, &c.Cc, &c.Bcc, &c.ReplyTo} {
		*list = present(*list)
	}
	c.Headers = present(c.Headers)
	c.Flags = present(c.Flags)
	c.Attachments = present(c.Attachments)
	c.Defects = present(c.Defects)
	return &c
}

func present[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
