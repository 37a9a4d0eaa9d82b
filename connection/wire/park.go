package wire

import (
	"container/heap"
	"errors"
	"strings"
	"sync/atomic"
	"time"
)

// Parker lets many links wait for news: without a goroutine for each where the
// system has epoll and the link's RawConn can be found, with one elsewhere.
// It owns one goroutine, and all timers.
type Parker struct {
	loop  loop // nil: goroutines only
	spare loop
}

// ParkerOptions set up a Parker.
type ParkerOptions struct {
	Goroutines bool // a goroutine for each link, on every system
}

// loop runs parked links.
type loop interface {
	add(p *Parked)
	poke(p *Parked) // the link was interrupted or closed: look at it; from any goroutine
	close()
}

// ErrParkerClosed ends links that are parked when their parker is closed.
var ErrParkerClosed = errors.New("wire: the parker was closed")

// NewParker makes a Parker. A nil options pointer is a zero options value.
func NewParker(opts *ParkerOptions) (*Parker, error) {
	p := &Parker{spare: newGoroutines()}
	if opts == nil || !opts.Goroutines {
		var err error
		if p.loop, err = newLoop(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Close ends all parked links; each is woken with Ended and ErrParkerClosed.
func (p *Parker) Close() {
	if p.loop != nil {
		p.loop.close()
	}
	p.spare.close()
}

// ParkOptions say how a link waits. Links may share them if all is the same; they
// must not be changed while a link is parked.
type ParkOptions struct {
	Idle    bool          // wait with IDLE; false: the server has none
	Refresh time.Duration // IDLE is renewed this often, which proves the line alive; 0: 9 minutes
	Recheck time.Duration // the mailbox is selected again and compared with Known this often; 0: Refresh
	Poll    time.Duration // without IDLE: NOOP and the recheck this often; 0: a minute
	Timeout time.Duration // each exchange's longest time without progress, and a tenth of its longest; 0: a minute
	Select  string        // the argument of the recheck's SELECT, quoted and encoded; "": no recheck
	Known   Known         // the mailbox as last looked at

	// OnProof, if not nil, is called each time the server has answered. It must
	// not block.
	OnProof func(at time.Time, roundTrip time.Duration)
}

func (o *ParkOptions) setDefaults() {
	for _, d := range []struct {
		p    *time.Duration
		want time.Duration
	}{{&o.Refresh, 9 * time.Minute}, {&o.Recheck, o.Refresh}, {&o.Poll, time.Minute}, {&o.Timeout, time.Minute}} {
		if *d.p <= 0 {
			*d.p = d.want
		}
	}
	if o.Recheck <= 0 {
		o.Recheck = o.Refresh
	}
}

// Parked is a link that waits.
type Parked struct {
	idler
	loop      loop
	wake      func(Wake)
	id        uint64
	at        int  // in the loop's timers, -1: none
	known     bool // the descriptor is in the loop's epoll set
	armed     bool
	again     bool // queued to be served
	requested atomic.Bool
}

// Park takes a link, on which a mailbox is selected and no command outstanding,
// and returns at once. wake is called exactly once, in a goroutine of its own,
// when there is a reason. IDLE has been ended by then and its reply read, so that
// the link can be lent, or the link has ended and Wake.Err says why.
//
// Nothing is lost on the way: if the guard has seen news since the last command
// that looks for it (SELECT, SEARCH, or a FETCH up to *), it wakes at once. After
// Rechecked the mailbox is freshly selected, unless Wake.Seen is zero.
func (k *Parker) Park(l *Link, o ParkOptions, wake func(Wake)) *Parked {
	o.setDefaults()
	p := &Parked{idler: idler{link: l, o: &o}, wake: wake, at: -1, loop: k.spare}
	if k.loop != nil && l.raw != nil {
		p.loop = k.loop
	}
	l.mu.Lock()
	err := l.taken()
	switch {
	case err != nil:
	case strings.ContainsAny(o.Select, "\r\n\x00"):
		err = errors.New("wire: the mailbox name for SELECT is not encoded")
	case l.err != nil:
		err = l.err
	default:
		l.parked = p
	}
	l.mu.Unlock()
	if err != nil {
		err = l.fail(err)
		go wake(Wake{Reason: Ended, At: time.Now(), Err: err})
		return p
	}
	p.loop.add(p)
	return p
}

// Interrupt wakes the link soon, with Interrupted unless there is a better
// reason. It may be called from any goroutine, and more than once.
func (p *Parked) Interrupt() {
	if !p.requested.Swap(true) {
		p.loop.poke(p)
	}
}

// poke makes the loop look at a closed link.
func (p *Parked) poke() { p.loop.poke(p) }

// heed looks whether the link was closed or interrupted.
func (p *Parked) heed(now time.Duration) {
	if p.phase == phaseOver {
		return
	}
	if err := p.link.Err(); err != nil {
		p.die(err)
	} else if p.requested.Load() && !p.interrupt {
		p.stop(now)
	}
}

// leave gives the link back and tells why.
func (p *Parked) leave() {
	l := p.link
	l.settle()
	l.mu.Lock()
	l.parked = nil
	l.mu.Unlock()
	go p.wake(p.result)
}

// timers is a heap of parked links by the time when they are due.
type timers []*Parked

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due < t[j].due }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].at, t[j].at = i, j
}
func (t *timers) Push(x any) {
	p := x.(*Parked)
	p.at = len(*t)
	*t = append(*t, p)
}
func (t *timers) Pop() any {
	n := len(*t) - 1
	p := (*t)[n]
	(*t)[n] = nil
	*t = (*t)[:n]
	p.at = -1
	return p
}

// set puts a link in its place.
func (t *timers) set(p *Parked) {
	if p.at < 0 {
		heap.Push(t, p)
	} else {
		heap.Fix(t, p.at)
	}
}

func (t *timers) remove(p *Parked) {
	if p.at >= 0 {
		heap.Remove(t, p.at)
	}
}
