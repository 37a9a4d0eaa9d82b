package main

import (
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/setting"
)

func TestProgress(t *testing.T) {
	cfg := &connection.Config{Name: "office", Timeout: setting.Duration(time.Minute)}
	cfg.Session.IdleRefresh, cfg.Session.RecheckInterval, cfg.Session.PollInterval = setting.Duration(9*time.Minute), setting.Duration(20*time.Minute), setting.Duration(time.Minute)
	start := time.Now()
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	status := func(s connection.State) connection.Status {
		return connection.Status{Connection: "office", Mailbox: "INBOX", State: s, Since: start}
	}
	proven := func(minutes int) connection.Status {
		w := status(connection.StateParked)
		w.LastProof = at(minutes)
		return w
	}
	retry := func(minutes int) connection.Status {
		w := status(connection.StateBackoff)
		w.NextRetry = at(minutes)
		return w
	}
	type look struct {
		minute int
		status connection.Status
		stuck  bool
	}
	for name, looks := range map[string][]look{
		"parked and proven":            {{0, proven(0), false}, {25, proven(20), false}, {50, proven(40), false}},
		"parked and forgotten":         {{0, proven(0), false}, {27, proven(0), false}, {29, proven(0), true}, {30, proven(30), false}},
		"the clock was set":            {{0, proven(-600), false}, {9, proven(600), false}, {20, proven(-10), false}},
		"connecting for ever":          {{0, status(connection.StateConnecting), false}, {7, status(connection.StateConnecting), false}, {9, status(connection.StateConnecting), true}},
		"in a long backoff":            {{0, retry(60), false}, {64, retry(60), false}, {66, retry(60), true}},
		"in one backoff after another": {{0, retry(5), false}, {6, retry(12), false}, {13, retry(20), false}},
		"reading much mail":            {{0, status(connection.StateLooking), false}, {600, status(connection.StateLooking), false}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProgress([]*connection.Config{cfg})
			for _, l := range looks {
				if err := p.check([]connection.Status{l.status}, at(l.minute)); (err != nil) != l.stuck {
					t.Errorf("minute %d: %v", l.minute, err)
				}
			}
			if err := p.check(nil, at(10000)); err != nil || len(p.seen) > 0 {
				t.Errorf("without the watch: %v, %d remembered", err, len(p.seen))
			}
		})
	}
}
