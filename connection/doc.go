// Package connection keeps sessions with IMAP servers: through proxies and TLS,
// for ever, and cheaply. By the same ways it sends mail to SMTP servers.
//
// A [Config] says how to reach an account; it is the table [connection.NAME] of the
// daemon's configuration and can be filled in by hand as well. A [Dialer] makes
// sessions of it:
//
//	cfg := &connection.Config{Name: "office", Preset: "fastmail"}
//	cfg.Authentication.Username = "ops@example.com"
//	cfg.Authentication.Password.File = "/etc/ops.password"
//	cfg.SetDefaults()
//	if problems := cfg.Validate(); len(problems) > 0 { ... }
//
//	d, err := connection.NewDialer(connection.DialerOptions{Log: slog.Default()})
//	defer d.Close()
//	w := d.Watch(cfg, "INBOX", func(ctx context.Context, mb *connection.Mailbox, wake wire.Wake) error {
//		infos, err := mb.List(ctx, last) // what came after the last UID we know
//		...
//	})
//	defer w.Close(ctx)
//
// [Dialer.Watch] watches a mailbox and calls a function whenever there may be something
// new. [Dialer.Do] is for a single errand. [Dialer.Check] tries a connection step by
// step and says what is wrong. [Dialer.SendMail] and [Dialer.CheckSMTP] are for servers
// that take mail, whose table is [SMTP]; package smtp speaks with them.
//
// # What a session is made of
//
// Reaching the server (package proxy) and TLS are done here; then a dialogue of
// our own speaks greeting, capabilities, login (package auth) and ID, as go-imap
// sends commands of its own accord at that time. From there on package wire has
// the connection: it lends it to a go-imap client while there is work, behind a
// guard that bounds what a server may do to us, and parks it otherwise. What is done
// most, and mostly alone, needs no client: SELECT (select.go), and reading the message
// or two that were pushed (next.go); the dialogue speaks them, behind the same guard. All of a
// connect, from reading the secrets to the login, shares one deadline. Each command
// has the timeout as its longest time without progress, and ten times that in all
// where no bodies are read; when a time is over, the connection is closed below TLS,
// which ends whatever waits for it.
//
// # Waiting
//
// A Watch is connecting, looking, parked or in backoff. Waits between connects are
// random between 0 and a bound that doubles from 1 s to 5 minutes (full jitter), all
// connects together keep to DialerOptions.ConnectRate, and only a session that was
// healthy for a minute starts the doubling afresh. What a server asks for is a
// lower bound: a minute for [LIMIT], 15 s for [UNAVAILABLE], and Exchange's
// "Suggested Backoff Time". What is Permanent is tried from every 5 minutes to every
// hour, a refused login every 20 minutes, and no account sees more than three
// refused logins within an hour, whatever the number of its connections; nor does
// that at a proxy, but for those that are under way together. Where
// somebody has to consent to OAuth 2.0, a file is looked at every 10 s, and no
// server is asked until it has changed.
//
// # Sharing
//
// The Watches of one *Config share what connections the account may have. A single
// one idles in a session of its own. Where there are several and the server has
// NOTIFY (RFC 5465), all share one parked session: the server tells of the selected
// mailbox as ever and of the others by STATUS, and the session selects what has news,
// looks, and parks there. Where it has no NOTIFY, each has a session as long as the
// budget allows, and the rest share one that asks for each by STATUS at every poll
// interval, until a session becomes free. Where the server refuses a session with
// [LIMIT], its mailboxes go to those that there are, for an hour. Either way each look
// is made with its mailbox selected, they are made one at a time, and none can keep the
// others waiting for ever; see LookFunc.
//
// Notifications are a hint, not a promise. The mailbox that was selected before is
// asked for after each change, as mail that came just then may have been told to
// nobody; all are asked for at each recheck and looked at after a reconnect; and a
// server that brings news out only when it is asked is made to notify anew, as
// Dovecot stops to now and then without a word.
//
// # Goroutines
//
// The Dialer has those of its wire.Parker: one, and where there is no epoll one for
// each parked session. A Watch has one while it connects or looks, besides the
// reader that go-imap runs while it is lent the connection; Watches that share a
// session share it. It has none while parked or in backoff. A LookFunc is called on
// that goroutine. All end with
// [Watch.Close] and [Dialer.Close].
//
// # Memory
//
// Ten thousand parked sessions take some 14 KiB each, of the whole daemon, and little more
// after each has read a large mail. What that took, by size:
//
//   - Connects and looks are admitted a few hundred at a time (admission.go). Thousands of
//     half-done handshakes at once had left the heap at 60 KiB a session, and in pieces.
//   - TLS settings and certificates are shared by who has alike ones (intern.go): 5 KiB.
//   - A parked session lets go of the read buffers of TLS (wire/tlsbuffers.go): 3 KiB, and
//     16 to 40 once it has read mail.
//   - A Watch that waits has no context, no logger and no goroutine: 1.5 KiB.
//
// Of what is left two thirds are crypto/tls's own (a tls.Conn, two AES-GCM keys) and the
// configuration; a third are holes that the collector cannot close.
//
// # Ten thousand connects
//
// A start takes 0.9 ms of CPU a session, 1.5 times that of bare TLS logins. Most of it is
// the handshake: of a full one 0.54 ms, of a resumed one (resume.go) 0.37, where 0.26 are
// the agreement on keys. A seventh is the collector, whose work is the rubbish of the
// handshakes (67 KiB each); IDLE, renewed at 0.2, 1, 5 and 30 s, is a twelfth. It takes no
// go-imap client to find that a mailbox is empty (select.go): one costs 50 µs and 10 KiB.
//
// # Hostile servers
//
// What comes from outside is never trusted: names are checked before they go into a
// command, a body counts only if all of its bytes came, what a server says is made
// one printable line before it gets into an error, secrets are kept out of errors,
// and MOVE and EXPUNGE are never used in a way that could take other messages along.
package connection
