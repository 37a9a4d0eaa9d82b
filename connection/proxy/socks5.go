package proxy

import (
	"context"
	"net"

	"golang.org/x/net/proxy"
)

// speakSOCKS5 is SOCKS 5 (RFC 1928), with user name and password (RFC 1929) or
// without, by x/net/proxy. That library reads no further than it must, and its
// DialContext ends with the context; its errors are bare words, so we listen to
// what the proxy says and take the reason from there.
func speakSOCKS5(ctx context.Context, c *call) (net.Conn, error) {
	var auth *proxy.Auth
	if c.username != "" {
		if len(c.username) > 255 || len(c.password.Reveal()) > 255 || c.password.IsZero() {
			return nil, &Error{Stage: StageSecrets, Text: "SOCKS 5 takes a user name and a password of 1 to 255 bytes each", Permanent: true}
		}
		auth = &proxy.Auth{User: c.username, Password: c.password.Reveal()}
	}
	conn, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	heard := &listener{Conn: conn}
	d, err := proxy.SOCKS5("tcp", c.address, auth, forwardTo{heard})
	if err == nil {
		_, err = d.(proxy.ContextDialer).DialContext(ctx, "tcp", c.target.String())
	}
	if err != nil {
		conn.Close()
		return nil, explainSOCKS5(heard.said, c, err)
	}
	return conn, nil
}

// explainSOCKS5 says why a handshake failed, by the proxy's words: the method
// (5, method), the verdict on the password (1, status), the reply (5, code, ...).
func explainSOCKS5(heard []byte, c *call, err error) *Error {
	e := &Error{Stage: StageHandshake, Err: err, Permanent: true}
	if len(heard) < 2 {
		if len(heard) == 1 && heard[0] != 5 {
			return strangerError(heard, c.password)
		}
		return lostError(StageHandshake, err, heard)
	}
	if heard[0] != 5 {
		return strangerError(heard, c.password)
	}
	method, rest := heard[1], heard[2:]
	switch {
	case method == 0xff && c.username == "":
		e.Stage, e.Text, e.Hint = StageLogin, "the proxy wants user name and password", "set the proxy's username and password"
		return e
	case method == 0xff:
		e.Stage, e.Text, e.Hint = StageLogin, "the proxy takes neither a login by user name and password nor one without", "ask who runs it which login it wants"
		return e
	case method == 2 && c.username != "":
		if len(rest) < 2 {
			return lostError(StageLogin, err, rest)
		}
		if rest[0] != 1 {
			return strangerError(heard, c.password)
		}
		if rest[1] != 0 {
			e.Stage, e.Text, e.Hint = StageLogin, "the proxy refused user name or password", "check the proxy's username and password"
			return e
		}
		rest = rest[2:]
	case method != 0:
		e.Text, e.Hint = "the proxy chose a login that was not offered", "is it a SOCKS 5 proxy?"
		return e
	}
	if len(rest) < 2 {
		return lostError(StageTarget, err, rest)
	}
	if rest[0] != 5 {
		return strangerError(heard, c.password)
	}
	return explainReply(rest[1], c.target, err)
}

// explainReply is the meaning of a reply code (RFC 1928 section 6).
func explainReply(code byte, t target, err error) *Error {
	e := &Error{Stage: StageTarget, Err: err}
	server := t.String()
	switch code {
	case 0:
		e.Stage, e.Text, e.Permanent = StageHandshake, "the proxy's reply makes no sense", true
		if isTimeout(err) {
			return lostError(StageTarget, err, []byte{code})
		}
	case 1:
		e.Text, e.Hint = "the proxy failed to reach "+server+" (general failure)", "check the server's address and port; the proxy's log may say more"
	case 2:
		e.Text, e.Hint, e.Permanent = "the proxy's rules do not allow "+server, "ask who runs the proxy to allow it", true
	case 3:
		e.Text, e.Hint = "the proxy has no network to "+server, "check the server's address; ask who runs the proxy about its network"
	case 4:
		e.Text, e.Hint = "the proxy finds no host "+server, "check the server's address: the proxy may not be able to resolve the name"
	case 5:
		e.Text, e.Hint = server+" refused the proxy's connection", "check the server's address and port"
	case 6:
		e.Text, e.Hint = "the proxy's packets to "+server+" do not arrive (TTL expired)", "ask who runs the proxy about its network"
	case 7:
		e.Text, e.Hint, e.Permanent = "the proxy does not know the command CONNECT", "another proxy is needed", true
	case 8:
		e.Text, e.Permanent = "the proxy does not take this type of address: "+server, true
		if t.ip.Is6() {
			e.Hint = "give the server by name"
		}
	default:
		e.Text, e.Hint = "the proxy failed with an unknown code", "the proxy's log may say more"
	}
	return e
}

// forwardTo is a dialer that gives the connection we have.
type forwardTo struct{ conn net.Conn }

func (f forwardTo) Dial(string, string) (net.Conn, error) { return f.conn, nil }
func (f forwardTo) DialContext(context.Context, string, string) (net.Conn, error) {
	return f.conn, nil
}

// listener keeps the first bytes that are read.
type listener struct {
	net.Conn
	said []byte
}

const maxHeard = 512

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.said = append(l.said, p[:min(n, maxHeard-len(l.said))]...)
	return n, err
}
