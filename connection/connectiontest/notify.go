package connectiontest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
)

// notifier is one connection's part of NOTIFY (RFC 5465), which imapserver does not
// have: it takes the NOTIFY commands out of what the client sends, and puts STATUS
// and LIST responses between what the server sends, when no command is outstanding
// or the client idles.
//
// It is as unkind as real servers are: what happens in a mailbox while that is
// selected is told by EXISTS or not at all, though another is selected before that
// could be sent.
type notifier struct {
	c *plainConn

	writing sync.Mutex // held while a response is written

	mu      sync.Mutex
	line    []byte // of the client's, not complete yet
	literal int    // bytes of the client's literal still to come
	pending map[string]bool
	idling  bool
	set     bool     // NOTIFY SET was taken
	names   []string // the mailboxes; nil: all
	moved   bool     // MailboxName was asked for
	deaf    bool     // tells only when a NOOP comes
	noop    string   // the tag of one that is outstanding
	dirty   []string // mailboxes to tell of
	lists   []string // LIST responses to send
	session *session
}

var (
	clientLiteral  = regexp.MustCompile(`\{(\d+)\+?\}\r?\n$`)
	shifted        = regexp.MustCompile(`&[^-]*-`)
	notifyMailbox  = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"|[^\s()"]+`)
	notifyNameList = regexp.MustCompile(`(?i)\(MAILBOXES \(([^)]*)\)`)
)

// client takes what the client has sent and returns what is for the server.
func (n *notifier) client(data []byte) (rest []byte) {
	n.mu.Lock()
	var commands []string
	for len(data) > 0 {
		if n.literal > 0 {
			k := min(n.literal, len(data))
			rest, data = append(rest, data[:k]...), data[k:]
			n.literal -= k
			continue
		}
		k := bytes.IndexByte(data, '\n') + 1
		if k == 0 {
			n.line = append(n.line, data...)
			break
		}
		line := append(n.line, data[:k]...)
		n.line, data = nil, data[k:]
		f := strings.Fields(string(line))
		if len(f) > 1 && strings.EqualFold(f[1], "NOTIFY") {
			commands = append(commands, string(line))
			continue
		}
		rest = append(rest, line...)
		if m := clientLiteral.FindSubmatch(line); m != nil {
			n.literal, _ = strconv.Atoi(string(m[1]))
		}
		if len(f) > 1 {
			n.pending[f[0]] = true
			if strings.EqualFold(f[1], "NOOP") {
				n.noop = f[0]
			}
		} else if len(f) == 1 && strings.EqualFold(f[0], "DONE") {
			n.idling = false
		}
	}
	n.mu.Unlock()
	for _, command := range commands {
		n.command(command)
	}
	return rest
}

// command answers NOTIFY.
func (n *notifier) command(line string) {
	f := strings.Fields(line)
	n.writing.Lock()
	defer n.writing.Unlock()
	if err := n.c.s.failing("NOTIFY"); err != nil {
		n.c.send([]byte(f[0] + " " + strings.TrimPrefix(err.Error(), "imap: ") + "\r\n"))
		return
	}
	n.c.s.mu.Lock()
	n.mu.Lock()
	n.set = len(f) > 2 && strings.EqualFold(f[2], "SET")
	n.names, n.dirty, n.lists, n.deaf = nil, nil, nil, false
	n.moved = strings.Contains(line, "MailboxName")
	if m := notifyNameList.FindStringSubmatch(line); m != nil {
		n.names = []string{}
		for _, name := range notifyMailbox.FindAllStringSubmatch(m[1], -1) {
			s := name[0]
			if strings.HasPrefix(s, `"`) {
				s = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(name[1])
			}
			n.names = append(n.names, mailboxName(decodeUTF7(s)))
		}
	}
	status := n.set && len(f) > 3 && strings.EqualFold(f[3], "STATUS")
	var out []byte
	if n.session != nil && n.session.user != nil && status {
		for name, box := range n.session.user.boxes {
			if n.wants(name) && n.session.box != box {
				out = append(out, statusLine(box)...)
			}
		}
	}
	n.mu.Unlock()
	n.c.s.mu.Unlock()
	n.c.send(append(out, f[0]+" OK NOTIFY completed\r\n"...))
}

// wants reports whether the client is to be told of the mailbox. n.mu is held.
func (n *notifier) wants(name string) bool {
	return n.set && (n.names == nil || slices.Contains(n.names, name))
}

