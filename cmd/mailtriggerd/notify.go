package main

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// A notifier tells systemd how the service stands: sd_notify(3). Without
// NOTIFY_SOCKET it tells nobody.
type notifier struct {
	log      *slog.Logger
	deaf     bool          // nobody is told
	watchdog time.Duration // how often systemd wants to be fed at least; 0: not at all
	stopOnce sync.Once
}

func newNotifier(log *slog.Logger) *notifier {
	n := &notifier{log: log, deaf: os.Getenv("NOTIFY_SOCKET") == ""}
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

// reloading says that the config is read again; systemd waits for reloaded.
func (n *notifier) reloading() {
	n.send(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec())
}

func (n *notifier) reloaded() { n.send(sd.SdNotifyReady) }

// stopping says, once, that the end has begun.
func (n *notifier) stopping() {
	n.stopOnce.Do(func() { n.send(sd.SdNotifyStopping + "\nSTATUS=ending: running actions may finish") })
}

// How often systemd is told how things stand: soon after the start, when much
// changes, then less often, unless its watchdog wants it more often.
const (
	firstKeepUp   = time.Second
	longestKeepUp = 10 * time.Second
)

// keepUp tells the status as it changes, and feeds the watchdog as long as the
// daemon itself is well: a mail server's health has no part in that, since an
// outage of it is no reason for a restart. When ctx ends it says that the end has
// begun.
func (n *notifier) keepUp(ctx context.Context, status func() string, health func() error) {
	if n.deaf { // the status of thousands of mailboxes is some work
		<-ctx.Done()
		return
	}
	longest := longestKeepUp
	if n.watchdog > 0 {
		longest = min(longest, n.watchdog/2)
	}
	interval := min(firstKeepUp, longest)
	timer := time.NewTimer(interval)
	defer timer.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			n.stopping()
			return
		case <-timer.C:
		}
		interval = min(2*interval, longest)
		timer.Reset(interval)
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
