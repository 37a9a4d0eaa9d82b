package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tokenServer answers each token request with f, and counts them.
func tokenServer(t *testing.T, f http.HandlerFunc) (tokenURL string, count *int) {
	t.Helper()
	count = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*count++
		w.Header().Set("Content-Type", "application/json")
		f(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/token", count
}

// TestOAuthHostile: what an authorization server says, in the worst ways.
func TestOAuthHostile(t *testing.T) {
	const refresh = "c4nary-refresh-token"
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	echo := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": r.Form.Encode() + " " + r.Form.Get("refresh_token") + " " + r.Form.Get("client_secret") + "\r\nTrace ID: 1\x1b[31m"})
		}
	}
	for _, c := range []struct {
		name      string
		serve     http.HandlerFunc
		required  bool
		permanent bool
	}{
		{"echoed secrets", echo(400, "invalid_grant"), true, false},
		{"interaction", echo(400, "interaction_required"), true, false},
		{"wrong client", echo(401, "invalid_client"), false, true},
		{"wrong scope", echo(400, "invalid_scope"), false, true},
		{"error with status 200", echo(200, "invalid_grant"), true, false},
		{"server error", echo(500, "server_error"), false, false},
		{"busy", echo(429, ""), false, false},
		{"HTML with secrets", say(502, "<html>"+refresh), false, false},
		{"an endless body", func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		}, false, false},
		{"no token", say(200, `{"token_type":"Bearer"}`), false, false},
		{"not JSON", say(200, refresh), false, false},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tokenURL, count := tokenServer(t, c.serve)
			dir := t.TempDir()
			a := newAuthenticator(t, Config{Username: "u", OAuth2: OAuth2{Grant: "refresh_token", ClientID: "id", ClientSecret: literal(canary), TokenURL: tokenURL}}, Options{Connection: "office", StateDir: dir})
			if err := a.tokens.store.save(refresh); err != nil {
				t.Fatal(err)
			}
			_, err := a.Choose(t.Context(), Server{Capabilities: capabilities(everything), Encrypted: true})
			if err == nil {
				t.Fatal("no error")
			}
			var required *AuthRequired
			var e *Error
			if errors.As(err, &required) != c.required || !c.required && (!errors.As(err, &e) || e.Permanent != c.permanent || e.Refused) {
				t.Errorf("got %T %v", err, err)
			}
			for err := err; err != nil; err = errors.Unwrap(err) {
				if _, ours := err.(redacted); ours || err == error(e) || err == error(required) {
					if text := err.Error(); strings.Contains(text, "c4nary") || strings.ContainsAny(text, "\r\n\x1b") {
						t.Errorf("unfit for a log: %q", text)
					}
				}
			}
			before := *count
			if _, err := a.tokens.get(t.Context()); err == nil || *count != before || before > 2 {
				t.Errorf("%d requests, then %d: %v", before, *count, err)
			}
		})
	}
}

func TestServerGivesTokens(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		life         time.Duration
		stored       string
	}{
		{"usual", `{"access_token":"at","expires_in":3600}`, time.Hour, "old"},
		{"rotated", `{"access_token":"at","expires_in":3600,"refresh_token":"new"}`, time.Hour, "new"},
		{"no expiry", `{"access_token":"at"}`, unknownLife, "old"},
		{"negative expiry", `{"access_token":"at","expires_in":-5}`, unknownLife, "old"},
		{"expiry as text", `{"access_token":"at","expires_in":"60"}`, time.Minute, "old"},
		{"a refresh token with a line break", `{"access_token":"at","expires_in":3600,"refresh_token":"new\nline"}`, time.Hour, "old"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tokenURL, _ := tokenServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.answer) })
			a := newAuthenticator(t, Config{Username: "u", OAuth2: OAuth2{Grant: "refresh_token", ClientID: "id", TokenURL: tokenURL}}, Options{Connection: "office", StateDir: t.TempDir()})
			if err := a.tokens.store.save("old"); err != nil {
				t.Fatal(err)
			}
			got, err := a.tokens.get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := got.life - c.life; got.access != "at" || d < -2*time.Second || d > 0 {
				t.Errorf("got a life of %v", got.life)
			}
			b, err := os.ReadFile(a.tokens.store.path)
			if err != nil || strings.TrimSpace(string(b)) != c.stored {
				t.Errorf("stored %q, %v", b, err)
			}
		})
	}
}

