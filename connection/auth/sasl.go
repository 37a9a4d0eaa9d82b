package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
)

// maxChallenge is the most that a server may say in one step of an exchange.
const maxChallenge = 16 << 10

// prepare makes the SASL client.
func (l *Login) prepare(s Server) error {
	user, password := l.Username, l.Password.Reveal()
	switch l.Mechanism {
	case LoginCommand:
	case "PLAIN":
		l.SASL = sasl.NewPlainClient(l.Alias, user, password)
	case "LOGIN":
		l.SASL = &loginClient{answers: []string{user, password}}
	case "CRAM-MD5":
		l.SASL = &cramMD5{user: user, password: password}
	case "SCRAM-SHA-1", "SCRAM-SHA-256":
		c, err := newSCRAM(l.Mechanism, user, password, l.Alias)
		if err != nil {
			return err
		}
		l.SASL, l.verify = c, c.verify
	case "EXTERNAL":
		l.SASL = sasl.NewExternalClient(l.Alias)
	case "ANONYMOUS":
		l.SASL = sasl.NewAnonymousClient("anonymous")
	case "XOAUTH2":
		l.SASL = &xoauth2{user: l.mailbox(), token: l.Password}
	case "OAUTHBEARER":
		l.SASL = &oauthBearer{user: l.mailbox(), token: l.Password, host: s.Host, port: s.Port}
	default:
		return fmt.Errorf("unknown mechanism %q", l.Mechanism)
	}
	return nil
}

// mailbox is whose mailbox the login is for.
func (l *Login) mailbox() string {
	if l.Alias != "" {
		return l.Alias
	}
	return l.Username
}

// loginClient is SASL LOGIN, which no RFC defines: the server asks for the user
// name and then for the password. Servers word their questions in many ways, so
// only the order counts. There is no initial response, as some servers that
// otherwise take one mishandle it here.
type loginClient struct{ answers []string }

func (c *loginClient) Start() (string, []byte, error) { return "LOGIN", nil, nil }

func (c *loginClient) Next(challenge []byte) ([]byte, error) {
	if len(c.answers) == 0 {
		return nil, &Error{Mechanism: "LOGIN", Text: "the server asks for more than user name and password", Permanent: true}
	}
	if strings.Contains(strings.ToLower(string(challenge[:min(len(challenge), maxChallenge)])), "password") && len(c.answers) == 2 {
		return nil, &Error{Mechanism: "LOGIN", Text: "the server asks for the password before the user name", Permanent: true}
	}
	answer := c.answers[0]
	c.answers = c.answers[1:]
	return []byte(answer), nil
}

// cramMD5 is CRAM-MD5 (RFC 2195).
type cramMD5 struct {
	user, password string
	answered       bool
}

func (c *cramMD5) Start() (string, []byte, error) { return "CRAM-MD5", nil, nil }

func (c *cramMD5) Next(challenge []byte) ([]byte, error) {
	if c.answered || len(challenge) == 0 || len(challenge) > maxChallenge {
		return nil, &Error{Mechanism: "CRAM-MD5", Text: "the server's challenge makes no sense", Permanent: true}
	}
	c.answered = true
	mac := hmac.New(md5.New, []byte(c.password))
	mac.Write(challenge)
	return []byte(c.user + " " + hex.EncodeToString(mac.Sum(nil))), nil
}
