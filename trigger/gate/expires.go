package gate

import (
	"fmt"
	"time"
)

// expires ends a trigger at a time, or after a number of firings.
type expires struct {
	at      time.Time
	firings int64 // 0: at counts
}

func (*expires) reason() string { return Expires }

func (x *expires) over(s *State, now time.Time) bool {
	if x.firings > 0 {
		return s.Firings >= x.firings
	}
	return !now.Before(x.at)
}

func (x *expires) pass(s *State, m *Match, _ *Verdict) bool { return !x.over(s, m.Now) }

func (x *expires) describe() string {
	if x.firings > 0 {
		return fmt.Sprintf("expires: fires %d times in all", x.firings)
	}
	return "expires: fires until " + x.at.Format("2006-01-02 15:04:05 MST")
}
