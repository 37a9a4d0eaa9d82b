package wire

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// A record comes byte by byte, each in a segment of its own: half a record must
// hold up nothing, and nothing of it may be lost. Another link on the same parker
// is woken meanwhile.
func TestPartialRecord(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		half, rest := make(chan struct{}), make(chan struct{})
		c, _ := pair(t, func(s *server) {
			s.login("")
			tag := s.idle()
			s.cork.on.Store(true)
			s.put("* OK " + strings.Repeat("z", 300) + "\r\n* 5 EXISTS\r\n")
			b := s.cork.take()
			for i, x := range b {
				s.cork.Conn.Write([]byte{x})
				if i == len(b)/2 {
					close(half)
					<-rest
				}
			}
			s.done(tag)
			s.drain()
		})
		c2, _ := pair(t, func(s *server) {
			s.login("")
			tag := s.idle()
			<-half
			s.put("* 5 EXISTS\r\n")
			s.done(tag)
			s.drain()
		})
		l, l2 := open(t, c, nil), open(t, c2, nil)
		woken := make(chan Wake, 2)
		p := k.Park(l, idleOptions, func(w Wake) { woken <- w })
		expect(t, park(t, k, l2, idleOptions), Pushed)
		select {
		case w := <-woken:
			t.Errorf("woken by half a record: %v %v", w.Reason, w.Err)
		default:
		}
		close(rest)
		expect(t, await(t, p, woken), Pushed)
		usable(t, l)
		usable(t, l2)
	})
}

// Interrupted in the middle of a record, whose rest comes after DONE: a read
// deadline must not tear it.
func TestInterruptInARecord(t *testing.T) {
	for _, cut := range []int{1, 3, 5, 9, 20} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			loops(t, func(t *testing.T, k *Parker) {
				half := make(chan struct{})
				c, _ := pair(t, func(s *server) {
					s.login("")
					tag := s.idle()
					s.cork.on.Store(true)
					s.put("* OK Still here\r\n")
					b := s.cork.take()
					s.cork.Conn.Write(b[:cut])
					close(half)
					if l := s.line(); l != "DONE" {
						t.Errorf("server: got %q", l)
					}
					s.cork.Conn.Write(b[cut:])
					s.put(tag + " OK done\r\n")
					s.drain()
				})
				l := open(t, c, nil)
				woken := make(chan Wake, 2)
				p := k.Park(l, idleOptions, func(w Wake) { woken <- w })
				<-half
				p.Interrupt()
				expect(t, await(t, p, woken), Interrupted)
				usable(t, l)
			})
		})
	}
}

// Woken, put on a client, parked again: many times over.
func TestAgainAndAgain(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		c, _ := pair(t, func(s *server) {
			s.login("")
			for i := range 20 {
				tag := s.idle()
				s.put(fmt.Sprintf("* %d EXISTS\r\n", 5+i))
				s.done(tag)
				s.put(s.tag("NOOP") + " OK done\r\n")
			}
			s.drain()
		})
		l := open(t, c, nil)
		for range 20 {
			expect(t, park(t, k, l, idleOptions), Pushed)
			usable(t, l)
		}
	})
}

// A link is taken off its client while EXISTS after EXISTS comes in: either the
// client or the guard sees each, and the parked link wakes.
func TestReclaimInAStream(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		for i := range 30 {
			c, _ := pair(t, func(s *server) {
				s.login("")
				for i := range 40 {
					s.put(fmt.Sprintf("* %d EXISTS\r\n", 5+i))
				}
				s.drain()
			})
			l := NewLink(c, nil)
			l.SetProgressTimeout(testWait)
			cl := imapclient.New(l.Lend(""), nil)
			if err := cl.Login("a", "b").Wait(); err != nil {
				t.Fatal(err)
			}
			if _, err := cl.Select("INBOX", nil).Wait(); err != nil {
				t.Fatal(err)
			}
			for range i * 100 { // a different moment each time
				l.newsAt.Load()
			}
			if err := l.Reclaim(cl.Close); err != nil {
				t.Fatal(err)
			}
			if w := park(t, k, l, idleOptions); w.Reason != Pushed {
				t.Fatal(w)
			}
			l.Close()
		}
	})
}

// The server refuses to end IDLE: that is noticed within the timeout, and within
// the refresh if it says nothing at all.
func TestFrozen(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		c, _ := pair(t, func(s *server) {
			s.login("")
			s.idle()
			s.line() // DONE
			s.line() // nothing more
		})
		l := open(t, c, nil)
		o := ParkOptions{Idle: true, Refresh: 50 * time.Millisecond, Timeout: 50 * time.Millisecond}
		w := park(t, k, l, o)
		expect(t, w, Ended)
		if e := (*TimeoutError)(nil); !errors.As(w.Err, &e) {
			t.Errorf("error %v", w.Err)
		}
	})
}

