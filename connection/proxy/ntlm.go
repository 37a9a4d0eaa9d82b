package proxy

import (
	"encoding/base64"
	"errors"

	ntlmssp "github.com/Azure/go-ntlmssp"
)

// ntlm is NTLM (MS-NLMP, carried as in MS-NTHT) with the NTLMv2 response. It logs
// in a TCP connection, not a request: negotiate, challenge and response must go
// over the same one.
type ntlm struct {
	c          *call
	negotiated bool // the negotiate message is out
	challenged bool // the response is out
}

// maxChallenge is the most bytes of an NTLM challenge.
const maxChallenge = 16 << 10

func (n *ntlm) first() (string, error) {
	m, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		return "", err
	}
	n.negotiated = true
	return "NTLM " + base64.StdEncoding.EncodeToString(m), nil
}

func (n *ntlm) next(parameters string) (string, bool, error) {
	switch {
	case n.challenged:
		return "", false, nil
	case parameters == "" && n.negotiated:
		return "", false, errors.New("it is empty")
	case parameters == "":
		a, err := n.first()
		return a, true, err
	case !n.negotiated:
		return "", false, errors.New("it came unasked")
	}
	n.challenged = true
	challenge, err := decodeNTLM(parameters)
	if err != nil {
		return "", false, err
	}
	m, err := ntlmssp.NewAuthenticateMessage(challenge, n.user(), n.c.password.Reveal(), nil)
	if err != nil {
		return "", false, err
	}
	return "NTLM " + base64.StdEncoding.EncodeToString(m), true, nil
}

// user is the name as go-ntlmssp wants it: the domain before a backslash.
func (n *ntlm) user() string {
	if n.c.cfg.Domain != "" {
		return n.c.cfg.Domain + `\` + n.c.username
	}
	return n.c.username
}

func decodeNTLM(parameters string) ([]byte, error) {
	if len(parameters) > base64.StdEncoding.EncodedLen(maxChallenge) {
		return nil, errors.New("it is too long")
	}
	return base64.StdEncoding.DecodeString(parameters)
}
