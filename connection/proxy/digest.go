package proxy

import (
	"net/http"
	"strings"

	"github.com/icholy/digest"
)

// digestScheme is the Digest scheme (RFC 7616) with MD5, SHA-256 or SHA-512/256. The proxy
// speaks first, as its nonce is needed.
type digestScheme struct {
	c        *call
	answered bool
	stale    bool
}

func (d *digestScheme) first() (string, error) { return "", nil }

func (d *digestScheme) next(parameters string) (string, bool, error) {
	ch, err := parseDigest(parameters)
	if err != nil {
		return "", false, err
	}
	if d.answered && (!ch.Stale || d.stale) {
		return "", false, nil
	}
	d.stale = d.answered
	d.answered = true
	credentials, err := digest.Digest(ch, digest.Options{
		Method:   http.MethodConnect,
		URI:      d.c.target.String(),
		Count:    1,
		Username: d.c.username,
		Password: d.c.password.Reveal(),
	})
	if err != nil {
		return "", false, err
	}
	return credentials.String(), true, nil
}

func parseDigest(parameters string) (*digest.Challenge, error) {
	ch, err := digest.ParseChallenge(digest.Prefix + parameters)
	if err != nil {
		return nil, err
	}
	for i := range ch.QOP {
		ch.QOP[i] = strings.TrimSpace(ch.QOP[i])
	}
	return ch, nil
}

// strongestDigest picks the challenge with the best algorithm that is known here.
func strongestDigest(all []string) string {
	best, bestRank := all[0], -1
	for _, parameters := range all {
		ch, err := parseDigest(parameters)
		if err != nil || !digest.CanDigest(ch) {
			continue
		}
		rank := 0
		if a := strings.ToUpper(ch.Algorithm); strings.HasPrefix(a, "SHA-") {
			rank = 1
		}
		if rank > bestRank {
			best, bestRank = parameters, rank
		}
	}
	return best
}
