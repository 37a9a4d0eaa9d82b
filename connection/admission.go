package connection

import (
	"sync"
	"time"
)

// An admission bounds how many sessions connect, or look, at the same time. With a high
// connect rate, after an outage, or when mail comes everywhere at once, more would be at it
// than the processor can serve: thousands of half-done handshakes or fetches, each with its
// buffers, of which the heap never quite recovers (60 KiB a session instead of 15).
//
// What takes longer than admissionLease waits for a server, not for us: it no longer
// counts, so that servers that do not answer hold up nobody. At least maxAdmitted begin in
// each lease.
type admission struct {
	mu      sync.Mutex
	busy    int
	waiting []func()
}

const (
	maxAdmitted    = 256
	admissionLease = time.Second
)

// enter calls f, at once or in its turn, in a goroutine that may be the caller's.
func (a *admission) enter(f func()) {
	a.mu.Lock()
	if a.busy >= maxAdmitted {
		a.waiting = append(a.waiting, f)
		a.mu.Unlock()
		return
	}
	a.busy++
	a.mu.Unlock()
	a.run(f)
}

func (a *admission) run(f func()) {
	leave := sync.OnceFunc(a.leave)
	lease := time.AfterFunc(admissionLease, leave)
	f()
	lease.Stop()
	leave()
}

// leave gives a place to the next in line.
func (a *admission) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		a.busy--
		a.waiting = nil
		return
	}
	next := a.waiting[0]
	a.waiting[0] = nil
	a.waiting = a.waiting[1:]
	go a.run(next)
}