func TestCloseAndInterruptWhileParked(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		idling := make(chan string, 4)
		script := func(s *server) {
			s.login("")
			tag := s.idle()
			idling <- tag
			if s.line() == "DONE" {
				s.put(tag + " OK done\r\n")
			}
			s.drain()
		}
		c, _ := pair(t, script)
		l := open(t, c, nil)
		woken := make(chan Wake, 2)
		p := k.Park(l, idleOptions, func(w Wake) { woken <- w })
		<-idling
		p.Interrupt()
		expect(t, await(t, p, woken), Interrupted)
		p.Interrupt()
		usable(t, l)

		c, _ = pair(t, script)
		l = open(t, c, nil)
		p = k.Park(l, idleOptions, func(w Wake) { woken <- w })
		<-idling
		l.Close()
		w := await(t, p, woken)
		expect(t, w, Ended)
		if !errors.Is(w.Err, ErrClosed) || !errors.Is(w.Err, net.ErrClosed) {
			t.Errorf("error %v", w.Err)
		}

		c, _ = pair(t, script)
		l = open(t, c, nil)
		p = k.Park(l, idleOptions, func(w Wake) { woken <- w })
		<-idling
		k.Close()
		w = await(t, p, woken)
		expect(t, w, Ended)
		if !errors.Is(w.Err, ErrParkerClosed) {
			t.Errorf("error %v", w.Err)
		}
		w = park(t, k, l, idleOptions)
		expect(t, w, Ended)
	})
}

func TestMisuse(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		c, _ := pair(t, func(s *server) { s.login(""); s.drain() })
		l := open(t, c, nil)
		l.Lend(testBack)
		w := park(t, k, l, idleOptions)
		expect(t, w, Ended)
		if !errors.Is(w.Err, errLent) {
			t.Error(w.Err)
		}
		c, _ = pair(t, func(s *server) { s.login(""); s.drain() })
		l = open(t, c, nil)
		woken := make(chan Wake, 2)
		p := k.Park(l, idleOptions, func(w Wake) { woken <- w })
		l.Lend(testBack)
		w = await(t, p, woken)
		expect(t, w, Ended)
		if !errors.Is(w.Err, errParked) {
			t.Error(w.Err)
		}
		c, _ = pair(t, func(s *server) { s.login(""); s.drain() })
		l = open(t, c, nil)
		o := idleOptions
		o.Select = "INBOX\r\nX LOGOUT"
		expect(t, park(t, k, l, o), Ended)
	})
}

// A tagged reply to a DONE that crossed the server's own end of IDLE.
func TestCrossedDone(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		seen := make(chan struct{})
		c, _ := pair(t, func(s *server) {
			s.login("")
			tag := s.idle()
			close(seen)
			s.line() // DONE, which crosses
			s.put(tag + " OK timed out\r\nDONE BAD unknown command\r\n" + tag + " BAD what\r\n* BAD what\r\n+ what\r\n")
			s.drain()
		})
		l := open(t, c, nil)
		woken := make(chan Wake, 2)
		p := k.Park(l, idleOptions, func(w Wake) { woken <- w })
		<-seen
		p.Interrupt()
		expect(t, await(t, p, woken), Interrupted)
		usable(t, l)
	})
}

// The mailbox's recheck over real loops.
func TestRecheck(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		c, _ := pair(t, func(s *server) {
			s.login("")
			for _, exists := range []int{4, 5} {
				s.done(s.idle())
				tag := s.tag("SELECT INBOX")
				s.put(fmt.Sprintf("* FLAGS ()\r\n* %d EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 5] .\r\n%s OK [READ-WRITE] .\r\n", exists, tag))
			}
			s.drain()
		})
		l := open(t, c, nil)
		w := park(t, k, l, ParkOptions{Idle: true, Recheck: 10 * time.Millisecond, Timeout: testWait, Select: "INBOX", Known: Known{1, 5, 4}})
		expect(t, w, Rechecked)
		if w.Seen != (Known{1, 5, 5}) {
			t.Errorf("seen %v", w.Seen)
		}
		usable(t, l)
	})
}

