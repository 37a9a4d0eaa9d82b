package connection

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"mailtrigger/connection/proxy"
)

// The stages of a connection, in order. The first ones are also the steps of Check.
const (
	StageSecrets      = "secrets"      // reading password files and the like
	StageProxy        = "proxy"        // reaching the proxy, and having it connect
	StageConnect      = "connect"      // DNS and TCP
	StageTLS          = "tls"          // the handshake, and STARTTLS before it
	StageGreeting     = "greeting"     // the server's first line
	StageCapabilities = "capabilities" // what the server can do
	StageLogin        = "login"        // authentication
	StageMailbox      = "mailbox"      // selecting a mailbox and working in it
	StageIdle         = "idle"         // waiting
	StageLook         = "look"         // what the LookFunc does, apart from the server
	StageBudget       = "budget"       // waiting for a free connection to the account
)

// An Error is what a person sees when a connection fails.
type Error struct {
	Connection string        // the connection's name; "" if it is an SMTP table's error
	SMTP       string        // the name of the SMTP table, if it is one's error
	Stage      string        // one of the Stage constants
	Text       string        // what failed and why
	Hint       string        // what to do; may be empty
	Permanent  bool          // trying again cannot help until somebody changes something
	Refused    bool          // the server answered NO or BAD, or the command could not be sent as it is: the session goes on
	Code       string        // the server's response code without brackets, e.g. "LIMIT"; may be empty
	Retry      time.Duration // what the server asks us to wait at least; 0 if it does not say
	Err        error         // what it was made from; may be nil

	// AuthRequired: a person has to give consent (again), by --authorize.
	AuthRequired bool

	refused bool   // the server looked at the credentials and said no
	crowded bool   // the server says that the account has too many connections
	pin     string // the pin of the certificate that was refused
}

