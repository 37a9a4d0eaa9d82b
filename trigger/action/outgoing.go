package action

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	netmail "net/mail"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
	"mailtrigger/connection/smtp"
	"mailtrigger/trigger/compose"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// maxRecipients is how many people one mail goes to (RFC 5321, section 4.5.3.1.8).
const maxRecipients = 100

// outgoing is a letter with its envelope.
type outgoing struct {
	letter     compose.Letter
	sender     mailbox
	returnPath string // "" for none
	recipients []mailbox
	mark       string // of this action, in X-Loop
	skip       string // why it is not sent; "" if it is
}

// A mailbox is an address in both of its forms.
type mailbox struct {
	message.Address
	path string // as SMTP has it
	utf8 bool   // only SMTPUTF8 can carry it
}

// newMailbox checks an address. What stands in a header is the path, too: its domain
// is ASCII.
func newMailbox(name, address string) (mailbox, error) {
	path, utf8, err := smtp.Path(address)
	if err != nil {
		return mailbox{}, err
	}
	return mailbox{message.Address{Name: name, Address: path}, path, utf8}, nil
}

// addressesOf returns the addresses that a template gives: any number, with or without
// names, apart by commas.
func addressesOf(ctx context.Context, t *text, e *event.Event) ([]mailbox, error) {
	s, err := t.run(ctx, e)
	if err != nil {
		return nil, err
	}
	s = strings.Trim(strings.TrimSpace(event.Line(s, maxText)), ",")
	if s == "" {
		return nil, nil
	}
	list, err := netmail.ParseAddressList(s)
	if err != nil {
		return nil, fmt.Errorf("%q is no address, nor a list of them; write name@example.com", setting.Printable(s, 100))
	}
	found := make([]mailbox, 0, len(list))
	for _, a := range list {
		m, err := newMailbox(a.Name, a.Address)
		if err != nil {
			return nil, err
		}
		found = append(found, m)
	}
	return found, nil
}

// add adds recipients, each once; shown is the header field that names them, nil for none.
func (o *outgoing) add(list []mailbox, shown *[]message.Address) {
	for _, m := range list {
		if slices.ContainsFunc(o.recipients, func(other mailbox) bool { return sameAddress(other.path, m.path) }) {
			continue
		}
		o.recipients = append(o.recipients, m)
		if shown != nil {
			*shown = append(*shown, m.Address)
		}
	}
}

// sameAddress compares as nearly all servers do: without regard to case.
func sameAddress(a, b string) bool { return strings.EqualFold(a, b) }

// Loops. What is sent bears the mark of the trigger and action that sent it, and
// those of the mail that caused it; an action leaves alone what bears its own mark.
const (
	markPrefix  = "mailtriggerd-"
	maxMarks    = 20 // that are carried on
	maxReceived = 50 // Received fields of mail that is passed on: more than that goes round
)

func loopMark(e *event.Event) string {
	sum := sha256.Sum256([]byte(e.Connection + "\x00" + e.Trigger + "\x00" + e.Action))
	return markPrefix + hex.EncodeToString(sum[:12])
}

// carriedMarks are the marks of the event's message: the last ones, as each sender adds
// its own at the end, and the first may be a stranger's.
func carriedMarks(e *event.Event) (marks []string) {
	if e.Message == nil {
		return nil
	}
	for _, h := range e.Message.Headers {
		if v := strings.TrimSpace(h.Value); strings.EqualFold(h.Name, "X-Loop") && isMark(v) && v != loopMark(e) {
			marks = append(marks, v)
		}
	}
	return marks[max(len(marks)-maxMarks, 0):]
}

func isMark(s string) bool {
	b, err := hex.DecodeString(strings.TrimPrefix(s, markPrefix))
	return err == nil && len(b) == 12 && strings.HasPrefix(s, markPrefix)
}

// loops says why the event's message is one that this action has caused; "" if it is not.
func (o *outgoing) loops(e *event.Event) string {
	m := e.Message
	if m == nil {
		return ""
	}
	received := 0
	for _, h := range m.Headers {
		switch {
		case strings.EqualFold(h.Name, "X-Loop") && strings.TrimSpace(h.Value) == o.mark:
			return "this action has sent it (X-Loop)"
		case strings.EqualFold(h.Name, "Received"):
			received++
		}
	}
	if received > maxReceived {
		return fmt.Sprintf("it has been on the way for more than %d servers, and so in a loop", maxReceived)
	}
	// A bounce has the header of what came back in it.
	if auto, _ := m.AutoSubmitted(); auto && bytes.Contains(e.Raw, []byte(o.mark)) {
		return "it is about a mail that this action has sent"
	}
	return ""
}

// original is the event's message as a file.
func original(e *event.Event) compose.File {
	name := "message.eml"
	if s := strings.TrimSpace(e.Message.Subject); s != "" {
		name = message.SafeName(s + ".eml")
	}
	return compose.File{Name: name, Type: "message/rfc822", Open: func() io.Reader { return bytes.NewReader(e.Raw) }}
}

// fileOf is an attachment as a file, byte for byte and with what says how to read it.
func fileOf(a *message.Attachment) compose.File {
	return compose.File{Name: a.FileName(), Type: a.ContentType, Parameters: a.Parameters(), Open: a.Open}
}

// String describes the envelope, the header and the text.
func (o *outgoing) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "MAIL FROM:<%s>\n", o.returnPath)
	for _, m := range o.recipients {
		fmt.Fprintf(&b, "RCPT TO:<%s>\n", m.path)
	}
	b.WriteString(o.letter.String())
	return b.String()
}
