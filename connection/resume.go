package connection

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"sync"
	"time"
)

// Sessions to one server resume the TLS session of an earlier one (RFC 8446 section
// 2.2, RFC 5077): without the server's certificate and its signature a handshake costs a
// third less, and there are ten thousand of them at a start or after an outage. Keys are
// agreed on anew each time.
//
// A resumed session is as good as the handshake that gave the ticket, as tickets are kept
// by the settings that it was verified with: who has other roots, pins, names or versions
// has other tickets. But what has changed at the server since then it does not show. So:
//
//   - Certificates are looked at again within resumeFor: a ticket is used only so long
//     after a full handshake in which the server showed the certificate that the ticket
//     was given for. An expired one ends it earlier; crypto/tls sees to that.
//   - A server that cannot resume says so in its answer, and the handshake is a full one.
//     Some break off instead (OpenSSL without a session id context does where it asks for
//     client certificates; so do clusters that differ). Then it is tried again at once
//     without a ticket, and if that works the server is offered none for distrustFor.
//   - Nothing is resumed with a client certificate, below TLS 1.2, or by Check, which
//     says what the certificate is.
//
// A ticket is used for many connections. So those who listen can tell that they are one
// client's (RFC 8446 appendix C.4), as the client's address tells them anyway.
const (
	resumeFor   = time.Hour
	distrustFor = time.Hour
)

// maxTickets is how many TLS settings, mostly as many servers, have a ticket at a time.
const maxTickets = 256

// A ticketShelf keeps tickets, one for each of the TLS settings that were used last. It
// is safe for concurrent use. The zero value is empty.
type ticketShelf struct {
	mu   sync.Mutex
	full []*ticketBox // those with a ticket, the newest last
}

// A ticketBox is the place for the ticket of one TLS configuration: its
// ClientSessionCache. Its methods may be called from any goroutine.
type ticketBox struct {
	shelf *ticketShelf

	// Guarded by shelf.mu.
	ticket     *tls.ClientSessionState // nil: none
	leaf       *x509.Certificate       // which the server showed in its last full handshake
	shown      time.Time               // when that was
	stale      bool                    // it was after the ticket: the next one is better
	distrusted time.Time               // until then no ticket is used
}

// equip has a configuration that nothing else uses yet resume sessions.
func (s *ticketShelf) equip(c *tls.Config) {
	if c.MinVersion < tls.VersionTLS12 {
		return
	}
	box, verify := &ticketBox{shelf: s}, c.VerifyConnection
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verify(state); err != nil {
			return err
		}
		if !state.DidResume && len(state.PeerCertificates) > 0 {
			box.show(state.PeerCertificates[0])
		}
		return nil
	}
	c.SessionTicketsDisabled, c.ClientSessionCache = false, box
}

// boxOf returns a configuration's place for a ticket; nil if it resumes nothing.
func boxOf(c *tls.Config) *ticketBox {
	box, _ := c.ClientSessionCache.(*ticketBox)
	return box
}

// show notes what the server has shown in a full handshake.
func (b *ticketBox) show(leaf *x509.Certificate) {
	b.shelf.mu.Lock()
	defer b.shelf.mu.Unlock()
	if b.leaf == nil || !b.leaf.Equal(leaf) {
		b.drop()
		b.leaf = leaf
	}
	b.shown, b.stale = time.Now(), true
}

// Get implements tls.ClientSessionCache.
func (b *ticketBox) Get(string) (*tls.ClientSessionState, bool) {
	b.shelf.mu.Lock()
	defer b.shelf.mu.Unlock()
	if !b.usable() {
		return nil, false
	}
	return b.ticket, true
}

// usable reports whether there is a ticket to be offered. shelf.mu is held.
func (b *ticketBox) usable() bool {
	now := time.Now()
	return b.ticket != nil && now.Sub(b.shown) < resumeFor && !now.Before(b.distrusted)
}

// Put implements tls.ClientSessionCache. Of the tickets that a server gives with each
// connection the first after a full handshake is kept.
func (b *ticketBox) Put(_ string, ticket *tls.ClientSessionState) {
	b.shelf.mu.Lock()
	defer b.shelf.mu.Unlock()
	if ticket == nil { // it has expired
		b.drop()
		return
	}
	if !b.stale || time.Now().Before(b.distrusted) || !isFor(ticket, b.leaf) {
		return
	}
	b.drop()
	b.ticket, b.stale = ticket, false
	if b.shelf.full = append(b.shelf.full, b); len(b.shelf.full) > maxTickets {
		b.shelf.full[0].drop()
	}
}

// isFor reports whether a ticket goes back to a handshake with the certificate. It may
// come from a session that was resumed itself, with one that the server no longer has.
func isFor(ticket *tls.ClientSessionState, leaf *x509.Certificate) bool {
	_, state, err := ticket.ResumptionState()
	if err != nil || state == nil || leaf == nil {
		return false
	}
	encoded, err := state.Bytes() // the certificates are in it as they are on the wire
	return err == nil && bytes.Contains(encoded, leaf.Raw)
}

// drop throws the ticket away. shelf.mu is held.
func (b *ticketBox) drop() {
	if b.ticket != nil {
		b.ticket, b.stale = nil, true
		b.shelf.full = slices.DeleteFunc(b.shelf.full, func(other *ticketBox) bool { return other == b })
	}
}

// offers reports whether a handshake that begins now offers a ticket. A nil box never does.
func (b *ticketBox) offers() bool {
	if b == nil {
		return false
	}
	b.shelf.mu.Lock()
	defer b.shelf.mu.Unlock()
	return b.usable()
}

// fail notes that a connection ended early in which the ticket was offered, or used: the
// next handshake is a full one.
func (b *ticketBox) fail() {
	b.shelf.mu.Lock()
	defer b.shelf.mu.Unlock()
	b.drop()
}

// distrust notes that it was the ticket that was the matter.
func (b *ticketBox) distrust() {
	b.shelf.mu.Lock()
	defer b.shelf.mu.Unlock()
	b.drop()
	b.distrusted = time.Now().Add(distrustFor)
}
