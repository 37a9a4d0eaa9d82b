package action

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// unnamed makes a file that has no name, in a directory; nil if the file system cannot,
// or there is no /proc to name it by later; see O_TMPFILE in open(2).
func unnamed(dir *directory) *os.File {
	if !hasProc() {
		return nil
	}
	fd, err := unix.Openat(int(dir.self.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir.path, "a file without name"))
}

var hasProc = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/self/fd/0")
	return err == nil
})

// linkUnnamed gives such a file a name that must be free.
func linkUnnamed(f *os.File, dir *directory, name string) error {
	err := unix.Linkat(unix.AT_FDCWD, procPath(f), int(dir.self.Fd()), name, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "linkat", Old: "a file without name", New: name, Err: err}
	}
	return nil
}

func setTime(f *os.File, at time.Time) error { return os.Chtimes(procPath(f), at, at) }

func procPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }
