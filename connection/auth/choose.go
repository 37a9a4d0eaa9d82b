package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
)

// Server is what is known of the server when a login is about to begin, after
// STARTTLS.
type Server struct {
	// Capabilities reports whether the server has a capability, e.g.
	// "AUTH=PLAIN", "LOGINDISABLED". nil: it has none.
	Capabilities func(string) bool
	// Mechanisms are the SASL mechanisms it offers; nil: Capabilities is asked.
	Mechanisms        []string
	Encrypted         bool // the connection is encrypted
	ClientCertificate bool // we have shown a client certificate
	Host              string
	Port              int
}

// A Mechanism is one way to log in, as "auto" sees it.
type Mechanism struct {
	Name   string // the SASL name, or LoginCommand
	Bearer bool   // uses an access token
	Reveal bool   // shows the password or token to whoever listens
	Alias  bool   // has a place for an alias
	// NoSecret: needs neither password nor token.
	NoSecret bool
}

// Order is the order in which "auto" looks for a mechanism that the server
// offers, and takes the first that fits. It takes one; where that one fails, no
// other is tried, as each try may count against the account.
//
//   - With an oauth2 table only OAUTHBEARER and XOAUTH2 fit.
//   - Without a password only EXTERNAL fits, and needs a client certificate.
//   - Else the SCRAMs come first, then what shows the password to the server
//     alone (the connection is encrypted), then CRAM-MD5: it wants the server to
//     keep the password itself, so many offer it that have it for nobody. SCRAM is
//     left out for a password that SASLprep (RFC 4013) would change or refuse if
//     there is another way, as servers disagree about SASLprep.
//   - On an unencrypted connection the mechanisms that reveal the password are
//     tried last, and only if the configuration has said that it wants no
//     encryption (Options.AllowClearText).
//   - With an alias only those fit that have a place for it.
//
// ANONYMOUS is never taken unless it is asked for.
var Order = []Mechanism{
	{Name: "OAUTHBEARER", Bearer: true, Reveal: true, Alias: true},
	{Name: "XOAUTH2", Bearer: true, Reveal: true, Alias: true},
	{Name: "EXTERNAL", NoSecret: true, Alias: true},
	{Name: "SCRAM-SHA-256", Alias: true},
	{Name: "SCRAM-SHA-1", Alias: true},
	{Name: "PLAIN", Reveal: true, Alias: true},
	{Name: "LOGIN", Reveal: true},
	{Name: LoginCommand, Reveal: true},
	{Name: "CRAM-MD5"},
}

var anonymous = Mechanism{Name: "ANONYMOUS", NoSecret: true}

// Choose reads the secrets and prepares a login by the mechanism that is
// configured, or by the first that fits (see Order). The errors are *Error and
// *AuthRequired; setting up an OAuth 2.0 access token takes part of ctx's time.
func (a *Authenticator) Choose(ctx context.Context, s Server) (*Login, error) {
	password, err := a.cfg.Password.Read(ctx)
	if err != nil {
		return nil, &Error{Text: "cannot read the password: " + err.Error(), Err: err}
	}
	if strings.ContainsAny(password.Reveal(), "\x00\r\n") {
		return nil, &Error{Text: "the password holds a line break or a NUL", Hint: "does its source have more than one line?", Permanent: true}
	}
	m, err := a.choose(s, password)
	if err != nil {
		return nil, err
	}
	l := &Login{Mechanism: m.Name, Username: a.cfg.Username, Alias: a.cfg.Alias, Password: password}
	if m.Bearer && a.tokens != nil {
		began := a.opts.Now()
		if l.token, err = a.tokens.get(ctx); err != nil {
			return nil, err
		}
		l.Password = setting.NewSecret(l.token.access)
		l.own = !l.token.got.Before(began)
	}
	if !m.NoSecret && l.Password.IsZero() {
		return nil, &Error{Mechanism: m.Name, Text: "there is no password", Hint: "set one of password, password_file, password_env, password_credential, password_command", Permanent: true}
	}
	if m.Reveal && !s.Encrypted {
		l.Warning = "the connection is not encrypted, and " + m.Name + " shows the password to everybody on the way"
	}
	return l, l.prepare(s)
}

