package action

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// roles are what the test's program is to be when it is started again, by the variable
// that tells it so.
var roles = map[string]func(value string){daemonDirectory: beDaemon}

// TestMain runs the tests and then looks for what they left behind: goroutines and
// descriptors.
func TestMain(m *testing.M) {
	for variable, be := range roles {
		if value := os.Getenv(variable); value != "" {
			be(value)
			return
		}
	}
	PrepareExec() // what it makes stays: it is no leak
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if code == 0 && flag.Lookup("test.fuzz").Value.String() == "" { // fuzzing leaves a goroutine of its own
		code = leaks(goroutines, descriptors)
	}
	os.Exit(code)
}

func leaks(goroutines, descriptors int) int {
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		g, d := runtime.NumGoroutine(), openDescriptors()
		if g <= goroutines && d <= descriptors {
			return 0
		}
		select {
		case <-tick.C:
		case <-deadline:
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			fmt.Printf("left behind: %d goroutines (%d before), %d descriptors (%d before)\n%s\n", g, goroutines, d, descriptors, stacks)
			return 1
		}
	}
}

// openDescriptors counts descriptors, but for those of the runtime's poller, which
// is made at its first use and stays.
func openDescriptors() (n int) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "anon_inode:") {
			n++
		}
	}
	return n
}
