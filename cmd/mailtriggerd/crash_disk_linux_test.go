package main

import (
	"os"
	"path/filepath"
	"syscall"
)

// fullDisk is a state directory on a small disk that is full now and then. It
// needs root; else nothing ever fills the disk, and the scenario is one more burst.
func fullDisk() *scenario {
	return &scenario{
		name: "full-disk", triggers: aTrigger("one", "", aHook("a", ""), aHook("b", "")), options: clearText,
		setup: func(r *trial) {
			dir := filepath.Join(r.dir, "disk")
			if err := os.Mkdir(dir, 0o700); err != nil {
				r.t.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=160m"); err != nil {
				r.t.Logf("the disk is never full: a tmpfs cannot be mounted: %v", err)
				return
			}
			r.state, r.disk = filepath.Join(dir, "state"), dir
		},
		expect: func(r *trial, m *mail) { r.want(m, "one", "a", "b") },
		wave: func(r *trial) {
			filler := filepath.Join(r.disk, "filler")
			if r.disk == "" {
				r.burst("INBOX", "mail", 4)
				return
			}
			left := []int64{1 << 20, 40 << 20, 0}[r.rng.IntN(3)]
			if f, err := os.Create(filler); err == nil {
				var s syscall.Statfs_t
				if syscall.Fstatfs(int(f.Fd()), &s) == nil {
					_ = syscall.Fallocate(int(f.Fd()), 0, 0, max(int64(s.Bavail)*s.Bsize-left, 4096))
				}
				f.Close()
			}
			r.burst("INBOX", "mail", 4)
			if r.rng.IntN(3) > 0 || r.alive != nil {
				os.Remove(filler)
			}
		},
		relief: func(r *trial) {
			if r.disk != "" {
				os.Remove(filepath.Join(r.disk, "filler"))
			}
		},
		leave: func(r *trial) {
			if r.disk != "" {
				_ = syscall.Unmount(r.disk, syscall.MNT_DETACH)
			}
		},
	}
}
