package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A harness is what all measurements share: the binary, the scale server, the marks.
type harness struct {
	scale    scaleOf
	dir      string
	binary   string
	ca       string
	profiles string // where to keep profiles; "": nowhere
	where    []string
	server   *process
	controls *rpc.Client
	marks    *marks
	daemons  []*daemon // all that were started
	out      io.Writer
}

// scaleOf is how large everything is.
type scaleOf struct {
	sessions int           // parked at once
	growth   []int         // fewer, to compare with
	large    int           // sessions that read a large mail each
	largeBy  int           // its bytes
	pushes   int           // of which p50 and p99 are taken
	rounds   int           // of which the median is taken
	starts   int           // with all sessions, of which the median is taken
	burst    int           // messages at once
	backlog  int           // messages
	long     int           // messages of the long backlog
	settle   time.Duration // until sessions count as parked: IDLE is renewed for the last time 30 s after work
	quiet    time.Duration // how long the CPU of parked sessions is measured
}

var full = scaleOf{
	sessions: 10_000, growth: []int{100, 1000}, large: 10_000, largeBy: 5_000_000, pushes: 1000, rounds: 5, starts: 3, burst: 300,
	backlog: 10_000, long: 100_000, settle: 40 * time.Second, quiet: time.Minute,
}

// tiny is enough to see that everything works.
var tiny = scaleOf{
	sessions: 50, growth: []int{10}, large: 3, largeBy: 2_000_000, pushes: 5, rounds: 1, starts: 1, burst: 10,
	backlog: 50, long: 100, settle: 500 * time.Millisecond, quiet: 2 * time.Second,
}

// usualMail is the size of ordinary mail: 10,000 of them are 66 MB.
const usualMail = 6600

// newHarness starts the server.
func newHarness(scale scaleOf, binary string, out io.Writer) (_ *harness, err error) {
	h := &harness{scale: scale, binary: binary, out: out}
	if h.dir, err = os.MkdirTemp("", "scale"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.marks, err = newMarks(filepath.Join(h.dir, "marks")); err != nil {
		return nil, err
	}
	var stdout *bufio.Reader
	if h.server, stdout, err = startRole("server", &errand{}); err != nil {
		return nil, err
	}
	h.controls = rpc.NewClient(pipes{stdout, h.server.stdin})
	var at Started
	if err := h.controls.Call("Scale.Start", scale.sessions+10, &at); err != nil {
		return nil, err
	}
	h.where = at.Addresses
	h.ca = filepath.Join(h.dir, "ca.pem")
	return h, os.WriteFile(h.ca, at.CA, 0o600)
}

func (h *harness) close() {
	for _, d := range h.daemons {
		d.kill() // what was stopped is not there any more
	}
	if h.server != nil {
		h.server.end()
	}
	if h.marks != nil {
		h.marks.file.Close()
	}
	os.RemoveAll(h.dir)
}

// pipes is the connection to the server.
type pipes struct {
	io.Reader
	io.WriteCloser
}

// address is where an account is reached.
func (h *harness) address(account int) string { return h.where[account%len(h.where)] }

// deliver has the server deliver mail, and returns when it began to tell.
func (h *harness) deliver(d Delivery) (time.Time, error) {
	var at int64
	err := h.controls.Call("Scale.Deliver", d, &at)
	return time.Unix(0, at), err
}

func (h *harness) empty(first, last int) error {
	var none int64
	return h.controls.Call("Scale.Empty", Delivery{First: first, Last: last}, &none)
}

// idle waits until n sessions idle on the server.
func (h *harness) idle(n int, patience time.Duration, alive <-chan struct{}) error {
	for end := time.Now().Add(patience); ; {
		var have int
		if err := h.controls.Call("Scale.Idling", 0, &have); err != nil {
			return err
		}
		if have == n {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d sessions idle after %v", have, n, patience)
		}
		select {
		case <-alive:
			return fmt.Errorf("the process has ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// build builds the daemon.
func build(ctx context.Context, dir, tags string) (string, error) {
	binary := filepath.Join(dir, "mailtriggerd")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", binary, "mailtrigger/cmd/mailtriggerd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return binary, nil
}

// minimal starts the minimal client on an account.
func (h *harness) minimal(account, parallel int) (*process, error) {
	p, out, err := startRole("minimal", &errand{
		Address: h.address(account), CA: h.ca, Account: account, Parallel: parallel,
		Command: markCommand, Env: []string{"MARKS=" + h.marks.path, "WHO=minimal"},
	})
	if err != nil {
		return nil, err
	}
	_, err = out.ReadString('\n')
	return p, err
}

// bare logs in bare sessions, and returns the CPU time that took. They have ended by then.
func (h *harness) bare(sessions int) (time.Duration, error) {
	p, out, err := startRole("bare", &errand{Sessions: sessions, Addresses: h.where, CA: h.ca})
	if err != nil {
		return 0, err
	}
	if _, err := out.ReadString('\n'); err != nil {
		return 0, err
	}
	cpu := p.cpu()
	return cpu, p.end()
}

// stream reads a mailbox with a bare FETCH.
func (h *harness) stream(account int, parse bool) (seconds float64, err error) {
	p, out, err := startRole("stream", &errand{Address: h.address(account), CA: h.ca, Account: account, Parse: parse})
	if err != nil {
		return 0, err
	}
	line, err := out.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if err := p.end(); err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(line), 64)
}

// quantile returns the value below which the share q of the values is.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// parts are what the table is made of.
var parts = []struct {
	name string
	run  func(*harness, *table) error
}{
	{"action", (*harness).mailToAction},
	{"backlog", (*harness).backlog},
	{"start", (*harness).starts},
	{"sessions", (*harness).sessions},
	{"journal", (*harness).journal},
}

// all measures the named parts, or all of them, and prints the table.
func (h *harness) all(names ...string) error {
	t := &table{w: h.out}
	for _, p := range parts {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		if err := p.run(h, t); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if t.rows == 0 {
		return fmt.Errorf("there is no part of that name")
	}
	fmt.Fprintf(h.out, "\n%d of %d rows fall short of their bars.\n", t.short, t.rows)
	return nil
}
