package condition

import (
	"reflect"
	"regexp"
	"strings"
	"time"

	"mailtrigger/trigger/message"
)

// What expressions see: the event's JSON keys as names. The action and the attempt
// are not among them, since no action runs yet. An absent date is the zero time.

// environment is the event.
type environment struct {
	ID          string      `expr:"id"`
	Kind        string      `expr:"kind"`
	Trigger     string      `expr:"trigger"`
	Connection  string      `expr:"connection"`
	Mailbox     string      `expr:"mailbox"`
	UIDValidity int         `expr:"uidvalidity"`
	UID         int         `expr:"uid"`
	Received    time.Time   `expr:"received"`
	Message     messageKeys `expr:"message"`

	Header func(name string) string `expr:"header"` // the first field of that name, "" if there is none
	Now    func() time.Time         `expr:"now"`

	// What an expression is made to call, so that it ends in time.
	Clock func() (bool, error)                     `expr:"__clock"`
	Match func(text, pattern string) (bool, error) `expr:"__match"`
}

// The names of what only the inspector calls.
const (
	clockName = "__clock"
	matchName = "__match"
)

// messageKeys is the event's message.
type messageKeys struct {
	MessageID     string           `expr:"message_id"`
	Date          time.Time        `expr:"date"`
	Subject       string           `expr:"subject"`
	From          []addressKeys    `expr:"from"`
	To            []addressKeys    `expr:"to"`
	Cc            []addressKeys    `expr:"cc"`
	Bcc           []addressKeys    `expr:"bcc"`
	ReplyTo       []addressKeys    `expr:"reply_to"`
	Headers       []headerKeys     `expr:"headers"`
	Text          string           `expr:"text"`
	HTML          string           `expr:"html"`
	Size          int              `expr:"size"`
	Flags         []string         `expr:"flags"`
	Attachments   []attachmentKeys `expr:"attachments"`
	CodePage      codePageKeys     `expr:"code_page"`
	Authenticated bool             `expr:"authenticated"`
	Defects       []string         `expr:"defects"`
}

// bodyKeys are the keys of a message that its header does not tell.
var bodyKeys = []string{"text", "html", "attachments", "code_page", "defects"}

type addressKeys struct {
	Name    string `expr:"name"`
	Address string `expr:"address"`
}

type headerKeys struct {
	Name  string `expr:"name"`
	Value string `expr:"value"`
}

type attachmentKeys struct {
	Name        string `expr:"name"`
	ContentType string `expr:"content_type"`
	Size        int    `expr:"size"`
	SHA256      string `expr:"sha256"`
	Disposition string `expr:"disposition"`
	ContentID   string `expr:"content_id"`
}

type codePageKeys struct {
	Used string `expr:"used"`
	Why  string `expr:"why"`
}

// names are those that an expression begins with.
var names = namesOf(reflect.TypeFor[environment]())

// keys are those of what an expression goes into, by the name of its type.
var keys = map[string][]string{
	"message": namesOf(reflect.TypeFor[messageKeys]()), "address": namesOf(reflect.TypeFor[addressKeys]()),
	"header": namesOf(reflect.TypeFor[headerKeys]()), "attachment": namesOf(reflect.TypeFor[attachmentKeys]()),
	"codePage": namesOf(reflect.TypeFor[codePageKeys]()),
}

func namesOf(t reflect.Type) (list []string) {
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("expr"); !strings.HasPrefix(name, "__") {
			list = append(list, name)
		}
	}
	return list
}

func newEnvironment(s *sight, patterns map[string]*regexp.Regexp) environment {
	m, msg := s.Mail, s.Message
	e := environment{
		ID: m.ID, Kind: string(m.Kind), Trigger: m.Trigger, Connection: m.Connection, Mailbox: m.Mailbox,
		UIDValidity: int(m.UIDValidity), UID: int(m.UID), Received: m.Received,
		Message: messageKeys{
			MessageID: msg.MessageID, Date: msg.Date, Subject: msg.Subject,
			From: addressesOf(msg.From), To: addressesOf(msg.To), Cc: addressesOf(msg.Cc), Bcc: addressesOf(msg.Bcc), ReplyTo: addressesOf(msg.ReplyTo),
			Text: msg.Text, HTML: msg.HTML, Size: int(msg.Size), Flags: msg.Flags,
			CodePage: codePageKeys(msg.CodePage), Authenticated: msg.Authenticated, Defects: msg.Defects,
		},
		Header: msg.Get,
		Now:    func() time.Time { return m.Now },
		Clock: func() (bool, error) {
			if time.Now().After(s.deadline) {
				return false, errTime
			}
			return true, nil
		},
		Match: func(text, pattern string) (bool, error) {
			late := s.late
			matched := s.match(patterns[pattern], text)
			if s.late > late {
				return false, errTime
			}
			return matched, nil
		},
	}
	for _, h := range msg.Headers {
		e.Message.Headers = append(e.Message.Headers, headerKeys(h))
	}
	for i := range msg.Attachments {
		a := &msg.Attachments[i]
		e.Message.Attachments = append(e.Message.Attachments, attachmentKeys{a.Name, a.ContentType, int(a.Size), a.SHA256, a.Disposition, a.ContentID})
	}
	return e
}

func addressesOf(list []message.Address) []addressKeys {
	out := make([]addressKeys, 0, len(list))
	for _, a := range list {
		out = append(out, addressKeys(a))
	}
	return out
}