// server notes what the server sends. n.writing is held.
func (n *notifier) server(data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if bytes.HasPrefix(data, []byte("+ idling")) {
		n.idling = true
	}
	for line := range bytes.Lines(data) {
		tag, _, _ := bytes.Cut(line, []byte(" "))
		delete(n.pending, string(tag))
	}
}

// flush tells what is to be told, if it may be told now.
func (n *notifier) flush() {
	n.writing.Lock()
	defer n.writing.Unlock()
	for _, line := range n.takeOut(false) {
		if n.c.send([]byte(line)) != nil {
			return
		}
	}
}

// before returns what is told before the reply that data is, if it is that to a NOOP.
func (n *notifier) before(data []byte) []string {
	n.mu.Lock()
	due := n.deaf && n.noop != "" && bytes.HasPrefix(data, []byte(n.noop+" "))
	n.mu.Unlock()
	if !due {
		return nil
	}
	return n.takeOut(true)
}

// takeOut returns what is to be told now. asked says that a NOOP is answered.
func (n *notifier) takeOut(asked bool) (out []string) {
	n.c.s.mu.Lock()
	defer n.c.s.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.session == nil || n.session.user == nil || !asked && (n.deaf || len(n.pending) > 0 && !n.idling) {
		return nil
	}
	out = n.lists
	for _, name := range n.dirty {
		if box := n.session.user.boxes[name]; box != nil {
			out = append(out, statusLine(box))
		}
	}
	n.dirty, n.lists = nil, nil
	return out
}

// changed notes that a mailbox has changed. The server's mu is held.
func (n *notifier) changed(u *user, box *mailbox) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.session == nil || n.session.user != u || n.session.box == box || !n.wants(box.name) {
		return
	}
	if !slices.Contains(n.dirty, box.name) {
		n.dirty = append(n.dirty, box.name)
	}
	go n.flush()
}

// listed notes that a mailbox was made or has gone. The server's mu is held.
func (n *notifier) listed(u *user, name, attributes string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.session == nil || n.session.user != u || !n.moved || !n.wants(name) {
		return
	}
	n.lists = append(n.lists, fmt.Sprintf("* LIST (%s) \"/\" %s\r\n", attributes, spell(name)))
	go n.flush()
}

// statusLine is a STATUS response. The server's mu is held.
func statusLine(box *mailbox) string {
	return fmt.Sprintf("* STATUS %s (MESSAGES %d UIDNEXT %d UIDVALIDITY %d)\r\n", spell(box.name), len(box.messages), box.next, box.validity)
}

var base64Name = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// decodeUTF7 decodes modified UTF-7 (RFC 3501, section 5.1.3).
func decodeUTF7(s string) string {
	return shifted.ReplaceAllStringFunc(s, func(run string) string {
		b, err := base64Name.DecodeString(run[1 : len(run)-1])
		if err != nil || len(b) == 0 {
			return "&"
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(units))
	})
}

// spell writes a name as Dovecot does here: what is not ASCII is UTF-8, in a literal.
func spell(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Sprintf("{%d}\r\n%s", len(name), name)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// tellChange tells the sessions that asked for it. s.mu is held.
func (s *Server) tellChange(box *mailbox) {
	if s.muted {
		return
	}
	for _, u := range s.users {
		if u.boxes[box.name] == box {
			for n := range s.notifiers {
				n.changed(u, box)
			}
		}
	}
}

// tellList tells the sessions that asked for it. s.mu is held.
func (s *Server) tellList(u *user, name, attributes string) {
	if s.muted {
		return
	}
	for n := range s.notifiers {
		n.listed(u, name, attributes)
	}
}

// Mute has NOTIFY tell nothing from now on, though the server takes it: servers lose
// notifications. Mute(false) ends that; what was lost stays lost.
func (s *Server) Mute(muted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = muted
}

// Deafen has NOTIFY tell nothing of its own accord any more, in all sessions that have
// it now, but only when NOOP is sent, until NOTIFY is: that is what happens to Dovecot.
func (s *Server) Deafen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.notifiers {
		n.mu.Lock()
		n.deaf = n.set
		n.mu.Unlock()
	}
}

// Overflow ends NOTIFY in all sessions that have it, as a server may that cannot keep
// up (RFC 5465, section 5.8). It returns how many were told.
func (s *Server) Overflow() (told int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.notifiers {
		n.mu.Lock()
		if n.set {
			n.set = false
			n.dirty = nil
			n.lists = append(n.lists, "* OK [NOTIFICATIONOVERFLOW] too much\r\n")
			told++
			go n.flush()
		}
		n.mu.Unlock()
	}
	return told
}
