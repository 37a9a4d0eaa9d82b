package connectiontest

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"mailtrigger/connection"
	"mailtrigger/connection/setting"
)

// Options says what kind of server to start. The zero value is a server with
// implicit TLS on a free port of 127.0.0.1.
type Options struct {
	Addr string            // where to listen; "" is 127.0.0.1:0
	Mode string            // "implicit" (""), "explicit" (STARTTLS) or "none" (no TLS at all)
	Hide []string          // capabilities to hide, e.g. "IDLE", "MOVE", "NOTIFY", "UIDPLUS"; not for "explicit"
	TLS  func(*tls.Config) // changes the server's TLS configuration; may be nil
	Log  *log.Logger       // what the server finds odd; nil: nothing

	// Wire, if not nil, is called before each piece that the server sends, and
	// after each that it reads, without encryption: a test may act in between. Not
	// for "explicit".
	Wire func(fromServer bool, data []byte)
}

// A Server is an IMAP server that keeps its mail in memory. All methods may be
// called from any goroutine. It serves SELECT, FETCH, SEARCH, STORE, COPY, MOVE,
// EXPUNGE, LIST, STATUS, CREATE, DELETE, APPEND and IDLE, as IMAP4rev1 with UIDPLUS
// and MOVE; LOGIN and AUTHENTICATE PLAIN. Unless Mode is "explicit" it has NOTIFY (RFC
// 5465), too: MessageNew, MessageExpunge and MailboxName of mailboxes by name or of all.
type Server struct {
	opts Options
	ca   *CA
	cert tls.Certificate
	tls  *tls.Config
	imap *imapserver.Server
	addr string

	mu       sync.Mutex
	users    map[string]*user
	ln       net.Listener // nil while stopped
	conns    map[*conn]bool
	frozen   chan struct{} // closed by Thaw; nil while not frozen
	failures map[string]*failure
	accepted int
	logins   int
	closed   bool
	validity uint32 // the last UIDVALIDITY given out

	notifiers map[*notifier]bool // one for each connection that can have NOTIFY
	muted     bool
}

// NewServer starts a server. It runs until Close.
func NewServer(opts Options) (*Server, error) {
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:0"
	}
	if opts.Log == nil {
		opts.Log = log.New(discard{}, "", 0)
	}
	ca, err := NewCA()
	if err != nil {
		return nil, err
	}
	cert, err := ca.Certificate(time.Time{}, "127.0.0.1", "::1", "localhost", "imap.example.com")
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:     opts,
		ca:       ca,
		cert:     cert,
		users:    map[string]*user{},
		conns:    map[*conn]bool{},
		failures: map[string]*failure{},
		validity: 1000,

		notifiers: map[*notifier]bool{},
	}
	caps := imap.CapSet{imap.CapIMAP4rev1: {}}
	for _, c := range []imap.Cap{imap.CapUIDPlus, imap.CapMove, imap.CapNamespace} {
		if !hidden(string(c), opts.Hide) {
			caps[c] = struct{}{}
		}
	}
	o := &imapserver.Options{
		NewSession:   s.newSession,
		Caps:         caps,
		Logger:       opts.Log,
		InsecureAuth: opts.Mode != "explicit",
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12}
	if opts.TLS != nil {
		opts.TLS(s.tls)
	}
	if opts.Mode == "explicit" {
		o.TLSConfig = s.tls
	}
	s.imap = imapserver.New(o)
	if err := s.listen(opts.Addr); err != nil {
		return nil, err
	}
	return s, nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func hidden(name string, hide []string) bool {
	for _, h := range hide {
		if strings.EqualFold(h, name) {
			return true
		}
	}
	return false
}

func (s *Server) listen(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.ln, s.addr = ln, ln.Addr().String()
	s.mu.Unlock()
	go func() { _ = s.imap.Serve(&listener{ln, s}) }()
	return nil
}

// Addr returns host:port.
func (s *Server) Addr() string { return s.addr }

// CACert returns the certificate of the server's CA in PEM form, for a ca_file.
func (s *Server) CACert() []byte { return s.ca.PEM() }

// Pin returns the server certificate's value for pin_sha256.
func (s *Server) Pin() string { return connection.Pin(s.cert.Leaf) }

// Config returns how to reach the server as the user, with short waits. It trusts the
// server by its pin, so that no file is needed.
func (s *Server) Config(user string) *connection.Config {
	addr := net.TCPAddrFromAddrPort(mustAddrPort(s.addr))
	c := &connection.Config{Name: "test", Address: addr.IP.String(), Port: addr.Port, Timeout: setting.Duration(10 * time.Second)}
	switch s.opts.Mode {
	case "none":
		c.Encryption.Protocol = connection.ProtocolNone
	case "explicit":
		c.Encryption.Mode = connection.ModeExplicit
	default:
		c.Encryption.Mode = connection.ModeImplicit
	}
	if s.opts.Mode != "none" {
		c.Encryption.PinSHA256 = []string{s.Pin()}
	}
	c.Authentication.Username = user
	s.mu.Lock()
	if u := s.users[user]; u != nil {
		c.Authentication.Password.Literal = setting.NewSecret(u.password)
	}
	s.mu.Unlock()
	c.SetDefaults()
	return c
}

// Close stops the server and ends all connections.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Stop()
	return s.imap.Close()
}

// Stop ends all connections and refuses new ones, as if the server were not
// running. Mail can still be put into it.
func (s *Server) Stop() {
	s.mu.Lock()
	ln := s.ln
	s.ln = nil
	s.mu.Unlock()
	if ln != nil {
		ln.Close()
	}
	s.Thaw()
	s.Drop()
}

