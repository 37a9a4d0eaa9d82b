package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"mailtrigger/connection/setting"
)

// fetch gets an access token by the grant. The second result is the refresh token
// that was used, if any.
func (t *tokens) fetch(ctx context.Context) (*oauth2.Token, string, error) {
	secret, err := t.cfg.ClientSecret.Read(ctx)
	if err != nil {
		return nil, "", &Error{Text: "cannot read oauth2.client_secret: " + err.Error(), Err: err}
	}
	if t.store != nil {
		return t.refresh(ctx, secret)
	}
	got, err := t.twoLegged(ctx, secret)
	return got, "", t.explain(err, secret)
}

// refresh uses the stored refresh token (RFC 6749 section 6), and stores the new
// one if the server gives one in its place.
func (t *tokens) refresh(ctx context.Context, secret setting.Secret) (*oauth2.Token, string, error) {
	release, err := lockFile(ctx, t.store.path)
	if err != nil {
		return nil, "", &Error{Text: "another connection or process is renewing the same refresh token", Hint: "it is tried again", Err: err}
	}
	defer release()
	refresh, err := t.store.load()
	for {
		if err != nil {
			return nil, "", t.noRefreshToken(err)
		}
		got, failed := t.withStyles(secret, func(c *oauth2.Config) (*oauth2.Token, error) {
			return c.TokenSource(t.context(ctx), &oauth2.Token{RefreshToken: refresh}).Token()
		})
		if failed == nil {
			if got.RefreshToken != refresh && got.RefreshToken != "" {
				if err := t.store.rotate(refresh, got.RefreshToken); err != nil {
					t.opts.Log.Error("cannot store the new refresh token; it is kept in memory until the process ends", "connection", t.opts.Connection, "err", err)
				}
			}
			return got, got.RefreshToken, nil
		}
		// Another process may have renewed it between our reading and asking.
		again, err2 := t.store.load()
		if err2 == nil && again != refresh && isCode(failed, "invalid_grant") {
			refresh, err = again, nil
			continue
		}
		return nil, refresh, t.explain(failed, secret, setting.NewSecret(refresh))
	}
}

func (t *tokens) noRefreshToken(err error) error {
	if errors.Is(err, errNoRefreshToken) {
		return &AuthRequired{Connection: t.opts.Connection, Reason: "nobody has consented yet (there is no refresh token in " + t.store.path + ")", Err: err}
	}
	return &Error{Text: "cannot read the refresh token: " + err.Error(), Err: err}
}

// twoLegged are the grants for which nobody has to consent each time:
// client_credentials (RFC 6749 section 4.4, with a secret, or an assertion by RFC
// 7523 section 2.2) and service_account (the JWT bearer grant, RFC 7523 section 2.1).
func (t *tokens) twoLegged(ctx context.Context, secret setting.Secret) (*oauth2.Token, error) {
	scopes := t.cfg.scopes(t.opts.SMTP)
	if t.cfg.Grant == "service_account" {
		account, err := readServiceAccount(t.cfg.ServiceAccountFile)
		if err != nil {
			return nil, &Error{Text: "service_account_file: " + err.Error(), Err: err}
		}
		to := t.cfg.TokenURL
		if to == "" {
			to = account.TokenURI
		}
		if err := checkURL(to); err != nil {
			return nil, &Error{Text: "token_uri of the service account " + err.Error(), Permanent: true}
		}
		assertion, err := account.signer.assertion(claims{Issuer: account.ClientEmail, Subject: t.cfg.Subject, Audience: to, Scope: strings.Join(scopes, " ")}, t.opts.Now())
		if err != nil {
			return nil, err
		}
		c := &clientcredentials.Config{TokenURL: to, AuthStyle: oauth2.AuthStyleInParams, EndpointParams: url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion},
		}}
		return c.Token(t.context(ctx))
	}
	c := &clientcredentials.Config{ClientID: t.cfg.ClientID, TokenURL: t.cfg.TokenURL, Scopes: scopes, AuthStyle: oauth2.AuthStyleInParams}
	if t.cfg.CertificateFile != "" {
		params, err := t.clientAssertion()
		if err != nil {
			return nil, err
		}
		c.EndpointParams = params
		return c.Token(t.context(ctx))
	}
	return t.withStyles(secret, func(o *oauth2.Config) (*oauth2.Token, error) {
		c.ClientSecret, c.AuthStyle = o.ClientSecret, o.Endpoint.AuthStyle
		return c.Token(t.context(ctx))
	})
}

