package action

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailtrigger/trigger/event"
)

// daemonDirectory is the variable by which the test's program, started again, is told
// to be a daemon that runs one command.
const daemonDirectory = "ACTION_TEST_DAEMON"

// beDaemon runs a command that waits for a file and then counts its input.
func beDaemon(dir string) {
	a := &Exec{Stdin: "raw", Command: []string{"sh", "-c",
		`echo $$ >"$1/pid"; touch "$1/ready"; while [ ! -e "$1/go" ]; do sleep 0.02; done; wc -c >"$1/part"; mv "$1/part" "$1/count"`, "sh", dir}}
	a.Type = "exec"
	a.SetDefaults()
	a.Validate()
	e := event.Sample(event.KindMessage)
	e.Raw = []byte(strings.Repeat("x", 500_000))
	fmt.Println("running")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a.Run(ctx, &Run{Event: e, Key: e.ID, Env: Env{TempDir: dir}})
}

// TestExecSurvivesDaemon kills the daemon while its command has not read its input
// yet, and proves that the command gets all of it nevertheless.
func TestExecSurvivesDaemon(t *testing.T) {
	dir := t.TempDir()
	daemon := exec.CommandContext(t.Context(), os.Args[0])
	daemon.Env = append(os.Environ(), daemonDirectory+"="+dir)
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	waitFor(t, filepath.Join(dir, "ready"))
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = daemon.Wait() // it was killed
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, filepath.Join(dir, "count"))
	if b, err := os.ReadFile(filepath.Join(dir, "count")); err != nil || strings.TrimSpace(string(b)) != "500000" {
		t.Errorf("the command read %s bytes, %v; want 500000", b, err)
	}
	gone(t, filepath.Join(dir, "pid"))
}

// waitFor waits until the file is there.
func waitFor(t *testing.T, path string) {
	t.Helper()
	<-whenReady(t, path).Done()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
}
