package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"mailtrigger/connection/connectiontest"
)

// A server is an IMAP server for very many sessions over TLS. It runs in a process
// of its own, so that neither its memory nor its time count, and is told what to
// do over its standard input and output; see controls.
type server struct {
	accounts []account
	idling   atomic.Int64

	mu    sync.Mutex
	sizes map[int]*letters
}

// addresses are those it listens on: a client has some 28,000 ports for each.
var addresses = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"}

// serverRole is the server's process: until its standard input ends.
func serverRole() error {
	debug.SetGCPercent(400) // its memory does not count, its time is taken from the others
	s := &server{sizes: make(map[int]*letters)}
	r := rpc.NewServer()
	if err := r.RegisterName("Scale", &controls{s: s}); err != nil {
		return err
	}
	r.ServeConn(stdio{})
	return nil
}

// stdio is the connection to the harness.
type stdio struct{}

func (stdio) Read(p []byte) (int, error)  { return os.Stdin.Read(p) }
func (stdio) Write(p []byte) (int, error) { return os.Stdout.Write(p) }
func (stdio) Close() error                { return nil }

// Started is where the server is reached.
type Started struct {
	Addresses []string // host:port; account i is to use the one at i modulo their number, any would do
	CA        []byte   // PEM
}

// A Delivery is mail for the accounts first to last, count messages each.
type Delivery struct {
	First, Last, Count int
	Size               int  // bytes a message
	Idle               bool // wait until a session idles in each of the accounts, and tell it
}

// controls are the server's controls. Method values follow package rpc.
type controls struct{ s *server }

// Start makes accounts u0 to u(accounts-1) and listens.
func (c *controls) Start(accounts int, out *Started) error {
	c.s.accounts = make([]account, accounts)
	for i := range c.s.accounts {
		c.s.accounts[i].number = i
	}
	ca, err := connectiontest.NewCA()
	if err != nil {
		return err
	}
	cert, err := ca.Certificate(time.Time{}, addresses...)
	if err != nil {
		return err
	}
	out.CA = ca.PEM()
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, a := range addresses {
		ln, err := net.Listen("tcp", net.JoinHostPort(a, "0"))
		if err != nil {
			return err
		}
		out.Addresses = append(out.Addresses, ln.Addr().String())
		go c.s.accept(ln, config)
	}
	return nil
}

func (s *server) accept(ln net.Listener, config *tls.Config) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "scale server:", err)
			time.Sleep(10 * time.Millisecond)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		go (&session{srv: s, conn: tls.Server(conn, config)}).serve()
	}
}

// Idling returns how many sessions idle.
func (c *controls) Idling(_ int, out *int) error {
	*out = int(c.s.idling.Load())
	return nil
}

// Deliver delivers, and returns when it began to tell the sessions, in Unix
// nanoseconds.
func (c *controls) Deliver(d Delivery, began *int64) error {
	l := c.s.lettersOf(d.Size)
	if d.Idle {
		for i := d.First; i <= d.Last; i++ {
			if err := c.s.accounts[i].waitIdle(); err != nil {
				return err
			}
		}
	}
	*began = time.Now().UnixNano()
	for i := d.First; i <= d.Last; i++ {
		for _, s := range c.s.accounts[i].deliver(d.Count, l) {
			s.pushNews()
		}
	}
	return nil
}

// Empty empties the accounts first to last. No session may be in them.
func (c *controls) Empty(d Delivery, _ *int) error {
	for i := d.First; i <= d.Last; i++ {
		a := &c.s.accounts[i]
		a.mu.Lock()
		a.stock = nil
		a.mu.Unlock()
	}
	return nil
}

func (s *server) lettersOf(size int) *letters {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sizes[size] == nil {
		s.sizes[size] = newLetters(size)
	}
	return s.sizes[size]
}

// waitIdle waits until a session idles in the account.
func (a *account) waitIdle() error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		a.mu.Lock()
		for _, s := range a.sessions {
			s.mu.Lock()
			idles := s.idling != ""
			s.mu.Unlock()
			if idles {
				a.mu.Unlock()
				return nil
			}
		}
		a.mu.Unlock()
	}
	return fmt.Errorf("no session idles in account u%d", a.number)
}
