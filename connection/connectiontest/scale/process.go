package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is one that the harness has started.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// roleVariable tells a process of this program which part it plays.
const roleVariable = "MAILTRIGGERD_SCALE_ROLE"

// startRole starts this program in a role.
func startRole(role string, e *errand) (*process, *bufio.Reader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self)
	task, err := json.Marshal(e)
	if err != nil {
		return nil, nil, err
	}
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "MAILTRIGGERD_SCALE_ERRAND="+string(task))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return &process{cmd, stdin}, bufio.NewReader(stdout), nil
}

// playRole plays the role that the environment names; false if it names none.
func playRole() (played bool) {
	role := os.Getenv(roleVariable)
	if role == "" {
		return false
	}
	var e errand
	err := json.Unmarshal([]byte(os.Getenv("MAILTRIGGERD_SCALE_ERRAND")), &e)
	if err == nil {
		switch role {
		case "server":
			err = serverRole()
		case "minimal":
			err = minimalRole(&e)
		case "bare":
			err = bareRole(&e)
		case "stream":
			err = streamRole(&e)
		default:
			err = fmt.Errorf("unknown role")
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
		os.Exit(1)
	}
	return true
}

// end ends the process and waits for it.
func (p *process) end() error {
	p.stdin.Close()
	return p.cmd.Wait()
}

// cpu returns the CPU time that the process has used, without its children's.
func (p *process) cpu() time.Duration {
	var total time.Duration
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name may hold spaces
	fields := strings.Fields(string(rest))
	for _, f := range fields[11:13] { // utime, stime in ticks of 1/100 s; see proc(5)
		n, _ := strconv.Atoi(f)
		total += time.Duration(n) * 10 * time.Millisecond
	}
	return total
}

// memory returns a field of the process's status, in bytes: VmRSS, or VmHWM, the
// most that VmRSS has been.
func (p *process) memory(field string) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for l := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(l, field+": %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}

// resetPeak lets VmHWM begin anew; see proc(5), clear_refs.
func (p *process) resetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)
}

// canMeasure reports whether this system tells what the harness reads.
func canMeasure() bool {
	self := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	return self.memory("VmRSS") > 0
}

// marks are lines that processes started by the daemon, or by the minimal client,
// write into a named pipe first thing.
type marks struct {
	path string
	file *os.File
	c    chan mark
}

// A mark says that a process has started.
type mark struct {
	who string // the connection and the UID
	at  time.Time
}

// markCommand is what is run for a message. /bin/sh is about the least that can be
// started and say so.
var markCommand = []string{"/bin/sh", "-c", "echo $WHO:$MAILTRIGGER_CONNECTION:$MAILTRIGGER_UID >$MARKS"}

func newMarks(path string) (*marks, error) {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	m := &marks{path, f, make(chan mark, 1<<16)}
	go func() {
		for s := bufio.NewScanner(f); s.Scan(); {
			m.c <- mark{s.Text(), time.Now()}
		}
	}()
	return m, nil
}

// wait waits for n marks by who, and returns when the last came.
func (m *marks) wait(who string, n int, patience time.Duration) (time.Time, error) {
	late := time.After(patience)
	for have := 0; ; {
		select {
		case k := <-m.c:
			if strings.HasPrefix(k.who, who+":") {
				if have++; have == n {
					return k.at, nil
				}
			}
		case <-late:
			return time.Time{}, fmt.Errorf("only %d of %d processes of %s have started within %v", have, n, who, patience)
		}
	}
}
