package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A mailbox full of mail, read by the daemon and by one bare FETCH in turn.

// noneFires judges each message to the end of its body, and fires on none.
const noneFires = `[[trigger.NAME.condition]]
field = "body"
contains = "no message says this"
[[trigger.NAME.action]]
type = "exec"
command = ["/bin/false"]
`

// eachSaved keeps each message, and its attachment by itself.
func eachSaved(dir string) string {
	return fmt.Sprintf(`concurrency = 8
[[trigger.NAME.action]]
type = "save"
directory = %q
[[trigger.NAME.action]]
type = "save_attachments"
directory = %[1]q
subdirectory = "{{.UID}}"
`, dir)
}

// work has a daemon work through the mailbox of u0, and returns for how many seconds,
// from the login, and by how many bytes its memory has grown.
func (h *harness) work(trigger, until string, lines int) (seconds float64, grown int64, err error) {
	d, err := h.daemon(setup{sessions: 1, start: "all", trigger: trigger})
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if stopped := d.stop(); err == nil {
			err = stopped
		}
	}()
	if err := d.wait(logWatching, 1, time.Minute); err != nil {
		return 0, 0, err
	}
	profiled := h.cpuProfile(d, fmt.Sprintf("backlog%d", len(h.daemons)), time.Second)
	defer func() {
		if e := profiled(); err == nil {
			err = e
		}
	}()
	if err := d.wait(until, lines, 10*time.Minute); err != nil {
		return 0, 0, err
	}
	seconds = time.Since(d.first(logWatching)).Seconds()
	return seconds, d.memory("VmHWM"), nil
}

func (h *harness) backlog(t *table) error {
	if err := h.fill(h.scale.backlog); err != nil {
		return err
	}
	var bare, parsed, none, saved []float64
	for i := range h.scale.rounds {
		seconds, err := h.stream(0, false)
		if err != nil {
			return err
		}
		bare = append(bare, seconds)
		if seconds, err = h.stream(0, true); err != nil {
			return err
		}
		parsed = append(parsed, seconds)
		if seconds, _, err = h.work(noneFires, logBacklog, 1); err != nil {
			return err
		}
		none = append(none, seconds)
		dir := filepath.Join(h.dir, fmt.Sprintf("saved%d", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if seconds, _, err = h.work(eachSaved(dir), logDone, 2*h.scale.backlog); err != nil {
			return err
		}
		saved = append(saved, seconds)
		// The files stay until the end: an ext4 without a journal does not use an inode again
		// for some minutes, and looks at each of them for every file that is made.
	}
	n, s := median(none), median(saved)
	for _, with := range []struct {
		name string
		took float64
	}{{"a bare FETCH that keeps nothing", median(bare)}, {"a bare FETCH, parsed", median(parsed)}} {
		against := fmt.Sprintf("%s, %s", perSecond(h.scale.backlog, with.took), with.name)
		t.add(row{what: fmt.Sprintf("Backlog of %d messages, matched, none firing", h.scale.backlog), measured: perSecond(h.scale.backlog, n), against: against, value: with.took / n, unit: "x", bar: 0.7, least: true})
		t.add(row{what: "... each saved with its attachments", measured: perSecond(h.scale.backlog, s), against: against, value: with.took / s, unit: "x", bar: 0.4, least: true})
	}
	if err := h.fill(h.scale.long); err != nil {
		return err
	}
	idle, err := h.idleMemory()
	if err != nil {
		return err
	}
	_, peak, err := h.work(noneFires, logBacklog, 1)
	if err != nil {
		return err
	}
	t.add(row{what: fmt.Sprintf("Peak memory in a backlog of %d", h.scale.long), measured: mib(peak), against: mib(idle) + " idle", value: float64(peak-idle) / (1 << 20), unit: "MiB", bar: 64})
	return h.empty(0, 0)
}

// fill puts n messages into u0 that nobody is told of.
func (h *harness) fill(n int) error {
	if err := h.empty(0, 0); err != nil {
		return err
	}
	_, err := h.deliver(Delivery{Count: n, Size: usualMail})
	return err
}

// idleMemory is the memory of a daemon with one session that has nothing to do.
func (h *harness) idleMemory() (int64, error) {
	d, err := h.daemon(setup{first: 1, sessions: 1, trigger: noneFires})
	if err != nil {
		return 0, err
	}
	if err := d.wait(logWatching, 1, time.Minute); err != nil {
		return 0, err
	}
	time.Sleep(min(h.scale.settle, 3*time.Second))
	rss := d.memory("VmRSS")
	return rss, d.stop()
}

func perSecond(n int, seconds float64) string {
	return fmt.Sprintf("%.0f messages/s", float64(n)/seconds)
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
