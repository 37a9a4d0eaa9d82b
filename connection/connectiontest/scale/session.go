package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A session of the scale server speaks as much IMAP as the daemon and the minimal
// clients need. UIDs are message numbers, as nothing is ever expunged.
type session struct {
	srv  *server
	conn *tls.Conn
	user *account
	box  bool // a mailbox is selected

	mu     sync.Mutex // held while writing
	idling string     // the tag of IDLE
	told   uint32     // EXISTS
}

const capabilities = "IMAP4rev1 IDLE ID UIDPLUS"

// writers are those of sessions that have something to write.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

func (s *session) serve() {
	defer s.end()
	r := bufio.NewReaderSize(s.conn, 512)
	s.write(func(w io.Writer) { io.WriteString(w, "* OK [CAPABILITY "+capabilities+"] scale server\r\n") })
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.EqualFold(strings.TrimSpace(line), "DONE") {
			s.done()
			continue
		}
		tag, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !s.command(tag, command) {
			return
		}
	}
}

func (s *session) end() {
	s.done()
	if s.user != nil {
		s.user.leave(s)
	}
	s.conn.Close()
}

// write has f write something and sends it. Between two of them a session has no
// buffer.
func (s *session) write(f func(io.Writer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeLocked(f)
}

func (s *session) writeLocked(f func(io.Writer)) {
	w := writers.Get().(*bufio.Writer)
	w.Reset(s.conn)
	s.conn.SetWriteDeadline(time.Now().Add(time.Minute))
	f(w)
	w.Flush()
	w.Reset(nil)
	writers.Put(w)
}

// command carries out one command; false ends the session.
func (s *session) command(tag, command string) bool {
	verb, args, _ := strings.Cut(command, " ")
	switch strings.ToUpper(verb) {
	case "CAPABILITY":
		s.reply(tag, "* CAPABILITY "+capabilities+"\r\n", "OK done")
	case "ID":
		s.reply(tag, "* ID NIL\r\n", "OK done")
	case "LOGIN":
		user, _, _ := strings.Cut(args, " ")
		n, err := strconv.Atoi(strings.TrimPrefix(strings.Trim(user, `"`), "u"))
		if err != nil || n < 0 || n >= len(s.srv.accounts) {
			s.reply(tag, "", "NO no such account")
			return true
		}
		s.user = &s.srv.accounts[n]
		s.reply(tag, "", "OK [CAPABILITY "+capabilities+"] welcome")
	case "SELECT", "EXAMINE":
		s.selectBox(tag)
	case "NOOP":
		s.reply(tag, "", "OK done")
	case "IDLE":
		s.idle(tag)
	case "UID", "FETCH":
		if inner, rest, _ := strings.Cut(args, " "); strings.EqualFold(inner, "FETCH") {
			s.fetch(tag, rest)
		} else if strings.EqualFold(inner, "SEARCH") {
			s.search(tag)
		} else {
			s.fetch(tag, args)
		}
	case "LOGOUT":
		s.reply(tag, "* BYE\r\n", "OK bye")
		return false
	default:
		s.reply(tag, "", "BAD unknown")
	}
	return true
}

// reply sends untagged lines, news, and the tagged reply.
func (s *session) reply(tag, untagged, result string) {
	exists := s.exists()
	s.write(func(w io.Writer) {
		io.WriteString(w, untagged)
		s.news(w, exists)
		fmt.Fprintf(w, "%s %s\r\n", tag, result)
	})
}

// exists returns how many messages there are, once a mailbox is selected.
func (s *session) exists() uint32 {
	if !s.box {
		return 0
	}
	return s.user.exists()
}

// news tells of new messages. s.mu is held.
func (s *session) news(w io.Writer, exists uint32) {
	if exists > s.told {
		s.told = exists
		fmt.Fprintf(w, "* %d EXISTS\r\n", exists)
	}
}

func (s *session) selectBox(tag string) {
	if s.user == nil {
		s.reply(tag, "", "NO log in first")
		return
	}
	if !s.box {
		s.box = true
		s.user.enter(s)
	}
	n := s.user.exists()
	s.write(func(w io.Writer) {
		s.told = n
		fmt.Fprintf(w, "* FLAGS (\\Seen \\Deleted)\r\n* %d EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT %d] .\r\n%s OK [READ-WRITE] done\r\n", n, n+1, tag)
	})
}

// idle begins IDLE, and tells what has come since the last command.
func (s *session) idle(tag string) {
	n := s.exists()
	s.srv.idling.Add(1)
	s.write(func(w io.Writer) {
		s.idling = tag
		io.WriteString(w, "+ idling\r\n")
		s.news(w, n)
	})
	s.pushNews() // what has come in between
}

// pushNews tells an idling session of new messages.
func (s *session) pushNews() {
	n := s.exists()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idling != "" && n > s.told {
		s.writeLocked(func(w io.Writer) { s.news(w, n) })
	}
}

// done ends IDLE, if it is under way.
func (s *session) done() {
	s.mu.Lock()
	tag := s.idling
	s.idling = ""
	s.mu.Unlock()
	if tag != "" {
		s.srv.idling.Add(-1)
		s.reply(tag, "", "OK done")
	}
}

// fetch answers FETCH and UID FETCH, which are the same here.
func (s *session) fetch(tag, args string) {
	set, items, _ := strings.Cut(args, " ")
	section, most := "", 0
	if i := strings.Index(strings.ToUpper(items), "BODY.PEEK["); i >= 0 {
		var partial string
		section, partial, _ = strings.Cut(items[i+len("BODY.PEEK"):], "]")
		section += "]"
		fmt.Sscanf(partial, "<0.%d>", &most)
	}
	n := s.exists()
	s.write(func(w io.Writer) {
		for part := range strings.SplitSeq(set, ",") {
			from, to, ranged := strings.Cut(part, ":")
			if !ranged {
				to = from
			}
			first, last := number(from, n), number(to, n)
			for uid := max(min(first, last), 1); uid <= min(max(first, last), n); uid++ {
				s.user.letters(uid).writeFetch(w, s.user.number, uid, section, most)
			}
		}
		s.news(w, n)
		fmt.Fprintf(w, "%s OK done\r\n", tag)
	})
}

// number reads a number of a set, where * is the last one.
func number(s string, last uint32) uint32 {
	if s == "*" {
		return last
	}
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

// search finds everything.
func (s *session) search(tag string) {
	n := s.exists()
	s.write(func(w io.Writer) {
		io.WriteString(w, "* SEARCH")
		for uid := range n {
			fmt.Fprintf(w, " %d", uid+1)
		}
		fmt.Fprintf(w, "\r\n%s OK done\r\n", tag)
	})
}

// An account has one mailbox.
type account struct {
	number int

	mu       sync.Mutex
	stock    []lot
	sessions []*session
}

// A lot is messages that came together, up to the UID last.
type lot struct {
	last    uint32
	letters *letters
}

func (a *account) enter(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions = append(a.sessions, s)
}

func (a *account) leave(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions = slices.DeleteFunc(a.sessions, func(other *session) bool { return other == s })
}

func (a *account) exists() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lastUID()
}

// lastUID is the UID of the newest message. a.mu is held.
func (a *account) lastUID() uint32 {
	if len(a.stock) == 0 {
		return 0
	}
	return a.stock[len(a.stock)-1].last
}

// letters returns what the message is made of.
func (a *account) letters(uid uint32) *letters {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, _ := slices.BinarySearchFunc(a.stock, uid, func(l lot, uid uint32) int { return int(int64(l.last) - int64(uid)) })
	return a.stock[i].letters
}

// deliver adds messages, and returns the sessions to tell.
func (a *account) deliver(count int, l *letters) []*session {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stock = append(a.stock, lot{a.lastUID() + uint32(count), l})
	return slices.Clone(a.sessions)
}
