package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mailtrigger/connection/connectiontest/rigtest"
)

// runAsMain is the environment variable that makes the test binary the program:
// so tests run the real thing, built as they are (race detector, crash points).
const runAsMain = "MAILTRIGGERD_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runAsMain) != "" {
		main()
		return
	}
	testscript.Main(rigged{m}, map[string]func(){"mailtriggerd": main})
}

// rigged runs the tests and removes the rig of servers, if they have started one.
type rigged struct{ m *testing.M }

func (r rigged) Run() int { return rigtest.Main(r.m) }

// program returns a command that runs the program.
func program(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), runAsMain+"=1")
	return cmd
}
