package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// socks4 is SOCKS 4 and 4a (the memos "SOCKS: A protocol for TCP proxy across
// firewalls" and "SOCKS 4A"; there is no RFC). Both carry a user id and no
// password. SOCKS 4 knows IPv4 addresses only, so the name is resolved here;
// 4a sends the name.
type socks4 struct {
	// resolve gives the IPv4 addresses of a name; nil: socks4a.
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

func (s *socks4) speak(ctx context.Context, c *call) (net.Conn, error) {
	request, err := s.request(ctx, c)
	if err != nil {
		return nil, err
	}
	conn, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	err = converse(ctx, conn, func() error {
		if _, err := conn.Write(request); err != nil {
			return lostError(StageHandshake, err, nil)
		}
		var reply [8]byte
		if n, err := io.ReadFull(conn, reply[:]); err != nil {
			if n > 0 && reply[0] != 0 && reply[0] != 4 {
				return strangerError(reply[:n])
			}
			stage := StageTarget // a silent one is mostly busy reaching the server
			if n == 0 && !isTimeout(err) {
				stage = StageHandshake
			}
			return lostError(stage, err, reply[:n])
		}
		return s.judge(reply, c)
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// request is: 4, 1 (CONNECT), port, address, user id, 0; and with 4a, if the
// address is 0.0.0.1, name, 0.
func (s *socks4) request(ctx context.Context, c *call) ([]byte, error) {
	ip, name := c.target.ip, ""
	switch {
	case ip.Is6():
		return nil, &Error{Stage: StageTarget, Text: fmt.Sprintf("%s carries IPv4 only, and %s is IPv6", c.cfg.Type, ip), Hint: `set type = "socks5", or give the server by name`, Permanent: true}
	case ip.Is4():
	case s.resolve == nil:
		ip, name = netip.AddrFrom4([4]byte{0, 0, 0, 1}), c.target.host
	default:
		ips, err := s.resolve(ctx, c.target.host)
		for _, a := range ips {
			if a = a.Unmap(); a.Is4() {
				ip = a
				break
			}
		}
		if !ip.IsValid() {
			text := fmt.Sprintf("%s has no IPv4 address", c.target.host)
			if err != nil {
				text = fmt.Sprintf("cannot resolve %s on this machine: %s", c.target.host, cause(err))
			}
			return nil, &Error{Stage: StageTarget, Text: text, Hint: `socks4 needs the address itself; set type = "socks4a" or "socks5" to let the proxy resolve the name`, Err: err}
		}
	}
	if len(c.username) > 255 {
		return nil, &Error{Stage: StageConfig, Text: "the proxy's username is longer than 255 bytes", Permanent: true}
	}
	b := append(make([]byte, 0, 10+len(c.username)+len(name)), 4, 1)
	b = binary.BigEndian.AppendUint16(b, c.target.port)
	b = append(b, ip.AsSlice()...)
	b = append(append(b, c.username...), 0)
	if name != "" {
		b = append(append(b, name...), 0)
	}
	return b, nil
}

func (s *socks4) judge(reply [8]byte, c *call) error {
	if reply[0] != 0 && reply[0] != 4 { // some servers repeat the version
		return strangerError(reply[:])
	}
	server := c.target.String()
	switch reply[1] {
	case 90:
		return nil
	case 91:
		return &Error{Stage: StageTarget, Text: "the proxy refused or failed to reach " + server + " (code 91)", Hint: "check the server's address and port, and the proxy's username (the user id); the proxy's log may say more"}
	case 92, 93:
		return &Error{Stage: StageLogin, Text: fmt.Sprintf("the proxy refused the user id (code %d)", reply[1]), Hint: "check the proxy's username; it may want an ident server on this machine", Permanent: true}
	}
	return strangerError(reply[:])
}

// resolver returns how names are looked up on this machine.
func resolver(forward ContextDialer) func(context.Context, string) ([]netip.Addr, error) {
	r := net.DefaultResolver
	if d, ok := forward.(*net.Dialer); ok && d.Resolver != nil {
		r = d.Resolver
	}
	return func(ctx context.Context, host string) ([]netip.Addr, error) {
		return r.LookupNetIP(ctx, "ip4", host)
	}
}
