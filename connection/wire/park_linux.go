package wire

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// epoll runs parked links in one goroutine that never waits but in epoll_wait.
//
// A link is armed (one shot) only after a read of the outermost connection has
// found nothing: crypto/tls may hold records that the kernel knows nothing of
// any more. Waking for a session ticket, a key update or half a record finds
// nothing for IMAP, and arms again. Everything about a parked link belongs to
// the loop's goroutine; others leave a note and ring the bell.
type epoll struct {
	start  time.Time
	fd     int
	bell   int // eventfd
	parked map[uint64]*Parked
	timers timers
	again  []*Parked // have not been drained yet
	buf    []byte
	ids    uint64
	done   chan struct{}

	mu     sync.Mutex
	notes  []note
	closed bool
}

// note asks the loop to add a link, or to look at it.
type note struct {
	p   *Parked
	add bool
}

const (
	bellID   = 0
	turnMax  = 64 << 10 // bytes read from one link before others have their turn
	eventMax = 256
)

func newLoop() (loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	e := &epoll{start: time.Now(), fd: fd, bell: bell, parked: make(map[uint64]*Parked), buf: make([]byte, bufferSize), done: make(chan struct{})}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		unix.Close(fd)
		unix.Close(bell)
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	go e.run()
	return e, nil
}

func (e *epoll) add(p *Parked)  { e.leave(note{p, true}) }
func (e *epoll) poke(p *Parked) { e.leave(note{p, false}) }

// leave leaves a note for the loop and rings.
func (e *epoll) leave(n note) {
	e.mu.Lock()
	closed := e.closed
	if !closed {
		e.notes = append(e.notes, n)
		if len(e.notes) == 1 {
			e.ring()
		}
	}
	e.mu.Unlock()
	if closed && n.add {
		n.p.link.setParked(nil)
		err := n.p.link.fail(ErrParkerClosed)
		go n.p.wake(Wake{Reason: Ended, At: time.Now(), Err: err})
	}
}

// ring wakes the loop; e.mu is held, so that the bell is open.
func (e *epoll) ring() {
	one := [8]byte{1}
	unix.Write(e.bell, one[:])
}

func (e *epoll) close() {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		e.ring()
	}
	e.mu.Unlock()
	<-e.done
}

func (e *epoll) run() {
	defer close(e.done)
	events := make([]unix.EpollEvent, eventMax)
	for {
		if !e.readNotes() {
			e.end()
			return
		}
		e.fire()
		again := e.again
		e.again = nil
		for _, p := range again {
			p.again = false
			e.serve(p)
		}
		n, err := unix.EpollWait(e.fd, events, e.wait())
		if err != nil && err != unix.EINTR {
			// The descriptor is ours and good: there is no such error.
			panic(fmt.Sprintf("wire: epoll_wait: %v", err))
		}
		for i := range max(n, 0) {
			id := uint64(uint32(events[i].Fd)) | uint64(uint32(events[i].Pad))<<32
			if id == bellID {
				var count [8]byte
				unix.Read(e.bell, count[:])
			} else if p := e.parked[id]; p != nil {
				p.armed = false
				e.serve(p)
			}
		}
	}
}

func (e *epoll) now() time.Duration { return time.Since(e.start) }

// wait returns for how many milliseconds to wait: until the first timer.
func (e *epoll) wait() int {
	if len(e.again) > 0 {
		return 0
	}
	if len(e.timers) == 0 {
		return -1
	}
	d := e.timers[0].due - e.now()
	if d <= 0 {
		return 0
	}
	return int(min((d+time.Millisecond-1)/time.Millisecond, time.Duration(1<<30)))
}

// readNotes does what others asked for; false if the loop is to end.
func (e *epoll) readNotes() bool {
	e.mu.Lock()
	notes, closed := e.notes, e.closed
	e.notes = nil
	e.mu.Unlock()
	for _, n := range notes {
		if n.add {
			e.enter(n.p)
		} else if n.p.id != 0 && e.parked[n.p.id] == n.p {
			n.p.heed(e.now())
			e.settle(n.p)
		}
	}
	return !closed
}

// enter takes a link in.
func (e *epoll) enter(p *Parked) {
	e.ids++
	p.id = e.ids
	e.parked[p.id] = p
	p.link.conn.SetDeadline(time.Time{}) // or the descriptor could not be read
	p.link.raw.nowait.Store(true)
	p.begin(e.now())
	p.heed(e.now())
	if holdsNothing(p.link.conn) {
		e.settle(p) // what the system holds it tells of
	} else {
		e.serve(p)
	}
}

// fire serves the links that are due.
func (e *epoll) fire() {
	now := e.now()
	for len(e.timers) > 0 && e.timers[0].due <= now {
		p := e.timers[0]
		p.timeout(now)
		e.settle(p) // it is due later now, or gone
	}
}

// serve reads all there is from a link, or its turn's worth: until a read finds nothing,
// or there is nothing left but what the system may hold, as arming tells of that at once.
func (e *epoll) serve(p *Parked) {
	for turn := 0; p.phase != phaseOver; {
		n, err := p.link.conn.Read(e.buf)
		if n > 0 {
			p.feed(e.buf[:n], e.now())
		}
		if err != nil && p.phase != phaseOver && !errors.Is(err, errWouldBlock) {
			p.die(p.link.ended(err))
		}
		if err != nil || n < len(e.buf) && holdsNothing(p.link.conn) {
			break
		}
		if turn += n + 64; turn > turnMax {
			if !p.again {
				p.again = true
				e.again = append(e.again, p)
			}
			e.time(p)
			return
		}
	}
	e.settle(p)
}

// settle puts a link back to wait, or lets it go.
func (e *epoll) settle(p *Parked) {
	if p.phase != phaseOver && !p.armed && !p.again {
		if err := e.arm(p); err != nil {
			p.die(err)
		}
	}
	if p.phase == phaseOver {
		e.drop(p)
		return
	}
	p.link.scan.shrink()
	freeTLSBuffers(p.link.conn)
	e.time(p)
}

// time sets the link's timer.
func (e *epoll) time(p *Parked) {
	if p.phase != phaseOver {
		e.timers.set(p)
	}
}

// arm asks for one event.
func (e *epoll) arm(p *Parked) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(uint32(p.id)), Pad: int32(uint32(p.id >> 32))}
	var err error
	op := unix.EPOLL_CTL_MOD
	if !p.known {
		op = unix.EPOLL_CTL_ADD
	}
	ctl := p.link.raw.fd.Control(func(fd uintptr) { err = unix.EpollCtl(e.fd, op, int(fd), &ev) })
	if ctl != nil {
		return ctl
	}
	if err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	p.armed, p.known = true, true
	return nil
}

// drop lets a link go.
func (e *epoll) drop(p *Parked) {
	if e.parked[p.id] != p {
		return
	}
	delete(e.parked, p.id)
	e.timers.remove(p)
	if p.known {
		p.link.raw.fd.Control(func(fd uintptr) { unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, int(fd), nil) })
	}
	p.link.raw.nowait.Store(false)
	p.leave()
}

// end ends all links.
func (e *epoll) end() {
	for _, p := range e.parked {
		p.die(ErrParkerClosed)
		e.drop(p)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	unix.Close(e.fd)
	unix.Close(e.bell)
}
