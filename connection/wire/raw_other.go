//go:build !linux

package wire

const canPoll = false

func (r *RawConn) readNow(b []byte) (int, error)  { return r.Conn.Read(b) }
func (r *RawConn) writeNow(b []byte) (int, error) { return r.Conn.Write(b) }
