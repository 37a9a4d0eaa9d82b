package main

import (
	"fmt"
	"time"
)

// largeMail has every session read one large mail, and looks what stays of it.
func (h *harness) largeMail(t *table) error {
	base, err := h.idleMemory()
	if err != nil {
		return err
	}
	n := h.scale.large
	p, err := h.start(setup{sessions: n, trigger: h.onMark("") /* its stdin is the mail */}, 0)
	if err != nil {
		return err
	}
	time.Sleep(h.scale.settle)
	parked := p.daemon.memory("VmRSS")
	started := time.Now()
	for first := 0; first < n; first += 100 {
		last := min(first+99, n-1)
		if _, err := h.deliver(Delivery{First: first, Last: last, Count: 1, Size: h.scale.largeBy}); err != nil {
			return err
		}
		if _, err := h.marks.wait("daemon", last-first+1, 10*time.Minute); err != nil {
			return err
		}
	}
	took := time.Since(started)
	time.Sleep(h.scale.settle)
	p.memory = p.daemon.memory("VmRSS")
	if err := h.profile(p.daemon, "large"); err != nil {
		return err
	}
	t.add(row{what: fmt.Sprintf("Memory a parked session after each of %d has read a mail of %d MB", n, h.scale.largeBy/1e6),
		measured: fmt.Sprintf("%s, %.0f s later", mib(p.memory), took.Seconds()), against: mib(parked) + " before",
		value: float64(p.memory-base) / float64(n) / 1024, unit: "KiB", bar: 22})
	if err := p.stop(); err != nil {
		return err
	}
	return h.empty(0, n-1)
}
