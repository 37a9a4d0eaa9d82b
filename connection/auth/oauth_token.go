package auth

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
)

// How long tokens and failures are kept.
const (
	maxMargin    = 5 * time.Minute  // a token that ends sooner is renewed at a login
	unknownLife  = time.Minute      // of a token whose end the server does not tell
	requestTime  = 30 * time.Second // for one exchange with the authorization server
	holdFault    = 3 * time.Second  // a transient failure stands for those who wait, too
	holdRefusal  = time.Minute      // a mistake in the settings
	holdConsent  = time.Hour        // consent is gone, unless another refresh token is stored
	nearlyFuture = 100 * 365 * 24 * time.Hour
)

// token is an access token. It never changes.
type token struct {
	access string
	got    time.Time
	life   time.Duration
}

// fresh reports whether the token is good for a login: its end is not near. A
// session that has logged in may be ended with the token.
func (t *token) fresh(now time.Time) bool {
	left := t.life - now.Sub(t.got)
	return left > min(maxMargin, t.life/4)
}

// isNew reports whether the token is so young that the mail server's refusal of it
// cannot be a matter of age.
func (t *token) isNew(now time.Time) bool { return now.Sub(t.got) < time.Minute }

// tokens gets access tokens for one Authenticator, one request at a time, and
// keeps the last. Failures are kept for a while, too, so that many sessions that
// want a token do not become many requests that fail.
type tokens struct {
	cfg   *OAuth2
	user  string
	opts  Options
	http  *http.Client
	store *store // of the refresh token; nil if the grant has none

	turn chan struct{} // holds one item while somebody is at work; guards what follows
	last *token
	fail failure
	// style is how the server takes the client's secret; RFC 6749 section 2.3.1
	// wants HTTP Basic, and providers want the form.
	style atomic.Int32 // an oauth2.AuthStyle; not guarded by turn
}

type failure struct {
	err     error
	until   time.Time
	refresh string // the refresh token it was about
}

func newTokens(cfg *OAuth2, user string, o Options) (*tokens, error) {
	t := &tokens{cfg: cfg, user: user, opts: o, http: newHTTPClient(o), turn: make(chan struct{}, 1)}
	if cfg.byConsent() {
		t.store = newStore(cfg.RefreshTokenFile, o.StateDir, o.Connection)
	}
	return t, nil
}

// get returns an access token that is good for a login now. The errors are
// *AuthRequired and *Error.
func (t *tokens) get(ctx context.Context) (*token, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, &Error{Text: "the access token did not come in time", Hint: "is the authorization server slow?", Err: ctx.Err()}
	}
	defer func() { <-t.turn }()
	now := t.opts.Now()
	if t.last != nil && t.last.fresh(now) {
		return t.last, nil
	}
	if t.fail.err != nil && now.Before(t.fail.until) && !t.refreshChanged() {
		return nil, t.fail.err
	}
	t.fail, t.last = failure{}, nil
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	got, refresh, err := t.fetch(ctx)
	if err != nil {
		if ctx.Err() == nil || !errors.Is(err, context.Canceled) { // else it is the caller who gave up
			t.fail = failure{err, t.opts.Now().Add(hold(err)), refresh}
		}
		return nil, err
	}
	t.last = newToken(got, t.opts.Now())
	return t.last, nil
}

// newToken takes over an oauth2.Token. A missing or absurd expiry is one that is
// not known.
func newToken(got *oauth2.Token, now time.Time) *token {
	life := time.Duration(got.ExpiresIn) * time.Second
	if life == 0 && !got.Expiry.IsZero() {
		life = time.Until(got.Expiry)
	}
	if life <= 0 || life > nearlyFuture {
		life = unknownLife
	}
	return &token{access: got.AccessToken, got: now, life: life}
}

func hold(err error) time.Duration {
	var required *AuthRequired
	var known *Error
	switch {
	case errors.As(err, &required):
		return holdConsent
	case errors.As(err, &known) && known.Permanent:
		return holdRefusal
	}
	return holdFault
}

// refreshChanged reports whether another refresh token is stored than the one
// that failed: somebody has run --authorize.
func (t *tokens) refreshChanged() bool {
	if t.store == nil {
		return false
	}
	refresh, err := t.store.load()
	return err == nil && refresh != t.fail.refresh
}

// forget drops a token that the mail server has refused. It reports whether it
// was an old one, so that a new one may do better.
func (a *Authenticator) forget(refused *token) bool {
	t := a.tokens
	if t == nil {
		return false
	}
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	if t.last == refused {
		t.last = nil
	}
	return !refused.isNew(a.opts.Now())
}
