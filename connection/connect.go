package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
	"unique"

	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
)

// progress is told how each stage of a connect went; nil where nobody asks.
type progress func(stage string, took time.Duration, detail string, err *Error)

// A connector makes one session. Each method is a stage; they run in order, in
// one goroutine, under one deadline over all of them. It speaks IMAP; a
// smtpConnector (smtp.go) has other stages from the greeting on.
type connector struct {
	d    *Dialer
	cfg  *Config
	tell progress

	shared  *shared
	raw     net.Conn // TCP, or what the proxy gave
	conn    net.Conn // what IMAP is spoken on: raw or TLS above it
	state   *tls.ConnectionState
	tickets *ticketBox // nil: none are used
	link    *wire.Link
	unbind  func() bool // from the connect's context
	talk    *dialogue
}

// connect makes a logged-in session. cfg.Timeout is the deadline over secrets,
// proxy, TCP, TLS, greeting, capabilities and login together.
func (d *Dialer) connect(ctx context.Context, cfg *Config, tell progress) (*session, *Error) {
	c := &connector{d: d, cfg: cfg, tell: tell}
	if err := c.run(ctx, c.greet, c.ask, c.login); err != nil {
		if f := d.trace.Error; f != nil {
			f(cfg.Name, err.Stage)
		}
		return nil, err
	}
	return c.session(), nil
}

// A stage does one step of a connect. detail is for people.
type stage func(context.Context) (detail string, err *Error)

