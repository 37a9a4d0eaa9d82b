// Package proxy reaches servers through proxies: SOCKS 4, 4a and 5, HTTP CONNECT
// over TCP or TLS with Basic, Digest or NTLM, or what the environment says. Each
// protocol has a file of its own.
//
//	dialer, err := config.Dialer(nil)
//	conn, err := dialer.DialContext(ctx, "tcp", "imap.example.com:993")
//
// Everything ends with the context's deadline, names are resolved by the proxy
// wherever the protocol can carry them, and each failure is an *Error that says
// which proxy, at which stage, why, and what to do.
package proxy
