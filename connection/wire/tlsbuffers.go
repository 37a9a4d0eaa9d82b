package wire

import (
	"bytes"
	"crypto/tls"
	"net"
	"reflect"
	"unsafe"
)

// A tls.Conn keeps its read buffers for good, at the size of the largest record it has
// ever read: 3 KiB after the handshake, 16 after an ordinary mail, 40 after a large one.
// Of ten thousand sessions that is more than all the rest together, and the package has
// no way to let go of them. So a link that waits resets them, to the zero value that
// they began with, if there is nothing in them. It is the one place where this module
// looks into another package: if crypto/tls is ever built in another way, the fields are
// not found, and nothing is reset. TestTLSBuffers tells.
var tlsBuffers = findTLSBuffers()

// bufferOffsets are where in a tls.Conn its buffers are.
type bufferOffsets struct {
	found          bool
	raw, in, hands uintptr
}

func findTLSBuffers() (o bufferOffsets) {
	conn := reflect.TypeFor[tls.Conn]()
	raw, ok1 := conn.FieldByName("rawInput") // records as they come
	in, ok2 := conn.FieldByName("input")     // what of a record is not read yet; its bytes are rawInput's
	hand, ok3 := conn.FieldByName("hand")    // handshake messages
	o.found = ok1 && ok2 && ok3 && raw.Type == reflect.TypeFor[bytes.Buffer]() && in.Type == reflect.TypeFor[bytes.Reader]() && hand.Type == raw.Type
	o.raw, o.in, o.hands = raw.Offset, in.Offset, hand.Offset
	return o
}

// freeTLSBuffers lets go of the empty read buffers of all TLS layers of a connection.
// Nobody may be reading from it.
func freeTLSBuffers(c net.Conn) {
	for c != nil && tlsBuffers.found {
		if t, ok := c.(*tls.Conn); ok {
			tlsBuffers.free(t)
		}
		layer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		c = layer.NetConn()
	}
}

// holdsNothing reports whether it is sure that no layer above the RawConn has read what
// it has not passed on. Nobody may be reading from the connection.
func holdsNothing(c net.Conn) bool {
	for {
		switch layer := c.(type) {
		case *RawConn:
			return true
		case *tls.Conn:
			if !tlsBuffers.found || !tlsBuffers.empty(layer) {
				return false
			}
			c = layer.NetConn()
		default: // it may have a buffer of its own
			return false
		}
	}
}

func (o *bufferOffsets) of(c *tls.Conn) (raw *bytes.Buffer, in *bytes.Reader, hand *bytes.Buffer) {
	at := func(offset uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(c), offset) }
	return (*bytes.Buffer)(at(o.raw)), (*bytes.Reader)(at(o.in)), (*bytes.Buffer)(at(o.hands))
}

func (o *bufferOffsets) empty(c *tls.Conn) bool {
	raw, in, hand := o.of(c)
	return raw.Len() == 0 && in.Len() == 0 && hand.Len() == 0
}

func (o *bufferOffsets) free(c *tls.Conn) {
	if o.empty(c) {
		raw, in, hand := o.of(c)
		*raw, *in, *hand = bytes.Buffer{}, bytes.Reader{}, bytes.Buffer{}
	}
}
