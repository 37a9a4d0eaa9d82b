package connection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"mailtrigger/connection/auth"
	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/smtp"
)

// SMTP is how to reach a server that takes mail: the table [smtp.NAME]. Set it up
// with SetDefaults, then check it with Validate. One that is in use must not be
// changed or copied.
type SMTP struct {
	Name string `toml:"-"` // the table's key

	Preset         string           `toml:"preset"` // a provider whose settings are the defaults
	Address        string           `toml:"address"`
	Port           int              `toml:"port"`
	Timeout        setting.Duration `toml:"timeout"` // the whole connect, and each later step's longest time without progress
	From           string           `toml:"from"`    // the sender, where an action names no other
	Authentication auth.Config      `toml:"authentication"`
	Encryption     Encryption       `toml:"encryption"`
	Proxy          proxy.Config     `toml:"proxy,ref"`

	once   sync.Once
	server *Config // what is common to both protocols
}

// The ports by mode. Without encryption it is that of a relay on this machine.
const (
	smtpImplicit = 465 // RFC 8314, section 3.3
	smtpExplicit = 587 // RFC 6409, section 3.1
	smtpPlain    = 25
)

// MaxSMTPSessions is how many sessions with the server of an SMTP table there are at
// once; further mail waits.
const MaxSMTPSessions = 4

// smtpTable is how SMTP tables are called where connections are named as well.
const smtpTable = "smtp."

// QualifiedName is the name by which calls mean an SMTP table: "smtp.NAME".
func (s *SMTP) QualifiedName() string { return smtpTable + s.Name }

// SetDefaults fills in what is not set: explicit TLS on port 587, implicit on port 465.
func (s *SMTP) SetDefaults() {
	s.Preset = strings.ToLower(strings.TrimSpace(s.Preset))
	s.Address = trimAddress(s.Address)
	e := &s.Encryption
	e.normalize()
	if p := findSMTPPreset(s.Preset); p != nil {
		p.apply(s)
	}
	switch {
	case s.Port != 0:
	case e.Protocol == ProtocolNone:
		s.Port = smtpPlain
	case e.Mode == ModeImplicit:
		s.Port = smtpImplicit
	default:
		s.Port = smtpExplicit
	}
	if e.Mode == "" && s.Port != smtpImplicit && e.Protocol != ProtocolNone {
		e.Mode = ModeExplicit
	}
	e.SetDefaults()
	if s.Timeout == 0 {
		s.Timeout = setting.Duration(DefaultTimeout)
	}
	s.Authentication.ClientCertificate = e.ClientCertificateFile != ""
	s.Authentication.SetDefaults()
	s.Proxy.SetDefaults()
}

