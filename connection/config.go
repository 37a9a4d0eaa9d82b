package connection

import (
	"mailtrigger/codepage"
	"mailtrigger/connection/auth"
	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
)

// Config is how to reach a mailbox account: the table [connection.NAME].
// Set it up with SetDefaults, then check it with Validate.
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
}

// Encryption is the table [connection.NAME.encryption].
type Encryption struct {
	Protocol              string   `toml:"protocol"`
	Mode                  string   `toml:"mode"`
	Versions              []string `toml:"versions"`
	Ciphers               string   `toml:"ciphers"`
	ServerName            string   `toml:"server_name"`
	CAFile                string   `toml:"ca_file"`
	ClientCertificateFile string   `toml:"client_certificate_file"`
	ClientKeyFile         string   `toml:"client_key_file"`
	PinSHA256             []string `toml:"pin_sha256"`
	InsecureSkipVerify    bool     `toml:"insecure_skip_verify"`
}

// Session is the table [connection.NAME.session].
type Session struct {
	IdleRefresh     setting.Duration `toml:"idle_refresh"`
	RecheckInterval setting.Duration `toml:"recheck_interval"`
	PollInterval    setting.Duration `toml:"poll_interval"`
	MaxConnections  int              `toml:"max_connections"`
	ID              *bool            `toml:"id"` // nil is true
}
