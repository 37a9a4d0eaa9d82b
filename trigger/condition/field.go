package condition

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mailtrigger/trigger/message"
)

// A kind is how the values of a field are compared.
type kind uint8

const (
	words     kind = iota // as text
	addresses             // as text, in every spelling of the address
	yesNo                 // true or false
	keyword               // true or false, or RFC 3834's keyword
	size                  // as numbers of bytes
	age                   // as lengths of time
	date                  // as times
)

// operatorsOf are the operators that make sense for a kind, in the order of the manual.
var operatorsOf = map[kind][]string{
	words:     {"is", "is_not", "contains", "not_contains", "matches", "not_matches", "glob"},
	addresses: {"is", "is_not", "contains", "not_contains", "matches", "not_matches", "glob"},
	yesNo:     {"is", "is_not"},
	keyword:   {"is", "is_not"},
	size:      {"above", "below", "is", "is_not"},
	age:       {"above", "below"},
	date:      {"above", "below", "is", "is_not"},
}

// A field is something of a message that conditions look at. Of values,
// addresses and attachment it has one.
type field struct {
	name       string
	kind       kind
	body       bool // cannot be known from the header
	values     func(m *Mail, name string) []value
	addresses  func(m *message.Message) []message.Address
	attachment func(a *message.Attachment) value
}

// fields are all of them, in the order of the manual. header takes a name: header:List-Id.
var fields = []field{
	{name: "from", kind: addresses, addresses: func(m *message.Message) []message.Address { return m.From }},
	{name: "to", kind: addresses, addresses: func(m *message.Message) []message.Address { return m.To }},
	{name: "cc", kind: addresses, addresses: func(m *message.Message) []message.Address { return m.Cc }},
	{name: "reply-to", kind: addresses, addresses: func(m *message.Message) []message.Address { return m.ReplyTo }},
	{name: "recipient", kind: addresses, addresses: recipients},
	{name: "subject", values: func(m *Mail, _ string) []value { return []value{text(m.Message.Subject)} }},
	{name: "body", body: true, values: func(m *Mail, _ string) []value { return []value{text(m.Message.Text)} }},
	{name: "header", values: func(m *Mail, name string) (list []value) {
		for _, h := range m.Message.Headers {
			if strings.EqualFold(h.Name, name) {
				list = append(list, text(h.Value))
			}
		}
		return list
	}},
	{name: "size", kind: size, values: func(m *Mail, _ string) []value { return []value{bytes(m.Message.Size)} }},
	{name: "date", kind: date, values: func(m *Mail, _ string) []value {
		if m.Message.Date.IsZero() {
			return nil
		}
		return []value{{show: m.Message.Date.Format(time.RFC3339), at: m.Message.Date}}
	}},
	{name: "age", kind: age, values: func(m *Mail, _ string) []value {
		if m.Received.IsZero() {
			return nil
		}
		old := m.Now.Sub(m.Received)
		return []value{{show: old.Round(time.Second).String(), number: int64(old)}}
	}},
	{name: "flag", values: func(m *Mail, _ string) (list []value) {
		for _, f := range m.Message.Flags {
			list = append(list, text(f))
		}
		return list
	}},
	{name: "has-attachment", kind: yesNo, body: true, values: func(m *Mail, _ string) []value {
		return []value{text(strconv.FormatBool(slices.ContainsFunc(m.Message.Attachments, isFile)))}
	}},
	{name: "attachment-name", body: true, attachment: func(a *message.Attachment) value { return text(a.Name) }},
	{name: "attachment-type", body: true, attachment: func(a *message.Attachment) value { return text(a.ContentType) }},
	{name: "attachment-size", kind: size, body: true, attachment: func(a *message.Attachment) value { return bytes(a.Size) }},
	{name: "auto-submitted", kind: keyword, values: func(m *Mail, _ string) []value {
		word, why := m.Message.AutoKeyword()
		is := strconv.FormatBool(word != message.NotAutomatic)
		v := text(is)
		v.also, v.why = []string{word}, why
		return []value{v}
	}},
	{name: "authenticated", kind: yesNo, values: func(m *Mail, _ string) []value {
		v := text(strconv.FormatBool(m.Message.Authenticated))
		v.why = m.AuthenticatedWhy
		return []value{v}
	}},
}

func text(s string) value { return value{show: s} }

func bytes(n int64) value { return value{show: strconv.FormatInt(n, 10), number: n} }

// isFile reports whether an attachment is one that conditions see: what the text
// shows, or what serves it, is none.
func isFile(a message.Attachment) bool { return !a.Inline() }

// lookup returns the field of a condition, and the name that "header:" takes.
func lookup(name string) (f *field, argument string, ok bool) {
	base, argument, hasArgument := strings.Cut(name, ":")
	for i := range fields {
		if fields[i].name == base && (!hasArgument || base == "header") {
			return &fields[i], argument, true
		}
	}
	return nil, "", false
}

// FieldNames returns the names of all fields, in the order of the manual.
func FieldNames() (names []string) {
	for _, f := range fields {
		names = append(names, f.name)
	}
	return names
}

// Operators returns the operators that make sense for a field of that name, in
// the order of the manual.
func Operators(field string) []string {
	f, _, ok := lookup(field)
	if !ok {
		return nil
	}
	return slices.Clone(operatorsOf[f.kind])
}

// NeedsBody reports whether a field of that name can only be judged with the
// message's body.
func NeedsBody(field string) bool {
	f, _, ok := lookup(field)
	return ok && f.body
}
