package smtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emersion/go-smtp"
)

// A Mail is a message and the addresses it goes to.
type Mail struct {
	From string   // the return path, as Path gives it; "" for none
	To   []string // as Path gives them
	UTF8 bool     // one of them has a character that only SMTPUTF8 can carry

	// Write writes the message, its lines ended by CRLF. Where eightBit is false, the
	// server takes lines of ASCII only. It is called twice, to look at the bytes first,
	// and must write the same both times. A message with a CR or LF that is not of a
	// CRLF is refused: servers differ in what ends a line, and so in where it ends.
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
	var form former
	err := m.Write(&form, eightBit)
	if err == nil {
		err = form.end()
	}
	if err != nil {
		return nil, &Error{Command: "MAIL", permanent: true, Text: "the message cannot be made: " + err.Error(), Err: err}
	}
	if most, ok := c.smtp.MaxMessageSize(); ok && most > 0 && form.size > int64(most) {
		return nil, &Error{Command: "MAIL", permanent: true,
			Text: fmt.Sprintf("the message has %d bytes, and the server takes %d at most", form.size, most)}
	}
	if utf8, _ := c.smtp.Extension("SMTPUTF8"); m.UTF8 && !utf8 {
		return nil, &Error{Command: "MAIL", permanent: true,
			Text: "an address has letters beyond ASCII before its @, and the server does not take such addresses (SMTPUTF8)"}
	}
	if err := c.smtp.Mail(m.From, &smtp.MailOptions{Size: form.size, UTF8: m.UTF8}); err != nil {
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
		verdict := c.verdict()
		_ = c.conn.Close() // without the last dot: the server drops what it has
		if verdict != nil {
			return nil, verdict
		}
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

// lastWord is how long a server that takes no more of a message is given to say why.
// It has said so already, if at all.
const lastWord = time.Second

// verdict returns the server's no to a message that could not be written to its end:
// some refuse it in its midst, and hang up or read no further. nil: it has said none.
func (c *Client) verdict() *Error {
	if err := c.conn.SetReadDeadline(time.Now().Add(lastWord)); err != nil {
		return nil
	}
	p := &plain{r: bufio.NewReaderSize(c.conn, maxLine)}
	_, err := p.reply("message", 250)
	var said *Error
	if errors.As(err, &said) && said.Code >= 400 {
		return said
	}
	return nil
}

var errBareEnd = errors.New("it has a CR or LF that is not of a CRLF, which some servers take for the end of a line")

// A former looks at the form of a message: its size, and that nothing but CRLF could
// be taken for the end of a line (RFC 5321, section 2.3.8).
type former struct {
	size int64
	cr   bool // the last byte was one
}

func (f *former) Write(p []byte) (int, error) {
	for _, c := range p {
		if f.cr != (c == '\n') {
			return 0, errBareEnd
		}
		f.cr = c == '\r'
	}
	f.size += int64(len(p))
	return len(p), nil
}

func (f *former) end() error {
	if f.cr {
		return errBareEnd
	}
	return nil
}
