package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"mailtrigger/connection/setting"
)

// The limits of a CONNECT exchange.
const (
	maxHead = 64 << 10 // bytes of a reply's status line and headers
	maxBody = 64 << 10 // bytes of a refusal's body that are read to keep the connection
	maxLegs = 6        // requests of one dial: NTLM needs three, a stale digest one more
	maxInfo = 5        // 1xx replies before the real one

	bodyWait = time.Second // for a refusal's body, which is of little worth
)

// speakConnect is the HTTP CONNECT method (RFC 9110 section 9.3.6), over TCP or
// over TLS with the proxy. The proxy resolves the name.
//
// A reply is read byte by byte up to the empty line that ends it, so that what the
// server says in the same segment, a greeting say, is still in the connection.
func speakConnect(ctx context.Context, c *call) (net.Conn, error) {
	login, err := newLogin(c)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	for range maxLegs {
		kept := conn != nil
		if !kept {
			if conn, err = c.open(ctx); err != nil {
				return nil, err
			}
		}
		var r *reply
		err := converse(ctx, conn, func() (err error) {
			r, err = c.exchange(conn, login.authorization)
			return err
		})
		var e *Error
		if kept && !login.bound() && errors.As(err, &e) && e.silent { // it was not kept open after all
			conn = nil
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.status/100 == 2 {
			return conn, nil
		}
		if !isLogin(r.status) {
			conn.Close()
			return nil, c.explain(r)
		}
		if err := login.answer(r); err != nil {
			conn.Close()
			return nil, err
		}
		if !r.keep {
			conn.Close()
			conn = nil
			if login.bound() {
				return nil, &Error{Stage: StageLogin, Text: "the proxy closed the connection in the middle of the " + login.name + " login", Hint: "if it is several proxies behind one address, they must keep a connection on one of them"}
			}
		}
	}
	if conn != nil {
		conn.Close()
	}
	return nil, &Error{Stage: StageLogin, Text: "the proxy asks for the login again and again", Permanent: true}
}

// reply is a proxy's answer to CONNECT.
type reply struct {
	status int
	line   string // status and reason
	header http.Header
	body   string // the beginning of a refusal's body
	keep   bool   // the connection can be used for another request
}

// isLogin reports whether a status asks for a login: tinyproxy says 401 where 407
// is meant.
func isLogin(status int) bool {
	return status == http.StatusProxyAuthRequired || status == http.StatusUnauthorized
}

// exchange sends one request and reads the reply to it.
func (c *call) exchange(conn net.Conn, authorization string) (*reply, error) {
	target := c.target.String()
	request := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if authorization != "" {
		if strings.ContainsFunc(authorization, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			return nil, &Error{Stage: StageLogin, Text: "the login would hold control characters", Hint: "check the proxy's username", Permanent: true}
		}
		request += "Proxy-Authorization: " + authorization + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, lostError(StageHandshake, err, nil)
	}
	for range maxInfo {
		r, err := c.readReply(conn)
		if err != nil || r.status/100 != 1 {
			return r, err
		}
	}
	return nil, &Error{Stage: StageHandshake, Text: "the proxy keeps sending interim replies", Permanent: true}
}

// httpStart is how each reply begins.
const httpStart = "HTTP/"

func (c *call) readReply(conn net.Conn) (*reply, error) {
	heard := &listener{Conn: conn}
	in := &io.LimitedReader{R: &bytewise{r: heard}, N: maxHead}
	br := bufio.NewReader(in)
	for n := 1; n <= len(httpStart); n++ { // a stranger may say less than that, and wait
		start, err := br.Peek(n)
		if err != nil {
			break
		}
		if string(start) != httpStart[:n] {
			c.overhear(heard)
			return nil, strangerError(heard.said, c.secrets()...)
		}
	}
	res, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	switch {
	case err != nil && in.N <= 0:
		return nil, &Error{Stage: StageHandshake, Text: fmt.Sprintf("the proxy's reply has more than %d bytes of headers", maxHead), Permanent: true}
	case err != nil && (isTimeout(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || isNetError(err)):
		stage := StageHandshake
		if len(heard.said) == 0 && isTimeout(err) {
			stage = StageTarget // a silent proxy is mostly busy reaching the server
		}
		return nil, lostError(stage, err, heard.said)
	case err != nil:
		return nil, &Error{Stage: StageHandshake, Text: "the proxy's reply makes no sense: " + said(string(heard.said), c.secrets()...), Hint: "is it an HTTP proxy?", Permanent: true}
	}
	r := &reply{status: res.StatusCode, line: res.Status, header: res.Header}
	if r.status/100 == 2 || r.status/100 == 1 {
		return r, nil
	}
	delimited := res.ContentLength >= 0 || len(res.TransferEncoding) > 0
	if !delimited && isLogin(r.status) {
		return r, nil
	}
	in.N = maxBody // of the connection's bytes; a chunked body has a little less in it
	in.R = conn
	if err := conn.SetReadDeadline(time.Now().Add(bodyWait)); err != nil {
		return r, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	r.body = string(body[:min(len(body), 4<<10)])
	r.keep = err == nil && !res.Close && len(body) < maxBody && br.Buffered() == 0 && delimited
	return r, nil
}

// overhear reads on for what a stranger said in the same breath.
func (c *call) overhear(heard *listener) {
	var p [1]byte
	for len(heard.said) < 100 && heard.said[len(heard.said)-1] != '\n' && heard.said[0] >= ' ' {
		if _, err := io.ReadFull(heard, p[:]); err != nil {
			return
		}
	}
}

// secrets are what must not be seen in what the proxy says.
func (c *call) secrets() []setting.Secret {
	return []setting.Secret{setting.NewSecret(c.username + ":" + c.password.Reveal()), c.password}
}

// bytewise reads one byte a call, so that a bufio.Reader above it reads no
// further than it must.
type bytewise struct{ r io.Reader }

func (b *bytewise) Read(p []byte) (int, error) {
	if len(p) > 1 {
		p = p[:1]
	}
	return b.r.Read(p)
}

func isNetError(err error) bool {
	var op *net.OpError
	var alert tls.AlertError
	return errors.As(err, &op) || errors.As(err, &alert)
}

// explain says why the proxy did not make the connection.
func (c *call) explain(r *reply) *Error {
	e := &Error{Stage: StageTarget}
	target := c.target.String()
	reason := "the proxy said " + said(r.line, c.secrets()...)
	detail := strings.ToLower(r.header.Get("X-Squid-Error") + " " + r.header.Get("Proxy-Status") + " " + r.body)
	switch {
	case r.status == http.StatusForbidden:
		e.Text, e.Permanent = "the proxy's rules do not allow "+target+": "+reason, true
		e.Hint = fmt.Sprintf("many proxies allow CONNECT to port 443 only: ask who runs it to allow port %d", c.target.port)
	case r.status == http.StatusMethodNotAllowed, r.status == http.StatusNotImplemented:
		e.Stage, e.Text, e.Permanent = StageHandshake, "it does not know the method CONNECT: "+reason, true
		e.Hint = "is it a web server? check the proxy's address and port"
	case r.status/100 == 3:
		e.Stage, e.Text = StageHandshake, "it redirects to a web page: "+reason
		e.Hint = "a network may want a login in the browser first"
	case r.status == http.StatusBadRequest && strings.Contains(detail, "https"):
		e.Stage, e.Text, e.Permanent = StageHandshake, "it wants TLS: "+reason, true
		e.Hint = `set type = "https" if it is a proxy`
	case strings.Contains(detail, "err_dns_fail"), strings.Contains(detail, "dns_error"), strings.Contains(detail, "could not be resolved"),
		strings.Contains(detail, "resolve"), strings.Contains(detail, "unable to determine ip address"):
		e.Text = fmt.Sprintf("the proxy cannot resolve %s: %s", c.target.host, reason)
		e.Hint = "check the server's address: the proxy looks it up, not this machine"
	case r.status == http.StatusGatewayTimeout:
		e.Text = "the proxy waited in vain for " + target + ": " + reason
		e.Hint = "check the server's address and port"
	case r.status/100 == 5 || r.status == http.StatusNotFound:
		e.Text = "the proxy cannot reach " + target + ": " + reason
		e.Hint = "check the server's address and port"
	case r.status == http.StatusTooManyRequests || r.status == http.StatusRequestTimeout:
		e.Text = "the proxy is busy: " + reason
	default:
		e.Stage, e.Text, e.Permanent = StageHandshake, "the proxy refused the request: "+reason, true
	}
	return e
}
