package auth

import "mailtrigger/connection/setting"

// Config is the table [connection.NAME.authentication].
type Config struct {
	Username  string         `toml:"username"`
	Password  setting.Source `toml:"password"`
	Alias     string         `toml:"alias"`
	Mechanism string         `toml:"mechanism"`
	OAuth2    OAuth2         `toml:"oauth2"`
}

// OAuth2 is the table [connection.NAME.authentication.oauth2].
type OAuth2 struct {
	Provider           string         `toml:"provider"`
	Grant              string         `toml:"grant"`
	Tenant             string         `toml:"tenant"`
	ClientID           string         `toml:"client_id"`
	ClientSecret       setting.Source `toml:"client_secret"`
	CertificateFile    string         `toml:"certificate_file"`
	KeyFile            string         `toml:"key_file"`
	TokenURL           string         `toml:"token_url"`
	AuthURL            string         `toml:"auth_url"`
	DeviceAuthURL      string         `toml:"device_auth_url"`
	Scopes             []string       `toml:"scopes"`
	RefreshTokenFile   string         `toml:"refresh_token_file"`
	ServiceAccountFile string         `toml:"service_account_file"`
	Subject            string         `toml:"subject"`
}
