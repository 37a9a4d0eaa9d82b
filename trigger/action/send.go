package action

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailtrigger/connection"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/smtp"
)

// A Mailer sends mail; a connection.Dialer is one.
type Mailer interface {
	SendMail(ctx context.Context, s *connection.SMTP, m *smtp.Mail) (*smtp.Receipt, error)
}

// A writer makes what is to be sent for an event.
type writer func(ctx context.Context, r *Run) (*outgoing, error)

// run makes the mail and sends it.
func (e *Envelope) run(ctx context.Context, r *Run, w writer) Result {
	return e.deliver(ctx, r, w, e.send)
}

// deliver makes the mail, and has it sent unless it is none to be sent.
func (e *Envelope) deliver(ctx context.Context, r *Run, w writer, send func(context.Context, *Run, *outgoing) Result) Result {
	r.begun()
	o, err := w(ctx, r)
	if err != nil {
		result := unmade(ctx, err)
		result.Note = r.Note
		return result
	}
	if o.skip != "" {
		return Result{Output: []byte("not sent: " + o.skip)}
	}
	return send(ctx, r, o)
}

func (e *Envelope) describe(r *Run, w writer) (string, error) {
	o, err := w(context.Background(), r)
	if err != nil {
		return "", err
	}
	if o.skip != "" {
		return "send nothing: " + o.skip, nil
	}
	return fmt.Sprintf("by smtp.%s (%s:%d)\n%s", e.Table.Name, e.Table.Address, e.Table.Port, o), nil
}

// send sends a mail to those who have not got it yet.
//
// Who has is kept in the note, so that nobody gets it again because the server did not
// take another. Only where the connection breaks after the whole message was sent, or
// the daemon dies before it is recorded, is it sent again to somebody who may have it:
// under the same Message-ID, by which servers and mail programs know it.
func (e *Envelope) send(ctx context.Context, r *Run, o *outgoing) Result {
	if r.Env.Mailer == nil {
		return dead(errors.New("there is nothing here that sends mail"))
	}
	reached := newReached(r.Note)
	mail := &smtp.Mail{From: o.returnPath, UTF8: o.sender.utf8, Write: func(w io.Writer, eightBit bool) error {
		return o.letter.Write(stopping{ctx, w}, eightBit)
	}}
	for _, m := range o.recipients {
		if !reached.has(m.path) {
			mail.To = append(mail.To, m.path)
		}
		mail.UTF8 = mail.UTF8 || m.utf8
	}
	if len(mail.To) == 0 {
		return Result{Output: []byte("all recipients have it already")}
	}
	receipt, err := r.Env.Mailer.SendMail(ctx, e.Table, mail)
	if err != nil {
		result := e.failed(o, err)
		result.Note = r.Note
		return result
	}
	var result Result
	if len(receipt.Accepted) > 0 {
		result.Output = []byte(setting.Printable(fmt.Sprintf("%s: %s (%s)", o.letter.MessageID(), strings.Join(receipt.Accepted, ", "), receipt.Reply), 1000))
		for _, path := range receipt.Accepted {
			reached.add(path)
		}
	}
	if len(receipt.Refused) == 0 {
		return result
	}
	refused := make([]string, len(receipt.Refused))
	result.Outcome = Dead
	for i, to := range receipt.Refused {
		refused[i] = fmt.Sprintf("<%s>: %v", to.To, to.Err)
		if !to.Err.Permanent() {
			result.Outcome = Retry
		}
	}
	result.Err = fmt.Errorf("smtp %q: not taken for %s", e.Table.Name, setting.Printable(strings.Join(refused, "; "), 1000))
	result.Note = reached.String()
	return result
}

// failed is the result of a mail that nobody has got.
func (e *Envelope) failed(o *outgoing, err error) Result {
	var before *connection.Error
	if errors.As(err, &before) {
		result := retry(before)
		result.RetryAfter = before.Retry
		return result
	}
	result := retry(fmt.Errorf("smtp %q: %w", e.Table.Name, err))
	var said *smtp.Error
	if errors.As(err, &said) {
		switch {
		case said.Code == 530: // "authentication required": a person can mend that
			result.Err = fmt.Errorf("%w; the server wants a login: give the smtp table an authentication table", result.Err)
		case said.Permanent():
			result.Outcome = Dead
			switch {
			case said.Command != "MAIL" || said.Code == 0 || said.Code == 552: // 552: too large
			case o.returnPath == "":
				result.Err = fmt.Errorf("%w; the server does not take the empty return path that an answer has (RFC 3834): use another server, or mail", result.Err)
			default:
				result.Err = fmt.Errorf("%w; the server does not take the sender: see from", result.Err)
			}
		case said.Unsure:
			result.Err = fmt.Errorf("%w; it is sent again with the same Message-ID", result.Err)
		}
	}
	return result
}

// reached is who has got a mail: a set of hashes of addresses, as the note is kept
// in the journal.
type reached []string

func newReached(note string) *reached {
	r := reached(strings.Fields(note))
	return &r
}

func (r *reached) hash(path string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(path)))
	return hex.EncodeToString(sum[:8])
}

func (r *reached) has(path string) bool { return slices.Contains(*r, r.hash(path)) }
func (r *reached) add(path string)      { *r = append(*r, r.hash(path)) }
func (r *reached) String() string       { return strings.Join(*r, " ") }

// stopping writes until ctx ends.
type stopping struct {
	ctx context.Context
	w   io.Writer
}

func (s stopping) Write(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}
