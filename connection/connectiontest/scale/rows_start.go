package main

import (
	"fmt"
	"time"
)

// starts measures the CPU of a start with very many connections: the daemon's from the
// start of its process until all sessions idle, in turn with bare logins.
func (h *harness) starts(t *table) error {
	n := h.scale.sessions
	var daemons, bares, ratios []float64
	for range h.scale.starts {
		before, err := h.bare(n)
		if err != nil {
			return err
		}
		p, err := h.start(setup{sessions: n, trigger: h.onMark(many, "none"), profileStart: h.profiles != ""}, 0)
		if err != nil {
			return err
		}
		if err := h.profileStart(p.daemon); err != nil {
			return err
		}
		if err := p.stop(); err != nil {
			return err
		}
		after, err := h.bare(n)
		if err != nil {
			return err
		}
		bare := (before + after).Seconds() / 2
		daemons, bares, ratios = append(daemons, p.login.Seconds()), append(bares, bare), append(ratios, p.login.Seconds()/bare)
	}
	each := func(seconds []float64) string {
		return fmt.Sprintf("%.2f s, %v each", median(seconds), time.Duration(median(seconds)/float64(n)*float64(time.Second)).Round(time.Microsecond))
	}
	t.add(row{what: fmt.Sprintf("CPU of %d connections from start to watching", n), measured: each(daemons),
		against: each(bares) + ", bare TLS logins", value: median(ratios), unit: "x", bar: 1.5})
	return nil
}
