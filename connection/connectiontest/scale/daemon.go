package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A setup is what a daemon is started with.
type setup struct {
	first, sessions int           // the accounts u(first) to u(first+sessions-1)
	refresh         time.Duration // of IDLE; 0: the default
	start           string        // of the triggers; "": new
	trigger         string        // TOML: what follows connection and start
	each            bool          // a trigger for each connection, else one for all
	profileStart    bool          // its CPU profile begins with the process
}

// A daemon is the real program at work.
type daemon struct {
	process
	dir string

	mu      sync.Mutex
	seen    map[string]int       // lines of the log by message
	when    map[string]time.Time // when the first such line came
	tail    [][]byte             // the last lines, for when something goes wrong
	changed chan struct{}
	ended   chan struct{}
}

// The messages of the log that are counted.
const (
	logWatching = `msg=watching `
	logBacklog  = `msg="the backlog is done"`
	logDone     = `msg="action done"`
)

// daemon starts the daemon, with a new state directory.
func (h *harness) daemon(s setup) (*daemon, error) {
	dir := filepath.Join(h.dir, fmt.Sprintf("d%d", len(h.daemons)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, h.config(s, dir), 0o600); err != nil {
		return nil, err
	}
	d := &daemon{
		dir: dir, seen: make(map[string]int), when: make(map[string]time.Time),
		changed: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	d.cmd = exec.Command(h.binary, "--config", config)
	d.cmd.Env = append(os.Environ(), "MAILTRIGGERD_PPROF="+filepath.Join(dir, "pprof.sock"))
	if s.profileStart {
		d.cmd.Env = append(d.cmd.Env, "MAILTRIGGERD_PPROF_START=1")
	}
	log, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go d.read(log)
	h.daemons = append(h.daemons, d)
	return d, nil
}

// config writes the daemon's configuration.
func (h *harness) config(s setup, dir string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "state_dir = %q\nconnect_rate = 2000\n[metrics]\nlisten = \"unix:%s\"\n", filepath.Join(dir, "state"), filepath.Join(dir, "metrics.sock"))
	fmt.Fprintf(&b, "[connection.base]\naddress = \"127.0.0.1\"\nport = 993\n[connection.base.authentication]\nusername = \"nobody\"\npassword = \"secret\"\n[connection.base.encryption]\nca_file = %q\n", h.ca)
	if s.refresh > 0 {
		fmt.Fprintf(&b, "[connection.base.session]\nidle_refresh = %q\n", s.refresh)
	}
	start := s.start
	if start == "" {
		start = "new"
	}
	for i := s.first; i < s.first+s.sessions; i++ {
		host, port, _ := net.SplitHostPort(h.address(i))
		fmt.Fprintf(&b, "[connection.u%d]\nextends = \"base\"\naddress = %q\nport = %s\nauthentication.username = \"u%d\"\n", i, host, port, i)
		if s.each {
			fmt.Fprintf(&b, "[trigger.t%d]\nconnection = \"u%d\"\nstart = %q\n%s\n", i, i, start, strings.ReplaceAll(s.trigger, "trigger.NAME", fmt.Sprintf("trigger.t%d", i)))
		}
	}
	if !s.each {
		fmt.Fprintf(&b, "[trigger.every]\nconnection = \"u*\"\nstart = %q\n%s\n", start, strings.ReplaceAll(s.trigger, "trigger.NAME", "trigger.every"))
	}
	return b.Bytes()
}

// read reads the daemon's log to its end.
func (d *daemon) read(log io.Reader) {
	defer close(d.ended)
	for r := bufio.NewReaderSize(log, 64<<10); ; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		now := time.Now()
		d.mu.Lock()
		for _, what := range []string{logWatching, logBacklog, logDone} {
			if bytes.Contains(line, []byte(what)) {
				if d.seen[what]++; d.seen[what] == 1 {
					d.when[what] = now
				}
			}
		}
		if d.tail = append(d.tail, line); len(d.tail) > 20 {
			d.tail = d.tail[1:]
		}
		d.mu.Unlock()
		select {
		case d.changed <- struct{}{}:
		default:
		}
	}
}

// wait waits until the log has had n lines of a kind.
func (d *daemon) wait(what string, n int, patience time.Duration) error {
	for late := time.After(patience); ; {
		d.mu.Lock()
		have := d.seen[what]
		d.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-d.changed:
		case <-d.ended:
			return fmt.Errorf("the daemon has ended; its last words:\n%s", d.lastWords())
		case <-late:
			return fmt.Errorf("the log has %d of %d lines with %s after %v; the last ones:\n%s", have, n, what, patience, d.lastWords())
		}
	}
}

func (d *daemon) lastWords() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Join(d.tail, nil)
}

// first returns when the first line of a kind came.
func (d *daemon) first(what string) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.when[what]
}

// get reads a page of one of the daemon's sockets, and returns its length.
func (d *daemon) get(socket, path string, into io.Writer) (int64, error) {
	c := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.dir, socket))
		},
	}}
	resp, err := c.Get("http://localhost" + path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return io.Copy(into, resp.Body)
}

// stop ends the daemon as a service manager does, and removes what it leaves.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-d.ended:
	case <-time.After(time.Minute):
		d.kill()
	}
	return errors.Join(d.cmd.Wait(), os.RemoveAll(d.dir))
}

// kill ends it at once, if it still runs.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.ended
}
