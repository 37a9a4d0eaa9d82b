package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"mailtrigger/connection/setting"
)

// The stages of a connection through a proxy, in their order.
const (
	StageConfig    = "config"    // the settings, or the environment
	StageSecrets   = "secrets"   // reading the password
	StageConnect   = "connect"   // reaching the proxy
	StageTLS       = "tls"       // TLS with the proxy itself
	StageHandshake = "handshake" // speaking the proxy's protocol
	StageLogin     = "login"     // user name and password
	StageTarget    = "target"    // the proxy reaching the server
)

// Error says why a connection through a proxy failed. It holds no credentials,
// even if the proxy echoes them; what the proxy said is made printable.
type Error struct {
	Proxy     string // type and address, e.g. "socks5 proxy.example.com:1080"
	Stage     string // one of the Stage constants
	Text      string // what failed and why
	Hint      string // what to do; may be ""
	Permanent bool   // trying again cannot help until something is changed
	Err       error  // the cause; may be nil

	silent bool // the proxy closed the connection without a word
}

// Error returns all but Permanent in one line.
func (e *Error) Error() string {
	s := fmt.Sprintf("proxy %s: %s: %s", e.Proxy, e.Stage, e.Text)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether a deadline has passed.
func (e *Error) Timeout() bool { return isTimeout(e.Err) }

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// maxSaid is how much of what a proxy said goes into an error.
const maxSaid = 160

func said(text string, secrets ...setting.Secret) string {
	return fmt.Sprintf("%q", setting.Printable(setting.Redact(text, secrets...), maxSaid))
}

// connectError says why the proxy itself was not reached.
func connectError(err error) *Error {
	e := &Error{Stage: StageConnect, Text: "cannot reach the proxy: " + cause(err), Err: err}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Text = fmt.Sprintf("the proxy's name %q cannot be resolved", setting.Printable(dns.Name, 80))
		e.Hint = "check the proxy's address"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Hint = "nothing listens there: check the proxy's address and port, and whether it runs"
	case isTimeout(err):
		e.Text = "the proxy does not answer"
		e.Hint = "check the proxy's address and port, and firewalls on the way"
	default:
		e.Hint = "check the proxy's address and port"
	}
	return e
}

// cause is an error's text without the addresses that net.OpError puts before it.
func cause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return setting.Printable(op.Err.Error(), maxSaid)
	}
	return setting.Printable(err.Error(), maxSaid)
}

// lostError says why the proxy's next words did not come. stage is where we were.
func lostError(stage string, err error, heard []byte) *Error {
	e := &Error{Stage: stage, Err: err}
	switch {
	case errors.Is(err, context.Canceled):
		e.Text = "cancelled"
	case isTimeout(err) && stage == StageTarget:
		e.Text = "the proxy did not say in time whether it reaches the server"
		e.Hint = "the server may be unreachable from the proxy; or it is no proxy of this type"
	case isTimeout(err) && len(heard) == 0:
		e.Text = "the proxy took the connection but said nothing"
		e.Hint = "is it a proxy of this type? check the proxy's type and port"
	case isTimeout(err):
		e.Text = "the proxy stopped in the middle of its answer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.Text = "the proxy closed the connection without an answer"
		e.silent = len(heard) == 0
		if len(heard) > 0 {
			e.Text = "the proxy closed the connection in the middle of its answer"
		}
		if stage == StageHandshake {
			e.Hint = "is it a proxy of this type, and does it let this machine in? check the proxy's type and port"
		}
	default:
		e.Text = "lost the connection to the proxy: " + cause(err)
	}
	return e
}

// strangerError says what it was that did not answer as a proxy of our type.
func strangerError(heard []byte, secrets ...setting.Secret) *Error {
	e := &Error{Stage: StageHandshake, Permanent: true, Hint: "check the proxy's type and port"}
	s := string(heard)
	switch {
	case strings.HasPrefix(s, "HTTP/"):
		e.Text, e.Hint = "it is an HTTP server", `set type = "http" if it is a proxy`
	case strings.HasPrefix(s, "\x15\x03"), strings.HasPrefix(s, "\x16\x03"):
		e.Text, e.Hint = "it speaks TLS", `set type = "https" if it is a proxy`
	case strings.HasPrefix(s, "* "):
		e.Text, e.Hint = "it is an IMAP server, not a proxy: it said "+said(s, secrets...), "the proxy's address and port are those of a mail server"
	case strings.HasPrefix(s, "\x05"):
		e.Text, e.Hint = "it is a SOCKS 5 proxy", `set type = "socks5"`
	case len(s) >= 2 && s[0] == 0 && s[1] >= 0x5a && s[1] <= 0x5d:
		e.Text, e.Hint = "it is a SOCKS 4 proxy", `set type = "socks4a" or "socks4"`
	default:
		e.Text = "it is no proxy of this type: it said " + said(s, secrets...)
	}
	return e
}
