package main

import (
	"context"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// A notifier tells systemd how the service stands: sd_notify(3). Without
// NOTIFY_SOCKET it tells nobody.
type notifier struct {
	log      *slog.Logger
	watchdog time.Duration // 0: systemd watches no dog
}

func newNotifier(log *slog.Logger) *notifier {
	n := &notifier{log: log}
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("systemd's watchdog interval cannot be read; it is not fed", "err", err)
	}
	n.watchdog = interval
	return n
}

func (n *notifier) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.log.Warn("systemd cannot be told how things stand", "err", err)
	}
}

func (n *notifier) ready(status string) { n.send(sd.SdNotifyReady + "\nSTATUS=" + status) }
func (n *notifier) stopping() {
	n.send(sd.SdNotifyStopping + "\nSTATUS=ending: running actions may finish")
}

// keepUp tells the status as it changes, and feeds the watchdog as long as the
// daemon itself is well: a mail server's health has no part in that, since an
// outage of it is no reason for a restart.
func (n *notifier) keepUp(ctx context.Context, status func() string, health func() error) {
	interval := keepUpInterval
	if n.watchdog > 0 {
		interval = min(interval, n.watchdog/2)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s := status(); s != last {
			n.send("STATUS=" + s)
			last = s
		}
		if n.watchdog == 0 {
			continue
		}
		if err := health(); err != nil {
			n.log.Error("the daemon does not get on; systemd's watchdog is not fed", "err", err)
			continue
		}
		n.send(sd.SdNotifyWatchdog)
	}
}
