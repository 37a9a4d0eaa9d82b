package connection

import "strings"

// An smtpPreset is where a provider takes mail. Its name, and how one logs in there,
// are those of the Preset of the same name.
type smtpPreset struct {
	name    string
	address string
	port    int
	mode    string
}

// smtpPresets has one for each of Presets.
var smtpPresets = []smtpPreset{
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
func findSMTPPreset(name string) *smtpPreset {
	for i := range smtpPresets {
		if smtpPresets[i].name == name {
			return &smtpPresets[i]
		}
	}
	return nil
}

// apply fills in what s does not set. The preset's port belongs to its mode.
func (p *smtpPreset) apply(s *SMTP) {
	if s.Address == "" {
		s.Address = p.address
	}
	e := &s.Encryption
	if s.Port == 0 && e.Protocol != ProtocolNone && (e.Mode == "" || e.Mode == p.mode) {
		s.Port = p.port
	}
	if e.Mode == "" && s.Port == p.port && e.Protocol != ProtocolNone {
		e.Mode = p.mode
	}
	if o := &s.Authentication.OAuth2; o.Grant != "" && o.Provider == "" && o.TokenURL == "" {
		o.Provider = FindPreset(p.name).OAuth2
	}
}

// login is how one logs in at the provider.
func (p *smtpPreset) login() string {
	if c := FindPreset(p.name); c != nil && c.Login != "" {
		return c.Provider + ": " + c.Login
	}
	return ""
}

// smtpPresetOf returns the preset of the provider at an address and port, or nil.
func smtpPresetOf(address string, port int) *smtpPreset {
	for i := range smtpPresets {
		if p := &smtpPresets[i]; strings.EqualFold(p.address, address) && p.port == port {
			return p
		}
	}
	return nil
}
