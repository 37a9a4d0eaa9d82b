package smtp

import (
	"errors"
	"fmt"

	"github.com/emersion/go-smtp"

	"mailtrigger/connection/setting"
)

// An Error is what went wrong in a session.
type Error struct {
	Command string // what we had said: "EHLO", "RCPT", "message" (its last dot), "greeting" (nothing)
	Code    int    // the server's reply code; 0 if it is not the server's no
	Text    string // what the server said, or what failed
	// Unsure: the connection ended after the whole message was sent and before the
	// server said whether it takes it (RFC 5321, section 4.2.5; RFC 1047). To send it
	// again is right, under the same Message-ID.
	Unsure bool
	Err    error // the cause; may be nil

	permanent bool
}

// Error says what failed, in one line.
func (e *Error) Error() string {
	switch {
	case e.Code != 0 && e.Command == "greeting":
		return fmt.Sprintf("the server greets with %d %s", e.Code, e.Text)
	case e.Code != 0 && e.Command == "message":
		return fmt.Sprintf("the server answered %d %s to the message", e.Code, e.Text)
	case e.Code != 0:
		return fmt.Sprintf("the server answered %d %s to %s", e.Code, e.Text, e.Command)
	case e.Unsure:
		return "the connection ended before the server said whether it takes the message: " + e.Text
	}
	return e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Permanent reports whether the same would happen again: the server said so by a
// code of 500 and above, or the message cannot go that way.
func (e *Error) Permanent() bool { return e.permanent || e.Code >= 500 }

// maxSaid is how much of what a server says is kept, in characters.
const maxSaid = 300

// replyError makes an *Error of what go-smtp returned.
func replyError(command string, err error) *Error {
	e := &Error{Command: command, Err: err}
	var reply *smtp.SMTPError
	if errors.As(err, &reply) {
		e.Code = reply.Code
		e.Text = reply.Message
		if reply.EnhancedCode[0] != 0 {
			e.Text = fmt.Sprintf("%d.%d.%d %s", reply.EnhancedCode[0], reply.EnhancedCode[1], reply.EnhancedCode[2], reply.Message)
		}
		e.Text = setting.Printable(e.Text, maxSaid)
		return e
	}
	e.Text = setting.Printable(err.Error(), maxSaid)
	return e
}
