package gate

import "fmt"

// every lets each Nth match through.
type every int

func (every) reason() string { return Every }

func (n every) pass(s *State, m *Match, _ *Verdict) bool {
	s.Matches++
	if s.Matches < int(n) && !m.Started {
		return false
	}
	s.Matches = 0
	return true
}

func (n every) describe() string { return fmt.Sprintf("every: one match of %d", int(n)) }
