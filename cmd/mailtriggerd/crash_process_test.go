package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtrigger/trigger/crashpoint"
)

// crashMode is the environment variable that makes the test binary something else:
// the daemon, built as the test is, or the command that an exec action runs.
const (
	crashMode   = "MAILTRIGGERD_CRASH_TEST"
	modeDaemon  = "daemon"
	modeCommand = "command"
)

func init() {
	switch os.Getenv(crashMode) {
	case modeDaemon:
		if d, err := time.ParseDuration(os.Getenv("CRASH_MAX_BACKOFF")); err == nil {
			maxBackoff = d
		}
		if path := os.Getenv(gaugeVariable); path != "" {
			go gauge(path)
		}
		main()
	case modeCommand:
		if err := crashCommand(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// gaugeVariable names a socket on which the daemon's process says how many
// goroutines it has.
const gaugeVariable = "CRASH_GAUGE"

func gauge(path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(c, runtime.NumGoroutine())
		c.Close()
	}
}

// A commandLine is a line of the ledger file that commands write.
type commandLine struct {
	Start                           bool // else the end
	At                              time.Time
	Life, Attempt                   int
	Event, Trigger, Action, Mailbox string
	Subject                         string
	Sum                             string // of standard input; at the end only
}

// crashCommand is the command of an exec action: it writes that it has started,
// reads its input to the end, and writes that it has ended. Each line is one write.
func crashCommand() error {
	ledger, err := os.OpenFile(os.Getenv("CRASH_LEDGER"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	l := commandLine{Start: true, Event: os.Getenv("MAILTRIGGER_EVENT_ID"), Trigger: os.Getenv("MAILTRIGGER_TRIGGER"),
		Action: os.Getenv("MAILTRIGGER_ACTION"), Mailbox: os.Getenv("MAILTRIGGER_MAILBOX"), Subject: os.Getenv("MAILTRIGGER_SUBJECT")}
	fmt.Sscan(os.Getenv("CRASH_LIFE"), &l.Life)
	fmt.Sscan(os.Getenv("MAILTRIGGER_ATTEMPT"), &l.Attempt)
	say := func() error {
		l.At = time.Now()
		b, err := json.Marshal(l)
		if err == nil {
			_, err = ledger.Write(append(b, '\n'))
		}
		return err
	}
	if err := say(); err != nil {
		return err
	}
	if os.Getenv("CRASH_HANG") != "" && l.Attempt == 1 && lengthOf(l.Subject, 20) == 0 {
		<-make(chan struct{}) // until the daemon has had enough
	}
	raw, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	l.Start, l.Sum = false, fmt.Sprintf("%x", sha256.Sum256(raw))
	return say()
}

// A life is one process of the daemon.
type life struct {
	number  int
	point   string // where it is to die; "": nowhere
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	crashed bool          // ended by SIGKILL
	killed  bool          // which the test sent
	code    int           // exit code; -1: by a signal
}

// startLife starts the daemon. point is the value of MAILTRIGGERD_CRASHPOINT.
func startLife(t *testing.T, number int, config, point string, log *os.File, env ...string) *life {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(log, "--- life %d %s\n", number, point)
	l := &life{number: number, point: point, ended: make(chan struct{}), cmd: exec.Command(exe, "--config", config)}
	l.cmd.Env = append([]string{crashMode + "=" + modeDaemon, "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GOMAXPROCS=2",
		"CRASH_LIFE=" + fmt.Sprint(number)}, env...)
	if crashpoint.Enabled && !strings.HasPrefix(point, "(") && point != "" {
		l.cmd.Env = append(l.cmd.Env, "MAILTRIGGERD_CRASHPOINT="+point)
	}
	l.cmd.Stdout, l.cmd.Stderr = log, log
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = l.cmd.Wait()
		status := l.cmd.ProcessState.Sys().(syscall.WaitStatus)
		l.crashed, l.code = status.Signaled() && status.Signal() == syscall.SIGKILL, l.cmd.ProcessState.ExitCode()
		close(l.ended)
	}()
	return l
}

func (l *life) kill() {
	l.killed = true
	_ = l.cmd.Process.Kill()
	<-l.ended
}

// hits reads the file that a life numbered its crash points in.
func hits(file string) (names []string) {
	b, _ := os.ReadFile(file)
	for line := range bytes.Lines(b) {
		if _, name, ok := strings.Cut(strings.TrimSpace(string(line)), " "); ok {
			names = append(names, name)
		}
	}
	return names
}
