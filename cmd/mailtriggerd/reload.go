package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
)

// catchHangups catches SIGHUP from now on, so that it ends nothing, and until end
// is called.
func catchHangups() (hangups <-chan os.Signal, end func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// heedReload reads the config again at each SIGHUP, until ctx ends: a mistake in
// it is told in the log and in the metrics, long before the next start would stop
// at it. The configuration that runs stays the same till then.
func (d *daemon) heedReload(ctx context.Context, hangups <-chan os.Signal, n *notifier) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		n.reloading()
		_, problems := config.Load(d.cfg.Path, config.Options{CheckSecrets: true})
		for _, p := range problems {
			d.log.Error("mistake in the config", "problem", p.Error())
		}
		if len(problems) > 0 {
			err := fmt.Errorf("%s in the config", count(len(problems), "mistake", "mistakes"))
			d.metrics.Loaded(err, time.Now())
			d.log.Error("the config cannot be used; what runs goes on as it is", "config", d.cfg.Path, "err", err)
		} else {
			d.metrics.Loaded(nil, time.Now())
			d.log.Warn("the config is good; what was changed in it is taken at the next start", "config", d.cfg.Path)
		}
		n.reloaded()
	}
}
