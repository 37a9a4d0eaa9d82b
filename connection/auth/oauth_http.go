package auth

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// newHTTPClient is for talking to the authorization server: through the
// connection's proxy, with a deadline over everything, without redirects (the
// form holds secrets), compression (a bomb) or connections kept (a request an
// hour). The size of a reply is limited by x/oauth2 to 1 MiB.
func newHTTPClient(o Options) *http.Client {
	dialer := o.Dialer
	if dialer == nil {
		dialer = &net.Dialer{Timeout: requestTime}
	}
	return &http.Client{
		Timeout:       requestTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    15 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
	}
}
