package gate

import (
	"slices"
	"time"
)

// The reasons of a silence.
const (
	NotArrived  = "not_arrived"         // every mailbox was looked into, and the mail had not come
	Unreachable = "mailbox_unreachable" // one could not be looked into: it is not known
)

const (
	settle   = 2 * time.Second  // after a window closes: until then a server may still be putting away what came in time
	patience = 30 * time.Second // how long a mailbox may take then to be looked into
	busy     = 10 * time.Minute // likewise, while it is being read
	maxMet   = 8                // windows that are remembered as met
)

// plausible is when a clock is right, or may be. Machines without a clock of their
// own start in 1970, and nothing is judged then.
var plausible = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Expected is mail that is to come: a dead man's switch. It is safe for concurrent use.
type Expected struct {
	table *timetable    // nil: every counts
	every time.Duration // the longest time without mail
}

// NewExpected makes it from a valid configuration; nil if nothing is expected.
func NewExpected(c *Expect) (*Expected, error) {
	if !c.Enabled() {
		return nil, nil
	}
	if c.Every > 0 {
		return &Expected{every: time.Duration(c.Every)}, nil
	}
	var err error
	t := &timetable{}
	if t.by, err = parseClock(c.By); err != nil {
		return nil, err
	}
	if c.Opens != "" {
		opens, err := parseClock(c.Opens)
		if err != nil {
			return nil, err
		}
		t.opens = &opens
	}
	if t.weekdays, err = parseDays(c.Days); err != nil {
		return nil, err
	}
	if t.in, err = zone(c.Timezone); err != nil {
		return nil, err
	}
	return &Expected{table: t}, nil
}

// An Expectation is what is remembered of expected mail. The zero Expectation is
// that of a trigger seen for the first time. Times are Unix milliseconds.
type Expectation struct {
	Since   int64   `json:"since,omitempty"`   // when mail last came; before any has, when it was first looked for
	Judged  int64   `json:"judged,omitempty"`  // the end of the last window that was judged
	Met     []int64 `json:"met,omitempty"`     // the ends of the last windows in which mail came, ascending
	Unknown int64   `json:"unknown,omitempty"` // the end of the last window of which it was said that it is not known

	Reason string `json:"reason,omitempty"` // not empty: the trigger is silent, and why
	Opened int64  `json:"opened,omitempty"` // when the window of the silence opened
	Closed int64  `json:"closed,omitempty"` // and closed
}

// begin is the expectation at a time, as it is from the first time on. A clock that
// was set back must not put off anything until it is there again.
func (s Expectation) begin(now time.Time) Expectation {
	t := now.UnixMilli()
	if s.Since == 0 {
		s.Since, s.Judged = t, t
	}
	s.Since, s.Judged = min(s.Since, t), min(s.Judged, t)
	return s
}

// Back says that expected mail has come after a silence was told of.
type Back int

// The kinds of Back.
const (
	NotBack    Back = iota
	BackInTime      // it had come in time, and was not seen
	BackLate
)

// Arrive notes mail that came at a time, which may be long past.
func (x *Expected) Arrive(s Expectation, at, now time.Time) (Expectation, Back) {
	s = s.begin(now)
	if at.After(now) { // the server's clock is ahead of ours
		at = now
	}
	t := at.UnixMilli()
	if x.table == nil {
		s.Since = max(s.Since, t)
	} else if w, ok := x.table.of(at); ok {
		closes := w.closes.UnixMilli()
		if i, found := slices.BinarySearch(s.Met, closes); !found {
			s.Met = slices.Insert(slices.Clone(s.Met), i, closes)
			s.Met = s.Met[max(len(s.Met)-maxMet, 0):]
		}
	}
	if s.Reason == "" || t < s.Opened {
		return s, NotBack
	}
	back := BackLate
	if t <= s.Closed {
		back = BackInTime
	}
	s.Reason, s.Opened, s.Closed = "", 0, 0
	return s, back
}

// Mailboxes is what is known of the trigger's mailboxes.
type Mailboxes struct {
	Looked time.Time // when the last look into each of them began that saw all there was, of the one where that is longest ago; zero: never
	Asked  time.Time // when they were asked last to be looked into; zero: never
	Busy   bool      // those that were not looked into are being read
}

// A Check is what is to be done about expected mail.
type Check struct {
	Silence string    // not empty: a silence has to be told of, for this reason
	Closed  time.Time // the end of the window that is to be judged; zero if none is
	Look    bool      // ask for a look into the mailboxes now
	Next    time.Time // when to check again
}

// Check judges the last window that has closed: older ones, of a time in which
// nobody watched, are past. s stays as it is.
func (x *Expected) Check(s Expectation, now time.Time, boxes Mailboxes) (c Check, next Expectation) {
	if now.Before(plausible) {
		return Check{Next: now.Add(time.Minute)}, s
	}
	s = s.begin(now)
	w, following := x.pending(s, now.Add(-settle))
	c.Next = following.closes.Add(settle)
	closes := w.closes.UnixMilli()
	if closes <= s.Judged {
		return c, s
	}
	if slices.Contains(s.Met, closes) {
		s.Judged = closes
		return c, s
	}
	c.Closed = w.closes
	due := w.closes.Add(settle)
	if !boxes.Looked.Before(due) {
		s.Judged = closes
		return x.silent(c, s, w, NotArrived)
	}
	wait := patience
	if boxes.Busy {
		wait = busy
	}
	// They have time from when they were asked first and have not answered since: the
	// daemon may not have run when it was due, and windows may be shorter than the wait.
	answered := boxes.Asked.IsZero() || !boxes.Looked.Before(boxes.Asked)
	if give := boxes.Asked.Add(wait); answered {
		c.Look, c.Next = true, now.Add(wait)
	} else if now.Before(give) {
		c.Next = give
	} else if s.Unknown != closes {
		s.Unknown = closes
		return x.silent(c, s, w, Unreachable)
	}
	return c, s
}

func (x *Expected) silent(c Check, s Expectation, w window, reason string) (Check, Expectation) {
	c.Silence = reason
	s.Reason, s.Opened, s.Closed = reason, w.opens.UnixMilli(), w.closes.UnixMilli()
	return c, s
}

// pending returns the last window that has closed by now, and the one after it.
func (x *Expected) pending(s Expectation, now time.Time) (closed, following window) {
	if x.table != nil {
		return x.table.closed(now), x.table.next(now)
	}
	from := time.UnixMilli(max(s.Since, s.Judged))
	n := max(now.Sub(from)/x.every, 0) // so many times without mail are over
	if n > 0 {
		closed = window{opens: time.UnixMilli(s.Since), closes: from.Add(n * x.every)}
	}
	return closed, window{closes: from.Add((n + 1) * x.every)}
}

// Next returns when the next window closes; zero if that cannot be told.
func (x *Expected) Next(s Expectation, now time.Time) time.Time {
	if now.Before(plausible) {
		return time.Time{}
	}
	_, w := x.pending(s.begin(now), now)
	return w.closes
}
