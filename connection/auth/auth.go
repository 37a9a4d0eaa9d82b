package auth

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"
)

// ContextDialer makes connections; a proxy.ContextDialer is one.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Options are what an Authenticator needs beside its table. The zero value is
// useful but for OAuth 2.0.
type Options struct {
	Connection string           // the connection's name, for errors and the default refresh_token_file
	StateDir   string           // where refresh tokens are kept unless refresh_token_file is given
	Dialer     ContextDialer    // for OAuth 2.0 over HTTP; nil: a plain net.Dialer
	RootCAs    *x509.CertPool   // for OAuth 2.0 over HTTP; nil: the system's
	Now        func() time.Time // nil: time.Now
	Log        *slog.Logger     // may be nil

	// AllowClearText: the configuration says encryption.protocol = "none", so
	// that a password may go over an unencrypted connection if there is no
	// better way. Login.Warning says so where it does.
	AllowClearText bool
	// SMTP: the account is one for sending mail: the default OAuth 2.0 scopes
	// are those for SMTP, and there is no LOGIN command to fall back to.
	SMTP bool
}

// An Authenticator proves who we are, for one connection's table: it chooses the
// mechanism, reads the secrets anew for each login, and keeps OAuth 2.0 access
// tokens. It may be used by many goroutines at once, and should be shared by all
// sessions of a connection, as then one asks for a token and all get it.
type Authenticator struct {
	cfg    *Config // with its defaults; the caller's own, if it has them already
	opts   Options
	tokens *tokens // nil without an oauth2 table
}

// protocol is what a login is for, for people.
func (a *Authenticator) protocol() string {
	if a.opts.SMTP {
		return "SMTP AUTH"
	}
	return "IMAP"
}

// New returns an Authenticator for cfg, which has passed Validate and must not be changed
// from now on.
func New(cfg *Config, o Options) (*Authenticator, error) {
	a := &Authenticator{cfg: cfg, opts: o}
	if cfg.OAuth2.enabled() || !slices.Contains(Mechanisms, cfg.Mechanism) {
		full := *cfg
		full.SetDefaults()
		a.cfg = &full
	}
	if p := a.cfg.Validate(); len(p) > 0 {
		return nil, fmt.Errorf("authentication: %w", p[0])
	}
	if a.opts.Now == nil {
		a.opts.Now = time.Now
	}
	if a.opts.Log == nil {
		a.opts.Log = slog.New(slog.DiscardHandler)
	}
	if a.cfg.OAuth2.enabled() {
		t, err := newTokens(&a.cfg.OAuth2, a.cfg.Username, a.opts)
		if err != nil {
			return nil, err
		}
		a.tokens = t
	}
	return a, nil
}
