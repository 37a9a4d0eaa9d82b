//go:build linux || darwin || freebsd

package journal

import "golang.org/x/sys/unix"

// freeSpace returns what an ordinary user may still write on dir's file system.
func freeSpace(dir string) (int64, bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false, err
	}
	return int64(st.Bavail) * int64(st.Bsize), true, nil
}
