package connection_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest/rigtest"
	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
)

// oauthConfig is a connection to the rig by OAuth 2.0.
func oauthConfig(t *testing.T, grant string) *connection.Config {
	t.Helper()
	c := rigConfig(t, "main", "alice", "")
	c.Name = "office"
	c.Authentication.Password = setting.Source{}
	o := &c.Authentication.OAuth2
	o.Grant, o.ClientID, o.TokenURL = grant, rigEnv(t, "RIG_OAUTH_CLIENT_ID"), rigEnv(t, "RIG_OAUTH_TOKEN_URL")
	o.ClientSecret.Literal = setting.NewSecret(rigEnv(t, "RIG_OAUTH_CLIENT_SECRET"))
	o.AuthURL, o.DeviceAuthURL = rigEnv(t, "RIG_OAUTH_AUTH_URL"), rigEnv(t, "RIG_OAUTH_DEVICE_URL")
	c.Session.MaxConnections = 20
	return c
}

// oauthControl sets what the rig's authorization server does, until the test ends.
func oauthControl(t *testing.T, key, value, after string) {
	t.Helper()
	set := func(value string) {
		r, err := http.PostForm(rigEnv(t, "RIG_OAUTH_CONTROL_URL")+"/control", url.Values{key: {value}})
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	set(value)
	t.Cleanup(func() { set(after) })
}

// oauthRequests is how many tokens the rig has given and refused.
func oauthRequests(t *testing.T) (given, refused int) {
	t.Helper()
	r, err := http.Get(rigEnv(t, "RIG_OAUTH_CONTROL_URL") + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var stats struct {
		OK   int `json:"token_ok"`
		Fail int `json:"token_fail"`
	}
	if err := json.NewDecoder(r.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	return stats.OK, stats.Fail
}

// person consents as soon as asked.
func person(t *testing.T) func(url, code string) {
	return func(url, code string) {
		if code != "" {
			return // the rig takes that for consent
		}
		r, err := http.Get(url)
		if err != nil {
			t.Error(err)
			return
		}
		r.Body.Close()
	}
}

// recorder remembers what is dialed.
type recorder struct {
	mu    sync.Mutex
	addrs []string
}

func (r *recorder) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	r.mu.Lock()
	if !slices.Contains(r.addrs, address) {
		r.addrs = append(r.addrs, address)
	}
	r.mu.Unlock()
	return proxy.Direct().DialContext(ctx, network, address)
}

// From consent to mail, over each kind of proxy: the authorization server is
// reached as the mail server is, and each reconnect gets a new access token.
func TestRigOAuth(t *testing.T) {
	startMatrix(t)
	for _, c := range []struct{ route, grant, mechanism string }{
		{"none", "authorization_code", "auto"},
		{"socks5", "device_code", "xoauth2"},
		{"http, auto: NTLM (squid)", "authorization_code", "oauthbearer"},
		{"https, basic (stunnel)", "device_code", "auto"},
		{"http, digest (squid)", "client_credentials", "auto"},
	} {
		t.Run(c.route+"/"+c.grant, func(t *testing.T) {
			cfg := oauthConfig(t, c.grant)
			r := routes[slices.IndexFunc(routes, func(r route) bool { return r.name == c.route })]
			r.resolves = false // the authorization server has a numeric address
			r.apply(t, cfg)
			cfg.Authentication.Mechanism = c.mechanism
			if c.grant == "client_credentials" {
				cfg.Authentication.OAuth2.Scopes = []string{"alice"}
			}
			valid(t, cfg)
			dialed := &recorder{}
			d := newDialer(t, connection.DialerOptions{Forward: dialed})
			if c.grant != "client_credentials" {
				steps := d.Check(context.Background(), cfg, nil, nil)
				if last := steps[len(steps)-1]; last.Step != "secrets" || last.OK || !strings.Contains(last.Hint, "--authorize office") {
					t.Errorf("before consent: %+v", last)
				}
				if err := d.Authorize(context.Background(), cfg, person(t)); err != nil {
					t.Fatal(err)
				}
			}
			given, _ := oauthRequests(t)
			w := newRigWatcher()
			watch := d.Watch(cfg, "INBOX", w.look)
			defer watch.Close(context.Background())
			w.begin(t)
			waitState(t, watch, connection.StateParked)
			if now, _ := oauthRequests(t); now != given+1 {
				t.Errorf("%d tokens for a login", now-given)
			}
			rigtest.Run(t, "deliver", "-u", "alice")
			w.expect(t, 1)
			if r.url != "" && len(dialed.addrs) != 1 {
				t.Errorf("not all went through the proxy: %s", dialed.addrs)
			}
		})
	}
}

// Each reconnect asks for a new token.
func TestRigOAuthReconnect(t *testing.T) {
	cfg := valid(t, oauthConfig(t, "client_credentials"))
	cfg.Authentication.Username, cfg.Authentication.OAuth2.Scopes = "carol", []string{"carol"}
	oauthControl(t, "ttl", "30", "3600")
	d := newDialer(t, connection.DialerOptions{})
	w := newRigWatcher()
	watch := d.Watch(cfg, "INBOX", w.look)
	defer watch.Close(context.Background())
	w.begin(t)
	waitState(t, watch, connection.StateParked)
	given, _ := oauthRequests(t)
	r, err := http.PostForm(rigEnv(t, "RIG_OAUTH_CONTROL_URL")+"/revoke", url.Values{"user": {"carol"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	rigtest.Run(t, "fault", "kick", "main", "carol")
	deadline := time.After(2 * patience)
	for watch.Status().Connects < 2 { // the revoked token may be tried once
		select {
		case <-deadline:
			t.Fatalf("%+v", watch.Status())
		case <-time.Tick(10 * time.Millisecond):
		}
	}
	if now, _ := oauthRequests(t); now <= given {
		t.Error("no new token")
	}
}

// Consent that is gone is said once, whatever the number of sessions, and no server
// is asked again until somebody has consented.
func TestRigConsentIsGone(t *testing.T) {
	cfg := valid(t, oauthConfig(t, "refresh_token"))
	d := newDialer(t, connection.DialerOptions{})
	if err := d.Authorize(context.Background(), cfg, person(t)); err != nil {
		t.Fatal(err)
	}
	oauthControl(t, "fail", "invalid_grant", "no")
	_, refused := oauthRequests(t)
	var watches []*connection.Watch
	for range 4 {
		w := d.Watch(cfg, "INBOX", newRigWatcher().look)
		defer w.Close(context.Background())
		watches = append(watches, w)
	}
	for _, w := range watches {
		waitState(t, w, connection.StateBackoff)
		s := w.Status()
		if e := s.LastError; e == nil || !e.AuthRequired || !e.Permanent || !strings.Contains(e.Hint, "--authorize office") {
			t.Errorf("%+v", e)
		}
	}
	// Each has looked again at least once by now.
	tried := watches[0].Status().Since
	deadline := time.After(2 * patience)
	for s := watches[0].Status(); s.State != connection.StateBackoff || !s.Since.After(tried); s = watches[0].Status() {
		select {
		case <-deadline:
			t.Fatal("it does not look again")
		case <-time.Tick(10 * time.Millisecond):
		}
	}
	if _, now := oauthRequests(t); now != refused+1 {
		t.Errorf("the authorization server was asked %d times", now-refused)
	}
	oauthControl(t, "fail", "no", "no")
	if err := d.Authorize(context.Background(), cfg, person(t)); err != nil {
		t.Fatal(err)
	}
	for _, w := range watches {
		waitState(t, w, connection.StateParked)
	}
}

// An authorization server with a certificate of its own authority.
func TestRigOAuthOverTLS(t *testing.T) {
	cfg := valid(t, oauthConfig(t, "client_credentials"))
	cfg.Authentication.OAuth2.Scopes = []string{"alice"}
	cfg.Authentication.OAuth2.TokenURL = rigEnv(t, "RIG_OAUTH_TOKEN_URL_TLS")
	pem, err := os.ReadFile(rigEnv(t, "RIG_CA"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	for _, roots := range []*x509.CertPool{pool, nil} {
		steps := newDialer(t, connection.DialerOptions{RootCAs: roots}).Check(context.Background(), cfg, nil, nil)
		if secrets := steps[0]; secrets.Step != "secrets" || !strings.Contains(secrets.Detail, "OAuth 2.0 (client_credentials)") {
			t.Errorf("%+v", secrets)
		}
		last := steps[len(steps)-1]
		if last.OK != (roots != nil) || roots == nil && (last.Step != "login" || !strings.Contains(last.Detail, "certificate") || last.Hint == "") {
			t.Errorf("%+v", last)
		}
	}
}
