// Package wire is the line level of IMAP: what stands between TLS and an IMAP
// client library, and what keeps a session waiting without one.
//
// The recipe:
//
//	raw := wire.Raw(tcp)                        // right where the connection is dialed
//	c := tls.Client(raw, cfg)                   // or wire.StartTLS(ctx, raw, cfg); proxies in between are fine
//	l := wire.NewLink(c, &wire.LinkOptions{OnStatus: heed})
//	cl := imapclient.New(l.Lend(""), nil)       // after StartTLS: l.Lend("* OK ready")
//	...                                         // log in, SELECT, FETCH
//	err := l.Reclaim(cl.Close)                  // off the client; the session lives on
//	p := parker.Park(l, wire.ParkOptions{Idle: true, Select: "INBOX", Known: known}, func(w wire.Wake) {
//		cl := imapclient.New(l.Lend("* PREAUTH [CAPABILITY ...] back"), nil)
//		...                                 // look what is new, take it off again, park again
//	})
//
// # The guard
//
// go-imap closes the connection on any response that it does not understand, has
// no bounds on what it collects, and waits for ever. So a lent connection parses
// every response itself and passes on a rewritten one, in the single form that
// go-imap surely takes: what has no such form is dropped, one response or one
// item of it at a time. One poison message thus costs one item, not the session
// over and over again. Lines, literals, nesting and whatever adds up have Limits.
// Message bodies stream through. ENVELOPE and BODYSTRUCTURE are not passed on.
//
// The guard also reads what the client sends, to know which replies are due:
// others are dropped ("+", tags of commands that were never sent), and untagged
// responses that nothing asked for are news, which wakes the link as soon as it
// is parked.
//
// # The park loop
//
// A parked link holds no buffer, and on Linux no goroutine. It idles, renews
// IDLE, compares the mailbox now and then by selecting it again, polls where there
// is no IDLE, and ends with an error if the server does not answer in time.
//
// # Several mailboxes
//
// A link that watches more than the selected mailbox has a Roll of them. The guard
// and the park loop hear what the server says of those (STATUS and LIST responses,
// as NOTIFY brings them; RFC 5465), so that nothing is lost between the two. The park
// loop also asks for each by STATUS at every recheck, and sends NOOP at each renewal
// of IDLE, for servers that hold their notifications back. News wakes the link with
// Elsewhere. A link without a roll pays a pointer for it.
package wire
