package connection

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"mailtrigger/codepage"
	"mailtrigger/connection/auth"
	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
)

// Config is how to reach a mailbox account: the table [connection.NAME].
// Set it up with SetDefaults, then check it with Validate. A Config that is in
// use must not be changed.
type Config struct {
	Name string `toml:"-"` // the table's key

	Preset     string           `toml:"preset"` // a provider whose settings are the defaults
	Address    string           `toml:"address"`
	Port       int              `toml:"port"`
	Timeout    setting.Duration `toml:"timeout"` // the whole connect, and each command's longest time without progress
	CodePage   codepage.Ref     `toml:"code_page"`
	AuthservID string           `toml:"authserv_id"`

	Authentication auth.Config  `toml:"authentication"`
	Encryption     Encryption   `toml:"encryption"`
	Proxy          proxy.Config `toml:"proxy,ref"` // or the name of a [proxy.NAME] table
	Session        Session      `toml:"session"`

	smtp bool // it stands for an SMTP table; see SMTP
}

// Session is the table [connection.NAME.session].
type Session struct {
	IdleRefresh     setting.Duration `toml:"idle_refresh"`     // IDLE is renewed, and the line proven alive, this often
	RecheckInterval setting.Duration `toml:"recheck_interval"` // looks whether something came unannounced this often
	PollInterval    setting.Duration `toml:"poll_interval"`    // looks this often where the server has no IDLE, or there is no connection for a mailbox
	MaxConnections  int              `toml:"max_connections"`  // to this account, all connections with its host and user together
	ID              *bool            `toml:"id"`               // send ID (RFC 2971) where offered; nil is true
}

// The defaults of a Config.
const (
	DefaultTimeout        = time.Minute
	DefaultIdleRefresh    = 9 * time.Minute
	DefaultPollInterval   = time.Minute
	DefaultMaxConnections = 4

	portImplicit = 993
	portExplicit = 143
)

// SetDefaults fills in what is not set: first from the preset, then from the
// documented defaults. Spellings are made uniform (lower case, "tls1.2" to
// "TLS1.2"); what cannot be understood is left for Validate to report.
func (c *Config) SetDefaults() {
	c.Preset = strings.ToLower(strings.TrimSpace(c.Preset))
	c.Address = trimAddress(c.Address)
	e := &c.Encryption
	e.normalize()
	if p := FindPreset(c.Preset); p != nil {
		p.apply(c)
	}
	if c.Port == 0 {
		c.Port = portImplicit
		if e.Mode == ModeExplicit || e.Protocol == ProtocolNone {
			c.Port = portExplicit
		}
	}
	if e.Mode == "" && c.Port == portExplicit && e.Protocol != ProtocolNone {
		e.Mode = ModeExplicit
	}
	e.SetDefaults()
	if c.Timeout == 0 {
		c.Timeout = setting.Duration(DefaultTimeout)
	}
	if c.CodePage.Page == nil {
		c.CodePage.Page = codepage.Windows1252
	}
	c.Authentication.ClientCertificate = e.ClientCertificateFile != ""
	c.Authentication.SetDefaults()
	c.Proxy.SetDefaults()
	c.Session.SetDefaults()
}

// SetDefaults fills in what is not set.
func (s *Session) SetDefaults() {
	if s.IdleRefresh == 0 {
		s.IdleRefresh = setting.Duration(DefaultIdleRefresh)
	}
	if s.RecheckInterval == 0 {
		s.RecheckInterval = s.IdleRefresh
	}
	if s.PollInterval == 0 {
		s.PollInterval = setting.Duration(DefaultPollInterval)
	}
	if s.MaxConnections == 0 {
		s.MaxConnections = DefaultMaxConnections
	}
	if s.ID == nil {
		yes := true
		s.ID = &yes
	}
}

