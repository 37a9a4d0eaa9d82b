package metrics

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
)

// hash is the bcrypt hash of "test", as htpasswd -B makes it.
const hash = "$2a$05$xSAp1wVBdFQlQoJuTdowm.gdBVPUGXtIXEAuufdv5RTv3BrOUfMz."

// webConfig writes a web config file with what it names, and returns its path and the CA.
func webConfig(t *testing.T, text string) (path string, roots *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	ca, err := connectiontest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Certificate(time.Time{}, "127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
	write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	write("ca.pem", ca.PEM())
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM())
	return write("web.yml", []byte(text)), roots
}

const (
	webTLS      = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
	webClient   = webTLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
	webPassword = "basic_auth_users:\n  me: " + hash + "\n"
)

func TestCheckWebConfig(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Protection
		weak string // part of the weakness
		err  string // part of the error
	}{
		"TLS and password":   {webTLS + webPassword, Protection{TLS: true, Password: true}, "", ""},
		"TLS":                {webTLS, Protection{TLS: true}, "no password", ""},
		"password":           {webPassword, Protection{Password: true}, "no TLS", ""},
		"client certificate": {webClient, Protection{TLS: true, Client: true}, "", ""},
		"nothing":            {"", Protection{}, "", "protects nothing"},
		"no users":           {"basic_auth_users:\n", Protection{}, "", "protects nothing"},
		"only headers":       {"http_server_config:\n  http2: false\n", Protection{}, "", "protects nothing"},
		"unknown key":        {"basic_auth_user:\n  me: " + hash + "\n", Protection{}, "", "basic_auth_user not found"},
		"no hash":            {"basic_auth_users:\n  me: test\n", Protection{}, "", "htpasswd"},
		"no certificate":     {strings.Replace(webTLS, "cert.pem", "none.pem", 1), Protection{}, "", "none.pem"},
		"no YAML":            {"\t{", Protection{}, "", "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := webConfig(t, c.text)
			got, err := CheckWebConfig(path)
			switch {
			case c.err == "" && err != nil:
				t.Fatal(err)
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want %q", err, c.err)
				}
				if _, err := New(Build{}).Listen(t.Context(), ListenOptions{Address: freeAddress(t), WebConfigFile: path}); err == nil {
					t.Error("it is served all the same")
				}
				return
			}
			if weak := got.Weakness(); got != c.want || (weak == "") != (c.weak == "") || !strings.Contains(weak, c.weak) {
				t.Errorf("%+v, %q; want %+v, %q", got, weak, c.want, c.weak)
			}
		})
	}
	if _, err := CheckWebConfig(filepath.Join(t.TempDir(), "none.yml")); err == nil {
		t.Error("a file that is not there is good")
	}
}

func TestServeProtected(t *testing.T) {
	path, roots := webConfig(t, webTLS+webPassword)
	address := freeAddress(t)
	var log bytes.Buffer
	m := New(Build{})
	m.Watch(one())
	stop, err := m.Listen(t.Context(), ListenOptions{Address: address, WebConfigFile: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	ask := func(password, host string) int {
		t.Helper()
		req, err := http.NewRequest("GET", "https://"+address+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if password != "" {
			req.SetBasicAuth("me", password)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		if has := bytes.Contains(b, []byte("mailtriggerd_build_info")); has != (resp.StatusCode == 200) {
			t.Errorf("%s, with metrics: %v", resp.Status, has)
		}
		return resp.StatusCode
	}
	for _, c := range []struct {
		password string
		want     int
	}{{"", 401}, {"wrong", 401}, {"test", 200}} {
		if got := ask(c.password, "metrics.example.com"); got != c.want {
			t.Errorf("with password %q: %d, want %d", c.password, got, c.want)
		}
	}
	if resp, err := http.Get("http://" + address + "/metrics"); err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Error("answered without TLS")
		}
	}
	// Whoever changes the passwords need not start the daemon again.
	if err := os.WriteFile(path, []byte(webTLS+strings.Replace(webPassword, "me:", "you:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask("test", ""); got != 401 {
		t.Errorf("after the user was taken out: %d", got)
	}
	stop()
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "serving the status page") {
		t.Errorf("the log says\n%s", text)
	}
}
