package main

import (
	"fmt"
	"io"
	"time"
)

// Very many parked sessions: what they cost, and that they slow nothing down.

// many is how many processes the trigger on all these mailboxes runs at once.
const many = 16

// A park is a daemon whose sessions are all parked, and what was seen of it.
type park struct {
	*daemon
	n       int
	login   time.Duration // CPU from start to watching
	memory  int64         // resident, once all is quiet
	latency float64       // seconds from push to process, p50
}

// start has a daemon park its sessions, beside those that idle already.
func (h *harness) start(s setup, besides int) (*park, error) {
	d, err := h.daemon(s)
	if err != nil {
		return nil, err
	}
	if err := d.wait(logWatching, s.sessions, 3*time.Minute); err != nil {
		return nil, err
	}
	if err := h.idle(s.sessions+besides, time.Minute, d.ended); err != nil {
		return nil, err
	}
	return &park{daemon: d, n: s.sessions, login: d.cpu()}, nil
}

// sessions measures memory, CPU and latency by the number of sessions.
func (h *harness) sessions(t *table) error {
	base, small, err := h.fewSessions()
	if err != nil {
		return err
	}
	each := func(p *park, bytes int64) float64 { return float64(bytes-base) / float64(p.n) / 1024 }
	p, err := h.start(setup{sessions: h.scale.sessions, trigger: h.onMark(many, "none")}, 0)
	if err != nil {
		return err
	}
	time.Sleep(h.scale.settle)
	p.memory = p.daemon.memory("VmRSS")
	t.add(row{what: fmt.Sprintf("Memory a parked session, %d of them, before a scrape", p.n), measured: mib(p.memory),
		against: mib(base) + " with one session", value: each(p, p.memory), unit: "KiB", bar: 16})
	if err := h.profile(p.daemon, "parked"); err != nil {
		return err
	}
	quiet := p.cpu()
	time.Sleep(h.scale.quiet / 2)
	background := (p.cpu() - quiet).Seconds() / (h.scale.quiet / 2).Seconds()
	if p.latency, err = h.latency(0); err != nil {
		return err
	}
	if err := h.toAll(t, p); err != nil {
		return err
	}
	if err := h.largeMail(p); err != nil {
		return err
	}
	t.add(row{what: fmt.Sprintf("Memory a parked session, after each of %d has read a mail of %d MB", h.scale.large, h.scale.largeBy/1e6),
		measured: mib(p.daemon.memory("VmRSS")), against: mib(base) + " with one session", value: each(p, p.daemon.memory("VmRSS")), unit: "KiB", bar: 22})
	if err := h.profile(p.daemon, "large"); err != nil {
		return err
	}
	if err := p.stop(); err != nil {
		return err
	}
	if err := h.empty(0, p.n-1); err != nil {
		return err
	}
	if err := h.refreshing(t, background); err != nil {
		return err
	}
	for _, s := range small {
		t.add(row{what: fmt.Sprintf("Growth: memory a parked session, %d of them", s.n), measured: mib(s.memory), against: mib(base) + " with one session",
			value: each(s, s.memory), unit: "KiB"})
	}
	few := small[0]
	t.add(row{what: fmt.Sprintf("Growth: push to process start, p50, with %d sessions", p.n), measured: milliseconds(p.latency),
		against: fmt.Sprintf("%s with %d", milliseconds(few.latency), few.n), value: p.latency / few.latency, unit: "x", bar: 1.25})
	return nil
}

// fewSessions looks at daemons with few sessions, side by side: base is the memory of
// one with a single session.
func (h *harness) fewSessions() (base int64, parks []*park, err error) {
	total := 0
	for _, n := range append([]int{1}, h.scale.growth...) {
		p, err := h.start(setup{first: total, sessions: n, trigger: h.onMark(many, "none")}, total)
		if err != nil {
			return 0, nil, err
		}
		parks = append(parks, p)
		total += n
	}
	time.Sleep(h.scale.settle)
	first := 0
	for _, p := range parks {
		p.memory = p.daemon.memory("VmRSS")
		if p.latency, err = h.latency(first); err != nil {
			return 0, nil, err
		}
		first += p.n
	}
	for _, p := range parks {
		if err := p.stop(); err != nil {
			return 0, nil, err
		}
	}
	return parks[0].memory, parks[1:], h.empty(0, total-1)
}

