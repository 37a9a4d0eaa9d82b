package connection_test

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
)

func good() *connection.Config {
	c := &connection.Config{Name: "x", Address: "imap.example.com"}
	c.Authentication.Username = "alice"
	c.Authentication.Password.Literal = setting.NewSecret("pw")
	return c
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		name               string
		change             func(c *connection.Config)
		port               int
		address, mode, pro string
	}{
		{"nothing set", func(*connection.Config) {}, 993, "imap.example.com", "implicit", "tls"},
		{"port 143", func(c *connection.Config) { c.Port = 143 }, 143, "imap.example.com", "explicit", "tls"},
		{"explicit", func(c *connection.Config) { c.Encryption.Mode = "Explicit" }, 143, "imap.example.com", "explicit", "tls"},
		{"implicit on 143", func(c *connection.Config) { c.Port = 143; c.Encryption.Mode = "implicit" }, 143, "imap.example.com", "implicit", "tls"},
		{"none", func(c *connection.Config) { c.Encryption.Protocol = "none" }, 143, "imap.example.com", "", "none"},
		{"ssl", func(c *connection.Config) { c.Encryption.Protocol = "SSL" }, 993, "imap.example.com", "implicit", "ssl"},
		{"preset", func(c *connection.Config) { c.Address, c.Preset = "", "gmail" }, 993, "imap.gmail.com", "implicit", "tls"},
		{"preset, explicit", func(c *connection.Config) { c.Address, c.Preset, c.Encryption.Mode = "", "gmx", "explicit" }, 143, "imap.gmx.net", "explicit", "tls"},
		{"bridge on another port", func(c *connection.Config) { c.Address, c.Preset, c.Port = "", "protonbridge", 1144 }, 1144, "127.0.0.1", "explicit", "tls"},
		{"bridge on the port of implicit TLS", func(c *connection.Config) { c.Address, c.Preset, c.Port = "", "protonbridge", 993 }, 993, "127.0.0.1", "implicit", "tls"},
		{"bridge", func(c *connection.Config) { c.Address, c.Preset = "", "protonbridge" }, 1143, "127.0.0.1", "explicit", "tls"},
		{"preset, own address", func(c *connection.Config) { c.Preset = "zoho" }, 993, "imap.example.com", "implicit", "tls"},
		{"IPv6", func(c *connection.Config) { c.Address = "[::1]" }, 993, "::1", "implicit", "tls"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good()
			c.change(cfg)
			cfg.SetDefaults()
			e := cfg.Encryption
			if cfg.Port != c.port || cfg.Address != c.address || e.Mode != c.mode || e.Protocol != c.pro {
				t.Errorf("port %d address %s mode %q protocol %q", cfg.Port, cfg.Address, e.Mode, e.Protocol)
			}
			if ps := cfg.Validate(); len(ps) != 0 {
				t.Error(ps)
			}
			s := cfg.Session
			if time.Duration(s.IdleRefresh) != 9*time.Minute || s.RecheckInterval != s.IdleRefresh || time.Duration(s.PollInterval) != time.Minute || s.MaxConnections != 4 || !*s.ID || time.Duration(cfg.Timeout) != time.Minute {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestEveryPresetIsValid(t *testing.T) {
	for _, p := range connection.Presets {
		cfg := good()
		cfg.Address, cfg.Preset = "", p.Name
		cfg.SetDefaults()
		if ps := cfg.Validate(); len(ps) != 0 {
			t.Errorf("%s: %v", p.Name, ps)
		}
	}
	for _, name := range strings.Fields("gmail office365 outlook icloud yahoo fastmail zoho gmx mailbox.org protonbridge 163 qq") {
		if connection.FindPreset(name) == nil {
			t.Errorf("no preset %s", name)
		}
	}
}

// Mistakes are reported with the key and the way out.
func TestMistakes(t *testing.T) {
	sum := make([]byte, 32)
	for _, c := range []struct {
		name   string
		change func(c *connection.Config)
		key    string
		texts  []string
	}{
		{"no address", func(c *connection.Config) { c.Address = "" }, "address", []string{"missing", "preset"}},
		{"nobody", func(c *connection.Config) {
			c.Authentication.Username, c.Authentication.Password = "", setting.Source{}
		}, "authentication.username", []string{"is missing", "password_file"}},
		{"URL", func(c *connection.Config) { c.Address = "imaps://imap.example.com:993/" }, "address", []string{"URL", `"imap.example.com"`}},
		{"port in address", func(c *connection.Config) { c.Address = "imap.example.com:993" }, "address", []string{"port = 993"}},
		{"line end", func(c *connection.Config) { c.Address = "a\r\nb" }, "address", []string{"not a DNS name"}},
		{"preset", func(c *connection.Config) { c.Preset = "gmial" }, "preset", []string{`did you mean "gmail"?`}},
		{"port", func(c *connection.Config) { c.Port = 70000 }, "port", []string{"65535"}},
		{"timeout", func(c *connection.Config) { c.Timeout = setting.Duration(time.Millisecond) }, "timeout", []string{"short"}},
		{"protocol", func(c *connection.Config) { c.Encryption.Protocol = "tsl" }, "encryption.protocol", []string{`did you mean "`}},
		{"starttls", func(c *connection.Config) { c.Encryption.Protocol = "starttls" }, "encryption.protocol", []string{`mode = "explicit"`}},
		{"mode", func(c *connection.Config) { c.Encryption.Mode = "explizit" }, "encryption.mode", []string{`did you mean "explicit"?`}},
		{"mode starttls", func(c *connection.Config) { c.Encryption.Mode = "STARTTLS" }, "encryption.mode", []string{`explicit`}},
		{"none with mode", func(c *connection.Config) { c.Encryption.Protocol, c.Encryption.Mode = "none", "implicit" }, "encryption.mode", []string{"no mode"}},
		{"SSL3", func(c *connection.Config) { c.Encryption.Versions = []string{"TLS1.2", "SSLv3"} }, "encryption.versions[1]", []string{"SSL3 cannot be had", "RFC 7568", "TLS1.0"}},
		{"SSL2", func(c *connection.Config) { c.Encryption.Versions = []string{"SSL2"} }, "encryption.versions[0]", []string{"SSL2 cannot be had", "RFC 6176"}},
		{"SSL3 at gmail", func(c *connection.Config) {
			c.Address, c.Encryption.Versions = "imap.gmail.com", []string{"SSL3"}
		}, "encryption.versions[0]", []string{`preset = "gmail"`}},
		{"version", func(c *connection.Config) { c.Encryption.Versions = []string{"TLS1.5"} }, "encryption.versions[0]", []string{"did you mean"}},
		{"ciphers", func(c *connection.Config) { c.Encryption.Ciphers = "leagcy" }, "encryption.ciphers", []string{`did you mean "legacy"?`}},
		{"ca_file", func(c *connection.Config) { c.Encryption.CAFile = "/nonexistent" }, "encryption.ca_file", []string{"no such file"}},
		{"ca_file empty", func(c *connection.Config) { c.Encryption.CAFile = os.DevNull }, "encryption.ca_file", []string{"no certificate"}},
		{"key alone", func(c *connection.Config) { c.Encryption.ClientKeyFile = "x" }, "encryption.client_key_file", []string{"client_certificate_file is missing"}},
		{"pin", func(c *connection.Config) { c.Encryption.PinSHA256 = []string{"abc"} }, "encryption.pin_sha256[0]", []string{"--test-connection"}},
		{"pin in hex", func(c *connection.Config) { c.Encryption.PinSHA256 = []string{hex.EncodeToString(sum)} }, "encryption.pin_sha256[0]", []string{base64.StdEncoding.EncodeToString(sum)}},
		{"idle_refresh", func(c *connection.Config) { c.Session.IdleRefresh = setting.Duration(time.Hour) }, "session.idle_refresh", []string{"too long", "29m"}},
		{"max_connections", func(c *connection.Config) { c.Session.MaxConnections = -1 }, "session.max_connections", []string{"1 to 1000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good()
			c.change(cfg)
			cfg.SetDefaults()
			ps := cfg.Validate()
			if len(ps) != 1 || ps[0].Key != c.key {
				t.Fatalf("%+v", ps)
			}
			for _, text := range c.texts {
				if !strings.Contains(ps[0].Text, text) {
					t.Errorf("%q is not in %q", text, ps[0].Text)
				}
			}
		})
	}
}

func TestVersionSpellings(t *testing.T) {
	for in, want := range map[string]string{"tls1": "TLS1.0", "TLSv1": "TLS1.0", "TLS 1.2": "TLS1.2", "tls12": "TLS1.2", "TLSv1.3": "TLS1.3", "sslv3": "SSL3", "SSL 3.0": "SSL3", "what": "what"} {
		e := connection.Encryption{Versions: []string{in}}
		e.SetDefaults()
		if e.Versions[0] != want {
			t.Errorf("%s: %s", in, e.Versions[0])
		}
	}
}

func TestIdentity(t *testing.T) {
	c := good()
	c.Address = "IMAP.Example.COM."
	c.SetDefaults()
	if host, user := c.Identity(); host != "imap.example.com" || user != "alice" {
		t.Error(host, user)
	}
	c.Authentication.Alias = "shared"
	if _, user := c.Identity(); user != "shared" {
		t.Error(user)
	}
}

// What a client with these settings makes of a server with those.
func TestHandshake(t *testing.T) {
	ca, err := connectiontest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	certificate := func(notAfter time.Time, names ...string) tls.Certificate {
		c, err := ca.Certificate(notAfter, names...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	valid := certificate(time.Time{}, "127.0.0.1")
	expired := certificate(time.Now().Add(-48*time.Hour), "other.example.com")
	for _, c := range []struct {
		name   string
		server *tls.Config
		client connection.Encryption
		text   string // "" : it works
		hint   string
	}{
		{"works", &tls.Config{}, connection.Encryption{CAFile: file}, "", ""},
		{"unknown CA", &tls.Config{}, connection.Encryption{}, "issued by connectiontest CA", "pin_sha256 = [\"" + connection.Pin(valid.Leaf)},
		{"pinned", &tls.Config{}, connection.Encryption{PinSHA256: []string{connection.Pin(valid.Leaf)}}, "", ""},
		{"pinned, expired, another name", &tls.Config{Certificates: []tls.Certificate{expired}}, connection.Encryption{PinSHA256: []string{"sha256//" + connection.Pin(expired.Leaf)}}, "", ""},
		{"another pin, though the CA is good", &tls.Config{}, connection.Encryption{CAFile: file, PinSHA256: []string{connection.Pin(expired.Leaf)}}, "not one of those in pin_sha256", connection.Pin(valid.Leaf)},
		{"expired", &tls.Config{Certificates: []tls.Certificate{expired}}, connection.Encryption{CAFile: file, ServerName: "other.example.com"}, "expired on", "renew"},
		{"another name", &tls.Config{}, connection.Encryption{CAFile: file, ServerName: "imap.example.com"}, "the certificate is for 127.0.0.1, not for imap.example.com", "server_name"},
		{"not checked", &tls.Config{Certificates: []tls.Certificate{expired}}, connection.Encryption{InsecureSkipVerify: true}, "", ""},
		{"TLS 1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, connection.Encryption{CAFile: file, Versions: []string{"TLS1.0"}}, "", ""},
		{"TLS 1.1 in a gap", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, connection.Encryption{CAFile: file, Versions: []string{"TLS1.0", "TLS1.2"}}, "the server chose TLS1.1", "TLS1.1"},
		{"too old", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, connection.Encryption{CAFile: file}, "no TLS version", "versions"},
		{"too new", &tls.Config{MinVersion: tls.VersionTLS13}, connection.Encryption{CAFile: file, Versions: []string{"TLS1.2"}}, "no TLS version", "TLS1.3"},
		{"client certificate wanted", &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, connection.Encryption{CAFile: file}, "", "client_certificate_file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.server.Certificates == nil {
				c.server.Certificates = []tls.Certificate{valid}
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				far, err := ln.Accept()
				if err != nil {
					return
				}
				s := tls.Server(far, c.server)
				_ = s.Handshake()
				s.Close()
			}()
			near, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			_ = near.SetDeadline(time.Now().Add(patience))
			c.client.SetDefaults()
			if ps := c.client.Validate(); len(ps) > 0 {
				t.Fatal(ps)
			}
			config, err := c.client.TLSConfig("127.0.0.1")
			if err != nil {
				t.Fatal(err)
			}
			client := tls.Client(near, config)
			err = client.Handshake()
			if err == nil && c.text == "" && c.hint == "" {
				return
			}
			if err == nil {
				t.Fatal("the handshake worked")
			}
			text, hint, _, permanent := c.client.ExplainTLS("127.0.0.1", err)
			if !strings.Contains(text, c.text) || !strings.Contains(hint, c.hint) || !permanent {
				t.Errorf("%v: text %q, hint %q", err, text, hint)
			}
		})
	}
}

// With ciphers = "legacy" a server that has RSA key exchange only is reached.
func TestLegacyCiphers(t *testing.T) {
	e := connection.Encryption{Ciphers: "legacy"}
	e.SetDefaults()
	c, err := e.TLSConfig("x")
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint16]bool{tls.TLS_RSA_WITH_AES_128_CBC_SHA: true, tls.TLS_RSA_WITH_AES_256_GCM_SHA384: true, tls.TLS_RSA_WITH_RC4_128_SHA: false}
	for id, w := range want {
		has := false
		for _, s := range c.CipherSuites {
			has = has || s == id
		}
		if has != w {
			t.Errorf("%s: %v", tls.CipherSuiteName(id), has)
		}
	}
}
