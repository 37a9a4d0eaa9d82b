package gate

import "time"

// quietHours puts off what would fire in them to their end.
type quietHours struct {
	span
	text string // as it was written
}

func (*quietHours) reason() string { return "" } // it holds nothing back

func (q *quietHours) pass(_ *State, _ *Match, v *Verdict) bool {
	v.At = q.over(v.At)
	return true
}

// over returns the first time from t on that is not quiet. A nil q has no quiet hours.
func (q *quietHours) over(t time.Time) time.Time {
	if q == nil {
		return t
	}
	if end, is := q.end(t); is {
		return end
	}
	return t
}

func (q *quietHours) describe() string { return "quiet_hours: not at " + q.text }