// Validate reports everything that is wrong. It reads the files of the
// encryption table, and touches neither the network nor any secret.
func (c *Config) Validate() []setting.Problem {
	var ps []setting.Problem
	add := func(key, format string, args ...any) {
		ps = append(ps, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
	if c.Preset != "" && FindPreset(c.Preset) == nil {
		add("preset", "unknown preset %q%s; there are %s", c.Preset, didYouMean(c.Preset, presetNames()), strings.Join(presetNames(), ", "))
	}
	if text := checkAddress(c.Address, speaksIMAP); text != "" && (c.Address != "" || FindPreset(c.Preset) == nil && c.Preset == "") {
		add("address", "%s", text)
	}
	if c.Port < 1 || c.Port > 65535 {
		add("port", "%d is not a port; use 1 to 65535, e.g. %d", c.Port, portImplicit)
	}
	if text := checkTimeout(c.Timeout); text != "" {
		add("timeout", "%s", text)
	}
	if c.Authentication.Nobody() { // SMTP servers may do without
		add("authentication.username", "is missing; say who logs in: username, with password_file or another way to give the password")
	}
	ps = append(ps, setting.Below("authentication", c.Authentication.Validate())...)
	ps = append(ps, setting.Below("encryption", c.Encryption.validate(c.presetByAddress()))...)
	ps = append(ps, setting.Below("proxy", c.Proxy.Validate())...)
	ps = append(ps, setting.Below("session", c.Session.Validate())...)
	return ps
}

// Validate reports everything that is wrong.
func (s *Session) Validate() []setting.Problem {
	var ps []setting.Problem
	between := func(key string, v setting.Duration, lowest, highest time.Duration, why string) {
		if d := time.Duration(v); d < lowest || d > highest {
			ps = append(ps, setting.Problem{Key: key, Text: fmt.Sprintf("%s is too %s; use %s to %s%s", d, shortOrLong(d, lowest), lowest, highest, why)})
		}
	}
	between("idle_refresh", s.IdleRefresh, time.Second, 29*time.Minute, " (servers may drop a silent session after 30 minutes, RFC 9051 section 5.4)")
	between("recheck_interval", s.RecheckInterval, time.Second, 24*time.Hour, "")
	between("poll_interval", s.PollInterval, time.Second, 24*time.Hour, "")
	if s.MaxConnections < 1 || s.MaxConnections > 1000 {
		ps = append(ps, setting.Problem{Key: "max_connections", Text: fmt.Sprintf("%d is not a number of connections; use 1 to 1000", s.MaxConnections)})
	}
	return ps
}

// Identity returns what keys of stored state are made of: the server's address
// in lower case, and whose mailbox it is (the alias where there is one, else
// the user name). Two connections with the same identity share an account.
//
// IMAP's own ports, 143 and 993, are two doors of one server: going from one to
// the other keeps all state. Another port may be another server (a tunnel, several
// on one machine) and is part of the host.
func (c *Config) Identity() (host, user string) {
	host = strings.TrimSuffix(strings.ToLower(c.Address), ".")
	if c.Port != portExplicit && c.Port != portImplicit {
		host = net.JoinHostPort(host, strconv.Itoa(c.Port))
	}
	user = c.Authentication.Username
	if c.Authentication.Alias != "" {
		user = c.Authentication.Alias
	}
	return host, user
}

// Insecure says why the connection is not protected against an eavesdropper in
// between, or returns "" if it is.
func (c *Config) Insecure() string {
	switch {
	case c.Encryption.Protocol == ProtocolNone:
		return "protocol = \"none\": everything, the password too, goes unencrypted"
	case c.Encryption.InsecureSkipVerify:
		return "insecure_skip_verify: the server's certificate is not checked"
	}
	return ""
}

// hostPort returns what to dial.
func (c *Config) hostPort() string { return net.JoinHostPort(c.Address, strconv.Itoa(c.Port)) }

// sendID reports whether ID is to be sent where offered.
func (c *Config) sendID() bool { return c.Session.ID == nil || *c.Session.ID }

// checkTimeout says what is wrong with the timeout of a connect, or returns "".
func checkTimeout(timeout setting.Duration) string {
	if t := time.Duration(timeout); t < time.Second || t > time.Hour {
		return fmt.Sprintf("%s is too %s; use 1s to 1h", t, shortOrLong(t, time.Second))
	}
	return ""
}

// trimAddress takes off what people write around an address.
func trimAddress(a string) string {
	a = strings.TrimSpace(a)
	if strings.HasPrefix(a, "[") && strings.HasSuffix(a, "]") {
		return a[1 : len(a)-1]
	}
	return a
}

// checkAddress says what is wrong with a server's address, or returns "".
func checkAddress(a string, p *protocol) string {
	switch {
	case a == "":
		return fmt.Sprintf(`missing; give the server's DNS name or IP address, e.g. "%s.example.com", or a preset`, strings.ToLower(p.name))
	case strings.Contains(a, "://"):
		rest := a[strings.Index(a, "://")+3:]
		host, _, _ := strings.Cut(rest, "/")
		host = host[strings.LastIndexByte(host, '@')+1:] // what is before it may be a password
		return fmt.Sprintf("a URL is no address; give the host alone: %q", hostAlone(host))
	case strings.ContainsAny(a, " \t\r\n\x00/@,;\"'"):
		return fmt.Sprintf("%q is not a DNS name or an IP address", a[strings.LastIndexByte(a, '@')+1:])
	}
	if _, err := netip.ParseAddr(a); err == nil {
		return ""
	}
	if host, port, err := net.SplitHostPort(a); err == nil {
		return fmt.Sprintf("%q has a port; write address = %q and port = %s", a, host, port)
	}
	if strings.Contains(a, ":") {
		return fmt.Sprintf("%q is not an IPv6 address", a)
	}
	if len(a) > 253 || strings.Contains(a, "..") || strings.HasPrefix(a, ".") {
		return fmt.Sprintf("%.100q is not a DNS name", a)
	}
	return ""
}

func hostAlone(hostPort string) string {
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		return h
	}
	return hostPort
}

func shortOrLong(d, lowest time.Duration) string {
	if d < lowest {
		return "short"
	}
	return "long"
}

// didYouMean returns `; did you mean "x"?` where one of the words is close to s, else "".
func didYouMean(s string, words []string) string {
	if near := setting.DidYouMean(s, words); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
