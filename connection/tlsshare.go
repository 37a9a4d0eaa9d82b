package connection

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
)

// A tlsShare lets sessions that are dialed alike share what TLS needs of the
// configuration. It is safe for concurrent use.
type tlsShare struct {
	configs intern[tlsKey, tls.Config]
	pools   intern[[sha256.Size]byte, x509.CertPool] // by the hash of their text
}

// A tlsKey is all that a TLS configuration is made of, but for client certificates.
type tlsKey struct {
	address, name, versions, ciphers, pins string
	skip                                   bool
	roots                                  *x509.CertPool
}

// config is Encryption.TLSConfig for sessions. What it returns must not be changed.
func (t *tlsShare) config(e *Encryption, address string) (*tls.Config, error) {
	if e.ClientCertificateFile != "" {
		return e.tlsConfig(address, t.readRoots)
	}
	key := tlsKey{
		address: address, name: e.ServerName, versions: strings.Join(e.Versions, " "), ciphers: e.Ciphers,
		pins: strings.Join(e.PinSHA256, " "), skip: e.InsecureSkipVerify,
	}
	if e.CAFile != "" {
		var err error
		if key.roots, err = t.readRoots(e.CAFile); err != nil { // the file may have changed
			return nil, fmt.Errorf("ca_file: %w", err)
		}
	}
	return t.configs.get(key, func() (*tls.Config, error) {
		return e.tlsConfig(address, func(string) (*x509.CertPool, error) { return key.roots, nil })
	})
}

// readRoots reads a ca_file. Who reads the same text gets the same pool.
func (t *tlsShare) readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return t.pools.get(sha256.Sum256(pem), func() (*x509.CertPool, error) { return parseRoots(file, pem) })
}
