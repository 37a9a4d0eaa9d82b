package gate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/setting"
)

// A trial puts matches through the gates of a trigger, one after another.
type trial struct {
	t      *testing.T
	gates  *Gates
	state  State
	seen   map[uint64]bool
	others map[string]time.Time
	waits  time.Time
}

func newTrial(t *testing.T, c Config) *trial {
	t.Helper()
	c.SetDefaults()
	if problems := c.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	g, err := New(&c)
	if err != nil {
		t.Fatal(err)
	}
	return &trial{t: t, gates: g, seen: map[uint64]bool{}, others: map[string]time.Time{}}
}

// match judges a match and returns what became of it: "fires", "waits until ..."
// or the reason for which it does not fire. The state goes through the journal.
func (r *trial) match(m Match) string {
	r.t.Helper()
	m.Claimed = func(id uint64) bool { return r.seen[id] }
	m.Fired = func(name string, since, until time.Time) bool {
		at, ok := r.others[name]
		return ok && !at.Before(since) && !at.After(until)
	}
	m.Waits = r.waits
	before, _ := json.Marshal(r.state)
	v, next := r.gates.Judge(r.state, m)
	if after, _ := json.Marshal(r.state); string(after) != string(before) {
		r.t.Fatalf("the state was changed in place: %s, then %s", before, after)
	}
	stored, err := json.Marshal(next)
	if err != nil {
		r.t.Fatal(err)
	}
	r.state = State{}
	if err := json.Unmarshal(stored, &r.state); err != nil {
		r.t.Fatal(err)
	}
	if v.Claims {
		r.seen[m.ID] = true
	}
	switch {
	case v.Suppressed != "":
		return v.Suppressed
	case v.At.After(m.Now):
		r.waits = v.At
		text := "waits until " + v.At.UTC().Format("02T15:04:05")
		if v.Replaces {
			text = "replaces, " + text
		}
		return text
	}
	return "fires"
}

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// each puts a match through the gates at each of the times, in seconds from noon.
func (r *trial) each(want string, seconds ...int) {
	r.t.Helper()
	var got []string
	for _, s := range seconds {
		got = append(got, r.match(Match{Now: noon.Add(time.Duration(s) * time.Second)}))
	}
	if g := strings.Join(got, ", "); g != want {
		r.t.Errorf("at %v: %s; want %s", seconds, g, want)
	}
}

const minute = setting.Duration(time.Minute)

func TestNoGate(t *testing.T) {
	r := newTrial(t, Config{})
	r.each("fires, fires, fires", 0, 0, 1)
	if r.gates.Any() {
		t.Error("there are gates")
	}
}

func TestEvery(t *testing.T) {
	r := newTrial(t, Config{Every: 3})
	r.each("every, every, fires, every, every, fires, every", 0, 1, 2, 3, 4, 5, 6)
	// What was started before a crash fires, and counts as the one that does.
	if got := r.match(Match{Now: noon, Started: true}); got != "fires" {
		t.Errorf("started: %s", got)
	}
	r.each("every, every, fires", 7, 8, 9)
}

func TestExpires(t *testing.T) {
	r := newTrial(t, Config{Expires: "2 firings"})
	r.each("fires, fires, expires, expires", 0, 1, 2, 3)
	if got := r.match(Match{Now: noon, Started: true}); got != "fires" {
		t.Errorf("started: %s", got)
	}
	r = newTrial(t, Config{Expires: "2026-01-15T12:00:10Z"})
	r.each("fires, expires, expires", 9, 10, 11)
	if !r.gates.Expired(r.state, noon.Add(10*time.Second)) || r.gates.Expired(r.state, noon.Add(9*time.Second)) {
		t.Error("Expired is wrong")
	}
	// A day is over at its end.
	day := time.Date(2026, 1, 15, 0, 0, 0, 0, time.Local)
	r = newTrial(t, Config{Expires: "2026-01-15"})
	for hour, want := range map[int]string{0: "fires", 23: "fires", 24: "expires"} {
		if got := r.match(Match{Now: day.Add(time.Duration(hour) * time.Hour)}); got != want {
			t.Errorf("at %d:00 %s, want %s", hour, got, want)
		}
	}
}

