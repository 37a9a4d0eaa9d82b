//go:build !unix

package action

import (
	"io/fs"
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

func executable(fs.FileInfo) bool { return true }

// endGroup ends the process: this system has no groups to signal.
func endGroup(pid int, ended <-chan struct{}) (how string) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
	}
	<-ended
	return "was ended"
}