// run goes through all stages, those of the protocol last.
func (c *connector) run(ctx context.Context, greet, ask, login stage) *Error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(c.cfg.Timeout), errTimeout)
	defer cancel()
	defer func() {
		if c.unbind != nil {
			c.unbind()
		}
	}()
	for _, stage := range []struct {
		name string
		run  stage
	}{
		{StageSecrets, c.secrets},
		{StageProxy, c.proxy},
		{StageConnect, c.connect},
		{StageTLS, c.encrypt},
		{StageGreeting, greet},
		{StageCapabilities, ask},
		{StageLogin, login},
	} {
		started := time.Now()
		detail, err := stage.run(ctx)
		if err != nil {
			c.close()
			if c.state != nil && c.state.DidResume { // maybe that is why
				c.tickets.fail()
			}
			err = c.complete(ctx, stage.name, err)
			if err.Stage != stage.name && c.tell != nil { // as STARTTLS may fail at the greeting
				stage.name = err.Stage
			}
		}
		if c.tell != nil {
			c.tell(stage.name, time.Since(started), detail, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var errTimeout = errors.New("the timeout has passed")

// complete fills in what the stages leave out, and says so where it was the deadline that ended them.
func (c *connector) complete(ctx context.Context, stage string, err *Error) *Error {
	c.cfg.sign(err)
	if err.Stage == "" {
		err.Stage = stage
	}
	if ctx.Err() == nil || err.Permanent {
		return err
	}
	var known *Error
	if errors.As(context.Cause(ctx), &known) { // Check has found out why
		c.cfg.sign(known)
		return known
	}
	if context.Cause(ctx) != errTimeout {
		return c.cfg.sign(&Error{Stage: err.Stage, Text: "given up: " + oneLine(context.Cause(ctx).Error()), Err: context.Cause(ctx)})
	}
	if err.Text == "" || err.Stage == StageGreeting || err.Stage == StageCapabilities || err.Stage == StageLogin {
		err.Text = fmt.Sprintf("no answer within %s", round(time.Duration(c.cfg.Timeout)))
		err.Hint = slowHint
		if err.Stage == StageGreeting {
			err.Hint = silentHint(c.cfg)
		}
	}
	return err
}

// What to do where a server that has greeted stops, or hangs up.
const (
	slowHint   = "the server is slow, or hangs; if it is only slow, raise timeout"
	brokenHint = "the server, or something in between, broke the connection; it is tried again"
)

// silentHint is what to do where a server takes the connection and says nothing.
func silentHint(cfg *Config) string {
	if cfg.Encryption.Mode != ModeImplicit {
		return fmt.Sprintf("a server that waits for TLS says nothing: if port %d is a TLS port, set protocol = \"tls\" and mode = \"implicit\"", cfg.Port)
	}
	return fmt.Sprintf("the server is overloaded, or it does not speak %s: check address and port", cfg.protocol().name)
}

func (c *connector) close() {
	switch {
	case c.link != nil:
		c.link.Close()
	case c.conn != nil:
		c.conn.Close()
	case c.raw != nil:
		c.raw.Close()
	}
}

// secrets prepares the login. It reads the passwords once to see that they can be
// read before a server is bothered; the proxy and the login read them again.
func (c *connector) secrets(ctx context.Context) (string, *Error) {
	var err error
	if c.shared, err = c.d.share(c.cfg); err != nil {
		return "", explainAuth(err)
	}
	if err := c.shared.auth.Ready(ctx); err != nil {
		failed := explainAuth(err)
		failed.Stage = StageSecrets
		return "", failed
	}
	var read []string
	for _, s := range []struct {
		name   string
		source setting.Source
	}{{"password", c.cfg.Authentication.Password}, {"proxy's password", c.cfg.Proxy.Password}} {
		if s.source.IsZero() {
			continue
		}
		read = append(read, "the "+s.name)
		if len(s.source.Command) > 0 && c.tell == nil {
			continue // a program may be slow or ask somebody: once is enough
		}
		if _, err := s.source.Read(ctx); err != nil {
			return "", secretError(s.name, s.source, err)
		}
	}
	var found []string
	if grant := c.cfg.Authentication.OAuth2.Grant; grant != "" {
		found = append(found, "OAuth 2.0 ("+grant+") gives an access token at the login")
	}
	if len(read) > 0 {
		found = append(found, strings.Join(read, " and ")+" can be read")
	}
	if len(found) == 0 {
		return "no password is configured", nil
	}
	return strings.Join(found, "; "), nil
}

// secretError says why a secret cannot be read. Most of the errors of package
// setting end with what to do.
func secretError(name string, source setting.Source, err error) *Error {
	e := &Error{Stage: StageSecrets, Err: err, Hint: "check the keys that say where it comes from, and that the daemon's user may read it"}
	text := oneLine(err.Error())
	if len(source.Command) > 0 {
		e.Hint = "run the command by hand as the daemon's user; it must print the password and exit with 0"
	} else if before, hint, found := strings.Cut(text, "; "); found {
		text, e.Hint = before, hint
	}
	e.Text = fmt.Sprintf("the %s cannot be read: %s", name, text)
	return e
}

// proxy reaches the server through the proxy, if there is one.
func (c *connector) proxy(ctx context.Context) (string, *Error) {
	if c.cfg.Proxy.Direct(c.cfg.hostPort()) {
		if c.cfg.Proxy.Type == "environment" {
			return "none: the environment names no proxy for this address", nil
		}
		return "none", nil
	}
	if err := c.dial(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s", c.cfg.Proxy.Type, c.raw.RemoteAddr()), nil
}

// connect reaches the server directly, if there is no proxy.
func (c *connector) connect(ctx context.Context) (string, *Error) {
	if c.raw != nil {
		return fmt.Sprintf("%s through the proxy", c.cfg.hostPort()), nil
	}
	if err := c.dial(ctx); err != nil {
		return "", err
	}
	return c.raw.RemoteAddr().String(), nil
}

func (c *connector) dial(ctx context.Context) *Error {
	dialer, err := c.cfg.Proxy.Dialer(rawDialer{c.d.opts.Forward})
	if err != nil {
		return explainDial(c.cfg, err, time.Duration(c.cfg.Timeout))
	}
	host, user := c.cfg.proxyKey()
	if user != "" {
		if wait := c.d.wrong.Locked(host, user, time.Now()); wait > 0 {
			return &Error{Stage: StageProxy, Retry: wait, Permanent: true,
				Text: fmt.Sprintf("not tried: the proxy refused the login of %s three times within an hour, and more could lock the account", user),
				Hint: fmt.Sprintf("it is tried again in %s; correct the proxy's username and password and restart or reload to have it tried at once", round(wait))}
		}
	}
	c.raw, err = dialer.DialContext(ctx, "tcp", c.cfg.hostPort())
	if err == nil {
		return nil
	}
	var pe *proxy.Error
	if user != "" && errors.As(err, &pe) && pe.Stage == proxy.StageLogin && pe.Permanent {
		c.d.wrong.Failed(host, user, time.Now())
	}
	return explainDial(c.cfg, err, time.Duration(c.cfg.Timeout))
}

// proxyKey is what the ledger counts wrong logins at the proxy by; user is "" where
// there is none.
func (c *Config) proxyKey() (host, user string) {
	return fmt.Sprintf("proxy %s:%d", c.Proxy.Address, c.Proxy.Port), c.Proxy.Username
}

// rawDialer dials through no proxy, and wraps what it dialed: the park loop must
// get at the bottom of the connection.
type rawDialer struct{ forward proxy.ContextDialer }

// DialContext implements proxy.ContextDialer.
func (r rawDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	forward := r.forward
	if forward == nil {
		forward = proxy.Direct()
	}
	conn, err := forward.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return wire.Raw(conn), nil
}

// encrypt does the TLS handshake, after STARTTLS in explicit mode.
func (c *connector) encrypt(ctx context.Context) (string, *Error) {
	e := &c.cfg.Encryption
	if e.Protocol == ProtocolNone {
		c.conn = c.raw
		return "none: nothing is encrypted", nil
	}
	config, err := c.tlsConfig()
	if err != nil {
		return "", &Error{Stage: StageTLS, Text: oneLine(err.Error()), Permanent: true, Err: err}
	}
	t, failed := c.handshake(ctx, config)
	if failed != nil {
		return "", failed
	}
	c.conn = t
	state := t.ConnectionState()
	c.state = &state
	if len(state.PeerCertificates) > 0 && c.d.trace.Certificate != nil && !c.cfg.smtp {
		c.d.trace.Certificate(c.cfg.Name, state.PeerCertificates[0].NotAfter)
	}
	if c.tell == nil {
		return "", nil
	}
	return e.describeTLS(&state), nil
}

// tlsConfig returns what the handshake needs.
func (c *connector) tlsConfig() (*tls.Config, error) {
	if c.tell != nil { // somebody wants to know what the certificate is
		return c.cfg.Encryption.TLSConfig(c.cfg.Address)
	}
	return c.d.tls.config(&c.cfg.Encryption, c.cfg.Address, c.cfg.Port)
}

// handshake does the TLS handshake. One that breaks off with a ticket of an earlier
// session is done over without, on a new connection.
func (c *connector) handshake(ctx context.Context, config *tls.Config) (*tls.Conn, *Error) {
	c.tickets = boxOf(config)
	offered := c.tickets.offers()
	t, err := c.handshakeOnce(ctx, config)
	if err == nil {
		return t, nil
	}
	failed := c.explainHandshake(err)
	if !offered || failed.Stage != StageTLS {
		return nil, failed
	}
	c.tickets.fail()
	if ctx.Err() != nil {
		return nil, failed
	}
	c.raw.Close()
	c.raw = nil
	if failed := c.dial(ctx); failed != nil {
		return nil, failed
	}
	if t, err = c.handshakeOnce(ctx, config); err != nil {
		return nil, c.explainHandshake(err)
	}
	c.tickets.distrust()
	return t, nil
}

func (c *connector) handshakeOnce(ctx context.Context, config *tls.Config) (*tls.Conn, error) {
	if c.cfg.Encryption.Mode == ModeExplicit {
		return c.cfg.startTLS(ctx, c.raw, config)
	}
	t := tls.Client(c.raw, config)
	return t, t.HandshakeContext(ctx)
}

// greet reads the greeting. After STARTTLS there is none.
func (c *connector) greet(ctx context.Context) (string, *Error) {
	c.link = wire.NewLink(c.conn, c.shared.link)
	c.unbind = context.AfterFunc(ctx, func() { c.link.Close() })
	c.link.SetProgressTimeout(time.Duration(c.cfg.Timeout))
	if c.cfg.Encryption.Mode == ModeExplicit && c.cfg.Encryption.Protocol != ProtocolNone {
		c.talk = newDialogue(c.link.Lend("* OK encrypted\r\n"))
		return "read before STARTTLS", c.converse(StageGreeting, func() error {
			_, err := c.talk.greeting()
			return err
		})
	}
	c.talk = newDialogue(c.link.Lend(""))
	var greeting *reply
	failed := c.converse(StageGreeting, func() (err error) {
		greeting, err = c.talk.greeting()
		return err
	})
	switch {
	case failed != nil:
		return "", failed
	case greeting.kind == "BYE":
		return "", greeting.err(StageGreeting)
	case greeting.kind == "PREAUTH":
		return "", &Error{Stage: StageGreeting, Permanent: true,
			Text: "the server takes us for somebody already (PREAUTH), so it cannot be said whose mailbox this is",
			Hint: "connect to a port that asks for a login"}
	}
	return oneLine(greeting.text), nil
}

// converse calls f, which talks. It ends with the link, and that with the connect's
// context: see greet.
func (c *connector) converse(stage string, f func() error) *Error {
	if err := f(); err != nil {
		return c.explainTalk(stage, err)
	}
	return nil
}

// explainTalk says why a dialogue failed.
func (c *connector) explainTalk(stage string, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if c.talk.bye != nil {
		return c.talk.bye.err(stage)
	}
	var bye *wire.ByeError
	if dead := c.link.Err(); dead != nil && !errors.Is(dead, net.ErrClosed) {
		err = dead
	}
	switch {
	case remoteAlert(err) != "":
		// With TLS 1.3 a server refuses our certificate, or that there is none, only
		// after our part of the handshake is done.
		e := &Error{Stage: StageTLS, Err: err}
		e.Text, e.Hint, e.pin, e.Permanent = c.cfg.Encryption.explainTLS(c.cfg.protocol(), c.cfg.Address, err)
		return e
	case errors.As(err, &bye):
		return serverError(stage, "BYE", bye.Status.Code, bye.Status.Text)
	case isTimeout(err):
		e := &Error{Stage: stage, Text: "the server did not answer in time: " + oneLine(err.Error()), Hint: slowHint, Err: err}
		if stage == StageGreeting {
			e.Hint = silentHint(c.cfg)
		}
		return e
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		e := &Error{Stage: stage, Text: "the server closed the connection without a word", Err: err}
		switch {
		case stage == StageGreeting && c.cfg.Encryption.Protocol == ProtocolNone:
			e.Hint = silentHint(c.cfg)
		case stage == StageGreeting:
			e.Hint = "it may have too many connections already, or not want this address"
		}
		return e
	}
	e := &Error{Stage: stage, Text: oneLine(err.Error()), Err: err}
	if strings.Contains(e.Text, "does not speak IMAP") || strings.Contains(e.Text, "not an IMAP server") {
		e.Permanent = true
		e.Hint = "check address, port and mode"
	}
	return e
}

// ask learns the capabilities, unless the greeting told them.
func (c *connector) ask(ctx context.Context) (string, *Error) {
	if c.talk.capabilities != "" {
		return c.describeCapabilities(), nil
	}
	return c.askAgain(StageCapabilities)
}

func (c *connector) askAgain(stage string) (string, *Error) {
	c.talk.capabilities = ""
	failed := c.converse(stage, func() error {
		r, err := c.talk.command("CAPABILITY", nil)
		if err == nil && r.kind != "OK" {
			return r.err(stage)
		}
		return err
	})
	if failed != nil {
		return "", failed
	}
	return c.describeCapabilities(), nil
}

func (c *connector) has(capability string) bool {
	return hasCapability(" "+c.talk.capabilities+" ", capability)
}

// describeCapabilities names those that matter to us.
func (c *connector) describeCapabilities() string {
	var found []string
	for _, name := range []string{"IMAP4REV1", "IMAP4REV2", "IDLE", "MOVE", "UIDPLUS", "NOTIFY", "ID", "LOGINDISABLED", "STARTTLS"} {
		if c.has(name) {
			if as := spelled[name]; as != "" {
				name = as
			}
			found = append(found, name)
		}
	}
	for _, word := range strings.Fields(c.talk.capabilities) {
		if strings.HasPrefix(word, "AUTH=") {
			found = append(found, word)
		}
	}
	return oneLine(strings.Join(found, " "))
}

// session makes the session of what has been connected.
func (c *connector) session() *session {
	s := &session{
		d:     c.d,
		cfg:   c.cfg,
		link:  c.link,
		caps:  unique.Make(" " + c.talk.capabilities + " "),
		since: time.Now(),
	}
	if c.state != nil {
		s.tls = &TLSInfo{Version: versionName(c.state.Version), Cipher: tls.CipherSuiteName(c.state.CipherSuite)}
		if len(c.state.PeerCertificates) > 0 {
			s.tls.NotAfter = c.state.PeerCertificates[0].NotAfter
		}
	}
	if err := c.link.Reclaim(nil); err != nil {
		s.broken = true
	}
	return s
}
