package auth

import (
	"fmt"
	"net/netip"
	"strings"

	"mailtrigger/connection/setting"
)

// Grants and Providers are the values of OAuth2.Grant and OAuth2.Provider.
var (
	Grants    = []string{"device_code", "authorization_code", "client_credentials", "refresh_token", "service_account"}
	Providers = []string{"microsoft", "google"}
)

// preset is what is known of a provider. %s in a URL is the tenant.
type preset struct {
	token, auth, device string
	scopes              func(grant string, smtp bool) []string
}

var presets = map[string]preset{
	"microsoft": {
		token:  "https://login.microsoftonline.com/%s/oauth2/v2.0/token",
		auth:   "https://login.microsoftonline.com/%s/oauth2/v2.0/authorize",
		device: "https://login.microsoftonline.com/%s/oauth2/v2.0/devicecode",
		scopes: func(grant string, smtp bool) []string {
			switch {
			case grant == "client_credentials":
				return []string{"https://outlook.office365.com/.default"}
			case smtp:
				return []string{"https://outlook.office.com/SMTP.Send", "offline_access"}
			}
			return []string{"https://outlook.office.com/IMAP.AccessAsUser.All", "offline_access"}
		},
	},
	"google": {
		token:  "https://oauth2.googleapis.com/token",
		auth:   "https://accounts.google.com/o/oauth2/v2/auth",
		device: "https://oauth2.googleapis.com/device/code",
		scopes: func(string, bool) []string { return []string{"https://mail.google.com/"} },
	},
}

// setDefaults fills in the provider's URLs. The scopes are filled in by scopes,
// as they depend on what the account is for.
func (o *OAuth2) setDefaults(username string) {
	o.Provider = strings.ToLower(strings.TrimSpace(o.Provider))
	o.Grant = strings.ToLower(strings.TrimSpace(o.Grant))
	if p, found := presets[o.Provider]; found {
		tenant := o.Tenant
		if tenant == "" {
			tenant = "common"
		}
		for _, u := range []struct {
			field  *string
			preset string
		}{{&o.TokenURL, p.token}, {&o.AuthURL, p.auth}, {&o.DeviceAuthURL, p.device}} {
			if *u.field == "" && o.Grant != "service_account" { // its key file has the URL
				*u.field = strings.ReplaceAll(u.preset, "%s", tenant)
			}
		}
	}
	if o.Grant == "service_account" && o.Subject == "" {
		o.Subject = username
	}
}

// scopes returns the scopes to ask for.
func (o *OAuth2) scopes(smtp bool) []string {
	if len(o.Scopes) > 0 {
		return o.Scopes
	}
	if p, found := presets[o.Provider]; found {
		return p.scopes(o.Grant, smtp)
	}
	return nil
}

// byConsent reports whether a person consents once, which gives a refresh token.
func (o *OAuth2) byConsent() bool {
	return o.Grant == "device_code" || o.Grant == "authorization_code" || o.Grant == "refresh_token"
}

func (o *OAuth2) validate(username string) (problems []setting.Problem) {
	add := func(key, format string, a ...any) {
		problems = append(problems, setting.Problem{Key: key, Text: fmt.Sprintf(format, a...)})
	}
	if o.Provider != "" {
		problems = append(problems, setting.OneOf("provider", o.Provider, Providers)...)
	}
	if o.Grant == "" {
		add("grant", "is missing; give one of %s", strings.Join(Grants, ", "))
		return problems
	}
	if bad := setting.OneOf("grant", o.Grant, Grants); bad != nil {
		return append(problems, bad...)
	}
	problems = append(problems, o.ClientSecret.Validate("client_secret")...)
	certificate := o.CertificateFile != "" || o.KeyFile != ""
	if certificate && !o.ClientSecret.IsZero() {
		add("client_secret", "clashes with certificate_file; give one of them")
	}
	switch {
	case certificate && (o.CertificateFile == "" || o.KeyFile == ""):
		add("certificate_file", "needs key_file, and the other way round")
	case certificate:
		if _, err := newSigner(o.CertificateFile, o.KeyFile); err != nil {
			add("certificate_file", "%v", err)
		}
	}
	if o.Tenant != "" && (o.Provider != "microsoft" || strings.ContainsAny(o.Tenant, "/?#% ") || hasControl(o.Tenant)) {
		add("tenant", "is the ID or domain of a directory of provider microsoft")
	}
	for _, s := range o.Scopes {
		if s == "" || strings.ContainsAny(s, " \"\\") || hasControl(s) {
			add("scopes", "%q is not a scope; write each as a string of its own", setting.Printable(s, 60))
		}
	}

	if o.Grant == "service_account" {
		switch {
		case o.Provider == "microsoft":
			add("grant", `microsoft has no service_account; use client_credentials`)
		case o.ServiceAccountFile == "":
			add("service_account_file", "is missing: the JSON key file of the service account")
		default:
			if _, err := readServiceAccount(o.ServiceAccountFile); err != nil {
				add("service_account_file", "%v", err)
			}
		}
		if o.Subject == "" {
			add("subject", "is missing: the user whose mailbox it is")
		}
	} else {
		if o.ServiceAccountFile != "" {
			add("service_account_file", `is for grant = "service_account" only`)
		}
		if o.Subject != "" {
			add("subject", `is for grant = "service_account" only; username says whose mailbox it is`)
		}
		if o.ClientID == "" {
			add("client_id", "is missing: the ID that the provider gave the application")
		}
	}
	if o.Grant == "client_credentials" {
		if o.ClientSecret.IsZero() && !certificate {
			add("client_secret", "is missing; give client_secret (or _file, _env, _credential, _command), or certificate_file and key_file")
		}
		if o.Provider == "google" {
			add("grant", "google gives no access to mail by client_credentials; use service_account")
		}
		if o.Provider == "microsoft" && o.Tenant == "" {
			add("tenant", "is missing: client_credentials needs the ID or domain of the directory")
		}
	}
	if o.Grant == "device_code" && o.Provider == "google" {
		add("grant", "google gives no access to mail by device_code; use authorization_code")
	}
	if o.RefreshTokenFile != "" && !o.byConsent() {
		add("refresh_token_file", "is of no use with grant = %q", o.Grant)
	}
	needed := map[string]bool{
		"token_url":       o.Grant != "service_account", // else the key file has it
		"auth_url":        o.Grant == "authorization_code",
		"device_auth_url": o.Grant == "device_code",
	}
	for _, u := range []struct{ key, value string }{{"token_url", o.TokenURL}, {"auth_url", o.AuthURL}, {"device_auth_url", o.DeviceAuthURL}} {
		if u.value == "" {
			if needed[u.key] && o.Provider == "" {
				add(u.key, "is missing; give it, or provider (%s)", strings.Join(Providers, ", "))
			}
		} else if err := checkURL(u.value); err != nil {
			add(u.key, "%v", err)
		}
	}
	return problems
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
