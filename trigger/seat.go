package trigger

import (
	"slices"

	"mailtrigger/trigger/journal"
)

// The limit of what waits for the disk without a seat, all triggers together.
const (
	maxSettling   = 16 << 20 // bytes of messages
	leastSettling = 64 << 10 // as which each counts at least, for the files it has open
)

// A seat is what a job at work has of its trigger: there are as many as `concurrency`
// says, and so no more commands and requests at once. While an action runs, one of the
// engine's slots and a place for its result come along.
//
// Waiting is no work, though. An action that only waits for the disk leaves its seat
// to the next job (action.Run.Settling), so that many are under way and their syncs are
// one. The job sits down again before its next action, and before any first attempt:
// in the order in which they come back.
//
// With a concurrency of 1 no seat is left: one message after another is what that says.
type seat struct {
	runner *runner
	shift  *shift

	slot  bool // it has a slot of the engine
	place bool // it has a place among the unrecorded results

	// Guarded by the runner's mu.
	left  int64         // as what the job counts in the engine's settling; 0: it sits
	again chan struct{} // closed when it sits again; nil: it does not wait for that
}

// leave gives the seat to another job, and what came along.
func (s *seat) leave(size int64) {
	r := s.runner
	size = max(size, leastSettling)
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.left > 0 || s.shift.rule.cfg.Concurrency == 1 || !r.e.settling.take(size) {
		return
	}
	s.left = size
	r.seated--
	s.free()
	r.pump()
}

// reserve waits for what an action needs besides the seat: a place for its result and a
// slot; false: nothing is to begin any more.
func (s *seat) reserve() bool {
	if s.place = acquire(s.shift.stopping, s.runner.unrecorded); !s.place {
		return false
	}
	if s.slot = acquire(s.shift.stopping, s.runner.e.slots); !s.slot {
		s.free()
	}
	return s.slot
}

// free gives up what reserve has taken.
func (s *seat) free() {
	if s.slot {
		<-s.runner.e.slots
		s.slot = false
	}
	if s.place {
		<-s.runner.unrecorded
		s.place = false
	}
}

// ended says that the action has ended, and waits for a place for its result if the seat
// was left. If that comes not even until the shift's end, the result is recorded without.
func (s *seat) ended() {
	if s.slot {
		<-s.runner.e.slots
		s.slot = false
	}
	if !s.place {
		s.place = acquire(s.shift.working, s.runner.unrecorded)
	}
}

// recorded gives the place of a result back once it is synced.
func (s *seat) recorded(c *journal.Commit) {
	if !s.place {
		return
	}
	s.place = false
	places := s.runner.unrecorded
	select {
	case <-c.Done():
		<-places
	default:
		go func() {
			<-c.Done()
			<-places
		}()
	}
}

// sit waits until the job has a seat again, if it left it; false: nothing is to begin any more.
func (s *seat) sit() bool {
	r := s.runner
	r.mu.Lock()
	if s.left == 0 {
		r.mu.Unlock()
		return true
	}
	again := make(chan struct{})
	s.again = again
	r.back = append(r.back, s)
	r.pump()
	r.mu.Unlock()
	select {
	case <-again:
		return true
	case <-s.shift.stopping.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.back = slices.DeleteFunc(r.back, func(b *seat) bool { return b == s })
	return false
}

// seatAgain gives a free seat to the one who has waited longest; false: none waits. r.mu is held.
func (r *runner) seatAgain() bool {
	if len(r.back) == 0 {
		return false
	}
	s := r.back[0]
	r.back = r.back[1:]
	r.seated++
	r.e.settling.release(s.left)
	s.left = 0
	close(s.again)
	return true
}

// rise ends what the job had. r.mu is held.
func (s *seat) rise() {
	if s.left == 0 {
		s.runner.seated--
	} else {
		s.runner.e.settling.release(s.left)
	}
}
