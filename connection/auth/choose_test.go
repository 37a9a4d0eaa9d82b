package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"mailtrigger/connection/setting"
)

const canary = "c4nary-pässwort"

// capabilities makes a Server's Capabilities.
func capabilities(list string) func(string) bool {
	return func(c string) bool { return strings.Contains(" "+list+" ", " "+c+" ") }
}

const everything = "AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=EXTERNAL AUTH=ANONYMOUS"

func TestChoose(t *testing.T) {
	password := Config{Username: "u", Password: literal("pw")}
	with := func(c Config, change func(*Config)) Config { change(&c); return c }
	alias := with(password, func(c *Config) { c.Alias = "shared" })
	mechanism := func(m string) Config { return with(password, func(c *Config) { c.Mechanism = m }) }
	for _, c := range []struct {
		name  string
		cfg   Config
		offer string
		clear bool // the connection is not encrypted
		allow bool // and that is on purpose
		cert  bool
		smtp  bool
		want  string
		fails string
	}{
		{name: "best", cfg: password, offer: everything, want: "SCRAM-SHA-256"},
		{name: "sha-1", cfg: password, offer: "AUTH=SCRAM-SHA-1 AUTH=PLAIN AUTH=CRAM-MD5", want: "SCRAM-SHA-1"},
		{name: "plain before cram-md5", cfg: password, offer: "AUTH=PLAIN AUTH=CRAM-MD5", want: "PLAIN"},
		{name: "login", cfg: password, offer: "AUTH=LOGIN AUTH=CRAM-MD5", want: "LOGIN"},
		{name: "the command", cfg: password, offer: "IMAP4rev1", want: LoginCommand},
		{name: "the command before cram-md5", cfg: password, offer: "AUTH=CRAM-MD5", want: LoginCommand},
		{name: "the command is disabled", cfg: password, offer: "AUTH=CRAM-MD5 LOGINDISABLED", want: "CRAM-MD5"},
		{name: "nothing is left", cfg: password, offer: "LOGINDISABLED", fails: "LOGINDISABLED"},
		{name: "nothing that fits", cfg: password, offer: "AUTH=XOAUTH2 LOGINDISABLED", fails: "it offers XOAUTH2"},
		{name: "no LOGIN command in SMTP", cfg: password, offer: "", smtp: true, fails: "offers no login"},
		{name: "clear: scram", cfg: password, offer: everything, clear: true, want: "SCRAM-SHA-256"},
		{name: "clear: cram-md5 before plain", cfg: password, offer: "AUTH=PLAIN AUTH=CRAM-MD5", clear: true, allow: true, want: "CRAM-MD5"},
		{name: "clear: refused", cfg: password, offer: "AUTH=PLAIN AUTH=LOGIN", clear: true, fails: "not encrypted"},
		{name: "clear: refused if asked for", cfg: mechanism("plain"), offer: everything, clear: true, fails: "not encrypted"},
		{name: "clear: the command is refused", cfg: mechanism("login"), offer: "", clear: true, fails: "not encrypted"},
		{name: "clear: bearer is refused", cfg: mechanism("xoauth2"), offer: everything, clear: true, fails: "not encrypted"},
		{name: "clear: allowed", cfg: password, offer: "AUTH=PLAIN AUTH=LOGIN", clear: true, allow: true, want: "PLAIN"},
		{name: "clear: allowed, but disabled", cfg: password, offer: "LOGINDISABLED", clear: true, allow: true, fails: "encryption.protocol"},
		{name: "alias", cfg: alias, offer: everything, want: "SCRAM-SHA-256"},
		{name: "alias: plain", cfg: alias, offer: "AUTH=LOGIN AUTH=PLAIN", want: "PLAIN"},
		{name: "alias: no place", cfg: alias, offer: "AUTH=LOGIN AUTH=CRAM-MD5", fails: `alias "shared"`},
		{name: "asked for", cfg: mechanism("cram-md5"), offer: everything, want: "CRAM-MD5"},
		{name: "asked for, not offered", cfg: mechanism("cram-md5"), offer: "AUTH=PLAIN", fails: "CRAM-MD5: the server does not offer it"},
		{name: "login by SASL", cfg: mechanism("login"), offer: "AUTH=LOGIN", want: "LOGIN"},
		{name: "login by command", cfg: mechanism("login"), offer: "AUTH=PLAIN", want: LoginCommand},
		{name: "external", cfg: Config{Mechanism: "external"}, offer: everything, cert: true, want: "EXTERNAL"},
		{name: "external by auto", cfg: Config{Username: "u", ClientCertificate: true}, offer: everything, cert: true, want: "EXTERNAL"},
		{name: "no external by auto with a password", cfg: password, offer: everything, cert: true, want: "SCRAM-SHA-256"},
		{name: "nothing to prove with", cfg: Config{Username: "u", ClientCertificate: true}, offer: everything, fails: "neither a password"},
		{name: "anonymous", cfg: Config{Mechanism: "anonymous"}, offer: everything, want: "ANONYMOUS"},
		{name: "never anonymous by auto", cfg: password, offer: "AUTH=ANONYMOUS LOGINDISABLED", fails: "it offers ANONYMOUS"},
		{name: "xoauth2 with a token", cfg: mechanism("xoauth2"), offer: everything, want: "XOAUTH2"},
		{name: "a password that SASLprep changes", cfg: with(password, func(c *Config) { c.Password = literal("a\u00a0b") }), offer: everything, want: "PLAIN"},
		{name: "a password that SASLprep refuses", cfg: with(password, func(c *Config) { c.Password = literal("\U0001f511") }), offer: everything, want: "PLAIN"},
		{name: "SASLprep, unencrypted", cfg: with(password, func(c *Config) { c.Password = literal("\U0001f511") }), offer: everything, clear: true, allow: true, want: "SCRAM-SHA-256"},
		{name: "a line break", cfg: with(password, func(c *Config) { c.Password = literal("a\r\nb") }), offer: everything, fails: "line break"},
		{name: "a password that is not there", cfg: with(password, func(c *Config) { c.Password = setting.Source{File: "/nonexistent"} }), offer: everything, fails: "cannot read the password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuthenticator(t, c.cfg, Options{AllowClearText: c.allow, SMTP: c.smtp})
			l, err := a.Choose(t.Context(), Server{Capabilities: capabilities(c.offer), Encrypted: !c.clear, ClientCertificate: c.cert})
			if c.fails != "" {
				var e *Error
				if !errors.As(err, &e) || !strings.Contains(err.Error(), c.fails) || e.Hint == "" && !strings.Contains(c.fails, "read") || e.Refused {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if l.Mechanism != c.want {
				t.Errorf("took %s, want %s", l.Mechanism, c.want)
			}
			if (l.SASL == nil) != (c.want == LoginCommand) {
				t.Errorf("SASL %v", l.SASL)
			}
			if l.SASL != nil {
				if name, _, err := l.SASL.Start(); name != c.want || err != nil {
					t.Errorf("starts %s, %v", name, err)
				}
			}
			shown := c.clear && (c.want == "PLAIN" || c.want == "LOGIN" || c.want == LoginCommand)
			if (l.Warning != "") != shown {
				t.Errorf("warning %q", l.Warning)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	oauth := OAuth2{Provider: "microsoft", Grant: "device_code", ClientID: "id"}
	change := func(f func(*OAuth2)) Config {
		o := oauth
		f(&o)
		return Config{Username: "u", OAuth2: o}
	}
	for i, c := range []struct {
		cfg  Config
		want string // the beginning of the only problem; "" for none
	}{
		{Config{Username: "u", Password: literal("p")}, ""},
		{Config{Username: "u", Password: literal("p"), Mechanism: "SCRAM-SHA-256"}, ""},
		{Config{Username: "u", Password: literal("p"), Mechanism: "scram-sha256"}, `mechanism: unknown mechanism "scram-sha256"; did you mean "scram-sha-256"?`},
		{Config{Username: "u", Password: literal("p"), Mechanism: "oauth2"}, `mechanism: unknown mechanism "oauth2"; did you mean "xoauth2"?`},
		{Config{Password: literal("p")}, "username: is missing"},
		{Config{Username: "u"}, "password: is missing"},
		{Config{Username: "u", Mechanism: "plain"}, "password: is missing"},
		{Config{Username: "u", ClientCertificate: true}, ""},
		{Config{Username: "u\r\nX", Password: literal("p")}, "username: must not hold control"},
		{Config{Username: "u", Alias: "a\x00", Password: literal("p")}, "alias: must not hold control"},
		{Config{Username: "u", Alias: "a", Password: literal("p"), Mechanism: "cram-md5"}, "alias: mechanism cram-md5 has no place"},
		{Config{Mechanism: "external"}, ""},
		{Config{Mechanism: "external", Password: literal("p")}, "password: is of no use"},
		{Config{Mechanism: "anonymous"}, ""},
		{Config{Username: "u", Password: setting.Source{Env: "A", File: "b"}}, "password: give exactly one of"},
		{Config{Username: "u", Mechanism: "xoauth2"}, "mechanism: xoauth2 needs"},
		{Config{Username: "u", Mechanism: "xoauth2", Password: literal("token")}, ""},
		{change(func(*OAuth2) {}), ""},
		{Config{Username: "u", Password: literal("p"), OAuth2: oauth}, "password: clashes with the table oauth2"},
		{Config{Username: "u", Mechanism: "plain", OAuth2: oauth}, "mechanism: plain does not go with"},
		{Config{OAuth2: oauth}, "username: is missing"},
		{change(func(o *OAuth2) { o.Grant = "" }), "oauth2.grant: is missing"},
		{change(func(o *OAuth2) { o.Grant = "device" }), `oauth2.grant: unknown grant "device"; did you mean "device_code"?`},
		{change(func(o *OAuth2) { o.Provider = "mircosoft" }), `oauth2.provider: unknown provider "mircosoft"; did you mean "microsoft"?`},
		{change(func(o *OAuth2) { o.Provider = "google" }), "oauth2.grant: google gives no access"},
		{change(func(o *OAuth2) { o.ClientID = "" }), "oauth2.client_id: is missing"},
		{change(func(o *OAuth2) { o.Tenant = "a/b" }), "oauth2.tenant: is the ID"},
		{change(func(o *OAuth2) { o.Scopes = []string{"a b"} }), "oauth2.scopes: \"a b\" is not a scope"},
		{change(func(o *OAuth2) { o.TokenURL = "http://login.test/token" }), "oauth2.token_url: must be https"},
		{change(func(o *OAuth2) { o.TokenURL = "http://127.0.0.1:1/token" }), ""},
		{change(func(o *OAuth2) { o.TokenURL = "https://u:p@login.test/token" }), "oauth2.token_url: must not hold a password"},
		{change(func(o *OAuth2) { o.Provider, o.TokenURL = "", "https://login.test/token" }), "oauth2.device_auth_url: is missing"},
		{change(func(o *OAuth2) { o.Subject = "s" }), "oauth2.subject: is for grant"},
		{change(func(o *OAuth2) { o.CertificateFile = "/nonexistent" }), "oauth2.certificate_file: needs key_file"},
		{change(func(o *OAuth2) { o.CertificateFile, o.KeyFile = "/nonexistent", "/nonexistent" }), "oauth2.certificate_file: open /nonexistent"},
		{change(func(o *OAuth2) { o.Grant, o.ClientSecret, o.Tenant = "client_credentials", literal("s"), "t" }), ""},
		{change(func(o *OAuth2) { o.Grant, o.ClientSecret = "client_credentials", literal("s") }), "oauth2.tenant: is missing"},
		{change(func(o *OAuth2) { o.Grant, o.Tenant = "client_credentials", "t" }), "oauth2.client_secret: is missing"},
		{Config{Username: "u", OAuth2: OAuth2{Provider: "google", Grant: "service_account", ServiceAccountFile: "/nonexistent"}}, "oauth2.service_account_file: open"},
	} {
		c.cfg.SetDefaults()
		got := ""
		for _, p := range c.cfg.Validate() {
			got += p.Error() + "\n"
		}
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%d: got %q, want %q", i, got, c.want)
		}
	}
}

func TestPresets(t *testing.T) {
	c := Config{Username: "u", OAuth2: OAuth2{Provider: "Microsoft", Tenant: "example.com", Grant: "device_code", ClientID: "id"}}
	c.SetDefaults()
	if c.OAuth2.TokenURL != "https://login.microsoftonline.com/example.com/oauth2/v2.0/token" || !strings.HasSuffix(c.OAuth2.DeviceAuthURL, "/devicecode") {
		t.Errorf("got %+v", c.OAuth2)
	}
	for _, s := range []struct {
		grant string
		smtp  bool
		want  string
	}{
		{"device_code", false, "https://outlook.office.com/IMAP.AccessAsUser.All offline_access"},
		{"device_code", true, "https://outlook.office.com/SMTP.Send offline_access"},
		{"client_credentials", false, "https://outlook.office365.com/.default"},
	} {
		c.OAuth2.Grant = s.grant
		if got := strings.Join(c.OAuth2.scopes(s.smtp), " "); got != s.want {
			t.Errorf("%s: got %q", s.grant, got)
		}
	}
}

// TestFailed: what the server said is told without what it should not have said.
func TestFailed(t *testing.T) {
	a := newAuthenticator(t, Config{Username: "u", Password: literal(canary), Mechanism: "plain"}, Options{})
	login, err := a.Choose(t.Context(), Server{Capabilities: capabilities(everything), Encrypted: true})
	if err != nil {
		t.Fatal(err)
	}
	_, first, _ := login.SASL.Start()
	echo := canary + " " + base64.StdEncoding.EncodeToString(first) + "\x1b[2J\r\nX1 DELETE INBOX"
	status := func(kind imap.StatusResponseType, code imap.ResponseCode, text string) error {
		return &imap.Error{Type: kind, Code: code, Text: text}
	}
	for i, c := range []struct {
		err                error
		refused, permanent bool
	}{
		{status("NO", "AUTHENTICATIONFAILED", echo), true, true},
		{status("NO", "", "bad password "+echo), true, true},
		{status("NO", "", "Too many connections, try again later"), false, false},
		{status("NO", "UNAVAILABLE", echo), false, false},
		{status("NO", "LIMIT", echo), false, false},
		{status("NO", "EXPIRED", echo), true, true},
		{status("NO", "PRIVACYREQUIRED", echo), false, true},
		{status("BAD", "", echo), false, true},
		{errors.New("EOF " + echo), false, false},
		{smtpError(535), true, true},
		{smtpError(454), false, false},
	} {
		got := a.Failed(login, c.err)
		var e *Error
		if !errors.As(got, &e) || e.Refused != c.refused || e.Permanent != c.permanent {
			t.Errorf("%d: %v (refused %v, permanent %v)", i, got, e.Refused, e.Permanent)
		}
		for _, text := range []string{got.Error(), fmt.Sprintf("%v %s", e.Err, e.Err)} {
			if strings.Contains(text, canary) || strings.Contains(text, base64.StdEncoding.EncodeToString(first)) || strings.ContainsAny(text, "\r\n\x1b") {
				t.Errorf("%d: unfit for a log: %q", i, text)
			}
		}
		if !errors.Is(got, c.err) {
			t.Errorf("%d: the cause is lost", i)
		}
	}
	if a.Failed(login, nil) != nil {
		t.Error("no error became one")
	}
}

// smtpError is what go-smtp's errors are to us.
type smtpError int

func (e smtpError) Error() string   { return fmt.Sprint("SMTP error ", int(e), ": ", canary) }
func (e smtpError) Temporary() bool { return e/100 == 4 }
