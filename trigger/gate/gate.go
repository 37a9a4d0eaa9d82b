package gate

import (
	"errors"
	"slices"
	"time"
)

// The reasons for which a match does not fire: the key of the gate that held it back.
const (
	Expires = "expires"
	Dedupes = "dedupe"
	Every   = "every"
	After   = "after"
	Limited = "limit"
)

// A Match is a message that met the trigger's conditions.
type Match struct {
	Now     time.Time
	ID      uint64    // its identity for dedupe; 0: it has none, and is no duplicate of anything
	Started bool      // one of its actions was started before a crash: it fires, whatever the gates would say now
	Waits   time.Time // when the last message of the trigger fires that waits for its time; zero: none waits

	Claimed func(id uint64) bool                              // reports whether dedupe has seen that identity in its window
	Fired   func(trigger string, since, until time.Time) bool // reports whether that trigger has fired in that time
}

// A Verdict says what becomes of a match.
type Verdict struct {
	Suppressed string    // why it does not fire: the key of a gate; "" if it does
	At         time.Time // when it fires: Match.Now or later
	Replaces   bool      // it takes the place of the message that waits, which is suppressed by the limit
	Claims     bool      // its identity is to be remembered for dedupe
}

// A gate holds matches back, or puts them off. It may change the state and the
// verdict, and reports whether the match gets past.
type gate interface {
	reason() string
	pass(s *State, m *Match, v *Verdict) bool
	describe() string
}

// Gates are the gates of one trigger. They are safe for concurrent use.
type Gates struct {
	list   []gate
	keep   int // how many of the last firings are remembered
	quiet  *quietHours
	per    time.Duration // of the limit; 0: there is none
	Dedupe time.Duration
}

// New makes the gates of a configuration that is valid.
func New(c *Config) (*Gates, error) {
	g := &Gates{keep: 1, Dedupe: time.Duration(c.Dedupe.Window)}
	ex, err := parseExpires(c.Expires)
	q, err2 := parseQuiet(c.QuietHours)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	if ex != nil {
		g.list = append(g.list, ex)
	}
	if c.Dedupe.Window > 0 {
		g.list = append(g.list, &dedupe{c.Dedupe.Window})
	}
	if c.Every > 1 {
		g.list = append(g.list, every(c.Every))
	}
	if len(c.After) > 0 {
		g.list = append(g.list, &after{c.After, time.Duration(c.AfterWindow)})
	}
	if q != nil {
		g.list, g.quiet = append(g.list, q), q
	}
	if c.Limit.Count > 0 {
		g.list = append(g.list, &limit{c.Limit, q})
		g.keep, g.per = c.Limit.Count, time.Duration(c.Limit.Per)
	}
	return g, nil
}

// Any reports whether there is any gate.
func (g *Gates) Any() bool { return len(g.list) > 0 }

// Reasons returns the reasons that the gates may give.
func (g *Gates) Reasons() []string {
	out := []string{}
	for _, x := range g.list {
		if r := x.reason(); r != "" {
			out = append(out, r)
		}
	}
	return out
}

// Describe says of each gate what it does, in the order in which they are asked.
func (g *Gates) Describe() []string {
	out := []string{}
	for _, x := range g.list {
		out = append(out, x.describe())
	}
	return out
}

// Judge decides about a match. s stays as it is; next is the state after it.
func (g *Gates) Judge(s State, m Match) (v Verdict, next State) {
	next = s.rewind(m.Now)
	v.At = m.Now
	for _, x := range g.list {
		if !x.pass(&next, &m, &v) && !m.Started {
			v.Suppressed = x.reason()
			return v, next
		}
	}
	if m.Started {
		v.At, v.Replaces = m.Now, false
	}
	if !v.Replaces {
		next.fire(v.At, m.Now, g.keep)
	}
	return v, next
}

// Replan gives messages that wait new times, where theirs have passed while nobody
// watched: all at once they would break the limit. due are their times, ascending;
// times that can be kept are. s stays as it is.
func (g *Gates) Replan(s State, due []time.Time, now time.Time) (at []time.Time, next State) {
	next = s.rewind(now)
	next.Fired = slices.Clone(next.Fired)
	for _, t := range due {
		if i, there := slices.BinarySearch(next.Fired, t.UnixMilli()); there {
			next.Fired = slices.Delete(next.Fired, i, i+1)
			next.Firings--
		}
	}
	for _, t := range due {
		if t.Before(now) {
			t = now
		}
		t = g.Loud(t)
		if n := len(next.Fired) - g.keep; g.per > 0 && n >= 0 {
			if free := time.UnixMilli(next.Fired[n]).Add(g.per); free.After(t) {
				t = g.Loud(free)
			}
		}
		at = append(at, t)
		next.fire(t, now, g.keep)
	}
	return at, next
}

// Loud returns the first time from t on that is in no quiet hours.
func (g *Gates) Loud(t time.Time) time.Time { return g.quiet.over(t) }

// Expired reports whether the trigger will not fire any more.
func (g *Gates) Expired(s State, now time.Time) bool {
	for _, x := range g.list {
		if x, ok := x.(*expires); ok {
			return x.over(&s, now)
		}
	}
	return false
}

// State is what the gates of one trigger remember. The zero State is that of a
// trigger that has never seen a match. Times are Unix milliseconds.
type State struct {
	Firings int64   `json:"firings,omitempty"` // so far, for expires
	Matches int     `json:"matches,omitempty"` // since the last firing, for every
	Fired   []int64 `json:"fired,omitempty"`   // the last firings, ascending; those ahead are of messages that wait
	At      int64   `json:"at,omitempty"`      // when a match was last judged

	Expect Expectation `json:"expect,omitzero"`
}

// fire notes a firing, and forgets those that nothing asks for any more: the last
// keep of all, and the last that is past, are kept.
func (s *State) fire(at, now time.Time, keep int) {
	s.Firings++
	t := at.UnixMilli()
	i, _ := slices.BinarySearch(s.Fired, t+1)
	s.Fired = slices.Insert(slices.Clone(s.Fired), i, t)
	past, _ := slices.BinarySearch(s.Fired, now.UnixMilli()+1)
	if drop := min(len(s.Fired)-keep, past-1); drop > 0 {
		s.Fired = s.Fired[drop:]
	}
}

// rewind returns the state as it is at now. Where the clock was set back, what is
// remembered goes back with it.
func (s State) rewind(now time.Time) State {
	if now.Before(plausible) {
		return s
	}
	t := now.UnixMilli()
	if back := s.At - t; back > 0 {
		s.Fired = slices.Clone(s.Fired)
		for i := range s.Fired {
			s.Fired[i] -= back
		}
	}
	s.At = t
	return s
}

// HasFired reports whether the trigger has fired in that time, both ends included.
func (s *State) HasFired(since, until time.Time) bool {
	i, _ := slices.BinarySearch(s.Fired, since.UnixMilli())
	return i < len(s.Fired) && s.Fired[i] <= until.UnixMilli()
}

// LastFired returns when the trigger fired last; zero if never.
func (s *State) LastFired(now time.Time) time.Time {
	i, _ := slices.BinarySearch(s.Fired, now.UnixMilli()+1)
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.Fired[i-1])
}
