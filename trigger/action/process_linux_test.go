package action

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// withoutSpawner makes commands start as they do where the system refuses a table of
// descriptors of one's own.
func withoutSpawner(t testing.TB) {
	saved := commandSpawner
	commandSpawner = func() *spawner { return nil }
	t.Cleanup(func() { commandSpawner = saved })
}

// TestExecDescriptors proves that a command gets no descriptor but 0, 1 and 2, though
// the daemon was itself started with another.
func TestExecDescriptors(t *testing.T) {
	a := sh(t, `i=0; while [ $i -lt 300 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done; true`)
	descriptors := func() []string {
		got := a.Run(t.Context(), newRun(t))
		wantDone(t, got)
		return strings.Fields(string(got.Output))
	}
	inherited, err := syscall.Dup(1) // without close-on-exec, as it is with one from outside
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(inherited)
	withSpawner(t)
	if got := descriptors(); strings.Join(got, " ") != "0 1 2" {
		t.Errorf("descriptors of the command: %v", got)
	}
	withoutSpawner(t)
	if got := descriptors(); !slices.Contains(got, fmt.Sprint(inherited)) {
		t.Fatalf("the test has no descriptor to hide: %v", got)
	}
	keepDescriptors()
	if got := descriptors(); strings.Join(got, " ") != "0 1 2" {
		t.Errorf("descriptors of the command, without a spawner: %v", got)
	}
}

// TestExecDrained proves that all is kept of what a command has printed before it ended,
// however late its reader is, though what it left running holds the pipe.
func TestExecDrained(t *testing.T) {
	saved := drainDelay
	drainDelay = 0
	t.Cleanup(func() { drainDelay = saved })
	a := sh(t, `sleep 600 & echo $! >"$1"; head -c 60000 /dev/zero; exit 0`, t.TempDir()+"/child")
	for range 20 {
		got := a.Run(t.Context(), newRun(t))
		b, err := os.ReadFile(a.Command[len(a.Command)-1])
		if err != nil {
			t.Fatal(err)
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
			t.Fatalf("the child in the background: %s, %v", b, err)
		}
		wantDone(t, got)
		if len(got.Output) != 60000 {
			t.Fatalf("%d bytes of its output were kept; want 60000", len(got.Output))
		}
	}
}
