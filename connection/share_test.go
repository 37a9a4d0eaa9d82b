package connection

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// What a server has refused is tried again after an hour, on sessions that go on.
func TestRefusalsAreReconsidered(t *testing.T) {
	for _, what := range []string{"session", "NOTIFY"} {
		synctest.Test(t, func(t *testing.T) {
			cfg := &Config{Name: "test"}
			cfg.SetDefaults()
			g := &group{d: &Dialer{log: slog.New(slog.DiscardHandler)}, cfg: cfg}
			shared := &station{group: g, up: true, watches: []*Watch{{}, {}}}
			g.stations = []*station{shared, {group: g}}
			g.mu.Lock()
			if what == "NOTIFY" {
				g.refuse("no")
			} else if !g.fewer(&Error{crowded: true}) || g.more() != nil {
				t.Error("another session would be opened at once")
			}
			g.mu.Unlock()
			time.Sleep(askAgain - time.Minute)
			synctest.Wait()
			g.mu.Lock()
			if shared.changed {
				t.Error(what, "is tried again too soon")
			}
			g.mu.Unlock()
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			g.mu.Lock()
			defer g.mu.Unlock()
			if !shared.changed || !time.Now().After(g.without) || g.more() == nil {
				t.Error(what, "is not tried again")
			}
		})
	}
}
