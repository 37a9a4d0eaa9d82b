package wire

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const canPoll = true

func (r *RawConn) readNow(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	ctl := r.fd.Read(func(fd uintptr) bool {
		for {
			n, err = unix.Read(int(fd), b)
			if err != unix.EINTR {
				return true
			}
		}
	})
	switch {
	case ctl != nil:
		return 0, ctl
	case err == unix.EAGAIN:
		return 0, errWouldBlock
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (r *RawConn) writeNow(b []byte) (n int, err error) {
	ctl := r.fd.Write(func(fd uintptr) bool {
		for n < len(b) {
			var k int
			k, err = unix.Write(int(fd), b[n:])
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return true
			}
			n += k
		}
		return true
	})
	switch {
	case ctl != nil:
		return n, ctl
	case err == unix.EAGAIN:
		return n, errSendBuffer
	case err != nil:
		return n, fmt.Errorf("sending: %w", os.NewSyscallError("write", err))
	}
	return n, nil
}
