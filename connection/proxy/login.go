package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
)

// scheme is one way to log in to an HTTP proxy (RFC 9110 section 11.7), for one
// dial.
type scheme interface {
	// first is the Proxy-Authorization of a first request; "" if the proxy must
	// speak first.
	first() (string, error)
	// next answers the parameters of a challenge of this scheme. The second
	// result is false if the challenge means that the last answer was wrong.
	next(parameters string) (authorization string, more bool, err error)
}

// schemes in the order of their strength, best first. Digest and NTLMv2 do not
// show the password; NTLMv2 comes second as its hash of the password is as good as
// the password itself, and comes first if a domain is configured.
var schemes = []string{"digest", "ntlm", "basic"}

// login is the state of an HTTP proxy's login. The scheme is the configured one;
// with "auto" it is the strongest of those in the first challenge.
type login struct {
	c             *call
	name          string // of the scheme, "" while it is not chosen
	scheme        scheme
	authorization string // for the next request
	answers       int    // how many answers were given
}

func newLogin(c *call) (*login, error) {
	l := &login{c: c}
	if c.username == "" || c.cfg.Authentication == "auto" {
		return l, nil
	}
	l.choose(c.cfg.Authentication)
	var err error
	l.authorization, err = l.scheme.first()
	return l, err
}

func (l *login) choose(name string) {
	l.name = name
	switch name {
	case "basic":
		l.scheme = &basic{l.c}
	case "digest":
		l.scheme = &digestScheme{c: l.c}
	case "ntlm":
		l.scheme = &ntlm{c: l.c}
	}
}

// bound reports whether the login holds for this connection only.
func (l *login) bound() bool {
	n, ok := l.scheme.(*ntlm)
	return ok && n.challenged
}

// answer makes the authorization for the next request, after a 407.
func (l *login) answer(r *reply) error {
	offered := challenges(r.header)
	e := &Error{Stage: StageLogin, Permanent: true}
	refused := func() error {
		e.Text = fmt.Sprintf("the proxy refused user name or password (%s): it said %s", l.name, said(r.line, l.c.secrets()...))
		e.Hint = "check the proxy's username and password"
		if l.name == "ntlm" {
			e.Hint += ", and domain"
		}
		return e
	}
	if l.c.username == "" {
		e.Text = fmt.Sprintf("the proxy wants user name and password (it offers %s)", names(offered))
		e.Hint = "set the proxy's username and password"
		return e
	}
	if l.scheme == nil {
		order := slices.Clone(schemes)
		if l.c.cfg.Domain != "" {
			order = []string{"ntlm", "digest", "basic"}
		}
		for _, name := range order {
			if slices.ContainsFunc(offered, func(ch challenge) bool { return ch.scheme == name }) {
				l.choose(name)
				break
			}
		}
	}
	var mine []string
	for _, ch := range offered {
		if ch.scheme == l.name {
			mine = append(mine, ch.parameters)
		}
	}
	switch {
	case len(mine) > 0:
	case l.answers > 0 || l.authorization != "" && len(offered) == 0:
		return refused() // tinyproxy's 401 has another header
	default:
		e.Text = fmt.Sprintf("the proxy offers no login that fits: it offers %s", names(offered))
		e.Hint = `set the proxy's authentication to "auto", basic, digest or ntlm`
		return e
	}
	if l.name == "digest" {
		mine = []string{strongestDigest(mine)}
	}
	authorization, more, err := l.scheme.next(mine[0])
	if err != nil {
		e.Text, e.Err = fmt.Sprintf("the proxy's %s challenge makes no sense: %s", l.name, setting.Printable(setting.Redact(err.Error(), l.c.secrets()...), maxSaid)), err
		return e
	}
	if !more {
		return refused()
	}
	l.answers++
	l.authorization = authorization
	return nil
}

// challenge is one challenge of a Proxy-Authenticate header.
type challenge struct{ scheme, parameters string }

// challenges takes the header fields apart (RFC 9110 section 11.6.1): several
// challenges may be in one field, separated by commas as their parameters are.
func challenges(h http.Header) []challenge {
	var all []challenge
	for _, field := range append(slices.Clone(h.Values("Proxy-Authenticate")), h.Values("WWW-Authenticate")...) {
		for _, item := range splitQuoted(field) {
			word, rest, _ := strings.Cut(item, " ")
			rest = strings.TrimSpace(rest)
			if strings.Contains(word, "=") || strings.HasPrefix(rest, "=") {
				if len(all) > 0 { // a parameter of the last challenge
					p := &all[len(all)-1].parameters
					if *p != "" {
						*p += ", "
					}
					*p += item
				}
				continue
			}
			if !isToken(word) {
				continue
			}
			all = append(all, challenge{strings.ToLower(word), rest})
		}
	}
	return all
}

// isToken reports whether s can be the name of a scheme.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	})
}

// splitQuoted splits at the commas that are outside of quoted strings.
func splitQuoted(s string) []string {
	var items []string
	start, quoted := 0, false
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == ',' && !quoted:
			if item := strings.TrimSpace(s[start:i]); item != "" {
				items = append(items, item)
			}
			start = i + 1
		case s[i] == '\\' && quoted:
			i++
			if i == len(s) { // an escape of nothing: the loop must still end the last item
				i--
				quoted = false
			}
		case s[i] == '"':
			quoted = !quoted
		}
	}
	return items
}

func names(offered []challenge) string {
	var n []string
	for _, ch := range offered {
		if !slices.Contains(n, ch.scheme) {
			n = append(n, ch.scheme)
		}
	}
	if len(n) == 0 {
		return "nothing"
	}
	return setting.Printable(strings.Join(n, ", "), maxSaid)
}
