//go:build unix && !solaris && !aix

package rigtest

import (
	"os"
	"syscall"
)

// take locks the file for this process, if nobody else has it.
func take(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
