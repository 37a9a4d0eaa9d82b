package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// startTLS begins TLS with an "https" proxy. What goes through the tunnel has its
// own TLS inside.
func (c *call) startTLS(ctx context.Context, conn net.Conn) (net.Conn, error) {
	cfg := &tls.Config{ServerName: strings.Trim(c.cfg.Address, "[]"), MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if c.cfg.CAFile != "" {
		pool, err := readCA(c.cfg.CAFile)
		if err != nil {
			conn.Close()
			return nil, &Error{Stage: StageConfig, Text: "cannot read ca_file: " + err.Error(), Err: err}
		}
		cfg.RootCAs = pool
	}
	secure := tls.Client(conn, cfg)
	if err := converse(ctx, conn, func() error { return secure.HandshakeContext(ctx) }); err != nil {
		return nil, tlsError(err, cfg.ServerName)
	}
	return secure, nil
}

func tlsError(err error, name string) *Error {
	e := &Error{Stage: StageTLS, Err: err, Permanent: true}
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &record):
		e.Text, e.Hint = "the proxy does not speak TLS", `set type = "http", or give the port where it does`
	case errors.As(err, &unknown):
		e.Text, e.Hint = "the proxy's certificate is from an authority that is not known here", "set the proxy's ca_file to the authority's certificate"
	case errors.As(err, &host):
		e.Text, e.Hint = fmt.Sprintf("the proxy's certificate is not for %q", name), "set the proxy's address to a name in its certificate"
	case errors.As(err, &invalid):
		e.Text, e.Hint = "the proxy's certificate is not valid: "+cause(err), "its owner must renew it"
	case isTimeout(err):
		e.Text, e.Hint, e.Permanent = "the proxy does not answer the TLS handshake", `if it is a proxy without TLS, set type = "http"`, false
	default:
		e = lostError(StageTLS, err, nil)
		if e.Hint == "" {
			e.Hint = `if it is a proxy without TLS, set type = "http"`
		}
	}
	return e
}
