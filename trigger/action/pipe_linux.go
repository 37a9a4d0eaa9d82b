package action

import (
	"os"

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
