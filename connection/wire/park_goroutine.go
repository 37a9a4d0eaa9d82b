package wire

import (
	"errors"
	"os"
	"sync"
	"time"
)

// goroutines runs each parked link in a goroutine of its own, which works on
// every system and every kind of connection.
type goroutines struct {
	start  time.Time
	mu     sync.Mutex
	parked map[*Parked]struct{}
	closed bool
}

func newGoroutines() *goroutines {
	return &goroutines{start: time.Now(), parked: make(map[*Parked]struct{})}
}

func (g *goroutines) add(p *Parked) {
	g.mu.Lock()
	g.parked[p] = struct{}{}
	closed := g.closed
	g.mu.Unlock()
	if closed {
		p.link.fail(ErrParkerClosed)
	}
	go g.run(p)
}

// poke wakes the reader; a timeout is harmless, in mid-record too.
func (g *goroutines) poke(p *Parked) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.parked[p]; ok {
		p.link.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (g *goroutines) close() {
	g.mu.Lock()
	g.closed = true
	all := make([]*Parked, 0, len(g.parked))
	for p := range g.parked {
		all = append(all, p)
	}
	g.mu.Unlock()
	for _, p := range all {
		p.link.fail(ErrParkerClosed)
	}
}

func (g *goroutines) run(p *Parked) {
	g.serve(p)
	g.mu.Lock()
	delete(g.parked, p)
	p.link.conn.SetDeadline(time.Time{})
	g.mu.Unlock()
	p.leave()
}

func (g *goroutines) serve(p *Parked) {
	conn := p.link.conn
	conn.SetWriteDeadline(time.Now().Add(p.o.Timeout))
	p.begin(time.Since(g.start))
	p.link.settle()
	var buf [512]byte
	for p.phase != phaseOver {
		// Deadlines before the requests are heeded: one that comes now finds
		// the new deadline and spoils it, which is what it is for.
		due := g.start.Add(p.due)
		conn.SetReadDeadline(due)
		// Writes while it waits are TLS's own, and those of the cycle's end.
		conn.SetWriteDeadline(due.Add(p.o.Timeout))
		if p.heed(time.Since(g.start)); p.phase == phaseOver {
			return
		}
		if g.start.Add(p.due) != due {
			continue // it has just sent DONE
		}
		n, err := conn.Read(buf[:])
		now := time.Since(g.start)
		if n > 0 {
			p.feed(buf[:n], now)
		}
		if p.phase != phaseOver {
			p.link.scan.shrink()
		}
		switch {
		case p.phase == phaseOver || err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			p.die(p.link.ended(err))
		case now >= p.due:
			p.timeout(now)
		}
	}
}
