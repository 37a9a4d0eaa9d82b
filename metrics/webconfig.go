package metrics

import (
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2"
)

// Protection is what a web config file gives a listener.
type Protection struct {
	TLS      bool // what is sent cannot be read by others
	Password bool // basic authentication
	Client   bool // clients need a certificate
}

// Weakness says what is left open; "" if nothing is.
func (p Protection) Weakness() string {
	switch {
	case p.TLS && !p.Password && !p.Client:
		return "has TLS and no password: everybody who reaches the listener may read it; add basic_auth_users"
	case !p.TLS:
		return "has passwords and no TLS: they can be read on the way; add tls_server_config"
	}
	return ""
}

// CheckWebConfig reads a web config file of Prometheus's exporter-toolkit, and all
// that it names. A file that protects nothing is an error.
func CheckWebConfig(path string) (Protection, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Protection{}, err
	}
	if err := web.Validate(path); err != nil {
		hint := ""
		if strings.Contains(err.Error(), "bcrypt") {
			hint = "; basic_auth_users takes hashes as made by htpasswd -nbB USER PASSWORD"
		}
		return Protection{}, fmt.Errorf("web config %s: %s%s", path, strings.Join(strings.Fields(err.Error()), " "), hint)
	}
	var c web.Config
	if err := yaml.Unmarshal(raw, &c); err != nil { // Validate has read the same
		return Protection{}, err
	}
	p := Protection{
		TLS: c.TLSConfig.IsEnabled(), Password: len(c.Users) > 0,
		Client: strings.HasPrefix(c.TLSConfig.ClientAuth, "Require"),
	}
	if !p.TLS && !p.Password {
		return p, fmt.Errorf("web config %s protects nothing: give it tls_server_config, basic_auth_users or, better, both", path)
	}
	return p, nil
}
