package auth

import (
	"encoding/json"
	"strconv"
	"strings"

	"mailtrigger/connection/setting"
)

// xoauth2 is XOAUTH2, a mechanism of Google's that Microsoft and others have
// taken over. It predates RFC 7628. A refusal comes as a challenge with JSON, to
// be answered by nothing; only then the server says NO.
type xoauth2 struct {
	user    string
	token   setting.Secret
	refused bool
}

func (c *xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + c.user + "\x01auth=Bearer " + c.token.Reveal() + "\x01\x01"), nil
}

func (c *xoauth2) Next(challenge []byte) ([]byte, error) {
	return nil, bearerRefused("XOAUTH2", challenge, &c.refused)
}

func (c *xoauth2) revealing() []setting.Secret { return bearerSecrets(c) }

// oauthBearer is OAUTHBEARER (RFC 7628). A refusal comes as a challenge with
// JSON, to be answered by a single 0x01 (section 3.2.3).
type oauthBearer struct {
	user    string
	token   setting.Secret
	host    string
	port    int
	refused bool
}

// saslName escapes a name for the GS2 header.
var saslName = strings.NewReplacer("=", "=3D", ",", "=2C")

func (c *oauthBearer) Start() (string, []byte, error) {
	// The GS2 header (RFC 5801 section 4) has the user's "=" and "," escaped.
	m := "n,a=" + saslName.Replace(c.user) + ",\x01"
	if c.host != "" {
		m += "host=" + c.host + "\x01"
	}
	if c.port != 0 {
		m += "port=" + strconv.Itoa(c.port) + "\x01"
	}
	return "OAUTHBEARER", []byte(m + "auth=Bearer " + c.token.Reveal() + "\x01\x01"), nil
}

func (c *oauthBearer) Next(challenge []byte) ([]byte, error) {
	return []byte{1}, bearerRefused("OAUTHBEARER", challenge, &c.refused)
}

func (c *oauthBearer) revealing() []setting.Secret { return bearerSecrets(c) }

// bearerRefused takes the challenge that says why a token was refused. The
// reason itself comes again with the NO. A second challenge is a fault.
func bearerRefused(mechanism string, challenge []byte, refused *bool) error {
	if *refused || len(challenge) > maxChallenge || !json.Valid(challenge) {
		return &Error{Mechanism: mechanism, Text: "the server's challenge makes no sense: " + strconv.Quote(said(string(challenge)))}
	}
	*refused = true
	return nil
}

// bearerSecrets is the whole first message, which a server may echo in base64.
func bearerSecrets(c interface {
	Start() (string, []byte, error)
}) []setting.Secret {
	_, m, _ := c.Start()
	return []setting.Secret{setting.NewSecret(string(m))}
}
