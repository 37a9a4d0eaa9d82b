package wire

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// RawConn is a TCP connection below everything else: TLS, a proxy's TLS, a
// proxy's own wrapping. It adds a mode in which nothing ever waits, so that one
// goroutine can serve thousands of parked links through all these layers: a
// Read that finds nothing returns an error that is both Timeout and Temporary,
// which crypto/tls passes on without spoiling the connection, in the middle of a
// record too.
//
// Make it with Raw right where the connection is dialed. What cannot be used in
// this way (a pipe, another system than Linux) parks with a goroutine instead.
type RawConn struct {
	net.Conn
	fd     syscall.RawConn // nil: no descriptor, or a system without epoll
	nowait atomic.Bool
}

// Raw wraps a freshly dialed connection.
func Raw(c net.Conn) *RawConn {
	r := &RawConn{Conn: c}
	if sc, ok := c.(syscall.Conn); ok && canPoll {
		if fd, err := sc.SyscallConn(); err == nil {
			r.fd = fd
		}
	}
	return r
}

// NetConn returns the connection below.
func (r *RawConn) NetConn() net.Conn { return r.Conn }

// Read reads; in no-wait mode it returns errWouldBlock where it would wait.
func (r *RawConn) Read(b []byte) (int, error) {
	if r.nowait.Load() {
		return r.readNow(b)
	}
	return r.Conn.Read(b)
}

// Write writes; in no-wait mode it fails for good where it would wait: a parked
// link sends a few dozen bytes at a time, so that a full send buffer means a peer
// that has stopped reading long ago.
func (r *RawConn) Write(b []byte) (int, error) {
	if r.nowait.Load() {
		return r.writeNow(b)
	}
	return r.Conn.Write(b)
}

// wouldBlock is the error of a read in no-wait mode that found nothing.
type wouldBlock struct{}

var errWouldBlock net.Error = wouldBlock{}

func (wouldBlock) Error() string   { return "nothing to read yet" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

var errSendBuffer = errors.New("the server does not read what it is sent: send buffer full")

// bottom finds the RawConn, or else the lowest connection, below c.
func bottom(c net.Conn) (net.Conn, *RawConn) {
	for {
		if r, ok := c.(*RawConn); ok {
			return r, r
		}
		u, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c, nil
		}
		below := u.NetConn()
		if below == nil {
			return c, nil
		}
		c = below
	}
}
