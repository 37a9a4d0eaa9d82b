//go:build unix

package journal

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockWait is how long a lock is waited for: a daemon that is just ending lets go of it soon.
const lockWait = 500 * time.Millisecond

// lockDir takes the lock of a state directory: it is held over the whole life
// of the journal, also while journal.db is closed and opened again. Readers share it.
func lockDir(dir string, readOnly bool) (*os.File, error) {
	flag, how := os.O_RDWR|os.O_CREATE, unix.LOCK_EX|unix.LOCK_NB
	if readOnly {
		flag, how = os.O_RDONLY|os.O_CREATE, unix.LOCK_SH|unix.LOCK_NB
	}
	f, err := os.OpenFile(lockPath(dir), flag, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(lockWait / 20) {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", lockPath(dir), err)
		}
		if time.Now().After(end) {
			f.Close()
			return nil, fmt.Errorf("%w %s: stop it first, or give this one a state_dir of its own", ErrLocked, dir)
		}
	}
}
