//go:build unix

package action

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ownGroup is what makes the command the leader of a process group, and where the daemon
// has a terminal of a session too, so that the command has none. Not always: a new session
// is a new group for Linux's scheduler (autogroup, see sched(7)), in which the command has to
// wait for its turn between fork and exec. With anything else to run that is half a
// millisecond, of three from mail to action, and four in the worst tenth.
func ownGroup() *syscall.SysProcAttr {
	if hasTerminal() {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true}
}

// hasTerminal reports whether the daemon has a controlling terminal.
var hasTerminal = sync.OnceValue(func() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	return tty.Close() == nil
})

func executable(info fs.FileInfo) bool { return info.Mode()&0o111 != 0 }

// endGroup ends the group whose leader is pid: SIGTERM, and SIGKILL to what is left
// after killGrace. It returns when the leader has been reaped and its group is
// gone. A group's number is not given to a new process while the group has members.
func endGroup(pid int, ended <-chan struct{}) (how string) {
	how = "was ended with SIGTERM"
	_ = syscall.Kill(-pid, syscall.SIGTERM) // an error: it has just gone
	grace := time.NewTimer(killGrace)
	defer grace.Stop()
	look := time.NewTicker(groupLookup)
	defer look.Stop()
	for reaped := false; ; {
		select {
		case <-ended:
			reaped, ended = true, nil
		case <-look.C:
		case <-grace.C:
			how = "was ended with SIGKILL, for it did not heed SIGTERM"
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			if reaped {
				return how
			}
			select {
			case <-ended:
			case <-time.After(killGrace):
				how = "could not be ended: it is stuck in the kernel, on a dead network file system perhaps"
			}
			return how
		}
		if reaped && !groupLives(pid) {
			return how
		}
	}
}

// groupLives reports whether a process of the group still runs. Zombies do not: where
// the first process of a container reaps nobody, they stay for ever.
func groupLives(group int) bool {
	if syscall.Kill(-group, 0) != nil {
		return false
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return true // no such file system here
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has just ended
		}
		// proc(5): pid (name) state ppid pgrp ...; the name may hold anything
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) > 2 && fields[2] == strconv.Itoa(group) && fields[0] != "Z" && fields[0] != "X" {
			return true
		}
	}
	return false
}
