package connectiontest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/setting"
)

// A Script is a server that plays a dialogue of lines, good or bad.
type Script struct {
	ln   net.Listener
	cert *tls.Certificate // nil: no TLS
	play func(n int, c *Player)

	mu    sync.Mutex
	conns map[net.Conn]bool
	count int
	wait  sync.WaitGroup
}

// NewScript starts a server on a free port of 127.0.0.1. play is called in a
// goroutine of its own for each connection, the n-th from 1 on; the connection is
// closed when it returns.
func NewScript(withTLS bool, play func(n int, c *Player)) (*Script, error) {
	s := &Script{play: play, conns: map[net.Conn]bool{}}
	if withTLS {
		ca, err := NewCA()
		if err != nil {
			return nil, err
		}
		cert, err := ca.Certificate(time.Time{}, "127.0.0.1")
		if err != nil {
			return nil, err
		}
		s.cert = &cert
	}
	var err error
	if s.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.wait.Add(1)
	go s.serve()
	return s, nil
}

func (s *Script) serve() {
	defer s.wait.Done()
	for {
		raw, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.count++
		n := s.count
		s.conns[raw] = true
		s.mu.Unlock()
		s.wait.Add(1)
		go func() {
			defer s.wait.Done()
			var c net.Conn = raw
			if s.cert != nil {
				c = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{*s.cert}})
			}
			s.play(n, &Player{Conn: c, r: bufio.NewReader(c)})
			c.Close()
			s.mu.Lock()
			delete(s.conns, raw)
			s.mu.Unlock()
		}()
	}
}

// Addr returns host:port.
func (s *Script) Addr() string { return s.ln.Addr().String() }

// Accepted returns how many connections there have been.
func (s *Script) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Config returns how to reach the server, as "alice" with "secret".
func (s *Script) Config() *connection.Config {
	addr := s.ln.Addr().(*net.TCPAddr)
	c := &connection.Config{Name: "script", Address: addr.IP.String(), Port: addr.Port, Timeout: setting.Duration(5 * time.Second)}
	if s.cert == nil {
		c.Encryption.Protocol = connection.ProtocolNone
	} else {
		c.Encryption.Mode = connection.ModeImplicit
		c.Encryption.PinSHA256 = []string{connection.Pin(s.cert.Leaf)}
	}
	c.Authentication.Username = "alice"
	c.Authentication.Password.Literal = setting.NewSecret("secret")
	c.SetDefaults()
	return c
}

// Close ends the server and all connections, and waits for the players.
func (s *Script) Close() error {
	err := s.ln.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
	return err
}

// A Player is the server's end of one connection.
type Player struct {
	net.Conn
	r *bufio.Reader
}

// Send sends lines; each gets a CRLF.
func (p *Player) Send(lines ...string) {
	_, _ = p.Write([]byte(strings.Join(lines, "\r\n") + "\r\n"))
}

// Line reads a line without its end; ok is false at the end of the connection.
func (p *Player) Line() (line string, ok bool) {
	s, err := p.r.ReadString('\n')
	return strings.TrimRight(s, "\r\n"), err == nil
}

// Command reads a command: "T1 UID FETCH 1:*" is tag "T1", name "UID FETCH",
// args "1:*".
func (p *Player) Command() (tag, name, args string, ok bool) {
	line, ok := p.Line()
	tag, rest, _ := strings.Cut(line, " ")
	name, args, _ = strings.Cut(rest, " ")
	name = strings.ToUpper(name)
	if name == "UID" {
		second, more, _ := strings.Cut(args, " ")
		name, args = "UID "+strings.ToUpper(second), more
	}
	return tag, name, args, ok
}

// Serve answers commands by what answers says for their name, one entry a line,
// until the connection ends or an answer is nil; "TAG" at a line's start stands for
// the command's tag. Where answers has no entry, CAPABILITY, LOGIN, AUTHENTICATE
// PLAIN, ID, NOOP, SELECT of an empty mailbox, IDLE and LOGOUT are answered as a
// good server does, with the capabilities given, and others with BAD.
func (p *Player) Serve(capabilities string, answers map[string][]string) {
	for {
		tag, name, args, ok := p.Command()
		if !ok {
			return
		}
		lines, scripted := answers[name]
		if scripted && lines == nil {
			return
		}
		if !scripted {
			switch name {
			case "CAPABILITY":
				lines = []string{"* CAPABILITY " + capabilities, "TAG OK"}
			case "AUTHENTICATE":
				if !strings.Contains(args, " ") {
					p.Send("+ ")
					if _, ok := p.Line(); !ok {
						return
					}
				}
				lines = []string{"TAG OK logged in"}
			case "LOGIN", "NOOP", "ID":
				lines = []string{"TAG OK " + name + " done"}
			case "SELECT":
				lines = []string{"* 0 EXISTS", "* FLAGS (\\Seen)", "* OK [UIDVALIDITY 1] ok", "* OK [UIDNEXT 1] ok", "TAG OK [READ-WRITE] selected"}
			case "UID FETCH", "UID SEARCH":
				lines = []string{"TAG OK nothing"}
			case "IDLE":
				p.Send("+ idling")
				if _, ok := p.Line(); !ok {
					return
				}
				lines = []string{"TAG OK done"}
			case "LOGOUT":
				p.Send("* BYE see you", tag+" OK bye")
				return
			default:
				lines = []string{"TAG BAD what?"}
			}
		}
		out := make([]string, len(lines))
		for i, l := range lines {
			if rest, found := strings.CutPrefix(l, "TAG"); found {
				l = tag + rest
			}
			out[i] = l
		}
		p.Send(out...)
	}
}

// String names the server for people.
func (s *Script) String() string { return fmt.Sprintf("scripted server at %s", s.Addr()) }
