package main

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A call by one who may not open the socket says whom to be.
func TestControlPermission(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with what follows
		if os.Geteuid() == 0 {
			// To files, root is nobody on this thread; see setfsuid(2).
			if err := unix.Setfsuid(65534); err != nil {
				failed <- err
				return
			}
		}
		_, err := dialControl(t.Context(), path)
		failed <- err
	}()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "call this as the daemon's user") {
		t.Error(err)
	}
}
