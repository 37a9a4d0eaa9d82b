package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"mailtrigger/connection/setting"
)

// The limits of Authorize.
const (
	consentTime  = 15 * time.Minute // for the person to consent
	maxInterval  = 60               // seconds between two questions whether it has happened
	pollFailures = 10               // in a row, of the network
)

// Authorize has a person consent and stores the refresh token that this gives,
// for the logins to come; a running daemon finds it at its next try. prompt is
// called once, with what the person needs: the URL to open and, for the device
// grant, the code to type there ("" else).
//
// The device grant (RFC 8628) is used if it is configured, or if the grant is
// refresh_token and the provider has it; else the authorization code grant with
// PKCE (RFC 7636) and a redirect to this machine (RFC 8252 section 7.3): the
// browser must run here, or reach the port by "ssh -L".
//
// It ends with ctx, and after 15 minutes.
func (a *Authenticator) Authorize(ctx context.Context, prompt func(url, code string)) error {
	t := a.tokens
	if t == nil {
		return &Error{Text: "the connection has no oauth2 table", Hint: "set authentication.oauth2", Permanent: true}
	}
	if t.store == nil {
		return &Error{Text: fmt.Sprintf("nobody has to consent with oauth2.grant = %q", t.cfg.Grant), Permanent: true}
	}
	if t.store.path == "" {
		return &Error{Text: "there is no place for the refresh token", Hint: "set state_dir or oauth2.refresh_token_file", Permanent: true}
	}
	ctx, cancel := context.WithTimeout(ctx, consentTime)
	defer cancel()
	secret, err := t.cfg.ClientSecret.Read(ctx)
	if err != nil {
		return &Error{Text: "cannot read oauth2.client_secret: " + err.Error(), Err: err}
	}
	byDevice := t.cfg.Grant == "device_code" ||
		t.cfg.Grant == "refresh_token" && t.cfg.DeviceAuthURL != "" && t.cfg.Provider != "google"
	var got *oauth2.Token
	switch {
	case byDevice:
		got, err = t.byDevice(ctx, secret, prompt)
	case t.cfg.AuthURL != "":
		got, err = t.byCode(ctx, secret, prompt)
	default:
		return &Error{Text: "there is neither oauth2.device_auth_url nor oauth2.auth_url", Hint: "set one of them, or provider", Permanent: true}
	}
	if err != nil {
		return t.explainConsent(ctx, err, secret)
	}
	if got.RefreshToken == "" {
		return &Error{Text: "the authorization server gave no refresh token", Hint: "add its scope for that (offline_access, mostly) to oauth2.scopes", Permanent: true}
	}
	if err := t.store.save(got.RefreshToken); err != nil {
		return &Error{Text: "cannot store the refresh token: " + err.Error(), Hint: "may this user write there?", Err: err}
	}
	return nil
}

func (t *tokens) explainConsent(ctx context.Context, err error, secret setting.Secret) error {
	switch {
	case isCode(err, "access_denied", "authorization_declined"):
		return &Error{Text: "consent was refused", Permanent: true, Err: redacted{err, []setting.Secret{secret}}}
	case isCode(err, "expired_token"), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Text: "nobody consented in time", Hint: "start it again", Err: redacted{err, []setting.Secret{secret}}}
	case ctx.Err() != nil:
		return &Error{Text: "cancelled", Err: ctx.Err()}
	}
	err = t.explain(err, secret)
	var required *AuthRequired
	if errors.As(err, &required) { // "run --authorize" is what we are doing
		return &Error{Text: required.Reason, Permanent: true, Err: required.Err}
	}
	return err
}

// byDevice is the device authorization grant.
func (t *tokens) byDevice(ctx context.Context, secret setting.Secret, prompt func(url, code string)) (*oauth2.Token, error) {
	c := t.config(secret)
	device, err := c.DeviceAuth(t.context(ctx))
	if err != nil {
		return nil, err
	}
	if err := checkURL(device.VerificationURI); err != nil || device.UserCode == "" || device.DeviceCode == "" {
		return nil, &Error{Text: "the authorization server's answer to the device request makes no sense", Hint: "check oauth2.device_auth_url", Permanent: true}
	}
	// x/oauth2 makes a ticker of the interval, which must not be what a server likes.
	device.Interval = min(max(device.Interval, 0), maxInterval)
	prompt(device.VerificationURI, setting.Printable(device.UserCode, 100))
	for failures := 0; ; failures++ {
		got, err := t.withStyles(secret, func(c *oauth2.Config) (*oauth2.Token, error) {
			return c.DeviceAccessToken(t.context(ctx), device)
		})
		var answered *oauth2.RetrieveError
		if err == nil || ctx.Err() != nil || failures >= pollFailures || errors.As(err, &answered) && answered.ErrorCode != "" {
			return got, err
		}
		if !device.Expiry.IsZero() && time.Now().After(device.Expiry) {
			return nil, &Error{Text: "nobody consented in time", Hint: "start it again", Err: err}
		}
	}
}

// byCode is the authorization code grant.
func (t *tokens) byCode(ctx context.Context, secret setting.Secret, prompt func(url, code string)) (*oauth2.Token, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the browser: %w", err)
	}
	host := "127.0.0.1"
	if t.cfg.Provider == "microsoft" { // it takes any port for this name only
		host = "localhost"
	}
	c := t.config(secret)
	c.RedirectURL = fmt.Sprintf("http://%s:%d", host, listener.Addr().(*net.TCPAddr).Port)
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	options := []oauth2.AuthCodeOption{oauth2.AccessTypeOffline, oauth2.S256ChallengeOption(verifier)}
	if t.cfg.Provider == "google" { // else a second consent gives no refresh token
		options = append(options, oauth2.SetAuthURLParam("prompt", "consent"))
	}
	if t.user != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", t.user))
	}
	r := &redirect{state: state, done: make(chan url.Values, 1)}
	server := &http.Server{Handler: r, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with Shutdown
	}()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
		<-served
	}()
	prompt(c.AuthCodeURL(state, options...), "")
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case answer := <-r.done:
		if code := answer.Get("error"); code != "" {
			return nil, &oauth2.RetrieveError{ErrorCode: code, ErrorDescription: answer.Get("error_description")}
		}
		return t.withStyles(secret, func(style *oauth2.Config) (*oauth2.Token, error) {
			style.RedirectURL = c.RedirectURL
			return style.Exchange(t.context(ctx), answer.Get("code"), oauth2.VerifierOption(verifier))
		})
	}
}

// redirect waits for the browser to bring the authorization server's answer. An
// answer without our state is somebody else's, and is ignored.
type redirect struct {
	state string
	done  chan url.Values
}

// ServeHTTP implements http.Handler. It says nothing that came with the request.
func (r *redirect) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	v := q.URL.Query()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if q.Method != http.MethodGet || subtle.ConstantTimeCompare([]byte(v.Get("state")), []byte(r.state)) != 1 || v.Get("code") == "" && v.Get("error") == "" {
		http.Error(w, "This is not the answer that was expected.", http.StatusBadRequest)
		return
	}
	select {
	case r.done <- v:
	default: // the browser repeats itself
	}
	if v.Get("error") != "" {
		fmt.Fprintln(w, "Access was not granted. You can close this window.")
		return
	}
	fmt.Fprintln(w, "Thank you. You can close this window; the terminal says whether it worked.")
}
