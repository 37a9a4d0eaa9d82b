package auth

import (
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
	"github.com/xdg-go/stringprep"
)

// maxIterations bounds the work a server can ask for: the hash is computed this
// often, which takes about a second of CPU. Servers use 4096 to 1,300,000. The
// library refuses fewer than 4096 (RFC 5802 section 5.1).
const maxIterations = 2_000_000

// scramClient is SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677) without
// channel binding, GS2 flag "n": servers offer -PLUS that then take no binding
// type over TLS 1.3 (see RFC 9266), and refuse the flag "y".
type scramClient struct {
	name string
	c    *scram.ClientConversation
	step int
}

func newSCRAM(name, user, password, alias string) (*scramClient, error) {
	hash := scram.SHA1
	if name == "SCRAM-SHA-256" {
		hash = scram.SHA256
	}
	c, err := hash.NewClient(user, password, alias)
	if err != nil {
		// SASLprep refuses what Unicode 3.2 did not know, emoji say. Servers
		// that have such a password keep it as it is.
		if c, err = hash.NewClientUnprepped(user, password, alias); err != nil {
			return nil, &Error{Mechanism: name, Text: "the password cannot be used", Permanent: true}
		}
	}
	return &scramClient{name: name, c: c.NewConversation()}, nil
}

func (s *scramClient) Start() (string, []byte, error) {
	first, err := s.c.Step("")
	return s.name, []byte(first), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	if len(challenge) > maxChallenge {
		return nil, s.fault("the server's challenge is too long", nil)
	}
	s.step++
	if s.step == 1 {
		if n, ok := iterations(string(challenge)); ok && n > maxIterations {
			return nil, s.fault("the server asks for "+strconv.Itoa(n)+" iterations, at most "+strconv.Itoa(maxIterations)+" are done", nil)
		}
	}
	answer, err := s.c.Step(string(challenge))
	if err != nil {
		if s.step == 2 && strings.HasPrefix(string(challenge), "e=") {
			// RFC 5802 section 7: the server-error-value. Its NO follows.
			return nil, &Error{Mechanism: s.name, Text: "the server said " + strconv.Quote(said(string(challenge))), Hint: "check username and password", Refused: true, Permanent: true}
		}
		return nil, s.fault("the server's challenge makes no sense: "+said(err.Error()), err)
	}
	return []byte(answer), nil
}

// verify reports whether the server has proven that it knows the password.
func (s *scramClient) verify() error {
	if !s.c.Valid() {
		return s.fault("the server said OK without proving that it knows the password", nil)
	}
	return nil
}

func (s *scramClient) fault(text string, err error) error {
	return &Error{Mechanism: s.name, Text: text, Hint: "is this the right server?", Permanent: true, Err: err}
}

// iterations returns the iteration count of a server-first-message.
func iterations(challenge string) (int, bool) {
	for field := range strings.SplitSeq(challenge, ",") {
		if value, found := strings.CutPrefix(field, "i="); found {
			n, err := strconv.Atoi(value)
			return n, err == nil
		}
	}
	return 0, false
}

// plainUnderSASLprep reports whether SASLprep leaves the password as it is.
func plainUnderSASLprep(password string) bool {
	p, err := stringprep.SASLprep.Prepare(password)
	return err == nil && p == password
}
