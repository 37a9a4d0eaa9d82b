package auth

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailtrigger/connection/setting"
)

// Error says why a login failed or was not tried. It never holds a secret: what
// a server said is redacted, and made printable.
type Error struct {
	Mechanism string // what was tried, e.g. "PLAIN"; "" if it did not come to that
	Text      string // what failed and why
	Hint      string // what to do; may be ""
	// Refused: the server looked at who we say we are and said no. Such a login
	// counts as a wrong one (see Attempts).
	Refused   bool
	Permanent bool  // trying again cannot help until something is changed
	Err       error // the cause; may be nil
}

// Error returns the mechanism, the text and the hint.
func (e *Error) Error() string {
	s := e.Text
	if e.Mechanism != "" {
		s = e.Mechanism + ": " + s
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// AuthRequired is the state in which a person has to consent (again): there is
// no refresh token, or the authorization server takes it no more (RFC 6749
// section 5.2, invalid_grant). The server is not asked again until another
// refresh token is stored, but for one try an hour.
type AuthRequired struct {
	Connection string
	Reason     string // what the authorization server said, or what is missing
	Err        error
}

// Error says what to do.
func (e *AuthRequired) Error() string {
	return fmt.Sprintf("authorization is required: %s; run: mailtriggerd --authorize %s", e.Reason, e.Connection)
}

// Unwrap returns the cause.
func (e *AuthRequired) Unwrap() error { return e.Err }

// maxSaid is how much of what a server said goes into an error.
const maxSaid = 200

func said(text string, secrets ...setting.Secret) string {
	return setting.Printable(setting.Redact(text, secrets...), maxSaid)
}

// Failed turns the error of a login (of Login.Do, of imapclient or of smtp) into
// what a person should see: an *Error. An access token that was refused is
// forgotten, so that the next login gets another. If it was not got for this login,
// that is not permanent, and if it was an old one it does not count as refused either.
//
// An error of the connection itself is passed on as a transient *Error: a server
// that closes the connection instead of answering has not looked at the password,
// as far as one can tell.
func (a *Authenticator) Failed(login *Login, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	e := &Error{Mechanism: login.Mechanism, Text: said(err.Error(), login.secrets()...), Err: redacted{err, login.secrets()}}
	var status *imap.Error
	var temporary interface{ Temporary() bool }
	var network net.Error
	switch {
	case errors.As(err, &status):
		e.Text = "the server said " + statusText(status, login.secrets()...)
		e.classify(status)
	case errors.As(err, &network):
		e.Text = "the connection failed during the login: " + e.Text
	case errors.As(err, &temporary): // smtp.SMTPError: 4xx and 5xx
		e.Refused = !temporary.Temporary()
		e.Permanent = e.Refused
		e.Text = "the server said " + e.Text
	default:
		e.Text = "the server ended the login: " + e.Text
		if login.Alias != "" {
			e.Hint = fmt.Sprintf("does the alias %q exist, and may %q use it?", login.Alias, login.Username)
		}
	}
	if e.Refused {
		if login.token != nil {
			old := a.forget(login.token)
			if old || !login.own {
				e.Refused, e.Permanent = !old, false
				e.Hint = "the access token was not new; the next login gets another"
				return e
			}
		}
		e.Hint = login.advice(a.protocol())
	}
	return e
}

// classify sets Refused and Permanent by the response code (RFC 9051 section 7.1
// and RFC 5530); without a code a NO to a login is a refusal.
func (e *Error) classify(status *imap.Error) {
	switch status.Code {
	case imap.ResponseCodeUnavailable, imap.ResponseCodeLimit, imap.ResponseCodeInUse, imap.ResponseCodeServerBug:
		return
	case imap.ResponseCodePrivacyRequired:
		e.Permanent, e.Hint = true, "the server wants an encrypted connection: set encryption.protocol"
		return
	case imap.ResponseCodeContactAdmin, imap.ResponseCodeExpired, imap.ResponseCodeAuthenticationFailed, imap.ResponseCodeAuthorizationFailed, imap.ResponseCodeNoPerm:
		e.Refused = true
	default:
		text := strings.ToLower(status.Text)
		for _, busy := range []string{"try again", "temporar", "too many", "unavailable", "internal error", "rate limit", "throttl", "timed out", "timeout"} {
			if strings.Contains(text, busy) {
				return
			}
		}
		e.Refused = status.Type == imap.StatusResponseTypeNo
	}
	e.Permanent = e.Refused || status.Type == imap.StatusResponseTypeBad
}

func statusText(s *imap.Error, secrets ...setting.Secret) string {
	text := string(s.Type)
	if s.Code != "" {
		text += " [" + string(s.Code) + "]"
	}
	return fmt.Sprintf("%q", said(text+" "+s.Text, secrets...))
}

// redacted keeps errors.Is and errors.As working on an error whose text may hold
// what the server echoed.
type redacted struct {
	err     error
	secrets []setting.Secret
}

func (r redacted) Error() string { return said(r.err.Error(), r.secrets...) }
func (r redacted) Unwrap() error { return r.err }
