package auth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtrigger/connection/setting"
)

// control sets what the rig's authorization server does, until the test ends.
func control(t *testing.T, pairs ...string) {
	t.Helper()
	set := func(pairs ...string) {
		form := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		r, err := http.PostForm(rigEnv(t, "RIG_OAUTH_CONTROL_URL")+"/control", form)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	set(pairs...)
	t.Cleanup(func() {
		set("fail", "no", "ttl", "3600", "rotate", "0", "device", "approve", "auth", "any", "expires", "1", "user", "alice")
	})
}

// requests is how many tokens the rig has given and refused.
func requests(t *testing.T) (given, refused int) {
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

// rigOAuth2 is the table for the rig's server, with a grant.
func rigOAuth2(t *testing.T, grant string) Config {
	t.Helper()
	o := OAuth2{Grant: grant, TokenURL: rigEnv(t, "RIG_OAUTH_TOKEN_URL"), ClientID: rigEnv(t, "RIG_OAUTH_CLIENT_ID"), ClientSecret: literal(rigEnv(t, "RIG_OAUTH_CLIENT_SECRET"))}
	switch grant {
	case "device_code":
		o.DeviceAuthURL = rigEnv(t, "RIG_OAUTH_DEVICE_URL")
	case "authorization_code":
		o.AuthURL = rigEnv(t, "RIG_OAUTH_AUTH_URL")
	case "client_credentials":
		o.Scopes = []string{"alice"}
	case "service_account":
		key, err := os.ReadFile(rigEnv(t, "RIG_CLIENT_KEY"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "robot@rig.test", "private_key_id": "k1", "private_key": string(key), "token_uri": o.TokenURL})
		if err != nil {
			t.Fatal(err)
		}
		o = OAuth2{Grant: grant, ServiceAccountFile: filepath.Join(t.TempDir(), "key.json")}
		if err := os.WriteFile(o.ServiceAccountFile, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Config{Username: "alice", OAuth2: o}
}

// consented is a directory with alice's refresh token.
func consented(t *testing.T, connection string) string {
	t.Helper()
	dir := t.TempDir()
	if err := newStore("", dir, connection).save(rigEnv(t, "RIG_OAUTH_REFRESH_TOKEN") + "+" + rand.Text()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRigGrants(t *testing.T) {
	for _, grant := range Grants {
		t.Run(grant, func(t *testing.T) {
			c := rigOAuth2(t, grant)
			a := newAuthenticator(t, c, Options{Connection: "office", StateDir: t.TempDir()})
			if a.cfg.OAuth2.byConsent() {
				_, err := rigLogin(t, rigMain, a)
				var required *AuthRequired
				if !errors.As(err, &required) || required.Connection != "office" {
					t.Fatalf("before consent: %v", err)
				}
				t.Log(err)
				if grant == "refresh_token" {
					if err := a.tokens.store.save(rigEnv(t, "RIG_OAUTH_REFRESH_TOKEN")); err != nil {
						t.Fatal(err)
					}
				} else if err := a.Authorize(t.Context(), browser(t)); err != nil {
					t.Fatal(err)
				}
			}
			login, err := rigLogin(t, rigMain, a)
			if err != nil {
				t.Fatal(err)
			}
			if login.Mechanism != "OAUTHBEARER" {
				t.Errorf("logged in by %s", login.Mechanism)
			}
		})
	}
	t.Run("client_credentials by certificate", func(t *testing.T) {
		c := rigOAuth2(t, "client_credentials")
		c.Mechanism = "xoauth2"
		c.OAuth2.ClientSecret = setting.Source{}
		c.OAuth2.CertificateFile, c.OAuth2.KeyFile = rigEnv(t, "RIG_CLIENT_CERT"), rigEnv(t, "RIG_CLIENT_KEY")
		if _, err := rigLogin(t, rigMain, newAuthenticator(t, c, Options{})); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("secret by HTTP Basic, over TLS", func(t *testing.T) {
		control(t, "auth", "basic")
		c := rigOAuth2(t, "client_credentials")
		c.OAuth2.TokenURL = rigEnv(t, "RIG_OAUTH_TOKEN_URL_TLS")
		if _, err := rigLogin(t, rigMain, newAuthenticator(t, c, Options{RootCAs: rigCAs(t)})); err != nil {
			t.Fatal(err)
		}
	})
}

// browser is the person who opens the URL.
func browser(t *testing.T) func(string, string) {
	return func(url, code string) {
		if code != "" {
			if code != "RIGS-CODE" {
				t.Errorf("code %q", code)
			}
			return
		}
		r, err := http.Get(url)
		if err != nil {
			t.Error(err)
			return
		}
		r.Body.Close()
	}
}

func TestRigRotation(t *testing.T) {
	control(t, "rotate", "1") // spends the token for ever, hence its random end
	dir := consented(t, "office")
	c := rigOAuth2(t, "refresh_token")
	before := newStore("", dir, "office")
	first, err := before.load()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // each a process of its own
		if _, err := rigLogin(t, rigMain, newAuthenticator(t, c, Options{Connection: "office", StateDir: dir})); err != nil {
			t.Fatal(err)
		}
		next, err := before.load()
		if err != nil || next == first {
			t.Fatalf("the new refresh token is not stored: %v", err)
		}
		first = next
	}
	info, err := os.Stat(before.path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestRigTokenIsSharedAndRenewed(t *testing.T) {
	dir := consented(t, "office")
	control(t, "ttl", "3600")
	a := newAuthenticator(t, rigOAuth2(t, "refresh_token"), Options{Connection: "office", StateDir: dir})
	before, _ := requests(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := a.tokens.get(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if after, _ := requests(t); after != before+1 {
		t.Errorf("%d requests for one token", after-before)
	}
	now := time.Now()
	a.opts.Now, a.tokens.opts.Now = func() time.Time { return now }, func() time.Time { return now }
	now = now.Add(56 * time.Minute) // four minutes before its end
	if _, err := a.tokens.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, _ := requests(t); after != before+2 {
		t.Errorf("a token near its end was used")
	}
	control(t, "expires", "0")
	now = now.Add(time.Hour)
	if _, err := a.tokens.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(unknownLife)
	if _, err := a.tokens.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, _ := requests(t); after != before+4 {
		t.Errorf("a token without an expiry was kept: %d requests", after-before)
	}
}

// TestRigRevoked: the mail server refuses a token that the authorization server
// thinks is good.
func TestRigRevoked(t *testing.T) {
	dir := consented(t, "office")
	a := newAuthenticator(t, rigOAuth2(t, "refresh_token"), Options{Connection: "office", StateDir: dir})
	now := time.Now()
	a.opts.Now, a.tokens.opts.Now = func() time.Time { return now }, func() time.Time { return now }
	got, err := a.tokens.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.PostForm(rigEnv(t, "RIG_OAUTH_CONTROL_URL")+"/revoke", url.Values{"token": {got.access}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	now = now.Add(10 * time.Minute)
	control(t, "fail", "500") // so that the old one is used
	_, err = rigLogin(t, rigMain, a)
	var e *Error
	if !errors.As(err, &e) || e.Refused || e.Permanent {
		t.Fatalf("an old token that was refused: %v", err)
	}
	if strings.Contains(err.Error(), got.access) {
		t.Error("the error holds the token")
	}
	control(t, "fail", "no")
	now = now.Add(holdFault)
	if _, err := rigLogin(t, rigMain, a); err != nil {
		t.Errorf("the next login: %v", err)
	}
}

// TestRigEachLogin: a login gets a new token, but those of a few seconds share
// one, and where none can be had the last is good up to its end.
func TestRigEachLogin(t *testing.T) {
	dir := consented(t, "office")
	control(t, "ttl", "3600")
	a := newAuthenticator(t, rigOAuth2(t, "refresh_token"), Options{Connection: "office", StateDir: dir})
	now := time.Now()
	a.tokens.opts.Now = func() time.Time { return now }
	begun, _ := requests(t)
	last := ""
	for _, c := range []struct {
		wait time.Duration
		fail string
		want string // "new", "last" or "none"
	}{
		{0, "no", "new"}, {sharedFor - 1, "no", "last"}, {sharedFor, "no", "new"}, {time.Minute, "500", "last"},
		{0, "500", "last"}, {holdFault, "no", "new"}, {time.Hour, "500", "none"}, {holdFault, "no", "new"},
		{time.Minute, "invalid_grant", "none"}, {sharedFor, "no", "none"},
	} {
		now = now.Add(c.wait)
		control(t, "fail", c.fail)
		got, err := a.tokens.get(t.Context())
		what := "none"
		switch {
		case err == nil && got.access == last:
			what = "last"
		case err == nil:
			what, last = "new", got.access
		}
		if what != c.want {
			t.Errorf("after %v with %s: %s, want %s (%v)", c.wait, c.fail, what, c.want, err)
		}
	}
	if ok, _ := requests(t); ok != begun+4 {
		t.Errorf("%d tokens", ok-begun)
	}
	var required *AuthRequired
	if err := a.Ready(t.Context()); !errors.As(err, &required) {
		t.Errorf("ready: %v", err)
	}
	same, err := a.tokens.store.load()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.tokens.store.save(same); err != nil {
		t.Fatal(err)
	}
	if err := a.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRigOAuthFaults(t *testing.T) {
	for _, c := range []struct {
		fault    string
		required bool
	}{{"500", false}, {"garbage", false}, {"hang", false}, {"invalid_grant", true}} {
		t.Run(c.fault, func(t *testing.T) {
			dir := consented(t, "office")
			control(t, "fail", c.fault)
			a := newAuthenticator(t, rigOAuth2(t, "refresh_token"), Options{Connection: "office", StateDir: dir})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := a.tokens.get(ctx)
			if err == nil || time.Since(start) > 5*time.Second {
				t.Fatalf("got %v after %v", err, time.Since(start))
			}
			t.Log(err)
			var required *AuthRequired
			var e *Error
			if errors.As(err, &required) != c.required || !c.required && (!errors.As(err, &e) || e.Permanent) {
				t.Errorf("got %T %v", err, err)
			}
			for _, secret := range []string{"rig-secret", "refresh-alice"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds %q", secret)
				}
			}
			// No storm: what failed is not asked at once again.
			_, before := requests(t)
			for range 50 {
				if _, err := a.tokens.get(t.Context()); err == nil {
					t.Fatal("no error")
				}
			}
			if _, after := requests(t); after != before {
				t.Errorf("%d more requests", after-before)
			}
			// It heals: by itself, or by consent.
			control(t, "fail", "no")
			if c.required {
				if err := a.tokens.store.save("refresh-bob"); err != nil {
					t.Fatal(err)
				}
			} else {
				now := time.Now().Add(holdFault)
				a.tokens.opts.Now = func() time.Time { return now }
			}
			if _, err := a.tokens.get(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	t.Run("wrong client secret", func(t *testing.T) {
		c := rigOAuth2(t, "client_credentials")
		c.OAuth2.ClientSecret = literal("c4nary-secret")
		_, err := newAuthenticator(t, c, Options{}).tokens.get(t.Context())
		var e *Error
		if !errors.As(err, &e) || !e.Permanent || strings.Contains(err.Error(), "c4nary") {
			t.Errorf("got %v", err)
		}
		t.Log(err)
	})
	t.Run("consent refused", func(t *testing.T) {
		control(t, "device", "deny")
		for _, grant := range []string{"device_code", "authorization_code"} {
			a := newAuthenticator(t, rigOAuth2(t, grant), Options{Connection: "office", StateDir: t.TempDir()})
			err := a.Authorize(t.Context(), browser(t))
			if err == nil || !strings.Contains(err.Error(), "refused") {
				t.Errorf("%s: %v", grant, err)
			}
		}
	})
}

// TestRigRotationByMany: many Authenticators, as if in processes of their own,
// share one file of refresh tokens that are good once.
func TestRigRotationByMany(t *testing.T) {
	control(t, "rotate", "1")
	dir := consented(t, "office")
	_, before := requests(t)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			a := newAuthenticator(t, rigOAuth2(t, "refresh_token"), Options{Connection: "office", StateDir: dir})
			if _, err := a.tokens.get(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, after := requests(t); after != before {
		t.Errorf("%d refresh tokens were used twice", after-before)
	}
}