// latency is the p50 from push to process of one account.
func (h *harness) latency(account int) (float64, error) {
	var took []float64
	for range min(h.scale.pushes, 200) {
		seconds, err := h.push("daemon", account, 1)
		if err != nil {
			return 0, err
		}
		took = append(took, seconds)
	}
	return median(took), nil
}

// scrape measures one scrape.
func (h *harness) scrape(t *table, p *park) error {
	before, cpu := p.daemon.memory("VmRSS"), p.cpu()
	if err := p.resetPeak(); err != nil {
		return err
	}
	bytes, err := p.get("metrics.sock", "/metrics", io.Discard)
	if err != nil {
		return err
	}
	grown := float64(p.daemon.memory("VmHWM")-before) / float64(p.n) / 1024
	spent := (p.cpu() - cpu).Seconds()
	what := fmt.Sprintf("A scrape at %d connections, a trigger each: ", p.n)
	t.add(row{what: what + "memory a connection", measured: fmt.Sprintf("%.1f KiB", grown), value: grown, unit: "KiB", bar: 12})
	t.add(row{what: what + "size", measured: fmt.Sprintf("%d bytes", bytes), value: float64(bytes) / 1e6, unit: "MB", bar: 25})
	t.add(row{what: what + "CPU", measured: fmt.Sprintf("%.2f s", spent), value: spent, unit: "s", bar: 1.5})
	return nil
}

// toAll delivers a message to every mailbox at once.
func (h *harness) toAll(t *table, p *park) error {
	if err := p.resetPeak(); err != nil {
		return err
	}
	cpu := p.cpu()
	at, err := h.deliver(Delivery{Last: p.n - 1, Count: 1, Size: usualMail})
	if err != nil {
		return err
	}
	last, err := h.marks.wait("daemon", p.n, 5*time.Minute)
	if err != nil {
		return err
	}
	peak := p.daemon.memory("VmHWM")
	t.add(row{what: fmt.Sprintf("A message to all %d at once, until the last process started", p.n), measured: fmt.Sprintf("%.1f s of CPU", (p.cpu() - cpu).Seconds()),
		against: "", value: last.Sub(at).Seconds(), unit: "s"})
	t.add(row{what: "... peak memory a session, beyond what it took parked", measured: mib(peak), against: mib(p.memory) + " parked",
		value: float64(peak-p.memory) / float64(p.n) / 1024, unit: "KiB"})
	return nil
}

// largeMail has sessions read a large mail each, and lets them park again.
func (h *harness) largeMail(p *park) error {
	const wave = 100
	for first := 0; first < h.scale.large; first += wave {
		last := min(first+wave, h.scale.large) - 1
		if _, err := h.deliver(Delivery{First: first, Last: last, Count: 1, Size: h.scale.largeBy}); err != nil {
			return err
		}
		if _, err := h.marks.wait("daemon", last-first+1, 5*time.Minute); err != nil {
			return err
		}
	}
	time.Sleep(h.scale.settle)
	return nil
}

// often is a refresh short enough to be watched; a real one comes every 9 minutes.
const (
	often = 30 * time.Second
	usual = 9 * time.Minute
)

// refreshing measures the CPU of renewing IDLE, and a scrape, of a daemon with a trigger
// for each mailbox. What is measured with a short refresh is scaled to the usual one:
// what is spent on refreshes by how often they come; what is spent without them
// (background, of a core) stays.
func (h *harness) refreshing(t *table, background float64) error {
	refresh := min(often, h.scale.quiet/2)
	p, err := h.start(setup{sessions: h.scale.sessions, refresh: refresh, each: true, trigger: h.onMark(1, "none")}, 0)
	if err != nil {
		return err
	}
	time.Sleep(h.scale.settle)
	before, started := p.cpu(), time.Now()
	time.Sleep(h.scale.quiet)
	busy := (p.cpu() - before).Seconds() / time.Since(started).Seconds()
	share := background + max(busy-background, 0)*refresh.Seconds()/usual.Seconds()
	t.add(row{what: fmt.Sprintf("CPU of %d parked sessions, refresh 9 min", p.n),
		measured: fmt.Sprintf("%.2f %% with a refresh of %v", busy*100, refresh), against: fmt.Sprintf("%.2f %% between refreshes", background*100), value: share * 100, unit: "%", bar: 1})
	if err := h.scrape(t, p); err != nil {
		return err
	}
	return p.stop()
}
