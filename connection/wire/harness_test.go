package wire

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
)

// testWait is how long a test waits for something that must happen.
const testWait = 10 * time.Second

var testCert = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

var clientTLS = &tls.Config{InsecureSkipVerify: true} // the tests' certificate has no root

// corked collects TLS records, to send them in one segment or bit by bit.
type corked struct {
	net.Conn
	on  atomic.Bool
	mu  sync.Mutex
	buf []byte
}

func (k *corked) Write(p []byte) (int, error) {
	if k.on.Load() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.buf = append(k.buf, p...)
		return len(p), nil
	}
	return k.Conn.Write(p)
}

// take returns what was collected and ends collecting.
func (k *corked) take() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.buf
	k.buf = nil
	k.on.Store(false)
	return b
}

// server is the server's end of a scripted connection.
type server struct {
	t    *testing.T
	c    net.Conn // TLS
	cork *corked
	r    *bufio.Reader
}

func (s *server) line() string {
	l, _ := s.r.ReadString('\n')
	return strings.TrimRight(l, "\r\n")
}
func (s *server) put(x string) { io.WriteString(s.c, x) }

// records sends each string as a TLS record of its own, all in one segment.
func (s *server) records(x ...string) {
	s.cork.on.Store(true)
	for _, r := range x {
		s.put(r)
	}
	s.cork.Conn.Write(s.cork.take())
}

// tag reads a command and returns its tag; it must be the one named.
func (s *server) tag(command string) string {
	l := s.line()
	tag, rest, _ := strings.Cut(l, " ")
	if !strings.HasPrefix(rest, command) {
		s.t.Errorf("server: got %q, want %s", l, command)
	}
	return tag
}

// idle takes IDLE and confirms it.
func (s *server) idle() (tag string) {
	tag = s.tag("IDLE")
	s.put("+ idling\r\n")
	return tag
}

// done takes DONE and ends IDLE.
func (s *server) done(tag string) {
	if l := s.line(); l != "DONE" {
		s.t.Errorf("server: got %q, want DONE", l)
	}
	s.put(tag + " OK done\r\n")
}

// drain answers everything until the client goes.
func (s *server) drain() {
	for {
		l := s.line()
		if l == "" {
			return
		}
		f := strings.Fields(l)
		switch {
		case l == "DONE":
		case len(f) > 1 && f[1] == "IDLE":
			s.put("+ idling\r\n")
			for l := s.line(); l != "DONE" && l != ""; l = s.line() {
			}
			s.put(f[0] + " OK done\r\n")
		default:
			s.put(f[0] + " OK done\r\n")
		}
	}
}

const testCaps = "* OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] hi\r\n"
const testBack = "* PREAUTH [CAPABILITY IMAP4rev1 IDLE UIDPLUS] back"

// login greets, and takes LOGIN and SELECT; behind is sent with SELECT's OK in
// the same record.
func (s *server) login(behind string) {
	s.put(testCaps)
	for {
		f := strings.Fields(s.line())
		if len(f) < 2 {
			return
		}
		switch f[1] {
		case "LOGIN":
			s.put(f[0] + " OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] in\r\n")
		case "CAPABILITY":
			s.put("* CAPABILITY IMAP4rev1 IDLE UIDPLUS\r\n" + f[0] + " OK\r\n")
		case "SELECT":
			s.put("* 4 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 5] .\r\n" + f[0] + " OK [READ-WRITE] done\r\n" + behind)
			return
		default:
			s.t.Errorf("server: unexpected %q", f)
		}
	}
}

// pair connects a client to a server that runs the script. Nothing of the
// script's runs on after the test.
func pair(t *testing.T, script func(*server)) (*tls.Conn, *RawConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		k := &corked{Conn: c}
		tc := tls.Server(k, &tls.Config{Certificates: []tls.Certificate{testCert()}})
		if err := tc.Handshake(); err != nil {
			return
		}
		script(&server{t, tc, k, bufio.NewReader(tc)})
	}()
	tcp, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	raw := Raw(tcp)
	t.Cleanup(func() {
		raw.Close()
		ln.Close()
		<-ended
	})
	c := tls.Client(raw, clientTLS)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c, raw
}

// open logs in and selects with a real client, and takes the link off it.
func open(t *testing.T, c net.Conn, opts *LinkOptions) *Link {
	t.Helper()
	l := NewLink(c, opts)
	t.Cleanup(func() { l.Close() })
	l.SetProgressTimeout(testWait)
	cl := imapclient.New(l.Lend(""), nil)
	if err := cl.Login("a", "b").Wait(); err != nil {
		t.Fatal(err, l.Err())
	}
	if _, err := cl.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err, l.Err())
	}
	if err := l.Reclaim(cl.Close); err != nil {
		t.Fatal(err)
	}
	return l
}

// loops runs a test with each kind of loop.
func loops(t *testing.T, f func(t *testing.T, k *Parker)) {
	for _, kind := range []struct {
		name       string
		goroutines bool
	}{{"epoll", false}, {"goroutine", true}} {
		if kind.name == "epoll" && !canPoll {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			k, err := NewParker(&ParkerOptions{Goroutines: kind.goroutines})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(k.Close)
			f(t, k)
		})
	}
}

// idleOptions wait with IDLE and, for the length of a test, nothing else.
var idleOptions = ParkOptions{Idle: true, Timeout: testWait}

// park parks a link and waits for the wake.
func park(t *testing.T, k *Parker, l *Link, o ParkOptions) Wake {
	t.Helper()
	woken := make(chan Wake, 2)
	p := k.Park(l, o, func(w Wake) { woken <- w })
	return await(t, p, woken)
}

func await(t *testing.T, p *Parked, woken <-chan Wake) Wake {
	t.Helper()
	select {
	case w := <-woken:
		if w.Reason == Ended && w.Err == nil || w.Reason != Ended && w.Err != nil {
			t.Errorf("reason %v with error %v", w.Reason, w.Err)
		}
		return w
	case <-time.After(testWait):
		t.Fatal("not woken")
	}
	return Wake{}
}

// expect checks a wake.
func expect(t *testing.T, w Wake, want Reason) {
	t.Helper()
	if w.Reason != want {
		t.Errorf("woken: %v (%v), want %v", w.Reason, w.Err, want)
	}
	if w.At.IsZero() {
		t.Errorf("time of the wake: %v", w.At)
	}
}

// usable checks that a client can work on the link.
func usable(t *testing.T, l *Link) {
	t.Helper()
	cl := imapclient.New(l.Lend(testBack), nil)
	if err := cl.Noop().Wait(); err != nil {
		t.Errorf("NOOP afterwards: %v (%v)", err, l.Err())
	}
	if err := l.Reclaim(cl.Close); err != nil {
		t.Errorf("reclaim afterwards: %v", err)
	}
}