// Session tickets and key updates wake the loop with nothing for IMAP; a server
// asks for a key update, and TLS answers it from within Read.
func TestKeyUpdate(t *testing.T) {
	for _, program := range []string{"openssl", "stdbuf"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip("cannot make key updates: ", err)
		}
	}
	dir := t.TempDir()
	key, err := x509.MarshalECPrivateKey(testCert().PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{"k": {Type: "EC PRIVATE KEY", Bytes: key}, "c": {Type: "CERTIFICATE", Bytes: testCert().Certificate[0]}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loops(t, func(t *testing.T, k *Parker) {
		x := exec.Command("stdbuf", "-oL", "openssl", "s_server", "-accept", "127.0.0.1:0", "-key", filepath.Join(dir, "k"), "-cert", filepath.Join(dir, "c"), "-tls1_3", "-crlf")
		in, err := x.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := x.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			x.Process.Kill()
			x.Wait()
		}()
		said := bufio.NewScanner(out)
		wait := func(what string) string {
			for said.Scan() {
				if strings.Contains(said.Text(), what) {
					return said.Text()
				}
			}
			t.Fatalf("openssl ended: %v", said.Err())
			return ""
		}
		_, addr, _ := strings.Cut(wait("ACCEPT "), "ACCEPT ")
		tcp, err := net.Dial("tcp", strings.TrimSpace(addr))
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(Raw(tcp), clientTLS)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		heard := make(chan Status, 9)
		l := NewLink(c, &LinkOptions{OnStatus: func(st Status) { heard <- st }})
		defer l.Close()
		l.SetProgressTimeout(testWait)
		woken := make(chan Wake, 2)
		p := k.Park(l, idleOptions, func(w Wake) { woken <- w })
		tag, _, _ := strings.Cut(strings.TrimSpace(wait(" IDLE")), " ")
		keyUpdate := func() {
			io.WriteString(in, "K\n") // it must be all that openssl reads at once
			wait("SSL_do_handshake -> 1")
		}
		io.WriteString(in, "+ idling\n* OK Still here\n")
		<-heard
		for range 3 {
			for range 12 { // crypto/tls takes 16 without data in between
				keyUpdate()
			}
			io.WriteString(in, "* OK Still here\n")
			<-heard
		}
		io.WriteString(in, "* 5 EXISTS\n")
		wait("DONE")
		keyUpdate()
		io.WriteString(in, tag+" OK done\n")
		expect(t, await(t, p, woken), Pushed)
		cl := imapclient.New(l.Lend(testBack), nil)
		noop := cl.Noop()
		tag, _, _ = strings.Cut(strings.TrimSpace(wait(" NOOP")), " ")
		io.WriteString(in, tag+" OK done\n")
		if err := noop.Wait(); err != nil {
			t.Error(err, l.Err())
		}
		if err := l.Reclaim(cl.Close); err != nil {
			t.Error(err)
		}
	})
}

// TLS inside TLS, as through an "https" proxy, whose own layer keeps bytes that
// it has read too much. Both loops must serve it, epoll without a goroutine.
func TestThroughProxy(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			cork := &corked{Conn: c}
			outer := tls.Server(cork, &tls.Config{Certificates: []tls.Certificate{testCert()}})
			inner := tls.Server(outer, &tls.Config{Certificates: []tls.Certificate{testCert()}})
			s := &server{t, inner, cork, bufio.NewReader(inner)}
			s.login("")
			tag := s.tag("IDLE")
			s.records("+ idling\r\n", "* OK Still here\r\n", "* 5 EXISTS\r\n")
			s.done(tag)
			s.drain()
		})
		tcp, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		raw := Raw(tcp)
		outer := tls.Client(raw, clientTLS)
		tunnel := &buffered{Conn: outer, r: bufio.NewReader(outer)}
		l := open(t, tls.Client(tunnel, clientTLS), &LinkOptions{Raw: raw})
		if l.raw != raw && canPoll {
			t.Error("the descriptor was not found")
		}
		p := make(chan Wake, 2)
		parked := k.Park(l, idleOptions, func(w Wake) { p <- w })
		expect(t, await(t, parked, p), Pushed)
		usable(t, l)
		l.Close()
	})
}

// buffered is what a proxy's dialer may return.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// A connection whose descriptor cannot be had parks with a goroutine.
func TestNoDescriptor(t *testing.T) {
	k, err := NewParker(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	client, srv := net.Pipe()
	go func() {
		s := &server{t, srv, nil, bufio.NewReader(srv)}
		tag := s.idle()
		s.put("* 5 EXISTS\r\n")
		s.done(tag)
	}()
	l := NewLink(client, nil)
	defer l.Close()
	expect(t, park(t, k, l, idleOptions), Pushed)
}

// The server takes nothing any more: the parked link must not wait for it.
func TestFullSendBuffer(t *testing.T) {
	if !canPoll {
		t.Skip("no epoll here")
	}
	k, err := NewParker(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	stop := make(chan struct{})
	defer close(stop)
	c, raw := pair(t, func(s *server) { <-stop })
	raw.Conn.(*net.TCPConn).SetWriteBuffer(4096)
	raw.nowait.Store(true)
	for err == nil {
		_, err = raw.Write(make([]byte, 1<<16))
	}
	raw.nowait.Store(false)
	if !errors.Is(err, errSendBuffer) {
		t.Error(err)
	}
	w := park(t, k, NewLink(c, nil), idleOptions)
	expect(t, w, Ended)
	if !errors.Is(w.Err, errSendBuffer) {
		t.Error(w.Err)
	}
}

// A body that is cut short is an error for who reads it.
func TestBodyCutShort(t *testing.T) {
	c, _ := pair(t, func(s *server) {
		s.login("")
		s.tag("UID FETCH")
		s.put("* 1 FETCH (UID 5 BODY[] {10}\r\nabc")
	})
	l := NewLink(c, nil)
	cl := imapclient.New(l.Lend(""), nil)
	if err := cl.Login("a", "b").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	got, err := readBodies(cl.Fetch(imap.UIDSetNum(5), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}))
	if err == nil || !errors.Is(l.Err(), io.ErrUnexpectedEOF) {
		t.Errorf("%q: %v, link %v", got, err, l.Err())
	}
	if err := l.Reclaim(cl.Close); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
