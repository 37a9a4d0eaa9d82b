package connection

import "strings"

// An SMTPPreset is where a provider takes mail. Its name, and how one logs in there,
// are those of the Preset of the same name.
type SMTPPreset struct {
	Name    string
	Address string
	Port    int
	Mode    string // ModeImplicit or ModeExplicit
}

// SMTPPresets has one for each of Presets.
var SMTPPresets = []SMTPPreset{
	{"163", "smtp.163.com", 465, ModeImplicit},
	{"fastmail", "smtp.fastmail.com", 465, ModeImplicit},
	{"gmail", "smtp.gmail.com", 465, ModeImplicit},
	{"gmx", "mail.gmx.net", 465, ModeImplicit},
	{"icloud", "smtp.mail.me.com", 587, ModeExplicit},
	{"mailbox.org", "smtp.mailbox.org", 465, ModeImplicit},
	{"office365", "smtp.office365.com", 587, ModeExplicit},
	{"outlook", "smtp-mail.outlook.com", 587, ModeExplicit},
	{"protonbridge", "127.0.0.1", 1025, ModeExplicit},
	{"qq", "smtp.qq.com", 465, ModeImplicit},
	{"yahoo", "smtp.mail.yahoo.com", 465, ModeImplicit},
	{"zoho", "smtp.zoho.com", 465, ModeImplicit},
}

// findSMTPPreset returns the preset of that name, or nil.
func findSMTPPreset(name string) *SMTPPreset {
	for i := range SMTPPresets {
		if SMTPPresets[i].Name == name {
			return &SMTPPresets[i]
		}
	}
	return nil
}

// apply fills in what s does not set. The preset's port belongs to its mode.
func (p *SMTPPreset) apply(s *SMTP) {
	if s.Address == "" {
		s.Address = p.Address
	}
	e := &s.Encryption
	if s.Port == 0 && e.Protocol != ProtocolNone && (e.Mode == "" || e.Mode == p.Mode) {
		s.Port = p.Port
	}
	if e.Mode == "" && s.Port == p.Port && e.Protocol != ProtocolNone {
		e.Mode = p.Mode
	}
	if o := &s.Authentication.OAuth2; o.Grant != "" && o.Provider == "" && o.TokenURL == "" {
		o.Provider = FindPreset(p.Name).OAuth2
	}
}

// login is how one logs in at the provider.
func (p *SMTPPreset) login() string {
	if c := FindPreset(p.Name); c != nil && c.Login != "" {
		return c.Provider + ": " + c.Login
	}
	return ""
}

// smtpPresetOf returns the preset of the provider at an address and port, or nil.
func smtpPresetOf(address string, port int) *SMTPPreset {
	for i := range SMTPPresets {
		if p := &SMTPPresets[i]; strings.EqualFold(p.Address, address) && p.Port == port {
			return p
		}
	}
	return nil
}
