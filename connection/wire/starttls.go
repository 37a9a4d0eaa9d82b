package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// StartTLSError says at which step an upgrade to TLS failed. Nothing secret had
// been sent by then.
type StartTLSError struct {
	Stage  string  // "greeting", "capabilities", "starttls" or "tls"
	Text   string  // what happened
	Status *Status // the server's words, if it refused
	Err    error   // the cause, as it was; may be nil
}

func (e *StartTLSError) Error() string {
	s := e.Text
	if e.Status != nil {
		s += ": " + e.Status.Type
		if e.Status.Code != "" {
			s += " [" + e.Status.Code
			if e.Status.Args != "" {
				s += " " + e.Status.Args
			}
			s += "]"
		}
		if e.Status.Text != "" {
			s += " " + e.Status.Text
		}
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *StartTLSError) Unwrap() error { return e.Err }

// Plaintext that a server may say before TLS: lines of it, and bytes of a line.
const startTLSLines, startTLSLine = 50, 8192

// StartTLS upgrades a plaintext connection to TLS (RFC 9051, sections 6.2.1 and
// 11.1): it waits for the greeting, asks for the capabilities if the greeting did
// not say them, sends STARTTLS, and shakes hands. Nothing that was said before the
// handshake is kept or believed, except that a server which does not offer
// STARTTLS is not asked for it; a byte too many ahead of the handshake is an
// attack and an error. The connection is never used in the clear for anything else.
//
// ctx bounds the whole of it. On error the connection is of no use any more; the
// caller closes it. The error is a *StartTLSError.
//
// The server greets no more after the handshake: Lend with a greeting.
func StartTLS(ctx context.Context, c net.Conn, cfg *tls.Config) (*tls.Conn, error) {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	u := upgrade{conn: c, br: bufio.NewReaderSize(c, startTLSLine)}
	err := u.plain()
	var t *tls.Conn
	if err == nil {
		t = tls.Client(c, cfg)
		if cause := t.HandshakeContext(ctx); cause != nil {
			err = &StartTLSError{Stage: "tls", Text: "TLS handshake failed", Err: cause}
		}
	}
	if !stop() && err == nil {
		err = &StartTLSError{Stage: "tls", Text: "TLS handshake failed", Err: ctx.Err()}
	}
	if err != nil {
		if e := (*StartTLSError)(nil); ctx.Err() != nil && errors.As(err, &e) {
			e.Err = ctx.Err()
		}
		return nil, err
	}
	c.SetDeadline(time.Time{})
	return t, nil
}

// upgrade is the plaintext part of StartTLS.
type upgrade struct {
	conn  net.Conn
	br    *bufio.Reader
	lines int
}

func (u *upgrade) plain() error {
	greeting, err := u.greeting()
	if err != nil {
		return err
	}
	offered := greeting.Code == "CAPABILITY" && hasWord(greeting.Args, "STARTTLS")
	if greeting.Code != "CAPABILITY" {
		if offered, err = u.capabilities(); err != nil {
			return err
		}
	}
	if !offered {
		return &StartTLSError{Stage: "capabilities", Text: "the server does not offer STARTTLS, so the connection cannot be encrypted in this mode"}
	}
	st, err := u.command("starttls", "STARTTLS", nil)
	if err != nil {
		return err
	}
	if st.Type != "OK" {
		text := "the server refused STARTTLS"
		if st.Code == "REFERRAL" {
			text = "the server refused STARTTLS and refers to another server, which is not followed"
		}
		return &StartTLSError{Stage: "starttls", Text: text, Status: st}
	}
	if u.br.Buffered() > 0 {
		return &StartTLSError{Stage: "starttls", Text: "plaintext follows the server's reply to STARTTLS: somebody may be injecting responses, connection refused"}
	}
	return nil
}

func (u *upgrade) greeting() (*Status, error) {
	h, b, err := u.line("greeting", "no greeting from the server")
	if err != nil {
		return nil, err
	}
	st := parseStatus(h.typ, b[h.rest:])
	switch h.kind {
	case kindOK:
		return &st, nil
	case kindPREAUTH:
		return nil, &StartTLSError{Stage: "greeting", Text: "the server says that we are logged in already (PREAUTH), which rules out STARTTLS: somebody may be stripping encryption, connection refused", Status: &st}
	case kindBYE, kindNO, kindBAD:
		text := "the server refused the connection"
		if st.Code == "REFERRAL" {
			text = "the server refers to another server, which is not followed"
		}
		return nil, &StartTLSError{Stage: "greeting", Text: text, Status: &st}
	}
	hint := ""
	if b[0] < ' ' || b[0] > '~' {
		hint = " (does it expect TLS from the first byte, mode implicit?)"
	}
	return nil, &StartTLSError{Stage: "greeting", Text: fmt.Sprintf("this is not an IMAP server: it begins with %q%s", clean(b, 80), hint)}
}

// capabilities asks whether STARTTLS is offered.
func (u *upgrade) capabilities() (offered bool, err error) {
	st, err := u.command("capabilities", "CAPABILITY", func(h head, b []byte) {
		if h.kind == kindCapability {
			offered = offered || hasWord(string(b[h.rest:]), "STARTTLS")
		}
	})
	if err != nil {
		return false, err
	}
	if st.Type != "OK" {
		return false, &StartTLSError{Stage: "capabilities", Text: "the server refused to tell its capabilities", Status: st}
	}
	return offered, nil
}

// command sends a command and waits for its tagged reply.
func (u *upgrade) command(stage, name string, untagged func(head, []byte)) (*Status, error) {
	tag := newTag()
	if _, err := u.conn.Write([]byte(tag + " " + name + "\r\n")); err != nil {
		return nil, &StartTLSError{Stage: stage, Text: "cannot send " + name, Err: err}
	}
	for {
		h, b, err := u.line(stage, "no reply to "+name)
		if err != nil {
			return nil, err
		}
		st := parseStatus(h.typ, b[h.rest:])
		switch {
		case h.kind == kindTagged && string(h.tag) == tag:
			return &st, nil
		case h.kind == kindTagged:
			return nil, &StartTLSError{Stage: stage, Text: fmt.Sprintf("the server replied to a command that was never sent: %q", clean(b, 80))}
		case h.kind == kindBYE:
			return nil, &StartTLSError{Stage: stage, Text: "the server ended the session before TLS", Status: &st}
		case untagged != nil:
			untagged(h, b)
		}
	}
}

// line reads a line.
func (u *upgrade) line(stage, missing string) (head, []byte, error) {
	if u.lines++; u.lines > startTLSLines {
		return head{}, nil, &StartTLSError{Stage: stage, Text: "the server says too much before TLS"}
	}
	b, err := u.br.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return head{}, nil, &StartTLSError{Stage: stage, Text: "the server sent a line without an end before TLS"}
	case err != nil && len(b) > 0 && stage == "greeting":
		return head{}, nil, &StartTLSError{Stage: stage, Text: fmt.Sprintf("%s, only %q", missing, clean(b, 80)), Err: lost(err, true)}
	case err != nil:
		return head{}, nil, &StartTLSError{Stage: stage, Text: missing, Err: lost(err, len(b) > 0)}
	}
	return parseHead(b), b, nil
}

func hasWord(s, word string) bool {
	for f := range bytes.FieldsSeq([]byte(s)) {
		if bytes.EqualFold(f, []byte(word)) {
			return true
		}
	}
	return false
}
