package main

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A relay stands between the daemon and its server, and does what networks do.
type relay struct {
	to   string
	port int

	mu    sync.Mutex
	rng   *rand.Rand
	pairs map[*pair]bool
	limit int           // lines are cut after up to so many bytes; 0: they are not
	delay time.Duration // each piece waits for up to so long
}

// A pair is a connection through the relay.
type pair struct {
	client, server net.Conn
	swallowing     bool // nothing comes through any more, and nobody says so
}

func (p *pair) close() {
	p.client.Close()
	p.server.Close()
}

// set has lines be cut and delayed from now on.
func (r *relay) set(limit int, delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit, r.delay = limit, delay
}

// calm ends all faults. Lines that swallow stay: it is on the others to notice.
func (r *relay) calm() { r.set(0, 0) }

// cut ends all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.pairs {
		p.close()
	}
}

// swallow lets nothing more through on the lines that are open now.
func (r *relay) swallow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.pairs {
		p.swallowing = true
	}
}

func (r *relay) serve(client net.Conn) {
	server, err := net.Dial("tcp", r.to)
	if err != nil {
		client.Close()
		return
	}
	p := &pair{client: client, server: server}
	r.mu.Lock()
	r.pairs[p] = true
	r.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { r.copy(p, server, client) })
	wg.Go(func() { r.copy(p, client, server) })
	wg.Wait()
	r.mu.Lock()
	delete(r.pairs, p)
	r.mu.Unlock()
}

// copy carries one direction.
func (r *relay) copy(p *pair, to, from net.Conn) {
	defer p.close()
	b := make([]byte, 16<<10)
	passed, left := 0, 0
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		swallowing, limit, delay := p.swallowing, r.limit, r.delay
		if delay > 0 {
			delay = time.Duration(r.rng.Int64N(int64(delay)))
		}
		if limit > 0 && left == 0 {
			left = passed + 1 + r.rng.IntN(limit*20)
		}
		r.mu.Unlock()
		if swallowing {
			continue
		}
		if delay > 0 {
			<-time.After(delay)
		}
		cut := limit > 0 && passed+n > left
		if cut {
			n = max(left-passed, 0)
		}
		if _, err := to.Write(b[:n]); err != nil || cut {
			return
		}
		passed += n
	}
}
