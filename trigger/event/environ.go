package event

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailtrigger/trigger/message"
)

// MaxVariable is the longest value of a MAILTRIGGER_ variable, in bytes. The
// kernel's own limit is 128 KiB for one variable.
const MaxVariable = 32 << 10

// Environ returns the MAILTRIGGER_ variables of the event in the form "NAME=value".
// All of them are always there, MAILTRIGGER_REASON aside, which messages have not; what
// the event lacks is empty. file is the value
// of MAILTRIGGER_FILE. Values are valid UTF-8 of at most MaxVariable bytes in
// which control characters and line separators have become spaces.
func (e *Event) Environ(file string) []string {
	m := e.Message
	if m == nil {
		m = &message.Message{}
	}
	var from message.Address
	if len(m.From) > 0 {
		from = m.From[0]
	}
	to := make([]string, len(m.To))
	for i, a := range m.To {
		to[i] = a.Address
	}
	var date string
	if !m.Date.IsZero() {
		date = m.Date.Format(time.RFC3339)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var list []string
	for _, v := range []struct{ name, value string }{
		{"EVENT_ID", e.ID},
		{"KIND", string(e.Kind)},
		{"ATTEMPT", number(int64(e.Attempt))},
		{"TRIGGER", e.Trigger},
		{"ACTION", e.Action},
		{"CONNECTION", e.Connection},
		{"MAILBOX", e.Mailbox},
		{"UIDVALIDITY", number(int64(e.UIDValidity))},
		{"UID", number(int64(e.UID))},
		{"MESSAGE_ID", m.MessageID},
		{"FROM", from.Address},
		{"FROM_NAME", from.Name},
		{"TO", strings.Join(to, ", ")},
		{"SUBJECT", m.Subject},
		{"DATE", date},
		{"SIZE", number(m.Size)},
		{"ATTACHMENTS", number(int64(len(m.Attachments)))},
	} {
		list = append(list, "MAILTRIGGER_"+v.name+"="+Line(v.value, MaxVariable))
	}
	if e.Kind != KindMessage {
		list = append(list, "MAILTRIGGER_REASON="+Line(e.Reason, MaxVariable))
	}
	return append(list, "MAILTRIGGER_FILE="+file)
}

// Line makes one line of any text: valid UTF-8 of at most max bytes, cut between
// characters, with spaces in place of control characters and line separators.
func Line(s string, max int) string {
	if len(s) > max+utf8.UTFMax {
		s = s[:max+utf8.UTFMax] // no need to mend what is cut off
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r // an invalid byte comes as U+FFFD
	}, s)
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}
