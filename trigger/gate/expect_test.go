package gate

import (
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/setting"
)

// A switchTrial is a dead man's switch at work.
type switchTrial struct {
	t     *testing.T
	x     *Expected
	state Expectation
	asked time.Time // when the mailboxes were asked last
}

func newSwitch(t *testing.T, e Expect) *switchTrial {
	t.Helper()
	x, err := NewExpected(&e)
	if err != nil {
		t.Fatal(err)
	}
	return &switchTrial{t: t, x: x}
}

// check wants a silence of that reason ("" none) to be told at a time; looked is
// when the mailboxes were looked into last.
func (r *switchTrial) check(now, looked time.Time, want string) Check {
	r.t.Helper()
	c, next := r.x.Check(r.state, now, Mailboxes{Looked: looked, Asked: r.asked})
	r.state = next
	if c.Look {
		r.asked = now
	}
	if c.Silence != want {
		r.t.Errorf("%s: silence %q, want %q", now.Format(time.RFC3339), c.Silence, want)
	}
	if !c.Next.After(now) && !c.Look {
		r.t.Errorf("%s: the next check is at %s", now.Format(time.RFC3339), c.Next)
	}
	return c
}

func (r *switchTrial) arrive(at, now time.Time, want Back) {
	r.t.Helper()
	next, back := r.x.Arrive(r.state, at, now)
	r.state = next
	if back != want {
		r.t.Errorf("mail of %s at %s: %v, want %v", at.Format(time.RFC3339), now.Format(time.RFC3339), back, want)
	}
}

var nightly = Expect{By: "06:30", Opens: "20:00", Timezone: "Europe/Berlin"}

// morning is 06:30 in Berlin, on the day of that number in January 2026.
func morning(day int) time.Time { return time.Date(2026, 1, day, 5, 30, 0, 0, time.UTC) }

func TestNightlyReport(t *testing.T) {
	r := newSwitch(t, nightly)
	never := time.Time{}
	if c := r.check(morning(1).Add(-8*time.Hour), never, ""); !c.Next.Equal(morning(1).Add(settle)) {
		t.Errorf("the first check is at %s", c.Next)
	}
	// It comes.
	r.arrive(morning(1).Add(-time.Hour), morning(1).Add(-time.Hour), NotBack)
	if c := r.check(morning(1).Add(settle), never, ""); c.Look || !c.Next.Equal(morning(2).Add(settle)) {
		t.Errorf("after mail has come: %+v", c)
	}
	// It does not come. It is said once it has been looked for.
	r.check(morning(2), never, "")
	if c := r.check(morning(2).Add(settle), morning(2).Add(settle-1), ""); !c.Look {
		t.Error("nobody is to look")
	}
	c := r.check(morning(2).Add(settle+time.Second), morning(2).Add(settle), NotArrived)
	if !c.Closed.Equal(morning(2)) || r.state.Reason != NotArrived {
		t.Errorf("%+v, %+v", c, r.state)
	}
	r.check(morning(2).Add(time.Minute), morning(2).Add(time.Minute), "") // once
	// It comes late, and is none of the next night.
	r.arrive(morning(2).Add(time.Hour), morning(2).Add(time.Hour), BackLate)
	if r.state.Reason != "" {
		t.Error("the trigger is still silent")
	}
	r.check(morning(3).Add(time.Minute), morning(3).Add(time.Minute), NotArrived)
	// Old mail is no news.
	r.arrive(morning(1), morning(3).Add(2*time.Minute), NotBack)
	if r.state.Reason == "" {
		t.Error("old mail has ended the silence")
	}
	// Mail from before the window opens does not count.
	r.arrive(morning(3).Add(10*time.Hour), morning(3).Add(10*time.Hour), BackLate)
	r.check(morning(4).Add(time.Minute), morning(4).Add(time.Minute), NotArrived)
}

func TestUnreachable(t *testing.T) {
	r := newSwitch(t, nightly)
	r.check(morning(1).Add(-time.Hour), time.Time{}, "")
	before := morning(1).Add(-10 * time.Minute)
	c := r.check(morning(1).Add(settle), before, "")
	if !c.Next.Equal(morning(1).Add(settle + patience)) {
		t.Errorf("%+v", c)
	}
	if c, _ := r.x.Check(r.state, morning(1).Add(settle+patience), Mailboxes{Looked: before, Asked: r.asked, Busy: true}); c.Silence != "" || !c.Next.Equal(morning(1).Add(settle+busy)) {
		t.Errorf("while the mailbox is being read: %+v", c)
	}
	r.check(morning(1).Add(settle+patience), before, Unreachable)
	r.check(morning(1).Add(time.Hour), before, "") // once
	// It comes back, and the mail was there in time.
	saved := r.state
	r.arrive(morning(1).Add(-time.Minute), morning(1).Add(2*time.Hour), BackInTime)
	r.check(morning(1).Add(2*time.Hour), morning(1).Add(2*time.Hour), "")
	if r.state.Reason != "" {
		t.Error("the trigger is still silent")
	}
	// It comes back, and the mail was not there: now that is known.
	r.state = saved
	r.check(morning(1).Add(2*time.Hour), morning(1).Add(2*time.Hour), NotArrived)
	r.check(morning(1).Add(3*time.Hour), morning(1).Add(3*time.Hour), "")
	// It stays away for days: each window is told of.
	for day := 2; day < 4; day++ {
		r.check(morning(day).Add(settle), before, Unreachable)
	}
}

