package connection

import (
	"slices"
	"strings"
)

// A Preset is a provider whose settings are known.
type Preset struct {
	Name     string // as in `preset = NAME`
	Provider string // for people
	Address  string
	Port     int
	Mode     string // ModeImplicit or ModeExplicit
	OAuth2   string // the oauth2 provider to use, "" if there is none
	Login    string // how one logs in there, for hints
	Notes    string // what else is special
}

// Presets lists the presets by name.
var Presets = []Preset{
	{"163", "NetEase 163", "imap.163.com", 993, ModeImplicit, "",
		"use the authorization code of the web mail's settings as the password",
		"refuses SELECT until ID was sent, so id must stay true"},
	{"fastmail", "Fastmail", "imap.fastmail.com", 993, ModeImplicit, "",
		"use an app password with IMAP access", ""},
	{"gmail", "Gmail and Google Workspace", "imap.gmail.com", 993, ModeImplicit, "google",
		"use an app password (needs 2-step verification), or OAuth 2.0 with provider = \"google\"; the account's own password is refused",
		"15 connections an account; drops IDLE after about 10 minutes"},
	{"gmx", "GMX", "imap.gmx.net", 993, ModeImplicit, "",
		"turn on IMAP in the web mail's settings", ""},
	{"icloud", "iCloud Mail", "imap.mail.me.com", 993, ModeImplicit, "",
		"use an app-specific password; the user name is often the part before the @ alone", ""},
	{"mailbox.org", "mailbox.org", "imap.mailbox.org", 993, ModeImplicit, "",
		"use the account's password, or an app password if two factors are on", ""},
	{"office365", "Microsoft 365", "outlook.office365.com", 993, ModeImplicit, "microsoft",
		"use OAuth 2.0 with provider = \"microsoft\"; passwords are refused since 2023",
		"a shared mailbox is the alias"},
	{"outlook", "Outlook.com and Hotmail", "outlook.office365.com", 993, ModeImplicit, "microsoft",
		"use OAuth 2.0 with provider = \"microsoft\" and tenant = \"consumers\"; passwords are refused since 2024", ""},
	{"protonbridge", "Proton Mail Bridge", "127.0.0.1", 1143, ModeExplicit, "",
		"use the password that the Bridge shows, not the account's",
		"the Bridge's certificate is its own: pin it"},
	{"qq", "QQ Mail", "imap.qq.com", 993, ModeImplicit, "",
		"use the authorization code of the web mail's settings as the password",
		"refuses SELECT until ID was sent, so id must stay true"},
	{"yahoo", "Yahoo Mail and AOL", "imap.mail.yahoo.com", 993, ModeImplicit, "",
		"use an app password; the account's own password is refused",
		"commands of at most 1000 octets"},
	{"zoho", "Zoho Mail", "imap.zoho.com", 993, ModeImplicit, "",
		"turn on IMAP in the web mail's settings; with two factors use an app password",
		"accounts in Europe: address = \"imap.zoho.eu\"; organisations: \"imappro.zoho.com\""},
}

// FindPreset returns the preset of that name, or nil.
func FindPreset(name string) *Preset {
	for i := range Presets {
		if Presets[i].Name == name {
			return &Presets[i]
		}
	}
	return nil
}

func presetNames() []string {
	names := make([]string, len(Presets))
	for i := range Presets {
		names[i] = Presets[i].Name
	}
	slices.Sort(names)
	return names
}

// apply fills in what c does not set. The preset's port belongs to its mode: where
// another mode is asked for, the port is that mode's.
func (p *Preset) apply(c *Config) {
	if c.Address == "" {
		c.Address = p.Address
	}
	e := &c.Encryption
	if c.Port == 0 && e.Protocol != ProtocolNone && (e.Mode == "" || e.Mode == p.Mode) {
		c.Port = p.Port
	}
	// A port that says nothing of a mode is another of the same kind: a bridge takes
	// the next one where its own is taken.
	says := c.Port != p.Port && (c.Port == portImplicit || c.Port == portExplicit)
	if e.Mode == "" && !says && e.Protocol != ProtocolNone {
		e.Mode = p.Mode
	}
	if o := &c.Authentication.OAuth2; o.Grant != "" && o.Provider == "" && o.TokenURL == "" {
		o.Provider = p.OAuth2
	}
}

// presetByAddress returns the preset named, or the one of a provider with this address, or nil.
func (c *Config) presetByAddress() *Preset {
	if p := FindPreset(c.Preset); p != nil {
		return p
	}
	for i := range Presets {
		if p := &Presets[i]; strings.EqualFold(p.Address, c.Address) && p.Port == c.Port {
			return p
		}
	}
	return nil
}
