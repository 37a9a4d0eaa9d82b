package connection

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
)

// A tlsShare lets sessions that are dialed alike share what TLS needs of the
// configuration. It is safe for concurrent use.
type tlsShare struct {
	configs intern[tlsKey, tls.Config]
	tickets ticketShelf
}

// A tlsKey is all that a TLS configuration is made of, but for client certificates.
type tlsKey struct {
	address, name, versions, ciphers, pins string
	port                                   int // another server, whose tickets are others
	skip                                   bool
	roots                                  *x509.CertPool
}

// config is Encryption.TLSConfig for sessions with the server at address and port. They
// resume each other's TLS sessions: see ticketShelf. What it returns must not be changed.
func (t *tlsShare) config(e *Encryption, address string, port int) (*tls.Config, error) {
	if e.ClientCertificateFile != "" {
		return e.TLSConfig(address)
	}
	key := tlsKey{
		address: address, port: port, name: e.ServerName, versions: strings.Join(e.Versions, " "), ciphers: e.Ciphers,
		pins: strings.Join(e.PinSHA256, " "), skip: e.InsecureSkipVerify,
	}
	if e.CAFile != "" {
		var err error
		if key.roots, err = readRoots(e.CAFile); err != nil { // the file may have changed
			return nil, fmt.Errorf("ca_file: %w", err)
		}
	}
	return t.configs.get(key, func() (*tls.Config, error) {
		c, err := e.tlsConfig(address, key.roots)
		if err == nil {
			t.tickets.equip(c)
		}
		return c, err
	})
}
