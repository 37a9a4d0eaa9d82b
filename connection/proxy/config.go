package proxy

import "mailtrigger/connection/setting"

// Config is the table [connection.NAME.proxy], or [proxy.NAME].
type Config struct {
	Type           string         `toml:"type"`
	Address        string         `toml:"address"`
	Port           int            `toml:"port"`
	UseCredentials *bool          `toml:"use_credentials"` // nil: true if Username is set
	Authentication string         `toml:"authentication"`
	Domain         string         `toml:"domain"`
	Username       string         `toml:"username"`
	Password       setting.Source `toml:"password"`
	CAFile         string         `toml:"ca_file"`
}