// Windows may be shorter than the time that a mailbox has to answer.
func TestUnreachableInShortWindows(t *testing.T) {
	r := newSwitch(t, Expect{Every: setting.Duration(10 * time.Second)})
	r.check(noon, noon, "")
	told, now := 0, noon
	for now.Before(noon.Add(2 * time.Minute)) {
		c, next := r.x.Check(r.state, now, Mailboxes{Looked: noon, Asked: r.asked})
		if r.state = next; c.Look {
			r.asked = now
		}
		if c.Silence == Unreachable {
			told++
		}
		now = now.Add(time.Second)
	}
	if told < 7 || told > 9 {
		t.Errorf("told %d times in two minutes", told)
	}
	r.check(now, now, NotArrived)
}

// A daemon that did not run for a while judges the last window only.
func TestAfterDowntime(t *testing.T) {
	r := newSwitch(t, nightly)
	r.check(morning(1).Add(-time.Hour), time.Time{}, "")
	back := morning(10).Add(3 * time.Hour)
	if c := r.check(back, time.Time{}, ""); !c.Look || !c.Next.Equal(back.Add(patience)) {
		t.Errorf("%+v", c)
	}
	saved := r.state
	r.arrive(morning(9).Add(-time.Hour), back, NotBack)
	r.arrive(morning(10).Add(-time.Hour), back, NotBack)
	r.check(back.Add(time.Second), back, "")
	r.state = saved
	r.arrive(morning(9).Add(-time.Hour), back, NotBack)
	r.arrive(morning(10).Add(time.Hour), back, NotBack) // too late
	r.check(back.Add(time.Second), back, NotArrived)
	r.check(back.Add(time.Minute), back, "")
}

func TestEveryDay(t *testing.T) {
	const day = 24 * time.Hour
	r := newSwitch(t, Expect{Every: setting.Duration(day)})
	start := noon
	if c := r.check(start, time.Time{}, ""); !c.Next.Equal(start.Add(day + settle)) {
		t.Errorf("%+v", c)
	}
	r.arrive(start.Add(20*time.Hour), start.Add(20*time.Hour), NotBack)
	r.check(start.Add(day+settle), time.Time{}, "")
	due := start.Add(20*time.Hour + day)
	if c := r.check(due.Add(settle), due.Add(settle), NotArrived); !c.Closed.Equal(due) {
		t.Errorf("%+v", c)
	}
	r.check(due.Add(time.Hour), due.Add(time.Hour), "")
	r.check(due.Add(day+settle), due.Add(day+settle), NotArrived) // again, a day later
	r.arrive(due.Add(day+time.Hour), due.Add(day+time.Hour), BackLate)
	// Away over two windows: the last counts.
	last := due.Add(day + time.Hour)
	r.check(last.Add(2*day+time.Hour), last, "")
	r.check(last.Add(2*day+time.Hour+patience), last, Unreachable)
	r.arrive(last.Add(day), last.Add(2*day+2*time.Hour), BackInTime)
	r.check(last.Add(2*day+2*time.Hour), last.Add(2*day+2*time.Hour), NotArrived) // a day without mail is over again
}

// A wrong clock must neither put the switch off for ever nor set it off.
func TestSwitchAndClock(t *testing.T) {
	r := newSwitch(t, nightly)
	r.check(morning(1).Add(-time.Hour), time.Time{}, "")
	r.arrive(morning(1).Add(-time.Minute), morning(1).Add(-time.Minute), NotBack)
	r.check(morning(1).Add(time.Hour), time.Time{}, "")
	// In 1970 nothing is judged, and nothing forgotten.
	kept := r.state
	r.check(time.Unix(30, 0), time.Unix(30, 0), "")
	if strings.Join([]string{kept.Reason}, "") != r.state.Reason || r.state.Judged != kept.Judged {
		t.Errorf("%+v became %+v", kept, r.state)
	}
	// A year ahead, and back.
	ahead := morning(1).AddDate(1, 0, 0)
	r.check(ahead.Add(time.Hour), ahead.Add(time.Hour), NotArrived)
	r.check(morning(2).Add(-time.Hour), morning(2).Add(-time.Hour), "")
	r.check(morning(2).Add(time.Hour), morning(2).Add(time.Hour), NotArrived)
	e := newSwitch(t, Expect{Every: setting.Duration(time.Hour)})
	e.check(ahead, ahead, "")
	e.check(noon, noon, "")
	e.check(noon.Add(time.Hour+settle), noon.Add(time.Hour+settle), NotArrived)
}
