// Package auth proves to a mail server who we are: it chooses the SASL mechanism
// (or the LOGIN command), reads the secrets, and gets OAuth 2.0 access tokens.
//
// An Authenticator is made once a connection, from its Config. For each login:
//
//	login, err := authenticator.Choose(ctx, auth.Server{...})
//	if login.Warning != "" { ... }
//	wait := attempts.Allow(host, user, now)      // at most 3 wrong logins an hour
//	err = login.Do(client, conn)                 // conn: auth.NewConn, below the imapclient.Client
//	err = authenticator.Failed(login, err)       // what a person should see
//	attempts.Failed or Succeeded or Abandoned
//
// # What is never done
//
// A password or token is not sent over an unencrypted connection unless the
// configuration has said that it wants no encryption; no second mechanism is
// tried after one has failed; and no error holds a secret, even if the server
// echoes it.
package auth
