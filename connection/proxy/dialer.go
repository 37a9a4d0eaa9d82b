package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"mailtrigger/connection/setting"
)

// ContextDialer makes connections, as net.Dialer does.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// handshakeTimeout bounds a dial whose context has no deadline.
const handshakeTimeout = time.Minute

// Direct returns the dialer that is used where none is given: it has TCP
// keepalive, so that a peer that vanished is noticed within two minutes even
// where nothing is sent.
func Direct() *net.Dialer {
	return &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}}
}

// direct is the one that all connections share.
var direct = Direct()

// Dialer returns a dialer through the proxy; forward, or Direct if it is nil,
// reaches the proxy itself. Type "none" returns forward. The password is read
// anew at each dial.
//
// A dial ends with the context, and in a minute if that has no deadline. It fails
// with an *Error. The connections are those of forward, or a *tls.Conn over one
// for an https proxy: nothing is read ahead, so the connection holds all that the
// server has sent.
//
// Names are resolved by the proxy, but for socks4, which cannot.
func (c *Config) Dialer(forward ContextDialer) (ContextDialer, error) {
	cfg := *c
	cfg.SetDefaults()
	if forward == nil {
		forward = direct
	}
	if cfg.Type == "none" {
		return forward, nil
	}
	d := &dialer{cfg: cfg, forward: forward, address: net.JoinHostPort(strings.Trim(cfg.Address, "[]"), strconv.Itoa(cfg.Port))}
	d.name = cfg.Type + " " + d.address
	if p := cfg.Validate(); len(p) > 0 {
		return nil, &Error{Proxy: setting.Printable(d.name, maxSaid), Stage: StageConfig, Text: p[0].Error(), Permanent: true, Err: p[0]}
	}
	switch cfg.Type {
	case "environment":
		return &environment{forward: forward}, nil
	case "socks4":
		d.speak = (&socks4{resolve: resolver(forward)}).speak
	case "socks4a":
		d.speak = (&socks4{}).speak
	case "socks5":
		d.speak = speakSOCKS5
	case "http", "https":
		d.speak = speakConnect
	}
	return d, nil
}

// Direct reports whether an address, host:port, is reached without a proxy: there is
// none, or the environment has none for it.
func (c *Config) Direct(address string) bool {
	switch c.Type {
	case "", "none":
		return true
	case "environment":
		_, value := proxyOfEnvironment()
		return value == "" || bypassed(address)
	}
	return false
}

// dialer dials through one proxy.
type dialer struct {
	cfg     Config
	forward ContextDialer
	address string // host:port of the proxy
	name    string // for errors
	speak   func(context.Context, *call) (net.Conn, error)
}

// call is one dial: what a protocol needs to know.
type call struct {
	*dialer
	target   target
	username string // "" without credentials
	password setting.Secret
}

// open connects to the proxy; it is used again by protocols that need a second
// connection.
func (c *call) open(ctx context.Context) (net.Conn, error) {
	conn, err := c.forward.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, connectError(err)
	}
	if c.cfg.Type == "https" {
		return c.startTLS(ctx, conn)
	}
	return conn, nil
}

// DialContext implements ContextDialer. network must be tcp, tcp4 or tcp6; the
// proxy takes whichever address family it likes.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dial(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	var e *Error
	if !errors.As(err, &e) {
		e = lostError(StageHandshake, err, nil)
	}
	// A connection's own deadline is the context's, and may fire a little earlier.
	if err := ctx.Err(); err != nil && !errors.Is(e.Err, err) {
		e.Err = err
	} else if isTimeout(e.Err) && !errors.Is(e.Err, context.DeadlineExceeded) {
		e.Err = errors.Join(context.DeadlineExceeded, e.Err)
	}
	e.Proxy = d.name
	return nil, e
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	t, err := parseTarget(network, address)
	if err != nil {
		return nil, &Error{Stage: StageTarget, Text: err.Error(), Permanent: true, Err: err}
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
	}
	c := &call{dialer: d, target: t}
	if d.cfg.credentials() {
		c.username = d.cfg.Username
		if c.password, err = d.cfg.Password.Read(ctx); err != nil {
			return nil, &Error{Stage: StageSecrets, Text: "cannot read the proxy's password: " + err.Error(), Err: err}
		}
		if strings.ContainsAny(c.password.Reveal(), "\r\n\x00") {
			return nil, &Error{Stage: StageSecrets, Text: "the proxy's password holds a line break or a NUL", Hint: "does its source have more than one line?", Permanent: true}
		}
	}
	return d.speak(ctx, c)
}

// converse runs f, which reads and writes conn, under ctx. On an error conn is
// closed; else it has no deadline any more.
func converse(ctx context.Context, conn net.Conn, f func() error) error {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // fails on a closed connection only, and then f does too
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0))
		close(done)
	})
	err := f()
	if !stop() {
		<-done
		if err == nil {
			err = ctx.Err()
		}
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
	}
	return err
}

// target is the server to be reached.
type target struct {
	host string     // a name in ASCII, or an IP address without brackets
	ip   netip.Addr // if host is an address
	port uint16
}

func (t target) String() string { return net.JoinHostPort(t.host, strconv.Itoa(int(t.port))) }

// parseTarget refuses everything that could break out of a protocol's field:
// control characters, spaces, overlong names.
func parseTarget(network, address string) (target, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return target{}, errors.New("a proxy carries TCP only, not " + strconv.Quote(network))
	}
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return target{}, errors.New("the server's address is not host:port")
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return target{}, errors.New("the server's port must be from 1 to 65535")
	}
	t := target{host: host, port: uint16(port)}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return target{}, errors.New("an IPv6 zone means nothing to a proxy")
		}
		t.ip = ip.Unmap()
		t.host = t.ip.String()
		return t, nil
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		t.host = ascii
	}
	valid := len(t.host) > 0 && len(t.host) <= 253
	for i := range len(t.host) {
		b := t.host[i]
		valid = valid && (b == '-' || b == '_' || b == '.' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z')
	}
	if !valid {
		return target{}, errors.New("the server's address " + strconv.Quote(setting.Printable(host, 80)) + " is neither a host name nor an IP address")
	}
	return t, nil
}
