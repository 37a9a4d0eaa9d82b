package connectiontest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// A Message is one message as the server keeps it.
type Message struct {
	UID   uint32
	Flags []string // as they were first spelled
	Date  time.Time
	Raw   []byte // must not be changed
}

type user struct {
	name, password string
	boxes          map[string]*mailbox
}

// mailbox is the messages under one UIDVALIDITY. Its fields are guarded by
// Server.mu; the tracker has a lock of its own that is taken after it.
type mailbox struct {
	name     string
	validity uint32
	next     uint32
	messages []*Message
	tracker  *imapserver.MailboxTracker
	use      []imap.MailboxAttr
	changed  chan struct{} // closed at the next change
	s        *Server
}

// notify wakes those who idle, and tells those who asked for NOTIFY. Server.mu is held.
func (b *mailbox) notify() {
	close(b.changed)
	b.changed = make(chan struct{})
	b.s.tellChange(b)
}

// AddUser makes an account with the mailboxes INBOX, Archive and Trash, or
// changes its password.
func (s *Server) AddUser(name, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[name]; u != nil {
		u.password = password
		return
	}
	u := &user{name: name, password: password, boxes: map[string]*mailbox{}}
	s.users[name] = u
	for _, b := range []string{"INBOX", "Archive", "Trash"} {
		box := s.newMailbox(b)
		switch b {
		case "Archive":
			box.use = []imap.MailboxAttr{imap.MailboxAttrArchive}
		case "Trash":
			box.use = []imap.MailboxAttr{imap.MailboxAttrTrash}
		}
		u.boxes[b] = box
	}
}

func (s *Server) newMailbox(name string) *mailbox {
	s.validity++
	return s.emptyMailbox(name, s.validity)
}

func (s *Server) emptyMailbox(name string, validity uint32) *mailbox {
	return &mailbox{s: s, name: name, validity: validity, next: 1, tracker: imapserver.NewMailboxTracker(0), changed: make(chan struct{})}
}

// Append puts a message into a mailbox, which is made if it does not exist, and
// returns its UID; 0 if there is no such user. A zero date is now. raw is kept
// byte for byte. Sessions in the mailbox hear of it.
func (s *Server) Append(user, mailbox string, raw []byte, flags []string, date time.Time) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[user]
	if u == nil {
		return 0
	}
	name := mailboxName(mailbox)
	box := u.boxes[name]
	if box == nil {
		box = s.newMailbox(name)
		u.boxes[name] = box
		s.tellList(u, name, "")
	}
	return box.append(raw, flags, date)
}

func (b *mailbox) append(raw []byte, flags []string, date time.Time) uint32 {
	if date.IsZero() {
		date = time.Now()
	}
	m := &Message{UID: b.next, Flags: slices.Clone(flags), Date: date.Truncate(time.Second), Raw: slices.Clone(raw)}
	b.next++
	b.messages = append(b.messages, m)
	b.tracker.QueueNumMessages(uint32(len(b.messages)))
	b.notify()
	return m.UID
}

// Messages returns what is in a mailbox, by UID.
func (s *Server) Messages(user, mailbox string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Message
	if box := s.box(user, mailbox); box != nil {
		for _, m := range box.messages {
			copied := *m
			copied.Flags = slices.Clone(m.Flags)
			list = append(list, copied)
		}
	}
	return list
}