// choose applies the rules of Order.
func (a *Authenticator) choose(s Server, password setting.Secret) (Mechanism, error) {
	candidates := slices.Clone(Order)
	if a.cfg.Mechanism == "anonymous" {
		candidates = []Mechanism{anonymous}
	} else if a.cfg.Mechanism != "auto" {
		name := strings.ToUpper(a.cfg.Mechanism)
		candidates = slices.DeleteFunc(candidates, func(m Mechanism) bool {
			return m.Name != name && !(name == "LOGIN" && m.Name == LoginCommand)
		})
	} else {
		candidates = slices.DeleteFunc(candidates, func(m Mechanism) bool {
			switch {
			case a.tokens != nil:
				return !m.Bearer
			case password.IsZero():
				return !m.NoSecret || !s.ClientCertificate
			default:
				return m.Bearer || m.NoSecret
			}
		})
		if s.Encrypted && !plainUnderSASLprep(password.Reveal()) { // SCRAM last
			slices.SortStableFunc(candidates, func(x, y Mechanism) int { return rank(isSCRAM(x)) - rank(isSCRAM(y)) })
		}
		if !s.Encrypted { // revealing ones last
			slices.SortStableFunc(candidates, func(x, y Mechanism) int { return rank(x.Reveal) - rank(y.Reveal) })
		}
	}
	var notOffered, noAlias, clear bool
	for _, m := range candidates {
		switch {
		case !a.offered(s, m.Name):
			notOffered = true
		case a.cfg.Alias != "" && !m.Alias:
			noAlias = true
		case m.Reveal && !s.Encrypted && !a.opts.AllowClearText:
			clear = true
		default:
			return m, nil
		}
	}
	e := &Error{Permanent: true}
	if a.cfg.Mechanism != "auto" {
		e.Mechanism = strings.ToUpper(a.cfg.Mechanism)
	}
	switch {
	case clear:
		e.Text = "the connection is not encrypted, so no password is sent"
		e.Hint = `set encryption.protocol = "tls"; only encryption.protocol = "none" lets a password be sent in the clear`
	case noAlias:
		e.Text = fmt.Sprintf("none of the mechanisms that the server offers has a place for the alias %q (it offers %s)", a.cfg.Alias, a.offers(s))
		e.Hint = "remove alias, or have PLAIN, SCRAM, XOAUTH2 or OAUTHBEARER switched on at the server"
	case len(candidates) == 0:
		e.Text, e.Hint = "there is neither a password nor an oauth2 table, and no client certificate was shown", "set password, oauth2, or encryption.client_certificate_file"
	case notOffered && s.has("LOGINDISABLED") && s.mechanisms() == nil:
		e.Text = "the server takes no login on this connection (LOGINDISABLED)"
		e.Hint = `it wants an encrypted one: set encryption.protocol = "tls"`
		if s.Encrypted {
			e.Hint = "ask who runs the server which login it wants"
		}
	default:
		e.Text = "the server does not offer it"
		if e.Mechanism == "" {
			e.Text = "the server offers no login that fits"
		}
		e.Text += " (it offers " + a.offers(s) + ")"
		e.Hint = `set mechanism = "auto" or one that it offers`
		if a.opts.SMTP && len(s.mechanisms()) == 0 {
			e.Hint = "is it a server for mail programs, on port 587 or 465? If it wants no login, leave the authentication table out"
		}
		if a.tokens != nil {
			e.Hint = "a server that takes OAuth 2.0 offers XOAUTH2 or OAUTHBEARER; is the address right?"
		}
	}
	return Mechanism{}, e
}

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

func isSCRAM(m Mechanism) bool { return strings.HasPrefix(m.Name, "SCRAM-") }

func (a *Authenticator) offered(s Server, mechanism string) bool {
	if mechanism == LoginCommand {
		return !a.opts.SMTP && !s.has("LOGINDISABLED")
	}
	if s.Mechanisms != nil {
		return slices.ContainsFunc(s.Mechanisms, func(m string) bool { return strings.EqualFold(m, mechanism) })
	}
	return s.has("AUTH=" + mechanism)
}

func (s Server) has(capability string) bool {
	return s.Capabilities != nil && s.Capabilities(capability)
}

// mechanisms returns what the server offers, as far as it matters to us.
func (s Server) mechanisms() []string {
	if s.Mechanisms != nil {
		return s.Mechanisms
	}
	var names []string
	for _, m := range append(slices.Clone(Order), anonymous) {
		if s.has("AUTH=" + m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

func (a *Authenticator) offers(s Server) string {
	names := slices.Clone(s.mechanisms())
	if !a.opts.SMTP && !s.has("LOGINDISABLED") {
		names = append(names, "the LOGIN command")
	}
	if len(names) == 0 {
		return "nothing"
	}
	return setting.Printable(strings.Join(names, ", "), maxSaid)
}
