package smtp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"mailtrigger/connection/setting"
)

// Options say how a Client behaves. The zero value is usable.
type Options struct {
	Wait    time.Duration // the longest time for a reply, and without progress while a message is sent; 0: a minute
	Greeted bool          // the server has greeted already: StartTLS has read it
}

// A Client is one session with a server. Its methods are for one goroutine. Each ends
// with its ctx, by closing the connection. After an error but those that say
// otherwise the session is over: Close it.
type Client struct {
	conn net.Conn
	line *line
	smtp *smtp.Client
	opts Options
}

// NewClient returns a Client on a connection. It says nothing yet.
func NewClient(conn net.Conn, o Options) *Client {
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	// go-smtp wants a greeting, and this one is said already: by Greet or StartTLS.
	l := newLine(conn, "220 greeted\r\n", o.Wait)
	return &Client{conn: conn, line: l, smtp: smtp.NewClient(l), opts: o}
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// during calls f, and closes the connection if ctx ends before f does.
func (c *Client) during(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	err := f()
	if !stop() && err != nil && ctx.Err() != nil {
		var known *Error
		if errors.As(err, &known) && known.Code == 0 {
			known.Text, known.Err = context.Cause(ctx).Error(), context.Cause(ctx)
		}
	}
	return err
}

// Greet reads the server's greeting and returns its text; "" if it is read already.
func (c *Client) Greet(ctx context.Context) (text string, err error) {
	if c.opts.Greeted {
		return "", nil
	}
	err = c.during(ctx, func() error {
		if err := c.conn.SetReadDeadline(c.line.by); err != nil {
			return err
		}
		p := &plain{w: c.conn, r: bufio.NewReaderSize(c.conn, maxLine)}
		lines, err := p.reply("greeting", 220)
		if err == nil && p.r.Buffered() > 0 {
			err = &Error{Command: "greeting", Text: "the server speaks out of turn: it says more than a greeting"}
		}
		text = strings.Join(lines, " ")
		return err
	})
	return text, err
}

// Hello says EHLO (or HELO) and learns what the server can do.
func (c *Client) Hello(ctx context.Context) error {
	return c.during(ctx, func() error {
		c.line.keywords = &keywords{}
		defer func() { c.line.keywords = nil }()
		if err := c.smtp.Hello(LocalName(c.conn)); err != nil {
			return replyError("EHLO", err)
		}
		return nil
	})
}

// Extension reports whether the server has an extension, and its parameters.
func (c *Client) Extension(name string) (bool, string) { return c.smtp.Extension(name) }

// Mechanisms are the SASL mechanisms that the server offers; never nil.
func (c *Client) Mechanisms() []string {
	_, list := c.smtp.Extension("AUTH")
	return append([]string{}, strings.Fields(strings.ToUpper(list))...)
}

// Extensions names what matters to us of what the server offers, for people.
func (c *Client) Extensions() string {
	var found []string
	for _, name := range []string{"STARTTLS", "8BITMIME", "SMTPUTF8", "SIZE"} {
		if ok, args := c.smtp.Extension(name); ok {
			found = append(found, strings.TrimSpace(name+" "+args))
		}
	}
	for _, m := range c.Mechanisms() {
		found = append(found, "AUTH="+m)
	}
	return setting.Printable(strings.Join(found, " "), maxSaid)
}

// Auth logs in (RFC 4954). The error is as go-smtp gives it, fit for
// auth.Authenticator.Failed: it may hold what the server echoed.
func (c *Client) Auth(ctx context.Context, client sasl.Client) error {
	return c.during(ctx, func() error { return c.smtp.Auth(answering{client}) })
}

// answering has an answer to each challenge, if an empty one: go-smtp takes none for
// the end of a login that went well.
type answering struct{ sasl.Client }

// Next implements sasl.Client.
func (a answering) Next(challenge []byte) ([]byte, error) {
	answer, err := a.Client.Next(challenge)
	if answer == nil {
		answer = []byte{}
	}
	return answer, err
}

// quitTime is how long the farewell may take. It is only a courtesy.
const quitTime = 2 * time.Second

// Quit ends the session and closes the connection.
func (c *Client) Quit() {
	c.line.wait = quitTime
	_ = c.smtp.Quit()
	_ = c.conn.Close()
}
