package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	canarySMTP  = "canary-smtp-password-a1"
	canaryOAuth = "canary-oauth-secret-c4"
)

// What the daemon does on somebody's behalf (connection tests, consent) and what it
// serves shows no secret either: not where a server repeats what it was given.
func TestCanaryOfCalls(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		_, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_client", "error_description": "no client has " + r.Form.Encode() + " " + r.Form.Get("client_secret") + " " + secret})
	}))
	defer provider.Close()
	srv, post := newMailServer(t), newPostbox(t)
	_, port, _ := strings.Cut(srv.Addr(), ":")
	_, postPort, _ := strings.Cut(post.addr, ":")
	oauth := func(grant string) string {
		return fmt.Sprintf(`oauth2 = {grant = %q, client_id = "id", client_secret = %q, device_auth_url = "%[3]s/device", auth_url = "%[3]s/auth", token_url = "%[3]s/token", scopes = ["mail"]}`, grant, canaryOAuth, provider.URL)
	}
	d := newService(t, officeConfig(srv, `metrics.listen = "unix:@DIR@/m.sock"`+"\nlog = {level = \"debug\"}", fmt.Sprintf(`
[connection.cloud]
address = "127.0.0.1"
port = %[7]s
encryption = {pin_sha256 = [%[8]q]}
authentication = {username = %[1]q, %[2]s}
[connection.robot]
address = "localhost"
port = %[7]s
encryption = {pin_sha256 = [%[8]q]}
authentication = {username = %[1]q, %[3]s}
%[4]sauthentication = {username = "robot", password = %[5]q}
[smtp.cloud]
address = "127.0.0.1"
port = %[6]s
from = "robot@example.com"
encryption.protocol = "none"
authentication = {username = "robot", %[2]s}
[trigger.invoices]
connection = ["office", "cloud", "robot"]
start = "all"
retry.attempts = 1
[[trigger.invoices.action]]
type = "mail"
smtp = "out"
to = ["a@example.com"]
`, serviceUser, oauth("device_code"), oauth("client_credentials"), post.table(), canarySMTP, postPort, port, srv.Pin())))
	d.start()
	d.says(1, 30*time.Second, "watching from now on")
	deliver(srv, "invoice")
	d.says(1, 30*time.Second, "dead letter")
	look := func(where, text string) {
		t.Helper()
		if text == "" {
			t.Errorf("%s says nothing", where)
		}
		hunt(t, where, text)
	}
	said := ""
	for _, args := range [][]string{
		{"--test-connection", "all"}, {"--test-connection", "all", "--json"}, {"--test-connection", "smtp.out"}, {"--test-connection", "smtp.cloud", "--json"},
		{"--authorize", "cloud"}, {"--authorize", "smtp.cloud"}, {"--authorize", "robot"},
		{"--status"}, {"--status", "--json"}, {"--dead-letters"}, {"--dead-letters", "--json"}, {"--check-config"},
	} {
		out, stderr, _ := d.call(args...)
		look(strings.Join(args, " "), out+stderr)
		said += out + stderr
	}
	for _, want := range []string{"is wrong", "no client has"} { // the servers were asked, and their words are shown
		if !strings.Contains(said, want) {
			t.Errorf("nothing says %q:\n%s", want, said)
		}
	}
	for _, path := range []string{"/", "/?q=canary", "/api/status", "/api/status?q=canary", "/metrics", "/healthz", "/readyz", "/readyz?connection=cloud", "/none/" + canaryOAuth[:6]} {
		resp, err := d.over().Get("http://daemon" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		look(path, string(body))
	}
	if code := d.terminate(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	look("log", d.log())
	huntFiles(t, d.path("state"))
}
