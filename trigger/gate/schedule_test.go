package gate

import (
	"testing"
	"time"
)

func place(t *testing.T, name string) *time.Location {
	t.Helper()
	in, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestInstant(t *testing.T) {
	for _, c := range []struct {
		day, clock, in string
		which          which
		want           string
	}{
		{"2026-01-15", "02:30", "Europe/Berlin", first, "2026-01-15T02:30:00+01:00"},
		{"2026-07-15", "02:30", "Europe/Berlin", last, "2026-07-15T02:30:00+02:00"},
		// Clocks go from 02:00 to 03:00.
		{"2026-03-29", "01:59", "Europe/Berlin", first, "2026-03-29T01:59:00+01:00"},
		{"2026-03-29", "02:00", "Europe/Berlin", first, "2026-03-29T03:00:00+02:00"},
		{"2026-03-29", "02:30", "Europe/Berlin", first, "2026-03-29T03:00:00+02:00"},
		{"2026-03-29", "02:30", "Europe/Berlin", last, "2026-03-29T03:00:00+02:00"},
		{"2026-03-29", "03:00", "Europe/Berlin", last, "2026-03-29T03:00:00+02:00"},
		// Clocks go from 03:00 back to 02:00.
		{"2026-10-25", "02:30", "Europe/Berlin", first, "2026-10-25T02:30:00+02:00"},
		{"2026-10-25", "02:30", "Europe/Berlin", last, "2026-10-25T02:30:00+01:00"},
		{"2026-10-25", "03:00", "Europe/Berlin", first, "2026-10-25T03:00:00+01:00"},
		{"2026-10-25", "01:59", "Europe/Berlin", last, "2026-10-25T01:59:00+02:00"},
		// Half an hour, in the south, and west of Greenwich at midnight.
		{"2026-10-04", "02:15", "Australia/Lord_Howe", first, "2026-10-04T02:30:00+11:00"},
		{"2026-04-05", "01:45", "Australia/Lord_Howe", last, "2026-04-05T01:45:00+10:30"},
		{"2026-03-08", "02:30", "America/New_York", first, "2026-03-08T03:00:00-04:00"},
		{"2026-11-01", "01:30", "America/New_York", last, "2026-11-01T01:30:00-05:00"},
		{"2018-11-04", "00:30", "America/Sao_Paulo", first, "2018-11-04T01:00:00-02:00"},
		// A day that was left out.
		{"2011-12-30", "06:00", "Pacific/Apia", last, "2011-12-31T00:00:00+14:00"},
	} {
		d, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		clock, err := parseClock(c.clock)
		if err != nil {
			t.Fatal(err)
		}
		if got := instant(dateOf(d), clock, place(t, c.in), c.which); !got.Equal(at(t, c.want)) {
			t.Errorf("%s %s %s (last %v): %s, want %s", c.day, c.clock, c.in, c.which, got, c.want)
		}
	}
}

func TestQuietHours(t *testing.T) {
	for _, c := range []struct{ span, now, until string }{ // until "": not quiet
		{"22:00-06:00 Europe/Berlin", "2026-01-15T21:59:59+01:00", ""},
		{"22:00-06:00 Europe/Berlin", "2026-01-15T22:00:00+01:00", "2026-01-16T06:00:00+01:00"},
		{"22:00-06:00 Europe/Berlin", "2026-01-16T05:59:59+01:00", "2026-01-16T06:00:00+01:00"},
		{"22:00-06:00 Europe/Berlin", "2026-01-16T06:00:00+01:00", ""},
		{"22:00-06:00 Europe/Berlin", "2026-01-15T22:30:00Z", "2026-01-16T06:00:00+01:00"},
		// The nights of the changes have 7 and 9 hours.
		{"22:00-06:00 Europe/Berlin", "2026-03-28T22:00:00+01:00", "2026-03-29T06:00:00+02:00"},
		{"22:00-06:00 Europe/Berlin", "2026-10-24T22:00:00+02:00", "2026-10-25T06:00:00+01:00"},
		// An end that comes twice is the last one, a beginning the first one.
		{"22:00-02:30 Europe/Berlin", "2026-10-25T02:45:00+02:00", "2026-10-25T02:30:00+01:00"},
		{"02:30-06:00 Europe/Berlin", "2026-10-25T02:15:00+01:00", "2026-10-25T06:00:00+01:00"},
		// Both ends in the hour that is left out: nothing is quiet.
		{"02:10-02:50 Europe/Berlin", "2026-03-29T03:00:00+02:00", ""},
		{"12:00-13:30 UTC", "2026-03-29T13:00:00Z", "2026-03-29T13:30:00Z"},
		{"12:00-13:30 UTC", "2026-03-29T13:30:00Z", ""},
	} {
		q, err := parseQuiet(c.span)
		if err != nil {
			t.Fatal(err)
		}
		got, is := q.end(at(t, c.now))
		switch {
		case !is && c.until != "":
			t.Errorf("%s is not quiet by %s, want until %s", c.now, c.span, c.until)
		case is && (c.until == "" || !got.Equal(at(t, c.until))):
			t.Errorf("%s is quiet by %s until %s, want %q", c.now, c.span, got, c.until)
		}
	}
}

func TestTimetable(t *testing.T) {
	for _, c := range []struct {
		name                  string
		e                     Expect
		now                   string
		opens, closes, follow string
	}{
		{"over midnight", Expect{By: "06:30", Opens: "20:00", Timezone: "Europe/Berlin"}, "2026-01-15T12:00:00+01:00",
			"2026-01-14T20:00:00+01:00", "2026-01-15T06:30:00+01:00", "2026-01-16T06:30:00+01:00"},
		{"the moment it closes", Expect{By: "06:30", Opens: "20:00", Timezone: "Europe/Berlin"}, "2026-01-15T06:30:00+01:00",
			"2026-01-14T20:00:00+01:00", "2026-01-15T06:30:00+01:00", "2026-01-16T06:30:00+01:00"},
		{"before it closes", Expect{By: "06:30", Opens: "20:00", Timezone: "Europe/Berlin"}, "2026-01-15T06:29:59+01:00",
			"2026-01-13T20:00:00+01:00", "2026-01-14T06:30:00+01:00", "2026-01-15T06:30:00+01:00"},
		{"in one day", Expect{By: "18:00", Opens: "08:00", Timezone: "UTC"}, "2026-01-15T19:00:00Z",
			"2026-01-15T08:00:00Z", "2026-01-15T18:00:00Z", "2026-01-16T18:00:00Z"},
		{"without opens", Expect{By: "18:00", Timezone: "UTC"}, "2026-01-15T19:00:00Z",
			"2026-01-14T18:00:00Z", "2026-01-15T18:00:00Z", "2026-01-16T18:00:00Z"},
		{"over a weekend", Expect{By: "18:00", Days: []string{"mon-fri"}, Timezone: "UTC"}, "2026-01-18T19:00:00Z",
			"2026-01-15T18:00:00Z", "2026-01-16T18:00:00Z", "2026-01-19T18:00:00Z"},
		{"after a weekend", Expect{By: "18:00", Days: []string{"mon-fri"}, Timezone: "UTC"}, "2026-01-19T19:00:00Z",
			"2026-01-16T18:00:00Z", "2026-01-19T18:00:00Z", "2026-01-20T18:00:00Z"},
		{"once a week", Expect{By: "18:00", Days: []string{"sun"}, Timezone: "UTC"}, "2026-01-17T19:00:00Z",
			"2026-01-04T18:00:00Z", "2026-01-11T18:00:00Z", "2026-01-18T18:00:00Z"},
		{"a range over the week's end", Expect{By: "18:00", Days: []string{"sat-mon"}, Timezone: "UTC"}, "2026-01-20T19:00:00Z",
			"2026-01-18T18:00:00Z", "2026-01-19T18:00:00Z", "2026-01-24T18:00:00Z"},
		{"at a time that is left out", Expect{By: "02:30", Opens: "20:00", Timezone: "Europe/Berlin"}, "2026-03-29T12:00:00+02:00",
			"2026-03-28T20:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
		{"between the two times", Expect{By: "02:30", Opens: "20:00", Timezone: "Europe/Berlin"}, "2026-10-25T02:40:00+02:00",
			"2026-10-23T20:00:00+02:00", "2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+01:00"},
		{"where it is tomorrow", Expect{By: "00:30", Timezone: "Pacific/Kiritimati"}, "2026-01-15T11:00:00Z",
			"2026-01-15T00:30:00+14:00", "2026-01-16T00:30:00+14:00", "2026-01-17T00:30:00+14:00"},
	} {
		x, err := NewExpected(&c.e)
		if err != nil {
			t.Fatal(err)
		}
		now := at(t, c.now)
		w, next := x.table.closed(now), x.table.next(now)
		if !w.opens.Equal(at(t, c.opens)) || !w.closes.Equal(at(t, c.closes)) || !next.closes.Equal(at(t, c.follow)) {
			t.Errorf("%s: %s to %s, then %s; want %s to %s, then %s", c.name, w.opens, w.closes, next.closes, c.opens, c.closes, c.follow)
		}
	}
}

func TestParseDays(t *testing.T) {
	for _, bad := range []string{"monday", "mon-", "-mon", "", "mon-xyz", "Mon"} {
		if days, err := parseDays([]string{bad}); err == nil {
			t.Errorf("%q gives %v", bad, days)
		}
	}
	days, err := parseDays([]string{"fri-mon", "wed"})
	if want := [7]bool{time.Sunday: true, time.Monday: true, time.Wednesday: true, time.Friday: true, time.Saturday: true}; err != nil || days != want {
		t.Errorf("%v, %v", days, err)
	}
}
