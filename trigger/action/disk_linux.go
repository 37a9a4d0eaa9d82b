package action

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// wholeSystems are file systems of the local disk on which syncfs writes out all that
// fsync does. One over a network or in a program's hands may only hand it on.
var wholeSystems = []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC}

// canSyncWhole reports whether syncfs may stand for the fsync of each file there.
// Before Linux 5.8 it does not report failed writes; see syncfs(2).
func canSyncWhole(dir *os.File) bool {
	var s unix.Statfs_t
	return reportsFailures() && unix.Fstatfs(int(dir.Fd()), &s) == nil && slices.Contains(wholeSystems, int64(s.Type))
}

var reportsFailures = sync.OnceValue(func() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	major, rest, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(strings.TrimRight(minor, "-+abcdefghijklmnopqrstuvwxyz"))
	return errA == nil && errB == nil && (a > 5 || a == 5 && b >= 8)
})

func syncWhole(f *os.File) error {
	for {
		if err := unix.Syncfs(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

func identityOf(info os.FileInfo) identity {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return identity{uint64(s.Dev), s.Ino}
	}
	return identity{}
}
