package action

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// outputPipe is os.Pipe, but that the end to write to is not in the runtime's poller: the
// command gets it, and nobody else writes. Going there and back woke a thread in vain,
// just when the command was to start.
func outputPipe() (read, write *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	write = os.NewFile(uintptr(fds[1]), "|1")
	if err := unix.SetNonblock(fds[0], true); err != nil { // for the poller
		unix.Close(fds[0])
		write.Close()
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fds[0]), "|0"), write, nil
}

// endRead makes a read that waits for more end with os.ErrDeadlineExceeded.
func endRead(pipe *os.File) { _ = pipe.SetReadDeadline(time.Unix(1, 0)) }

// pipeMax is the most that a pipe can hold: pipe-max-size (proc(5)), as it is by default.
const pipeMax = 1 << 20

// copyRest copies what the pipe holds after endRead. On a busy machine the reader may not
// have come to it, though the command has printed it and ended long ago.
func copyRest(to io.Writer, pipe *os.File) {
	_ = pipe.SetReadDeadline(time.Time{})
	c, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = c.Read(func(fd uintptr) bool {
		b := make([]byte, 64<<10)
		for left := pipeMax; left > 0; {
			n, err := unix.Read(int(fd), b)
			if err == unix.EINTR {
				continue
			}
			if n <= 0 {
				break // nothing is left now
			}
			_, _ = to.Write(b[:n])
			left -= n
		}
		return true // do not wait for more
	})
}
