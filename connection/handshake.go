package connection

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailtrigger/connection/smtp"
	"mailtrigger/connection/wire"
)

// explainHandshake makes an *Error of a failed handshake or STARTTLS.
func (c *connector) explainHandshake(err error) *Error {
	var before *smtp.Error
	if errors.As(err, &before) {
		return c.cfg.explainSTARTTLS(before)
	}
	e := &Error{Stage: StageTLS, Err: err}
	var st *wire.StartTLSError
	if errors.As(err, &st) && st.Stage != "tls" {
		switch {
		case st.Stage == "greeting":
			e.Stage = StageGreeting
		case st.Stage == "capabilities" && (st.Status != nil || st.Err != nil):
			e.Stage = StageCapabilities
		}
		if st.Status != nil {
			said := serverError(e.Stage, st.Status.Type, st.Status.Code, st.Status.Text)
			said.Err = err
			if st.Status.Type != "BYE" && said.Hint == "" {
				said.Text = st.Text + ": " + said.Text
			}
			return said
		}
		e.Text = oneLine(st.Text)
		switch {
		case isTimeout(err):
			e.Text = fmt.Sprintf("no answer within %s", round(time.Duration(c.cfg.Timeout)))
			e.Hint = slowHint
		case st.Err != nil:
			e.Text += ": " + lastText(st.Err)
			e.Hint = brokenHint
		case e.Stage == StageTLS:
			e.Permanent = true
			e.Hint = noStartTLSHint(c.cfg)
		default:
			e.Permanent = true
			e.Hint = "check address, port and mode"
		}
		if e.Stage == StageGreeting && st.Err != nil {
			e.Hint = silentHint(c.cfg)
		}
		return e
	}
	if st != nil && st.Err != nil {
		err = st.Err
	}
	e.Text, e.Hint, e.pin, e.Permanent = c.cfg.Encryption.explainTLS(c.cfg.protocol(), c.cfg.Address, err)
	return e
}

// noStartTLSHint is what to do where a server has no STARTTLS.
func noStartTLSHint(cfg *Config) string {
	return fmt.Sprintf(`if the server has a TLS port (%d), use it with mode = "implicit"`, cfg.protocol().implicit)
}

// describeTLS says what a handshake has agreed on: version, cipher, chain, expiry.
func (e *Encryption) describeTLS(s *tls.ConnectionState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", versionName(s.Version), tls.CipherSuiteName(s.CipherSuite))
	if len(s.PeerCertificates) == 0 {
		return b.String()
	}
	leaf := s.PeerCertificates[0]
	fmt.Fprintf(&b, "; certificate for %s", certificateNames(leaf))
	for i, c := range s.PeerCertificates {
		if i == 4 {
			b.WriteString(" <- ...")
			break
		}
		if i == 0 {
			b.WriteString(", issued by ")
		} else {
			b.WriteString(" <- ")
		}
		b.WriteString(oneLine(issuer(c)))
		if isSelfSigned(c) {
			break
		}
	}
	fmt.Fprintf(&b, "; valid until %s (%d days left)", day(leaf.NotAfter), daysLeft(leaf.NotAfter))
	switch {
	case e.InsecureSkipVerify:
		b.WriteString("; NOT VERIFIED, as insecure_skip_verify is set")
	case len(e.PinSHA256) > 0:
		b.WriteString("; pinned")
	}
	return b.String()
}

func daysLeft(t time.Time) int { return int(time.Until(t).Hours() / 24) }