// Error returns connection, stage, text and hint in one line.
func (e *Error) Error() string {
	s := e.Stage + ": " + e.Text
	if e.Connection != "" {
		s = fmt.Sprintf("connection %q: %s", e.Connection, s)
	}
	if e.SMTP != "" {
		s = fmt.Sprintf("smtp %q: %s", e.SMTP, s)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// short is Error without what a log line has in attributes of their own.
func (e *Error) short() string {
	if e.Hint == "" {
		return e.Text
	}
	return e.Text + "; " + e.Hint
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// fail makes an *Error of err, or returns the one that it already is, completed.
func fail(connection, stage string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		if e.Connection == "" {
			e.Connection = connection
		}
		return e
	}
	e = &Error{Connection: connection, Stage: stage, Text: oneLine(err.Error()), Err: err}
	return e
}

// explainDial makes an *Error of what the dialer returned.
func explainDial(cfg *Config, err error, timeout time.Duration) *Error {
	e := &Error{Stage: StageConnect, Err: err}
	var pe *proxy.Error
	if errors.As(err, &pe) {
		e.Stage, e.Text, e.Hint, e.Permanent = StageProxy, pe.Text, pe.Hint, pe.Permanent
		if pe.Proxy != "" {
			e.Text = pe.Proxy + ": " + pe.Text
		}
		return e
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Text = fmt.Sprintf("the name %s is not known (DNS)", dns.Name)
		e.Hint = "check the address for a typing error"
	case errors.As(err, &dns):
		e.Text = fmt.Sprintf("looking up the name %s failed: %s", dns.Name, oneLine(dns.Err))
		e.Hint = "check this machine's DNS"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Text = fmt.Sprintf("%s refuses connections: nothing listens on port %d", cfg.Address, cfg.Port)
		e.Hint = cfg.protocol().portHint(cfg.Port)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		e.Text = fmt.Sprintf("%s cannot be reached: %s", cfg.hostPort(), lastText(err))
		e.Hint = "check this machine's network and routes; a proxy may be needed"
	case isTimeout(err):
		e.Text = fmt.Sprintf("%s did not answer within %s", cfg.hostPort(), round(timeout))
		e.Hint = "a firewall may drop the packets; check address and port, or set a proxy"
	default:
		e.Text = oneLine(err.Error())
	}
	return e
}

// serverError makes an *Error of a server's NO, BAD or BYE.
func serverError(stage, kind, code, text string) *Error {
	code = strings.ToUpper(code)
	e := &Error{Stage: stage, Code: code, Retry: suggestedBackoff(text)}
	said := oneLine(text)
	if code != "" {
		said = strings.TrimSpace("[" + code + "] " + said)
	}
	if said == "" {
		said = kind
	} else {
		said = kind + " " + said
	}
	e.Text = "the server says: " + said
	word, _, _ := strings.Cut(code, " ")
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "not connected") && strings.Contains(lower, "authenticated"):
		e.Text = "the server lost its mailbox store for a while: " + said
	case word == "LIMIT" || strings.Contains(lower, "too many simultaneous connections") || strings.Contains(lower, "too many connections"):
		e.Hint = "too many connections to this account: lower max_connections, or close other mail programs"
		e.Retry, e.crowded = max(e.Retry, limitBackoff), true
	case word == "UNAVAILABLE" || word == "INUSE" || word == "SERVERBUG":
		e.Hint = "the server has a problem of its own; it is tried again"
		e.Retry = max(e.Retry, unavailableBackoff)
	case word == "NONEXISTENT":
		e.Permanent = true
		e.Hint = "check the mailbox's name; --test-connection lists the names"
	case word == "TRYCREATE":
		e.Permanent = true
		e.Hint = "the mailbox does not exist; create it, or set create = true"
	case word == "OVERQUOTA":
		e.Hint = "the account is full"
	case word == "NOPERM" || word == "ACL":
		e.Permanent = true
		e.Hint = "the account lacks the right to do this; ask the server's administrator"
	case word == "CANNOT":
		e.Permanent = true
	case word == "EXPIRED":
		e.Permanent = true
		e.Hint = "the password has expired; set a new one"
	case word == "PRIVACYREQUIRED":
		e.Permanent = true
		e.Hint = `the server wants encryption first: set protocol = "tls"`
	case word == "CONTACTADMIN":
		e.Hint = "the server wants its administrator to be asked"
	case strings.Contains(lower, "unsafe login"):
		e.Permanent = true
		e.Hint = "this provider wants ID first: leave id = true"
	}
	return e
}

// What we wait at least after these codes, if the server names no time itself.
const (
	limitBackoff       = time.Minute
	unavailableBackoff = 15 * time.Second
	maxSuggested       = time.Hour // no server may stop us for longer
)

// suggestedBackoff finds Exchange's "Suggested Backoff Time: 297498 milliseconds" in a text.
func suggestedBackoff(text string) time.Duration {
	const mark = "suggested backoff time:"
	i := strings.Index(strings.ToLower(text), mark)
	if i < 0 {
		return 0
	}
	var n int64
	var unit string
	if k, _ := fmt.Sscanf(strings.TrimSpace(text[i+len(mark):]), "%d %s", &n, &unit); k == 0 || n < 0 {
		return 0
	}
	scale := time.Millisecond
	if strings.HasPrefix(unit, "s") {
		scale = time.Second
	}
	if n > int64(maxSuggested/scale) {
		return maxSuggested
	}
	return time.Duration(n) * scale
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// lastText returns the innermost error's text.
func lastText(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return oneLine(err.Error())
		}
		err = next
	}
}

// oneLine makes a server's text fit for a log line: printable, one line, at most 300 bytes.
func oneLine(s string) string {
	const most = 300
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || r >= 0x80 && r < 0xA0 {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// oneLineQuoted is oneLine in quotes.
func oneLineQuoted(s string) string { return fmt.Sprintf("%q", oneLine(s)) }

// round makes a duration short to read.
func round(d time.Duration) time.Duration {
	switch {
	case d > time.Minute:
		return d.Round(time.Second)
	case d > time.Second:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}
