package proxy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
)

// Config is the table [connection.NAME.proxy], or [proxy.NAME].
// Set it up with SetDefaults, then check it with Validate.
type Config struct {
	Type           string         `toml:"type"`
	Address        string         `toml:"address"`
	Port           int            `toml:"port"`
	UseCredentials *bool          `toml:"use_credentials"` // nil: true if Username is set
	Authentication string         `toml:"authentication"`  // HTTP: auto | basic | digest | ntlm
	Domain         string         `toml:"domain"`          // NTLM
	Username       string         `toml:"username"`        // socks4, socks4a: the user id
	Password       setting.Source `toml:"password,optional"`
	CAFile         string         `toml:"ca_file,path"` // https: instead of the system's roots
}

// Types are the values of Config.Type, and Authentications those of
// Config.Authentication.
var (
	Types           = []string{"none", "http", "https", "socks4", "socks4a", "socks5", "environment"}
	Authentications = []string{"auto", "basic", "digest", "ntlm"}
)

// SetDefaults fills in what was not given: no proxy where there is no address, and
// for each type its usual port (http 8080, https 443, SOCKS 1080).
func (c *Config) SetDefaults() {
	c.Type = strings.ToLower(strings.TrimSpace(c.Type))
	c.Authentication = strings.ToLower(strings.TrimSpace(c.Authentication))
	if c.Type == "" && c.Address == "" {
		c.Type = "none"
	}
	if c.Port == 0 {
		switch c.Type {
		case "http":
			c.Port = 8080
		case "https":
			c.Port = 443
		case "socks4", "socks4a", "socks5":
			c.Port = 1080
		}
	}
	if c.Authentication == "" && c.isHTTP() {
		c.Authentication = "auto"
	}
}

func (c *Config) isHTTP() bool { return c.Type == "http" || c.Type == "https" }

// credentials reports whether user name and password are to be used.
func (c *Config) credentials() bool {
	if c.UseCredentials != nil {
		return *c.UseCredentials
	}
	return c.Username != ""
}

// Validate returns what is wrong with the table. It reads the CA file, but no
// secret, and does not touch the network.
func (c *Config) Validate() []setting.Problem {
	if c.Type == "" {
		return []setting.Problem{{Key: "type", Text: "is missing, though there is an address; give http, https, socks4, socks4a or socks5, or none to go without"}}
	}
	problems := setting.OneOf("type", c.Type, Types)
	if problems != nil {
		return problems
	}
	add := func(key, format string, a ...any) {
		problems = append(problems, setting.Problem{Key: key, Text: fmt.Sprintf(format, a...)})
	}
	problems = append(problems, c.Password.Validate("password")...)
	for _, k := range []struct{ key, value string }{{"address", c.Address}, {"username", c.Username}, {"domain", c.Domain}} {
		if strings.ContainsFunc(k.value, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			add(k.key, "must not hold control characters")
		}
	}
	switch {
	case c.Type == "none": // switched off: the rest may stay for the day it is switched on again
		return problems
	case c.Type == "environment":
		if c.Address != "" {
			add("address", "is of no use with type = %q; set type to http, https, socks4, socks4a or socks5", c.Type)
		}
		return problems
	}
	switch {
	case c.Address == "":
		add("address", "is missing: the host name or IP address of the proxy")
	case strings.Contains(c.Address, "://"):
		add("address", "must be a host name or IP address without a scheme; give type, address and port")
	case strings.ContainsAny(c.Address, " /@"):
		add("address", "must be a host name or IP address only")
	}
	if c.Port < 1 || c.Port > 65535 {
		add("port", "must be from 1 to 65535")
	}
	if c.credentials() && c.Username == "" {
		add("username", "is missing though use_credentials is set")
	}
	if c.isHTTP() {
		problems = append(problems, setting.OneOf("authentication", c.Authentication, Authentications)...)
		if c.Domain != "" && !slices.Contains([]string{"auto", "ntlm"}, c.Authentication) {
			add("domain", `is for NTLM only; set authentication = "ntlm" or remove it`)
		}
		if strings.Contains(c.Username, ":") && c.Authentication == "basic" {
			add("username", `must not hold ":" with basic authentication`)
		}
	} else {
		if c.Authentication != "" {
			add("authentication", "is for http and https proxies only")
		}
		if c.Domain != "" {
			add("domain", "is for http and https proxies only")
		}
	}
	if (c.Type == "socks4" || c.Type == "socks4a") && !c.Password.IsZero() {
		add("password", "%s has a user id but no password; use socks5 or remove it", c.Type)
	} else if c.credentials() && c.Type != "socks4" && c.Type != "socks4a" && c.Password.IsZero() {
		add("password", "is missing; give one of password, password_file, password_env, password_credential, password_command")
	} else if c.UseCredentials == nil && c.Username == "" && !c.Password.IsZero() {
		add("username", "is missing though there is a password")
	}
	if c.CAFile != "" {
		if c.Type != "https" {
			add("ca_file", "is for https proxies only")
		} else if _, err := readCA(c.CAFile); err != nil {
			add("ca_file", "%v", err)
		}
	}
	return problems
}

func readCA(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New(path + " holds no certificate in PEM form")
	}
	return pool, nil
}