func TestDedupe(t *testing.T) {
	r := newTrial(t, Config{Dedupe: Dedupe{Window: 60 * minute}, Every: 2})
	var got []string
	for _, id := range []uint64{1, 2, 2, 1, 3, 0, 0} {
		got = append(got, r.match(Match{Now: noon, ID: id}))
	}
	// One that another gate held back was seen, too; duplicates do not count for every.
	if want := "every fires dedupe dedupe every fires every"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := r.match(Match{Now: noon, ID: 1, Started: true}); got != "fires" {
		t.Errorf("started: %s", got)
	}
}

func TestAfter(t *testing.T) {
	r := newTrial(t, Config{After: []string{"a", "b"}, AfterWindow: minute})
	r.others["a"] = noon
	r.each("after", 0)
	r.others["b"] = noon.Add(30 * time.Second)
	r.each("after, fires, fires, after", 29, 30, 60, 61)
	r.others["a"] = noon.Add(time.Hour) // it waits, and has not fired
	r.each("after", 62)
}

func TestLimitSkip(t *testing.T) {
	r := newTrial(t, Config{Limit: Limit{Count: 2, Per: minute}})
	r.each("fires, fires, limit, limit, fires, limit, fires", 0, 10, 20, 59, 60, 69, 70)
	if got := r.match(Match{Now: noon.Add(71 * time.Second), Started: true}); got != "fires" {
		t.Errorf("started: %s", got)
	}
	r.each("limit, fires", 129, 130)
	if len(r.state.Fired) > 2 {
		t.Errorf("%d firings are remembered", len(r.state.Fired))
	}
}

func TestLimitQueue(t *testing.T) {
	r := newTrial(t, Config{Limit: Limit{Count: 2, Per: minute, Over: "queue"}})
	r.each("fires, fires, waits until 15T12:01:00, waits until 15T12:01:10, waits until 15T12:02:00", 0, 10, 20, 20, 20)
	r.each("waits until 15T12:02:10, waits until 15T12:03:00, fires, fires", 110, 110, 300, 300)
}

func TestLimitLatest(t *testing.T) {
	r := newTrial(t, Config{Limit: Limit{Count: 1, Per: minute, Over: "latest"}})
	r.each("fires, waits until 15T12:01:00, replaces, waits until 15T12:01:00, replaces, waits until 15T12:01:00", 0, 10, 20, 59)
	r.waits = time.Time{} // it fires
	r.each("waits until 15T12:02:00, replaces, waits until 15T12:02:00", 61, 62)
	r.waits = time.Time{}
	r.each("fires", 200)
	if r.state.Firings != 4 {
		t.Errorf("%d firings, want 4: one that is replaced does not fire", r.state.Firings)
	}
}

func TestQuietHoursAndLimit(t *testing.T) {
	c := Config{QuietHours: "11:00-13:00 UTC"}
	r := newTrial(t, c)
	r.each("waits until 15T13:00:00, waits until 15T13:00:00, fires", 0, 100, 3600)
	// What fires at one time is limited, not what came at one time.
	c.Limit = Limit{Count: 1, Per: 10 * minute}
	r = newTrial(t, c)
	r.each("waits until 15T13:00:00, limit, limit, fires", 0, 1800, 3600, 4200)
	c.Limit.Over = "queue"
	r = newTrial(t, c)
	r.each("waits until 15T13:00:00, waits until 15T13:10:00, waits until 15T13:20:00", 0, 1800, 1900)
	// A time that the limit allows may be a quiet one.
	r = newTrial(t, Config{QuietHours: "12:05-13:00 UTC", Limit: Limit{Count: 1, Per: 10 * minute, Over: "queue"}})
	r.each("fires, waits until 15T13:00:00, waits until 15T13:10:00", 0, 60, 61)
	c.Limit.Over = "latest"
	r = newTrial(t, c)
	r.each("waits until 15T13:00:00, replaces, waits until 15T13:00:00", 0, 1800)
	if got := r.match(Match{Now: noon, Started: true}); got != "fires" {
		t.Errorf("started: %s", got)
	}
}

