// Package connectiontest has IMAP servers for tests and demonstrations.
//
// [Server] keeps accounts in memory and behaves well until told otherwise:
//
//	srv, err := connectiontest.NewServer(connectiontest.Options{})
//	defer srv.Close()
//	srv.AddUser("alice", "secret")
//	cfg := srv.Config("alice")       // a connection.Config that reaches it
//	uid := srv.Append("alice", "INBOX", raw, nil, time.Time{})
//	srv.Freeze()                     // and now it is silent
//
// What a server did to the mail is the ledger of truth for a test: [Server.Messages].
//
// [Script] plays a dialogue of lines, for servers that do what no server should.
//
// The program in scale measures the daemon with ten thousand mailboxes, against a server
// of its own.
//
// Nothing here depends on package testing.
package connectiontest