// TestStoreUnwritable: a rotated token that cannot be stored is used all the same.
func TestStoreUnwritable(t *testing.T) {
	s := newStore(filepath.Join(t.TempDir(), "token"), "", "")
	if _, err := s.load(); !errors.Is(err, errNoRefreshToken) {
		t.Errorf("without a file: %v", err)
	}
	if err := s.save("one"); err != nil {
		t.Fatal(err)
	}
	if err := s.rotate("one", "two\n"); err == nil { // stands for a full disk
		t.Fatal("no error")
	}
	if got, err := s.load(); got != "two\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := s.rotate("two\n", "three\n"); err == nil {
		t.Fatal("no error")
	}
	if got, _ := s.load(); got != "three\n" {
		t.Errorf("got %q", got)
	}
	if err := s.save("fresh"); err != nil { // by --authorize
		t.Fatal(err)
	}
	if got, _ := s.load(); got != "fresh" {
		t.Errorf("got %q", got)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(s.path), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	for _, name := range []string{"../../etc/passwd", "..", "a/b"} {
		if p := newStore("", "/state", name).path; filepath.Dir(p) != "/state/oauth2" {
			t.Errorf("%q is kept in %s", name, p)
		}
	}
}

func TestDeviceHostile(t *testing.T) {
	for _, c := range []struct{ name, device, token, text string }{
		{"no URL", `{"device_code":"d","user_code":"c"}`, "", "makes no sense"},
		{"a script for a URL", `{"device_code":"d","user_code":"c","verification_uri":"javascript:alert(1)"}`, "", "makes no sense"},
		{"absurd interval", `{"device_code":"d","user_code":"c\u001b[31m","verification_uri":"https://x.test/","interval":-9223372036,"expires_in":1}`, `{"error":"authorization_pending"}`, "in time"},
		{"no refresh token", `{"device_code":"d","user_code":"c","verification_uri":"https://x.test/","interval":1}`, `{"access_token":"at"}`, "no refresh token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tokenURL, _ := tokenServer(t, func(w http.ResponseWriter, r *http.Request) {
				answer := c.token
				if r.URL.Path == "/device" {
					answer = c.device
				} else if strings.Contains(answer, "error") {
					w.WriteHeader(400)
				}
				_, _ = io.WriteString(w, answer)
			})
			a := newAuthenticator(t, Config{Username: "u", OAuth2: OAuth2{Grant: "device_code", ClientID: "id", TokenURL: tokenURL, DeviceAuthURL: strings.TrimSuffix(tokenURL, "token") + "device"}}, Options{Connection: "office", StateDir: t.TempDir()})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := a.Authorize(ctx, func(_, code string) {
				if strings.Contains(code, "\x1b") {
					t.Errorf("code %q", code)
				}
			})
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestRedirect: only the answer with our state counts, and nothing of a request
// comes back.
func TestRedirect(t *testing.T) {
	r := &redirect{state: "right", done: make(chan url.Values, 1)}
	for _, c := range []struct {
		method, query string
		status        int
	}{
		{"GET", "state=wrong&code=evil", 400},
		{"GET", "code=evil", 400},
		{"GET", "state=right", 400},
		{"POST", "state=right&code=c", 400},
		{"GET", "state=right&code=" + url.QueryEscape("<script>"), 200},
		{"GET", "state=right&code=second", 200},
	} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(c.method, "/?"+c.query, nil))
		if w.Code != c.status || strings.Contains(w.Body.String(), "script") || strings.Contains(w.Body.String(), "evil") {
			t.Errorf("%s %s: %d %q", c.method, c.query, w.Code, w.Body)
		}
	}
	if got := (<-r.done).Get("code"); got != "<script>" {
		t.Errorf("took %q", got)
	}
}

func TestAssertionES256(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "r@x", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, account, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := readServiceAccount(file)
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.signer.assertion(claims{Issuer: "i", Audience: "a"}, time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		t.Fatalf("signature of %d bytes, %v", len(signature), err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(&key.PublicKey, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Error("the signature is wrong")
	}
	for _, bad := range []string{"", "{}", `{"type":"service_account","client_email":"x","private_key":"-----"}`} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readServiceAccount(file); err == nil || !strings.Contains(fmt.Sprint(err), file) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
