package event

import (
	"bytes"
	"encoding/json"
	"time"
)

// JSON returns the event as its programs get it: one line, without a line end,
// in UTF-8, <, > and & written as they are. message is null where there is none,
// received is null where the zero time stands for none, arrays are never null.
func (e *Event) JSON() ([]byte, error) {
	b, err := encode(e.Form())
	return bytes.TrimSuffix(b, []byte("\n")), err
}

// MarshalJSON implements json.Marshaler; it gives what JSON gives.
func (e *Event) MarshalJSON() ([]byte, error) { return e.JSON() }

// plain is Event without its methods; form adds what the tags cannot say.
type plain Event

type form struct {
	*plain
	Received *time.Time `json:"received"`
	Message  any        `json:"message"`
}

// Form returns what encodes to the event's JSON. It is for a value that has the
// event in it: each MarshalJSON on the way would copy a long text.
func (e *Event) Form() any {
	f := form{plain: (*plain)(e)}
	if e.Message != nil {
		f.Message = e.Message.Form()
	}
	if !e.Received.IsZero() {
		f.Received = &e.Received
	}
	return f
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