// clientAssertion proves who the client is by its certificate.
func (t *tokens) clientAssertion() (url.Values, error) {
	s, err := newSigner(t.cfg.CertificateFile, t.cfg.KeyFile)
	if err != nil {
		return nil, &Error{Text: "certificate_file: " + err.Error(), Err: err}
	}
	assertion, err := s.assertion(claims{Issuer: t.cfg.ClientID, Subject: t.cfg.ClientID, Audience: t.cfg.TokenURL}, t.opts.Now())
	if err != nil {
		return nil, err
	}
	return url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}, nil
}

// config is the client as x/oauth2 sees it.
func (t *tokens) config(secret setting.Secret) *oauth2.Config {
	return &oauth2.Config{
		ClientID:     t.cfg.ClientID,
		ClientSecret: secret.Reveal(),
		Endpoint:     oauth2.Endpoint{AuthURL: t.cfg.AuthURL, TokenURL: t.cfg.TokenURL, DeviceAuthURL: t.cfg.DeviceAuthURL, AuthStyle: oauth2.AuthStyleInParams},
		Scopes:       t.cfg.scopes(t.opts.SMTP),
	}
}

func (t *tokens) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, t.http)
}

// withStyles makes a request with the client's secret in the form, and if the
// server does not know the client then, with HTTP Basic. What worked is used
// from then on. A certificate takes the secret's place.
func (t *tokens) withStyles(secret setting.Secret, request func(*oauth2.Config) (*oauth2.Token, error)) (*oauth2.Token, error) {
	c := t.config(secret)
	known := oauth2.AuthStyle(t.style.Load())
	if known != oauth2.AuthStyleAutoDetect {
		c.Endpoint.AuthStyle = known
	}
	got, err := request(c)
	if known == oauth2.AuthStyleAutoDetect && !secret.IsZero() && t.cfg.Provider == "" && isCode(err, "invalid_client") {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
		got, err = request(c)
	}
	if err == nil {
		t.style.Store(int32(c.Endpoint.AuthStyle))
	}
	return got, err
}

func isCode(err error, codes ...string) bool {
	var r *oauth2.RetrieveError
	return errors.As(err, &r) && slices.Contains(codes, r.ErrorCode)
}

// explain turns an error of x/oauth2 into an *AuthRequired or an *Error. What the
// server said comes only as its error code and description.
func (t *tokens) explain(err error, secrets ...setting.Secret) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	var r *oauth2.RetrieveError
	if !errors.As(err, &r) {
		e := &Error{Text: "cannot get an access token: " + said(err.Error(), secrets...), Err: redacted{err, secrets}}
		if isTimeout(err) {
			e.Text = "the authorization server does not answer in time"
		}
		e.Hint = "check oauth2.token_url, and whether the proxy lets us through to it"
		return e
	}
	status := 0
	if r.Response != nil {
		status = r.Response.StatusCode
	}
	reason := fmt.Sprintf("the authorization server said %q", said(strings.TrimSpace(r.ErrorCode+" "+firstLine(r.ErrorDescription)), secrets...))
	if r.ErrorCode == "" {
		reason = fmt.Sprintf("the authorization server answered with HTTP status %d", status)
	}
	cause := redacted{err, secrets}
	switch r.ErrorCode {
	case "invalid_grant", "interaction_required", "consent_required", "login_required":
		if t.cfg.byConsent() {
			return &AuthRequired{Connection: t.opts.Connection, Reason: reason, Err: cause}
		}
		return &Error{Text: reason, Hint: "may the application act for this user? check subject, username, and this machine's clock", Permanent: true, Err: cause}
	case "invalid_client", "unauthorized_client":
		return &Error{Text: reason, Hint: "check oauth2.client_id, and that client_secret or the certificate is right and has not expired", Permanent: true, Err: cause}
	case "invalid_scope", "unsupported_grant_type", "invalid_request", "invalid_resource", "access_denied":
		return &Error{Text: reason, Hint: "check oauth2.grant, scopes, tenant, and what the application may do", Permanent: true, Err: cause}
	}
	e := &Error{Text: reason, Hint: "the authorization server has a problem of its own; it is tried again", Err: cause}
	if status/100 == 4 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout || status/100 == 3 {
		e.Hint = "check oauth2.token_url"
	}
	return e
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// firstLine drops the trace IDs that some providers append.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
