package smtp

import (
	"context"
	"fmt"
	"io"

	"github.com/emersion/go-smtp"
)

// A Mail is a message and the addresses it goes to.
type Mail struct {
	From string   // the return path, as Path gives it; "" for none
	To   []string // as Path gives them
	UTF8 bool     // one of them has a character that only SMTPUTF8 can carry

	// Write writes the message, its lines ended by CRLF. Where eightBit is false, the
	// server takes lines of ASCII only. It is called twice, to count the bytes first,
	// and must write the same both times.
	Write func(w io.Writer, eightBit bool) error
}

// A Receipt says to whom a message went.
type Receipt struct {
	Accepted []string // the server is responsible for these now
	Refused  []Refusal
	Reply    string // the server's to the message; "" if nobody was accepted
}

// A Refusal is a recipient that the server does not take.
type Refusal struct {
	To  string
	Err *Error
}

// Send sends one message. Recipients may be refused one by one: the receipt says
// which, and the others get the message. Where there is an error nobody has got it,
// unless the error is Unsure.
//
// The message takes the time it needs, as long as the server takes it: ctx is the only
// limit of the whole.
func (c *Client) Send(ctx context.Context, m *Mail) (receipt *Receipt, err error) {
	err = c.during(ctx, func() (err error) {
		receipt, err = c.send(m)
		return err
	})
	return receipt, err
}

func (c *Client) send(m *Mail) (*Receipt, error) {
	eightBit, _ := c.smtp.Extension("8BITMIME")
	var size counter
	if err := m.Write(&size, eightBit); err != nil {
		return nil, &Error{Command: "MAIL", permanent: true, Text: "the message cannot be made: " + err.Error(), Err: err}
	}
	if most, ok := c.smtp.MaxMessageSize(); ok && most > 0 && int64(size) > int64(most) {
		return nil, &Error{Command: "MAIL", permanent: true,
			Text: fmt.Sprintf("the message has %d bytes, and the server takes %d at most", size, most)}
	}
	if utf8, _ := c.smtp.Extension("SMTPUTF8"); m.UTF8 && !utf8 {
		return nil, &Error{Command: "MAIL", permanent: true,
			Text: "an address has letters beyond ASCII before its @, and the server does not take such addresses (SMTPUTF8)"}
	}
	if err := c.smtp.Mail(m.From, &smtp.MailOptions{Size: int64(size), UTF8: m.UTF8}); err != nil {
		return nil, replyError("MAIL", err)
	}
	r := &Receipt{}
	for _, to := range m.To {
		err := c.smtp.Rcpt(to, nil)
		if err == nil {
			r.Accepted = append(r.Accepted, to)
			continue
		}
		refused := replyError("RCPT", err)
		if refused.Code == 0 || refused.Code == 421 { // the connection is gone, or about to
			return nil, refused
		}
		r.Refused = append(r.Refused, Refusal{to, refused})
	}
	if len(r.Accepted) == 0 {
		return r, nil
	}
	data, err := c.smtp.Data()
	if err != nil {
		return nil, replyError("DATA", err)
	}
	if err := m.Write(data, eightBit); err != nil {
		_ = c.conn.Close() // without the last dot: the server drops what it has
		return nil, replyError("message", err)
	}
	c.line.wait = max(c.opts.Wait, AfterData)
	defer func() { c.line.wait = c.opts.Wait }()
	reply, err := data.CloseWithResponse()
	if err != nil {
		failed := replyError("message", err)
		failed.Unsure = failed.Code == 0
		return nil, failed
	}
	r.Reply = reply.StatusText
	return r, nil
}

// counter counts bytes.
type counter int64

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}