// Validate reports everything that is wrong. It reads the files of the encryption
// table, and touches neither the network nor any secret.
func (s *SMTP) Validate() []setting.Problem {
	var ps []setting.Problem
	add := func(key, format string, args ...any) {
		ps = append(ps, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
	if s.Preset != "" && findSMTPPreset(s.Preset) == nil {
		add("preset", "unknown preset %q%s; there are %s", s.Preset, didYouMean(s.Preset, presetNames()), strings.Join(presetNames(), ", "))
	}
	if text := checkAddress(s.Address, speaksSMTP); text != "" && (s.Address != "" || s.Preset == "") {
		add("address", "%s", text)
	}
	if s.Port < 1 || s.Port > 65535 {
		add("port", "%d is not a port; use 1 to 65535, e.g. %d", s.Port, smtpExplicit)
	}
	if text := checkTimeout(s.Timeout); text != "" {
		add("timeout", "%s", text)
	}
	if text := checkSender(s.From); s.From != "" && text != "" {
		add("from", "%s", text)
	}
	ps = append(ps, setting.Below("authentication", s.Authentication.Validate())...)
	ps = append(ps, setting.Below("encryption", s.Encryption.Validate())...)
	ps = append(ps, setting.Below("proxy", s.Proxy.Validate())...)
	return ps
}

// checkSender says what is wrong with a sender, or returns "".
func checkSender(from string) string {
	a, err := mail.ParseAddress(from)
	if err == nil {
		_, _, err = smtp.Path(a.Address)
	}
	if err != nil {
		return fmt.Sprintf("%q is not an address; write \"robot@example.com\" or \"Robot <robot@example.com>\"", setting.Printable(from, 100))
	}
	return ""
}

// Insecure says why what is sent is not protected against an eavesdropper in
// between, or returns "" if it is. A server on this machine has nobody in between.
func (s *SMTP) Insecure() string {
	if ip := net.ParseIP(s.Address); s.Encryption.Protocol == ProtocolNone && (s.Address == "localhost" || ip != nil && ip.IsLoopback()) {
		return ""
	}
	return s.config().Insecure()
}

// config returns what is common to both protocols, as a Config: connecting is
// written once, and what is shared by sessions is kept by its pointer.
func (s *SMTP) config() *Config {
	s.once.Do(func() {
		s.server = &Config{
			Name: s.QualifiedName(), Address: s.Address, Port: s.Port, Timeout: s.Timeout,
			Authentication: s.Authentication, Encryption: s.Encryption, Proxy: s.Proxy, smtp: true,
		}
	})
	return s.server
}

// SendMail sends one message by a session of its own. It waits until one of
// MaxSMTPSessions is free, connects within s.Timeout, and sends for as long as the
// server takes what it is sent; ctx bounds all of it.
//
// An error before the message is offered is an *Error: nothing was sent, and it is to
// be tried again after Retry, as a person may have mended what is Permanent by then.
// Later it is an *smtp.Error.
func (d *Dialer) SendMail(ctx context.Context, s *SMTP, m *smtp.Mail) (*smtp.Receipt, error) {
	ctx, stop := d.bound(ctx)
	defer stop()
	cfg := s.config()
	shared, err := d.share(cfg)
	if err != nil {
		return nil, cfg.sign(explainAuth(err))
	}
	host, user := cfg.loginKey()
	if wait := d.wrong.Blocked(host, user, time.Now()); wait > 0 && user != "" {
		failed := cfg.sign(notTried(user, wait)) // a full queue need not knock for each of its mails
		failed.Hint = fmt.Sprintf("correct the password and reload; the mail is tried again in %s", round(wait))
		return nil, failed
	}
	select {
	case shared.busy <- struct{}{}:
		defer func() { <-shared.busy }()
	case <-ctx.Done():
		return nil, cfg.sign(&Error{Stage: StageBudget, Err: context.Cause(ctx),
			Text: fmt.Sprintf("all %d sessions with the server are in use", MaxSMTPSessions)})
	}
	client, failed := d.connectSMTP(ctx, cfg, nil)
	if failed != nil {
		switch {
		case failed.refused:
			failed.Retry = max(failed.Retry, refusedBackoff)
		case failed.Permanent && !failed.AuthRequired:
			failed.Retry = max(failed.Retry, permanentBackoff)
		}
		return nil, failed
	}
	receipt, err := client.Send(ctx, m)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	client.Quit()
	return receipt, nil
}

// ForgiveSMTP is Forgive for an SMTP table.
func (d *Dialer) ForgiveSMTP(s *SMTP) { d.Forgive(s.config()) }

// ReleaseSMTP is Release for an SMTP table. Mail that is being sent by it is sent.
func (d *Dialer) ReleaseSMTP(s *SMTP) { d.Release(s.config()) }

// CheckSMTP is Check for a server that takes mail: secrets, proxy, connect, tls,
// greeting, capabilities and login, as far as it gets. It sends no mail.
func (d *Dialer) CheckSMTP(ctx context.Context, s *SMTP, report func(Step)) []Step {
	ctx, stop := d.bound(ctx)
	defer stop()
	c := &check{d: d, cfg: s.config(), report: report}
	c.connect(ctx, func(ctx context.Context, tell progress) *Error {
		client, failed := d.connectSMTP(ctx, c.cfg, tell)
		if failed == nil {
			client.Quit()
		}
		return failed
	})
	return c.steps
}

// AuthorizeSMTP is Authorize for an SMTP table.
func (d *Dialer) AuthorizeSMTP(ctx context.Context, s *SMTP, prompt func(url, code string)) error {
	return d.Authorize(ctx, s.config(), prompt)
}

// An smtpConnector makes one session with a server that takes mail.
type smtpConnector struct {
	connector
	client *smtp.Client
}

func (d *Dialer) connectSMTP(ctx context.Context, cfg *Config, tell progress) (*smtp.Client, *Error) {
	c := &smtpConnector{connector: connector{d: d, cfg: cfg, tell: tell}}
	if err := c.run(ctx, c.greet, c.ask, c.login); err != nil {
		return nil, err
	}
	return c.client, nil
}

// greet reads the greeting. After STARTTLS there is none.
func (c *smtpConnector) greet(ctx context.Context) (string, *Error) {
	explicit := c.cfg.Encryption.Mode == ModeExplicit && c.cfg.Encryption.Protocol != ProtocolNone
	c.client = smtp.NewClient(c.conn, smtp.Options{Wait: time.Duration(c.cfg.Timeout), Greeted: explicit})
	if explicit {
		return "read before STARTTLS", nil
	}
	text, err := c.client.Greet(ctx)
	if err != nil {
		return "", c.cfg.explainSMTP(StageGreeting, err)
	}
	return oneLine(text), nil
}

// ask learns what the server can do.
func (c *smtpConnector) ask(ctx context.Context) (string, *Error) {
	if err := c.client.Hello(ctx); err != nil {
		return "", c.cfg.explainSMTP(StageCapabilities, err)
	}
	return c.client.Extensions(), nil
}

// login logs in, if there is somebody to log in as: a relay may know its clients by
// address or certificate.
func (c *smtpConnector) login(ctx context.Context) (string, *Error) {
	a := &c.cfg.Authentication
	if a.Username == "" && a.Mechanism == "auto" && (!a.ClientCertificate || !slices.Contains(c.client.Mechanisms(), "EXTERNAL")) {
		return "none: no username is configured", nil
	}
	login, err := c.shared.auth.Choose(ctx, auth.Server{
		Mechanisms:        c.client.Mechanisms(),
		Encrypted:         c.state != nil,
		ClientCertificate: a.ClientCertificate,
		Host:              c.cfg.Address,
		Port:              c.cfg.Port,
	})
	if err != nil {
		return "", explainAuth(err)
	}
	if failed := c.tryLogin(ctx, login); failed != nil {
		return "", failed
	}
	return describeLogin(login), nil
}

// tryLogin does the login, under the eyes of the ledger of wrong passwords.
func (c *smtpConnector) tryLogin(ctx context.Context, login *auth.Login) *Error {
	host, user := c.cfg.loginKey()
	if failed := c.d.mayLogin(ctx, host, user); failed != nil {
		return failed
	}
	err := c.client.Auth(ctx, login.SASL)
	if err == nil {
		err = login.Verify()
	}
	now := time.Now()
	if err == nil {
		c.d.wrong.Succeeded(host, user, now)
		return nil
	}
	if isTimeout(err) || hungUp(err) { // no verdict
		c.d.wrong.Abandoned(host, user, now)
		return c.cfg.explainSMTP(StageLogin, err)
	}
	e := explainAuth(c.shared.auth.Failed(login, err))
	if e.refused {
		c.d.wrong.Failed(host, user, now)
		e.refused = e.Permanent // an access token that others have used: the next login gets another
		if p := smtpPresetOf(c.cfg.Address, c.cfg.Port); p != nil && p.login() != "" {
			e.Hint = p.login()
		}
	} else {
		c.d.wrong.Abandoned(host, user, now)
	}
	return e
}

// explainSMTP makes an *Error of what went wrong between connect and login.
func (c *Config) explainSMTP(stage string, err error) *Error {
	e := &Error{Stage: stage, Text: oneLine(err.Error()), Err: err}
	var said *smtp.Error
	if errors.As(err, &said) {
		switch {
		case said.Code >= 500:
			e.Permanent = true
			e.Hint = "the server does not want us: its administrator knows why"
		case said.Code != 0:
			e.Hint = "the server has a problem of its own; it is tried again"
		case said.Permanent():
			e.Permanent = true
			e.Hint = "check address, port and mode"
		}
	}
	switch {
	case e.Hint != "":
	case remoteAlert(err) != "":
		e.Stage = StageTLS
		e.Text, e.Hint, e.pin, e.Permanent = c.Encryption.explainTLS(speaksSMTP, c.Address, err)
	case isTimeout(err):
		e.Text, e.Hint = fmt.Sprintf("no answer within %s", round(time.Duration(c.Timeout))), slowHint
		if stage == StageGreeting {
			e.Hint = silentHint(c)
		}
	case hungUp(err):
		e.Text, e.Hint = "the server closed the connection without a word", brokenHint
		if stage == StageGreeting {
			e.Hint = silentHint(c)
		}
	}
	return e
}

// hungUp reports whether the other side has ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// explainSTARTTLS makes an *Error of what StartTLS returned before the handshake.
func (c *Config) explainSTARTTLS(err *smtp.Error) *Error {
	stage := StageTLS
	switch {
	case err.Command == "greeting":
		stage = StageGreeting
	case err.Command == "EHLO" && (err.Code != 0 || err.Err != nil):
		stage = StageCapabilities
	}
	e := c.explainSMTP(stage, err)
	if stage == StageTLS && e.Permanent {
		e.Hint = noStartTLSHint(c)
	}
	return e
}