// Nothing waits for a time that a wrong clock has told.
func TestClockSetBack(t *testing.T) {
	r := newTrial(t, Config{Limit: Limit{Count: 1, Per: minute}})
	year := 365 * 24 * 3600
	r.each("fires, limit", year, year+30)
	r.each("limit, limit, fires", 0, 29, 30)
	r.each("fires", year)
	// A clock that has not been set yet is not believed.
	if got := r.match(Match{Now: time.Unix(100, 0)}); got != "limit" {
		t.Errorf("in 1970: %s", got)
	}
	r.each("limit, fires", year+59, year+60)
}

func TestStateIsBounded(t *testing.T) {
	r := newTrial(t, Config{Limit: Limit{Count: 5, Per: minute, Over: "queue"}})
	for i := range 2000 {
		r.match(Match{Now: noon.Add(time.Duration(i) * 15 * time.Second)})
	}
	if n := len(r.state.Fired); n > 20 {
		t.Errorf("%d firings are remembered", n)
	}
	if last := r.state.LastFired(noon.Add(24 * time.Hour)); last.Before(noon.Add(8 * time.Hour)) {
		t.Errorf("last fired %s", last)
	}
}

// However matches come, no more than the limit fire in any time of its length.
func TestLimitHolds(t *testing.T) {
	for _, over := range []string{"skip", "queue", "latest"} {
		for count := 1; count <= 3; count++ {
			r := newTrial(t, Config{QuietHours: "12:10-12:40 UTC", Limit: Limit{Count: count, Per: 5 * minute, Over: over}})
			var fired []time.Time
			now := noon
			for i := range 300 {
				now = now.Add(time.Duration(1+i*i%97) * time.Second)
				if !r.waits.After(now) {
					r.waits = time.Time{}
				}
				v := r.match(Match{Now: now})
				switch {
				case v == "fires":
					fired = append(fired, now)
				case strings.HasPrefix(v, "waits"):
					fired = append(fired, r.waits)
				}
			}
			for i := count; i < len(fired); i++ {
				if d := fired[i].Sub(fired[i-count]); d < 5*time.Minute {
					t.Fatalf("%s, %d: %d firings in %s", over, count, count+1, d)
				}
			}
			if len(fired) < 10 {
				t.Errorf("%s, %d: only %d firings", over, count, len(fired))
			}
		}
	}
}

// What is late after a time in which nobody watched keeps to the limit and to quiet hours.
func TestReplan(t *testing.T) {
	r := newTrial(t, Config{QuietHours: "14:00-15:00 UTC", Limit: Limit{Count: 1, Per: 10 * minute, Over: "queue"}})
	r.each("fires, waits until 15T12:10:00, waits until 15T12:20:00, waits until 15T12:30:00", 0, 1, 2, 3)
	times := func(minutes ...int) (list []time.Time) {
		for _, m := range minutes {
			list = append(list, noon.Add(time.Duration(m)*time.Minute))
		}
		return list
	}
	for _, c := range []struct {
		now       int
		due, want []time.Time
	}{
		{5, times(10, 20, 30), times(10, 20, 30)},  // nothing is late
		{12, times(20, 30), times(20, 30)},         // the first has fired
		{12, times(10, 20, 30), times(12, 22, 32)}, // the first has not
		{60, times(10, 20, 30), times(60, 70, 80)},
		{115, times(10, 20, 30), times(115, 180, 190)},
	} {
		got, next := r.gates.Replan(r.state, c.due, noon.Add(time.Duration(c.now)*time.Minute))
		for i := range c.want {
			if !got[i].Equal(c.want[i]) {
				t.Errorf("at %d: %v, want %v", c.now, got, c.want)
			}
		}
		if next.Firings != r.state.Firings || next.Fired[len(next.Fired)-1] != c.want[len(c.want)-1].UnixMilli() {
			t.Errorf("at %d: state %+v", c.now, next)
		}
	}
}

func TestDescribe(t *testing.T) {
	r := newTrial(t, Config{Every: 2, Expires: "5 firings", QuietHours: "22:00-06:00 UTC", After: []string{"a"}, Dedupe: Dedupe{Window: minute}, Limit: Limit{Count: 1, Per: minute}})
	want := []string{"expires: fires 5 times in all", "dedupe: the same message once in 1m0s", "every: one match of 2", "after: if a fired within 24h0m0s",
		"quiet_hours: not at 22:00-06:00 UTC", "limit: 1 in 1m0s; more are skipped"}
	if got := r.gates.Describe(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q", got)
	}
}
