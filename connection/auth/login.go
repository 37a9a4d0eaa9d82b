package auth

import (
	"net"
	"sync/atomic"

	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"mailtrigger/connection/setting"
)

// Login is one login that Choose has prepared. It is good for one try.
type Login struct {
	Mechanism string         // the SASL mechanism, e.g. "SCRAM-SHA-256", or "LOGIN command"
	SASL      sasl.Client    // nil: the LOGIN command with Username and Password
	Username  string         // who we are
	Alias     string         // whose mailbox, if not Username's own
	Password  setting.Secret // zero where there is none
	Warning   string         // what a person should know of this login; "" mostly

	token  *token       // the access token, if one is used ...
	own    bool         // ... and whether it was got for this login
	verify func() error // the end of a mutual authentication; nil: nothing to check
}

// LoginCommand is the Mechanism of a login by the LOGIN command (RFC 9051 section 6.2.3).
const LoginCommand = "LOGIN command"

// Do logs in with a client that was made on conn. The error is not fit for
// people yet: give it to Authenticator.Failed. After an error the connection
// must be closed, as the server may still wait for the rest of an exchange.
func (l *Login) Do(client *imapclient.Client, conn *Conn) error {
	if l.SASL == nil {
		return client.Login(l.Username, l.Password.Reveal()).Wait()
	}
	conn.sasl.Store(true)
	defer conn.sasl.Store(false)
	if err := client.Authenticate(l.SASL); err != nil {
		return err
	}
	return l.Verify()
}

// Verify is to be called once the server said OK, by those who do not use Do. It
// returns an error if the mechanism lets the server prove who it is, as SCRAM
// does, and the server said OK without having done so.
func (l *Login) Verify() error {
	if l.verify == nil {
		return nil
	}
	return l.verify()
}

func (l *Login) secrets() []setting.Secret {
	s := []setting.Secret{
		setting.NewSecret(l.Alias + "\x00" + l.Username + "\x00" + l.Password.Reveal()), // PLAIN's message
		l.Password,
	}
	if l.token != nil {
		s = append(s, setting.NewSecret(l.token.access))
	}
	if r, ok := l.SASL.(interface{ revealing() []setting.Secret }); ok {
		s = append(s, r.revealing()...)
	}
	return s
}

// advice is what to do when the server has refused the login. protocol is what has
// to be switched on for the account.
func (l *Login) advice(protocol string) string {
	var s string
	switch {
	case l.token != nil:
		s = "the access token is new, so check that the account may use " + protocol + ", that username is right, and the scopes"
	case l.Mechanism == "EXTERNAL":
		s = "check the client certificate, and who it stands for on the server"
	case l.Mechanism == "ANONYMOUS":
		s = "the server lets nobody in without a name"
	case l.Mechanism == "XOAUTH2" || l.Mechanism == "OAUTHBEARER":
		s = "check username and the access token, which may have expired"
	case l.Mechanism == "SCRAM-SHA-1" || l.Mechanism == "SCRAM-SHA-256" || l.Mechanism == "CRAM-MD5":
		s = `check username and password; if both are right, the server may have no fitting form of the password: try mechanism = "plain"`
	default:
		s = "check username and password; some providers want an app password, or " + protocol + " to be switched on"
	}
	if l.Alias != "" {
		s += ", and that it may log in for the alias"
	}
	return s
}

// Conn is the connection to make an imapclient.Client on, where Login.Do is to be
// used. go-imap writes an empty SASL response in mid-exchange as "=", which
// stands for an empty *initial* response only (RFC 9051 section 6.2.2): Dovecot
// and Cyrus refuse it, and with it the end of each SCRAM exchange. While a SASL
// exchange runs, Conn writes an empty line instead. Else it does nothing.
type Conn struct {
	net.Conn
	sasl atomic.Bool
}

// NewConn returns c as a Conn.
func NewConn(c net.Conn) *Conn { return &Conn{Conn: c} }

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Write implements io.Writer.
func (c *Conn) Write(p []byte) (int, error) {
	if c.sasl.Load() && string(p) == "=\r\n" {
		n, err := c.Conn.Write(p[1:])
		if err == nil {
			n++
		}
		return n, err
	}
	return c.Conn.Write(p)
}
