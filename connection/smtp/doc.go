// Package smtp speaks SMTP as a client: what package wire is for IMAP. It takes a
// connection that somebody else has made, and knows neither proxies nor passwords.
//
//	t, greeting, err := smtp.StartTLS(ctx, conn, config) // or TLS from the first byte
//	c := smtp.NewClient(t, smtp.Options{Greeted: true})
//	err = c.Hello(ctx)
//	err = c.Auth(ctx, saslClient)
//	receipt, err := c.Send(ctx, &smtp.Mail{From: from, To: to, Write: write})
//	c.Quit()
//
// # What go-smtp leaves open, and what is done about it here
//
// The session is go-smtp's, as an IMAP session is go-imap's. Below it lies a line
// (line.go), for these reasons, each of which is a test:
//
//   - It sets deadlines for single commands only, and none at all while a message is
//     written: a server that stops reading is never noticed. A line has a time for each
//     reply and for each piece that is written, whatever go-smtp asks for.
//   - A reply may have lines without end, which it gathers. A line counts what a server
//     says between two commands.
//   - It knows extensions in capitals only, and their parameters after a space.
//   - It upgrades to TLS inside of its client and shakes hands within the next command:
//     what was said in the clear before the handshake is dropped without a word, and
//     errors of the handshake come as errors of EHLO. StartTLS (starttls.go) does it
//     before go-smtp has the connection.
//   - Its Auth takes a mechanism that has nothing more to say for one that has
//     succeeded: a refused XOAUTH2 login, whose refusal is answered by nothing, looks
//     like a good one. See answering in client.go.
package smtp