// Start takes connections again after Stop, at the same address.
func (s *Server) Start() error { return s.listen(s.addr) }

// Drop ends all connections without a word.
func (s *Server) Drop() {
	for _, c := range s.connections() {
		c.Close()
	}
}

// Freeze makes the server silent: connections stay open, and new ones are
// accepted, but nothing is read or written until Thaw.
func (s *Server) Freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen == nil {
		s.frozen = make(chan struct{})
	}
}

// Thaw ends Freeze.
func (s *Server) Thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen != nil {
		close(s.frozen)
		s.frozen = nil
	}
}

// Connections returns how many connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Accepted returns how many connections have been accepted since the start.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Logins returns how often somebody tried to log in since the start.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// failure is what the next commands of a name are answered.
type failure struct {
	err   *imap.Error
	times int
}

// Fail has the next times commands of that name ("LOGIN", "SELECT", "FETCH",
// "SEARCH", "STORE", "COPY", "MOVE", "EXPUNGE", "LIST", "CREATE", "STATUS", "NOTIFY") answered with
// response, e.g. "NO [OVERQUOTA] full". A failed command does nothing. times 0 ends it.
func (s *Server) Fail(command, response string, times int) {
	kind, text, _ := strings.Cut(response, " ")
	e := &imap.Error{Type: imap.StatusResponseType(strings.ToUpper(kind)), Text: text}
	if rest, found := strings.CutPrefix(text, "["); found {
		code, after, _ := strings.Cut(rest, "]")
		e.Code, e.Text = imap.ResponseCode(code), strings.TrimSpace(after)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[strings.ToUpper(command)] = &failure{e, times}
}

// failing returns what the command is to be answered, or nil.
func (s *Server) failing(command string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.failures[command]; f != nil && f.times > 0 {
		f.times--
		return f.err
	}
	return nil
}

// listener makes every accepted connection one of the server's.
type listener struct {
	net.Listener
	s *Server
}

func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, s: l.s, done: make(chan struct{})}
	l.s.mu.Lock()
	l.s.accepted++
	l.s.conns[c] = true
	l.s.mu.Unlock()
	switch l.s.opts.Mode {
	case "explicit":
		return c, nil
	case "none":
		return newPlainConn(c, l.s), nil
	}
	return newPlainConn(tls.Server(c, l.s.tls), l.s), nil
}

// conn is a raw connection that can be frozen.
type conn struct {
	net.Conn
	s    *Server
	once sync.Once
	done chan struct{}
}

// wait blocks while the server is frozen.
func (c *conn) wait() error {
	for {
		c.s.mu.Lock()
		frozen := c.s.frozen
		c.s.mu.Unlock()
		if frozen == nil {
			return nil
		}
		select {
		case <-frozen:
		case <-c.done:
			return net.ErrClosed
		}
	}
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if e := c.wait(); e != nil {
		return 0, e
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.done)
		c.s.mu.Lock()
		delete(c.s.conns, c)
		c.s.mu.Unlock()
	})
	return c.Conn.Close()
}

// plainConn is a connection above encryption. It takes hidden capabilities out of
// what the server says, adds NOTIFY, and calls Options.Wire. The server writes each
// response with one Write.
type plainConn struct {
	net.Conn
	s      *Server
	notify *notifier
	in     []byte // read, for the server to take
}

func newPlainConn(c net.Conn, s *Server) *plainConn {
	p := &plainConn{Conn: c, s: s}
	p.notify = &notifier{c: p, pending: map[string]bool{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notifiers[p.notify] = true
	return p
}

func (c *plainConn) Close() error {
	c.s.mu.Lock()
	delete(c.s.notifiers, c.notify)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

func (c *plainConn) Read(p []byte) (int, error) {
	for len(c.in) == 0 {
		n, err := c.Conn.Read(p)
		if f := c.s.opts.Wire; f != nil && n > 0 {
			f(false, p[:n])
		}
		c.in = c.notify.client(p[:n])
		if err != nil && len(c.in) == 0 {
			return 0, err
		}
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *plainConn) Write(p []byte) (int, error) {
	c.notify.writing.Lock()
	defer c.notify.writing.Unlock()
	said := p
	if bytes.Contains(p[:min(len(p), 200)], []byte("CAPABILITY")) {
		said = c.capabilities(p)
	}
	for _, line := range c.notify.before(p) {
		if err := c.send([]byte(line)); err != nil {
			return 0, err
		}
	}
	if err := c.send(said); err != nil {
		return 0, err
	}
	c.notify.server(p)
	go c.notify.flush()
	return len(p), nil
}

// capabilities adds NOTIFY, and hides what is to be hidden.
func (c *plainConn) capabilities(p []byte) []byte {
	said := strings.Replace(string(p), "CAPABILITY IMAP4rev1", "CAPABILITY IMAP4rev1 NOTIFY", 1)
	for _, h := range c.s.opts.Hide {
		for _, end := range []string{" ", "]", "\r"} {
			said = strings.ReplaceAll(said, " "+h+end, end)
		}
	}
	return []byte(said)
}

// send sends a response; notify.writing is held.
func (c *plainConn) send(p []byte) error {
	if f := c.s.opts.Wire; f != nil {
		f(true, p)
	}
	_, err := c.Conn.Write(p)
	return err
}

func (s *Server) newSession(conn *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	x := &session{s: s}
	if c, ok := conn.NetConn().(*plainConn); ok {
		c.notify.mu.Lock()
		c.notify.session = x
		c.notify.mu.Unlock()
	}
	return x, nil, nil
}

// String names the server for people.
func (s *Server) String() string { return fmt.Sprintf("test server at %s", s.addr) }
