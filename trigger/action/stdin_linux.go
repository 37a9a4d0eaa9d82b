package action

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// memoryStdin is the largest standard input that is a file in memory: 256 commands at
// once take 64 MiB of it at most.
const memoryStdin = 256 << 10

// memoryFile returns a file in memory, sealed so that nobody can change it. Making a
// file in a directory waits for what the journal is syncing there, which is at just
// the time when a command is started: that was a third of the way from mail to action.
func memoryFile(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "stdin")
	_, err = f.WriteAt(data, 0) // leaves the offset at the beginning
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
