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
	sharedFor    = 10 * time.Second // logins within this time share a token
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

// shared reports whether the token is so young that logins which come one after
// the other share it.
func (t *token) shared(now time.Time) bool { return now.Sub(t.got) < sharedFor }

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
	refresh string    // the refresh token it was about ...
	stored  time.Time // ... and when that was stored
}

func newTokens(cfg *OAuth2, user string, o Options) (*tokens, error) {
	t := &tokens{cfg: cfg, user: user, opts: o, http: newHTTPClient(o), turn: make(chan struct{}, 1)}
	if cfg.byConsent() {
		t.store = newStore(cfg.RefreshTokenFile, o.StateDir, o.Connection)
	}
	return t, nil
}

// get returns an access token that is good for a login now. Each login of a
// session gets a new one, so that a session lasts as long as it can and consent
// that is withdrawn shows at the next reconnect; those within a few seconds share
// one. Where no new one can be had for a while, the last is used up to its end. The
// errors are *AuthRequired and *Error.
func (t *tokens) get(ctx context.Context) (*token, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, &Error{Text: "the access token did not come in time", Hint: "is the authorization server slow?", Err: ctx.Err()}
	}
	defer func() { <-t.turn }()
	now := t.opts.Now()
	last := t.last
	if last != nil && !last.fresh(now) {
		last = nil
	}
	if last != nil && (t.opts.SMTP || last.shared(now)) {
		return last, nil
	}
	if t.held(now) {
		return t.orElse(last, t.fail.err)
	}
	t.fail, t.last = failure{}, nil
	limit := requestTime
	if deadline, ok := ctx.Deadline(); ok && last != nil { // leave time for the login with the last one
		limit = min(limit, time.Until(deadline)/3)
	}
	stored := t.stored()
	asking, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	got, refresh, err := t.fetch(asking)
	if err != nil {
		t.last = last
		if asking.Err() == nil || !errors.Is(err, context.Canceled) { // else it is the caller who gave up
			t.fail = failure{err, t.opts.Now().Add(hold(err)), refresh, stored}
		}
		return t.orElse(last, err)
	}
	t.last = newToken(got, t.opts.Now())
	return t.last, nil
}

// held reports whether the last failure stands for this try, too.
func (t *tokens) held(now time.Time) bool {
	return t.fail.err != nil && now.Before(t.fail.until) && !t.refreshChanged()
}

// orElse is what there is where no new token is to be had: the last one, unless
// somebody has to consent.
func (t *tokens) orElse(last *token, err error) (*token, error) {
	var required *AuthRequired
	if last == nil || errors.As(err, &required) {
		return nil, err
	}
	t.opts.Log.Debug("no new access token; using the last", "connection", t.opts.Connection, "err", err)
	return last, nil
}

// Ready reports, without asking a server, whether somebody has to consent before
// a login can work: the error is an *AuthRequired, or nil.
func (a *Authenticator) Ready(ctx context.Context) error {
	t := a.tokens
	if t == nil || t.store == nil {
		return nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil // somebody is asking the server
	}
	defer func() { <-t.turn }()
	var required *AuthRequired
	if errors.As(t.fail.err, &required) && t.held(t.opts.Now()) {
		return required
	}
	if _, err := t.store.load(); errors.Is(err, errNoRefreshToken) {
		return t.noRefreshToken(err)
	}
	return nil
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

// refreshChanged reports whether a refresh token was stored since the last
// failure: somebody has run --authorize. It may be the same one.
func (t *tokens) refreshChanged() bool {
	if t.store == nil {
		return false
	}
	refresh, err := t.store.load()
	return err == nil && (refresh != t.fail.refresh || !t.stored().Equal(t.fail.stored))
}

// stored is when the refresh token was stored; zero where there is none.
func (t *tokens) stored() time.Time {
	if t.store == nil {
		return time.Time{}
	}
	return t.store.modified()
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
