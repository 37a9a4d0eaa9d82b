package auth

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
)

// Config is the table [connection.NAME.authentication].
// Set it up with SetDefaults, then check it with Validate.
type Config struct {
	Username  string         `toml:"username"`
	Password  setting.Source `toml:"password"` // for xoauth2 and oauthbearer without an oauth2 table: the access token
	Alias     string         `toml:"alias"`    // whose mailbox, if not Username's own
	Mechanism string         `toml:"mechanism"`
	OAuth2    OAuth2         `toml:"oauth2"`

	// ClientCertificate says that the connection's encryption has a client
	// certificate, so that "auto" may do without a password. It is for the
	// owner of the table to set before Validate.
	ClientCertificate bool `toml:"-"`
}

// OAuth2 is the table [connection.NAME.authentication.oauth2].
type OAuth2 struct {
	Provider           string         `toml:"provider"`
	Grant              string         `toml:"grant"`
	Tenant             string         `toml:"tenant"`
	ClientID           string         `toml:"client_id"`
	ClientSecret       setting.Source `toml:"client_secret,optional"`
	CertificateFile    string         `toml:"certificate_file,path"`
	KeyFile            string         `toml:"key_file,path"`
	TokenURL           string         `toml:"token_url"`
	AuthURL            string         `toml:"auth_url"`
	DeviceAuthURL      string         `toml:"device_auth_url"`
	Scopes             []string       `toml:"scopes"`
	RefreshTokenFile   string         `toml:"refresh_token_file,path"`
	ServiceAccountFile string         `toml:"service_account_file,path"`
	Subject            string         `toml:"subject"`
}

// Mechanisms are the values of Config.Mechanism. All but "auto" are names of
// SASL mechanisms in lower case; "login" is the LOGIN command too.
var Mechanisms = []string{"auto", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256", "xoauth2", "oauthbearer", "external", "anonymous"}

// enabled reports whether the table is there: any key of it is set.
func (o *OAuth2) enabled() bool {
	return o.Provider != "" || o.Grant != "" || o.Tenant != "" || o.ClientID != "" || !o.ClientSecret.IsZero() ||
		o.CertificateFile != "" || o.KeyFile != "" || o.TokenURL != "" || o.AuthURL != "" || o.DeviceAuthURL != "" ||
		len(o.Scopes) > 0 || o.RefreshTokenFile != "" || o.ServiceAccountFile != "" || o.Subject != ""
}

// SetDefaults fills in what was not given: mechanism "auto", and with an oauth2
// table the provider's URLs and scopes.
func (c *Config) SetDefaults() {
	c.Mechanism = strings.ToLower(strings.TrimSpace(c.Mechanism))
	if c.Mechanism == "" {
		c.Mechanism = "auto"
	}
	if c.OAuth2.enabled() {
		c.OAuth2.setDefaults(c.Username)
	}
}

// Validate returns what is wrong with the table. It reads no secret and does not
// touch the network; certificates and keys named in the table are read.
func (c *Config) Validate() []setting.Problem {
	problems := setting.OneOf("mechanism", c.Mechanism, Mechanisms)
	add := func(key, format string, a ...any) {
		problems = append(problems, setting.Problem{Key: key, Text: fmt.Sprintf(format, a...)})
	}
	for _, k := range []struct{ key, value string }{{"username", c.Username}, {"alias", c.Alias}} {
		if hasControl(k.value) {
			add(k.key, "must not hold control characters")
		}
	}
	problems = append(problems, c.Password.Validate("password")...)
	password, oauth := !c.Password.IsZero(), c.OAuth2.enabled()

	switch c.Mechanism {
	case "external":
		if password {
			add("password", "is of no use with mechanism = \"external\": the client certificate proves who we are")
		}
	case "anonymous":
		if password || c.Alias != "" {
			add("mechanism", "anonymous takes neither password nor alias")
		}
	default:
		if c.Username == "" && (c.Mechanism != "auto" || password || oauth) {
			add("username", "is missing")
		}
		if password && oauth {
			add("password", "clashes with the table oauth2, which gets access tokens in its place; remove one of them")
		}
	}
	bearer := c.Mechanism == "xoauth2" || c.Mechanism == "oauthbearer"
	switch {
	case oauth && !bearer && c.Mechanism != "auto":
		add("mechanism", "%s does not go with the table oauth2; give auto, xoauth2 or oauthbearer, or remove the table", c.Mechanism)
	case bearer && !oauth && !password:
		add("mechanism", "%s needs the table oauth2, or an access token as password (password_command, say)", c.Mechanism)
	case slices.Contains([]string{"plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"}, c.Mechanism) && !password && !oauth:
		add("password", "is missing; give one of password, password_file, password_env, password_credential, password_command")
	case c.Mechanism == "auto" && c.Username != "" && !password && !oauth && !c.ClientCertificate:
		add("password", "is missing; give one of password, password_file, password_env, password_credential, password_command, the table oauth2, or mechanism = \"external\" with a client certificate")
	}
	if c.Alias != "" && slices.Contains([]string{"login", "cram-md5"}, c.Mechanism) {
		add("alias", "mechanism %s has no place for an alias; give plain, scram-sha-1, scram-sha-256, external, xoauth2 or oauthbearer", c.Mechanism)
	}
	if oauth {
		problems = append(problems, setting.Below("oauth2", c.OAuth2.validate(c.Username))...)
	}
	return problems
}

// Nobody reports whether the table names nobody to log in as, and no way to.
func (c *Config) Nobody() bool {
	return c.Mechanism == "auto" && c.Username == "" && c.Password.IsZero() && !c.OAuth2.enabled() && !c.ClientCertificate
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// checkURL says what is wrong with a URL that secrets are sent to: https it must
// be, or http on this machine.
func checkURL(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || hasControl(value):
		return fmt.Errorf("is not a URL like https://login.example.com/token")
	case u.User != nil:
		return fmt.Errorf("must not hold a password; use client_id and client_secret")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("must be https: secrets are sent there")
	}
	return fmt.Errorf("is not a URL like https://login.example.com/token")
}