// Mailboxes returns the names of a user's mailboxes, sorted.
func (s *Server) Mailboxes(user string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	if u := s.users[user]; u != nil {
		for name := range u.boxes {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Expunge removes messages by UID, without a flag being set first; without UIDs,
// all. Sessions in the mailbox hear of it. It returns how many were removed.
func (s *Server) Expunge(user, mailbox string, uids ...uint32) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	box := s.box(user, mailbox)
	if box == nil {
		return 0
	}
	return len(box.remove(func(m *Message) bool { return len(uids) == 0 || slices.Contains(uids, m.UID) }))
}

// remove takes out what is asked for, and returns the sequence numbers that were, from the last on.
func (b *mailbox) remove(which func(*Message) bool) []uint32 {
	var gone []uint32
	for i := len(b.messages) - 1; i >= 0; i-- {
		if which(b.messages[i]) {
			gone = append(gone, uint32(i+1))
			b.tracker.QueueExpunge(uint32(i + 1))
			b.messages = slices.Delete(b.messages, i, i+1)
		}
	}
	if len(gone) > 0 {
		b.notify()
	}
	return gone
}

// SetFlags sets a message's flags, as another mail program might.
func (s *Server) SetFlags(user, mailbox string, uid uint32, flags ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	box := s.box(user, mailbox)
	if box == nil {
		return
	}
	for i, m := range box.messages {
		if m.UID == uid {
			m.Flags = slices.Clone(flags)
			box.tracker.QueueMessageFlags(uint32(i+1), imap.UID(uid), imapFlags(m.Flags), nil)
			box.notify()
		}
	}
}

// UIDValidity returns the mailbox's UIDVALIDITY, 0 if there is no such mailbox.
func (s *Server) UIDValidity(user, name string) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if box := s.box(user, name); box != nil {
		return box.validity
	}
	return 0
}

// ResetUIDs gives the mailbox a new UIDVALIDITY and its messages new UIDs from 1
// on. Sessions in the mailbox hear nothing of it, and nothing more, until they
// select it again: that is what Dovecot does. It returns the new UIDVALIDITY.
func (s *Server) ResetUIDs(user, name string) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	box := s.box(user, name)
	if box == nil {
		return 0
	}
	fresh := s.newMailbox(box.name)
	fresh.use = box.use
	for _, m := range box.messages {
		fresh.append(m.Raw, m.Flags, m.Date)
	}
	s.users[user].boxes[box.name] = fresh
	return fresh.validity
}

// Rewind puts the mailbox back to before the given UID, as a restored backup
// does: later messages are gone and the next message gets that UID again. Sessions
// hear nothing of it.
func (s *Server) Rewind(user, name string, uid uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	box := s.box(user, name)
	if box == nil {
		return
	}
	old := s.emptyMailbox(box.name, box.validity)
	old.use = box.use
	for _, m := range box.messages {
		if m.UID < uid {
			old.next = m.UID
			old.append(m.Raw, m.Flags, m.Date)
		}
	}
	old.next = uid
	s.users[user].boxes[box.name] = old
}

// CreateMailbox makes an empty mailbox, with special uses such as `\Junk`.
func (s *Server) CreateMailbox(user, name string, specialUse ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[user]
	name = mailboxName(name)
	if u == nil || u.boxes[name] != nil {
		return
	}
	u.boxes[name] = s.newMailbox(name)
	for _, use := range specialUse {
		u.boxes[name].use = append(u.boxes[name].use, imap.MailboxAttr(use))
	}
	s.tellList(u, name, "")
}

// DeleteMailbox removes a mailbox and what is in it.
func (s *Server) DeleteMailbox(user, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[user]; u != nil {
		delete(u.boxes, mailboxName(name))
		s.tellList(u, mailboxName(name), `\NonExistent`)
	}
}

// box returns the mailbox or nil. s.mu is held.
func (s *Server) box(user, name string) *mailbox {
	if u := s.users[user]; u != nil {
		return u.boxes[mailboxName(name)]
	}
	return nil
}

// mailboxName makes INBOX, which knows no case, uniform.
func mailboxName(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return strings.TrimRight(name, "/")
}

func imapFlags(flags []string) []imap.Flag {
	list := make([]imap.Flag, len(flags))
	for i, f := range flags {
		list[i] = imap.Flag(f)
	}
	return list
}

func mustAddrPort(s string) netip.AddrPort {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		panic(fmt.Sprintf("connectiontest: %v", err))
	}
	return a
}
