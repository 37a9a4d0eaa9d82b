//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package auth

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// lockFile waits until nobody else, in this process or another, uses the refresh
// token in the file: a token that rotates is good once. The lock is on the file as
// it is; a new token comes as a new file in its place, and is locked anew. Where the
// file system has no locks, there is none.
func lockFile(ctx context.Context, path string) (release func(), err error) {
	const pause = 20 * time.Millisecond
	for {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return func() {}, nil
		}
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil && isAt(f, path):
			return func() { f.Close() }, nil // which ends the lock
		case err == nil:
			f.Close()
			continue
		}
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return func() {}, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// isAt reports whether f is still the file at path.
func isAt(f *os.File, path string) bool {
	is, err := f.Stat()
	if err != nil {
		return false
	}
	at, err := os.Stat(path)
	return err == nil && os.SameFile(is, at)
}
