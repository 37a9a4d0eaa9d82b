package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"mailtrigger/connection/setting"
)

// What a server may say in one reply before go-smtp has the connection.
const maxLines, maxLine = 100, 4096

// StartTLS upgrades a connection to TLS (RFC 3207): greeting, EHLO, STARTTLS,
// handshake. It returns the greeting's text. Nothing else that was said in the clear is
// kept or believed, but that a server which does not offer STARTTLS is not asked for it;
// a byte too many ahead of the handshake is an attack and an error. The connection is
// never used in the clear for anything else.
//
// ctx bounds the whole of it. On error the connection is of no use any more; the caller
// closes it. The error is an *Error, or the handshake's own.
func StartTLS(ctx context.Context, c net.Conn, cfg *tls.Config) (*tls.Conn, string, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	p := &plain{w: c, r: bufio.NewReaderSize(c, maxLine)}
	greeting, err := p.reply("greeting", 220)
	if err != nil {
		return nil, "", err
	}
	offers, err := p.command("EHLO "+LocalName(c), 250)
	if err != nil {
		return nil, "", err
	}
	offered := false
	for _, keyword := range offers[1:] {
		offered = offered || strings.EqualFold(strings.TrimSpace(keyword), "STARTTLS")
	}
	if !offered {
		return nil, "", &Error{Command: "EHLO", permanent: true,
			Text: "the server does not offer STARTTLS, so the connection cannot be encrypted in this mode"}
	}
	if _, err := p.command("STARTTLS", 220); err != nil {
		return nil, "", err
	}
	if p.r.Buffered() > 0 {
		return nil, "", &Error{Command: "STARTTLS", permanent: true,
			Text: "plaintext follows the server's reply to STARTTLS: somebody may be injecting replies, connection refused"}
	}
	t := tls.Client(c, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, "", err
	}
	return t, strings.Join(greeting, " "), c.SetDeadline(time.Time{})
}

// plain is the dialogue before go-smtp has the connection.
type plain struct {
	w io.Writer
	r *bufio.Reader
}

// command sends a command and returns the lines of the reply, which must have the code.
func (p *plain) command(s string, code int) ([]string, error) {
	name, _, _ := strings.Cut(s, " ")
	if p.r.Buffered() > 0 {
		return nil, &Error{Command: name, Text: "the server speaks out of turn: it says more than was asked"}
	}
	if _, err := io.WriteString(p.w, s+"\r\n"); err != nil {
		return nil, &Error{Command: name, Text: "cannot send " + name + ": " + err.Error(), Err: err}
	}
	return p.reply(name, code)
}

// reply reads one reply (RFC 5321, section 4.2).
func (p *plain) reply(command string, want int) ([]string, error) {
	var lines []string
	for range maxLines {
		b, err := p.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, &Error{Command: command, permanent: true, Text: "the server sent a line without an end"}
		case err != nil:
			if errors.Is(err, io.EOF) && len(b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, &Error{Command: command, Text: "no reply to " + command + ": " + err.Error(), Err: err}
		}
		s := strings.TrimRight(string(b), "\r\n")
		code, err := strconv.Atoi(s[:min(3, len(s))])
		if err != nil || len(s) < 3 || code < 200 || code > 599 || len(s) > 3 && s[3] != ' ' && s[3] != '-' {
			return nil, &Error{Command: command, permanent: true,
				Text: fmt.Sprintf("what answers does not speak SMTP: it says %q", setting.Printable(s, 80))}
		}
		lines = append(lines, setting.Printable(s[min(4, len(s)):], maxSaid))
		if len(s) > 3 && s[3] == '-' {
			continue
		}
		if code != want {
			return nil, &Error{Command: command, Code: code, Text: setting.Printable(strings.Join(lines, " "), maxSaid)}
		}
		return lines, nil
	}
	return nil, &Error{Command: command, Text: "the server talks on and on without ending its reply"}
}

// LocalName is the name by which we say EHLO: our address on this connection (RFC
// 5321, section 4.1.3). It tells nothing of this machine that the server does not see,
// and is right where its name is not known to anybody else.
func LocalName(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	ip := net.ParseIP(host)
	switch {
	case err != nil || ip == nil:
		return "localhost"
	case ip.To4() == nil:
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}
