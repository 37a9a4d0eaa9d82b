package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Mail to action, with one mailbox: the daemon and the minimal client in turn, so that
// whatever else the machine does meets both.

// onMark is a trigger, at most parallel processes at once, whose action makes a mark
// and is given stdin.
func (h *harness) onMark(parallel int, stdin string) string {
	return fmt.Sprintf(`concurrency = %d
[[trigger.NAME.action]]
type = "exec"
command = [%q, %q, %q]
env = {MARKS = %q, WHO = "daemon"}
stdin = %q
`, parallel, markCommand[0], markCommand[1], markCommand[2], h.marks.path, stdin)
}

// A contest is the daemon on the account u0 and the minimal client on another, each at
// most parallel processes at once.
type contest struct {
	h      *harness
	daemon *daemon
	other  *process
}

const minimalAccount = 1

func (h *harness) contest(parallel int) (c *contest, err error) {
	c = &contest{h: h}
	if c.daemon, err = h.daemon(setup{sessions: 1, trigger: h.onMark(parallel, "raw")}); err != nil {
		return nil, err
	}
	if err = c.daemon.wait(logWatching, 1, time.Minute); err != nil {
		return nil, err
	}
	if c.other, err = h.minimal(minimalAccount, parallel); err != nil {
		return nil, err
	}
	return c, h.idle(2, time.Minute, c.daemon.ended)
}

func (c *contest) end() error {
	c.other.cmd.Process.Kill()
	c.other.cmd.Wait()
	if err := c.daemon.stop(); err != nil {
		return err
	}
	return c.h.empty(0, minimalAccount)
}

// push delivers count messages to an account, and returns how many seconds passed from
// the server's push to the start of the last process.
func (h *harness) push(who string, account, count int) (float64, error) {
	at, err := h.deliver(Delivery{First: account, Last: account, Count: count, Size: usualMail, Idle: true})
	if err != nil {
		return 0, err
	}
	started, err := h.marks.wait(who, count, time.Minute)
	return started.Sub(at).Seconds(), err
}

// both pushes to both, in turn, rounds times.
func (c *contest) both(rounds, count int) (daemon, other []float64, err error) {
	for i := range rounds {
		for k := range 2 {
			who, account, into := "daemon", 0, &daemon
			if (i+k)%2 == 1 { // each is first as often
				who, account, into = "minimal", minimalAccount, &other
			}
			time.Sleep(rand.N(10 * time.Millisecond)) // in step with nothing
			took, err := c.h.push(who, account, count)
			if err != nil {
				return nil, nil, err
			}
			*into = append(*into, took)
		}
	}
	return daemon, other, nil
}

func (h *harness) mailToAction(t *table) error {
	c, err := h.contest(1)
	if err != nil {
		return err
	}
	if _, _, err := c.both(min(20, h.scale.pushes), 1); err != nil { // to warm up
		return err
	}
	profiled := h.cpuProfile(c.daemon, "push", 5*time.Second)
	ours, theirs, err := c.both(h.scale.pushes, 1)
	if err := errors.Join(err, profiled()); err != nil {
		return err
	}
	for _, q := range []struct {
		name string
		q    float64
		bar  float64
	}{{"p50", 0.5, 1.25}, {"p99", 0.99, 3}} {
		a, b := quantile(ours, q.q), quantile(theirs, q.q)
		t.add(row{what: "Push to process start, " + q.name + ", one mailbox", measured: milliseconds(a), against: milliseconds(b) + ", the minimal client", value: a / b, unit: "x", bar: q.bar})
	}
	if err := c.end(); err != nil {
		return err
	}
	for _, parallel := range []int{1, 8} {
		c, err := h.contest(parallel)
		if err != nil {
			return err
		}
		profiled := h.cpuProfile(c.daemon, fmt.Sprintf("burst%d", parallel), time.Second)
		ours, theirs, err := c.both(h.scale.rounds, h.scale.burst)
		if err := errors.Join(err, profiled()); err != nil {
			return err
		}
		a, b := median(ours), median(theirs)
		t.add(row{what: fmt.Sprintf("%d messages at once, %[1]d processes, %d at a time", h.scale.burst, parallel), measured: milliseconds(a), against: milliseconds(b) + ", the minimal client", value: a / b, unit: "x", bar: 1.2})
		if err := c.end(); err != nil {
			return err
		}
	}
	return nil
}

func milliseconds(seconds float64) string { return fmt.Sprintf("%.3g ms", seconds*1e3) }
