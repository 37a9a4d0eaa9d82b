package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Arithmetic with times of day, where days have 23 or 25 hours now and then.

// A clock is a time of day.
type clock struct{ hour, minute int }

func parseClock(s string) (clock, error) {
	t, err := time.Parse("15:04", s)
	return clock{t.Hour(), t.Minute()}, err
}

func (c clock) before(d clock) bool {
	return c.hour < d.hour || c.hour == d.hour && c.minute < d.minute
}

// A date is a day of the calendar.
type date struct {
	year  int
	month time.Month
	day   int
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d}
}

func (d date) add(days int) date {
	return dateOf(time.Date(d.year, d.month, d.day+days, 12, 0, 0, 0, time.UTC))
}

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 12, 0, 0, 0, time.UTC).Weekday()
}

// Which of two instants is meant where clocks are set back and a time of day comes twice.
type which bool

const (
	first which = false // begins something
	last  which = true  // ends something
)

// instant returns when the clocks of a place show c on day d. A time that comes
// twice is the first one where it begins something, the last one where it ends
// something: nobody has less time than was written. A time that is left out, as
// clocks are set forward, is the instant at which they are: 02:30 is then the end of
// 01:59:59. (time.Date picks one of two zones there, and does not say which.)
func instant(d date, c clock, in *time.Location, w which) time.Time {
	asUTC := time.Date(d.year, d.month, d.day, c.hour, c.minute, 0, 0, time.UTC)
	const around = 24 * time.Hour // no place changes its offset twice in two days
	early, late := asUTC.Add(-offset(asUTC.Add(-around), in)), asUTC.Add(-offset(asUTC.Add(around), in))
	shows := func(t time.Time) bool { return offset(t, in) == asUTC.Sub(t) }
	switch {
	case shows(early) && shows(late):
		if early.After(late) {
			early, late = late, early
		}
		if w == last {
			return late.In(in)
		}
		return early.In(in)
	case shows(early):
		return early.In(in)
	case shows(late):
		return late.In(in)
	}
	// Read by the offset from before the change, it lies beyond the change.
	change, _ := early.In(in).ZoneBounds()
	return change
}

func offset(t time.Time, in *time.Location) time.Duration {
	_, seconds := t.In(in).Zone()
	return time.Duration(seconds) * time.Second
}

// A span is a part of each day, over midnight if it ends before it begins.
type span struct {
	from, to clock
	in       *time.Location
}

// end returns when the span that t is in ends; false if t is in none.
func (s span) end(t time.Time) (time.Time, bool) {
	today := dateOf(t.In(s.in))
	for day := -1; day <= 1; day++ {
		begin := today.add(day)
		over := begin
		if s.to.before(s.from) {
			over = over.add(1)
		}
		from, to := instant(begin, s.from, s.in, first), instant(over, s.to, s.in, last)
		if !t.Before(from) && t.Before(to) {
			return to, true
		}
	}
	return time.Time{}, false
}

// A window is when a message is expected: it opens, and at its end is judged.
type window struct{ opens, closes time.Time }

// holds reports whether t is in the window, its end included.
func (w window) holds(t time.Time) bool { return !t.Before(w.opens) && !t.After(w.closes) }

// A timetable has a window for each of its days, which closes on that day. They do not overlap.
type timetable struct {
	opens    *clock // nil: when the one before has closed
	by       clock
	weekdays [7]bool
	in       *time.Location
}

// on returns the window of a day that the timetable has.
func (t *timetable) on(d date) window {
	w := window{closes: instant(d, t.by, t.in, last)}
	if t.opens == nil {
		w.opens = instant(t.day(d.add(-1), -1), t.by, t.in, last)
		return w
	}
	if t.by.before(*t.opens) {
		d = d.add(-1)
	}
	w.opens = instant(d, *t.opens, t.in, first)
	return w
}

// day returns the nearest day from d on that the timetable has, forward (step 1) or back (-1).
func (t *timetable) day(d date, step int) date {
	for range t.weekdays {
		if t.weekdays[d.weekday()] {
			break
		}
		d = d.add(step)
	}
	return d
}

// closed returns the last window that has closed by now.
func (t *timetable) closed(now time.Time) window {
	d := t.day(dateOf(now.In(t.in)).add(1), -1)
	for range 3 { // the clocks of a place show another day than now's at most once
		if w := t.on(d); !w.closes.After(now) {
			return w
		}
		d = t.day(d.add(-1), -1)
	}
	return t.on(d)
}

// next returns the first window that closes after now.
func (t *timetable) next(now time.Time) window {
	d := t.day(dateOf(t.closed(now).closes.In(t.in)).add(1), 1)
	w := t.on(d)
	for range 3 {
		if w.closes.After(now) {
			break
		}
		d = t.day(d.add(1), 1)
		w = t.on(d)
	}
	return w
}

// of returns the window that holds t; false if none does.
func (t *timetable) of(at time.Time) (window, bool) {
	w := t.closed(at)
	if w.holds(at) {
		return w, true
	}
	w = t.next(at)
	return w, w.holds(at)
}

// weekdays are the words for days, in the order of a week.
var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// parseDays reads "mon" and "mon-fri"; a range may go over the end of the week.
func parseDays(list []string) (days [7]bool, err error) {
	if len(list) == 0 {
		list = []string{"mon-sun"}
	}
	for _, s := range list {
		one, other, isRange := strings.Cut(s, "-")
		from := slices.Index(weekdays, one)
		to := from
		if isRange {
			to = slices.Index(weekdays, other)
		}
		if from < 0 || to < 0 {
			return days, fmt.Errorf(`%q is not a day; write "mon" or "mon-fri"`, s)
		}
		for d := from; ; d = (d + 1) % 7 {
			days[(d+1)%7] = true // time.Weekday begins with Sunday
			if d == to {
				break
			}
		}
	}
	return days, nil
}

// zone is the location of that name, the machine's own for "".
func zone(name string) (*time.Location, error) {
	if name == "" {
		return time.Local, nil
	}
	in, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("unknown time zone %q; write one like Europe/Berlin or UTC", name)
	}
	return in, nil
}
