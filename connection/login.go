package connection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mailtrigger/connection/auth"
	"mailtrigger/connection/proxy"
)

// login logs in by the mechanism that auth chooses, asks for the capabilities
// again (they are others now), and sends ID.
func (c *connector) login(ctx context.Context) (string, *Error) {
	server := auth.Server{
		Capabilities:      c.has,
		Encrypted:         c.state != nil,
		ClientCertificate: c.cfg.Encryption.ClientCertificateFile != "",
		Host:              c.cfg.Address,
		Port:              c.cfg.Port,
	}
	login, err := c.shared.auth.Choose(ctx, server)
	if err != nil {
		return "", explainAuth(err)
	}
	if failed := c.tryLogin(ctx, login); failed != nil {
		return "", failed
	}
	if login.Warning != "" && c.tell == nil {
		c.d.log.Debug("logged in", "connection", c.cfg.Name, "warning", login.Warning)
	}
	if !c.toldAfterLogin() {
		if _, failed := c.askAgain(StageLogin); failed != nil {
			return "", c.afterLogin(failed)
		}
	}
	if c.cfg.sendID() && c.has("ID") {
		if failed := c.converse(StageLogin, func() error {
			_, err := c.talk.id(c.d.opts.Name, c.d.opts.Version)
			return err
		}); failed != nil {
			return "", c.afterLogin(failed)
		}
	}
	return describeLogin(login), nil
}

// describeLogin says by which mechanism, and as whom.
func describeLogin(login *auth.Login) string {
	detail := fmt.Sprintf("%s as %s", login.Mechanism, login.Username)
	if login.Alias != "" {
		detail += " for " + login.Alias
	}
	if login.Warning != "" {
		detail += " (" + login.Warning + ")"
	}
	return detail
}

// toldAfterLogin reports whether the answer to the login told the capabilities.
func (c *connector) toldAfterLogin() bool { return c.talk.capabilities != "" }

// tryLogin does the login, under the eyes of the ledger of wrong passwords.
func (c *connector) tryLogin(ctx context.Context, login *auth.Login) *Error {
	host, user := c.cfg.loginKey()
	if failed := c.d.mayLogin(ctx, host, user); failed != nil {
		return failed
	}
	before := c.talk.capabilities
	c.talk.capabilities = ""
	var r *reply
	failed := c.converse(StageLogin, func() (err error) {
		if login.SASL == nil {
			r, err = c.talk.login(login.Username, login.Password.Reveal())
		} else {
			r, err = c.talk.authenticate(login.SASL, hasCapability(" "+before+" ", "SASL-IR"))
		}
		if err == nil && r.kind == "OK" {
			return login.Verify()
		}
		return err
	})
	now := time.Now()
	if failed == nil && r.kind == "OK" {
		c.d.wrong.Succeeded(host, user, now)
		return nil
	}
	var cause error
	if r != nil && r.kind != "OK" {
		cause = r.status()
	}
	var known *auth.Error
	if failed != nil && errors.As(failed.Err, &known) {
		cause = known
	}
	if cause == nil {
		c.d.wrong.Abandoned(host, user, now)
		return c.silentLogin(failed, login)
	}
	e := explainAuth(c.shared.auth.Failed(login, cause))
	if r != nil {
		said := serverError(StageLogin, r.kind, r.code, r.text)
		e.Code, e.Retry, e.crowded = said.Code, said.Retry, said.crowded
		if e.Hint == "" {
			e.Hint = said.Hint
		}
	}
	if r != nil && c.cfg.Encryption.ClientCertificateFile == "" && (login.Mechanism == "EXTERNAL" || strings.Contains(strings.ToLower(r.text), "certificate")) {
		e.Hint = "the server may want a client certificate: set client_certificate_file and client_key_file"
	}
	if e.refused {
		c.d.wrong.Failed(host, user, now)
		e.refused = e.Permanent // an access token that others have used: the next login gets another
		if p := c.cfg.presetByAddress(); p != nil && p.Login != "" {
			e.Hint = p.Provider + ": " + p.Login
		}
	} else {
		c.d.wrong.Abandoned(host, user, now)
	}
	return e
}

// mayLogin asks the ledger. It waits while other logins to the account are
// under way, and refuses where three were wrong within the hour.
func (d *Dialer) mayLogin(ctx context.Context, host, user string) *Error {
	const longest = 5 * time.Second // a wait that is longer is the ledger's no
	for {
		wait := d.wrong.Allow(host, user, time.Now())
		if wait == 0 {
			return nil
		}
		if wait > longest {
			return notTried(user, wait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return &Error{Stage: StageLogin, Text: "other logins to this account take too long", Err: context.Cause(ctx)}
		}
	}
}

// notTried is what the ledger says where three logins were wrong within the hour.
func notTried(user string, wait time.Duration) *Error {
	return &Error{Stage: StageLogin, Retry: wait, Permanent: true, refused: true,
		Text: fmt.Sprintf("not tried: the server refused the login of %s three times within an hour, and more could lock the account", user),
		Hint: fmt.Sprintf("it is tried again in %s; correct the password and restart or reload to have it tried at once", round(wait))}
}

// silentLogin explains a connection that ended in the login without a verdict.
func (c *connector) silentLogin(failed *Error, login *auth.Login) *Error {
	if failed == nil {
		failed = &Error{Stage: StageLogin, Text: "the login ended oddly"}
	}
	return c.afterLogin(failed)
}

// afterLogin explains a server that hangs up around the login: Dovecot does so
// after a good login for a mailbox that does not exist.
func (c *connector) afterLogin(failed *Error) *Error {
	if !errors.Is(failed.Err, io.EOF) && !errors.Is(failed.Err, io.ErrUnexpectedEOF) {
		return failed
	}
	if alias := c.cfg.Authentication.Alias; alias != "" {
		failed.Hint = fmt.Sprintf("some servers do this if the alias %q is unknown, or %q may not use it: check the alias", alias, c.cfg.Authentication.Username)
	} else if failed.Hint == "" {
		failed.Hint = "the server's log says why; a good login for a user without a mailbox ends like this, too"
	}
	return failed
}

// explainAuth makes an *Error of what package auth returned.
func explainAuth(err error) *Error {
	e := &Error{Stage: StageLogin, Err: err}
	var ae *auth.Error
	var consent *auth.AuthRequired
	var pe *proxy.Error
	switch {
	case errors.As(err, &consent):
		e.Text = "authorization is required: " + oneLine(consent.Reason)
		e.Hint = "run: mailtriggerd --authorize " + consent.Connection
		e.Permanent, e.AuthRequired = true, true
	case errors.As(err, &ae):
		e.Text, e.Hint, e.Permanent, e.refused = ae.Text, ae.Hint, ae.Permanent, ae.Refused
		if ae.Mechanism != "" {
			e.Text = ae.Mechanism + ": " + ae.Text
		}
		if strings.HasPrefix(ae.Text, "cannot read the password") {
			e.Stage = StageSecrets
		}
	case errors.As(err, &pe):
		e.Stage, e.Text, e.Hint, e.Permanent = StageProxy, pe.Proxy+": "+pe.Text, pe.Hint, pe.Permanent
	default:
		e.Text = oneLine(err.Error())
	}
	return e
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}
