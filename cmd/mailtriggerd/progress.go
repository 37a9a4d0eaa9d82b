package main

import (
	"fmt"
	"sync"
	"time"

	"mailtrigger/connection"
)

// progress looks whether the sessions' owners meet their deadlines. Each of them
// has an end for everything it waits for; one whose state has not changed long
// after that end is stuck in this process, which only a restart mends. A mail
// server cannot bring that about: it can only make a deadline pass, and the owner
// then reports it and goes on.
//
// Time is measured from when a change was seen, by the monotonic clock: neither a
// clock that is set nor a machine that sleeps looks like a fault.
type progress struct {
	connections map[string]*connection.Config

	mu   sync.Mutex
	seen map[watchKey]lastSeen
}

type watchKey struct{ connection, mailbox string }

// lastSeen is what a watch was like when it last changed.
type lastSeen struct {
	mark progressMark
	at   time.Time     // when that was seen
	most time.Duration // how long it may stay so
}

// A progressMark is what changes as a watch gets on.
type progressMark struct {
	state     connection.State
	since     time.Time
	proof     time.Time
	nextRetry time.Time
	waits     bool
}

// overdue is how long after a deadline an owner counts as stuck: the machine may
// be busy.
const overdue = 5 * time.Minute

func newProgress(connections []*connection.Config) *progress {
	p := &progress{connections: make(map[string]*connection.Config, len(connections)), seen: make(map[watchKey]lastSeen)}
	for _, c := range connections {
		p.connections[c.Name] = c
	}
	return p
}

// check returns an error if a watch is stuck. It has to be called now and then.
func (p *progress) check(watches []connection.Status, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var stuck error
	seen := make(map[watchKey]lastSeen, len(watches))
	for i := range watches {
		w := &watches[i]
		key := watchKey{w.Connection, w.Mailbox}
		mark := progressMark{w.State, w.Since, w.LastProof, w.NextRetry, w.Waits}
		last, there := p.seen[key]
		if !there || last.mark != mark {
			last = lastSeen{mark, now, p.most(w, now)}
		}
		seen[key] = last
		if still := now.Sub(last.at); last.most > 0 && still > last.most {
			stuck = fmt.Errorf("connection %q, mailbox %q: %s for %s without a change, though that ends after %s at most",
				w.Connection, w.Mailbox, w.State, still.Round(time.Second), last.most-overdue)
		}
	}
	p.seen = seen
	return stuck
}

// most is how long a watch may stay as it is; 0: for ever. Looking has no bound of
// its own, nor has waiting for another mailbox of the session: it takes as long as there
// is mail to read, and each command has its deadline.
func (p *progress) most(w *connection.Status, now time.Time) time.Duration {
	cfg := p.connections[w.Connection]
	if cfg == nil || w.Waits {
		return 0
	}
	timeout := time.Duration(cfg.Timeout)
	wait := max(w.NextRetry.Sub(now), 0) // in backoff, and for the connect rate
	switch w.State {
	case connection.StateConnecting: // the budget, the connect, the mailbox: a timeout each
		return wait + 3*timeout + overdue
	case connection.StateBackoff:
		return wait + overdue
	case connection.StateParked:
		s := &cfg.Session
		return time.Duration(max(s.IdleRefresh, s.RecheckInterval, s.PollInterval)) + 3*timeout + overdue
	}
	return 0
}
