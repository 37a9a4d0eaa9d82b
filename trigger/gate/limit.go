package gate

import (
	"fmt"
	"time"
)

// What becomes of a match over the limit.
const (
	overSkip  = "skip"   // it does not fire
	overQueue = "queue"  // it fires as soon as the limit allows, each after the one before
	Latest    = "latest" // likewise, but only the last of them does
)

// limit lets at most Count matches fire in any time of length Per.
type limit struct {
	Limit
	quiet *quietHours
}

func (*limit) reason() string { return Limited }

func (l *limit) pass(s *State, m *Match, v *Verdict) bool {
	if len(s.Fired) < l.Count {
		return true
	}
	free := time.UnixMilli(s.Fired[len(s.Fired)-l.Count]).Add(time.Duration(l.Per))
	if !free.After(v.At) {
		return true
	}
	switch {
	case l.Over == overSkip:
		return false
	case l.Over == Latest && !m.Waits.IsZero():
		v.At, v.Replaces = m.Waits, true
	default:
		v.At = l.quiet.over(free)
	}
	return true
}

func (l *limit) describe() string {
	over := map[string]string{overSkip: "more are skipped", overQueue: "more wait", Latest: "of more, the last waits"}
	return fmt.Sprintf("limit: %d in %s; %s", l.Count, l.Per, over[l.Over])
}
