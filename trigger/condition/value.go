package condition

import (
	"fmt"
	"strings"
	"time"

	"mailtrigger/connection/setting"
)

// A value is what a field has: one address, one header field, a size.
type value struct {
	show   string    // for people, and the text that is compared
	also   []string  // further spellings: one that fits is enough
	number int64     // of a size, in bytes; of an age, in nanoseconds
	at     time.Time // of a date
	why    string    // where it comes from, if that is not plain

	normal, folded []string // the spellings, made comparable once somebody asks
}

// spellings returns the texts to compare: normalised, and folded where case does not matter.
func (v *value) spellings(caseSensitive bool) []string {
	if v.normal == nil {
		v.normal = append(v.normal, normalize(v.show))
		for _, s := range v.also {
			v.normal = append(v.normal, normalize(s))
		}
	}
	if caseSensitive {
		return v.normal
	}
	if v.folded == nil {
		for _, s := range v.normal {
			v.folded = append(v.folded, fold(s))
		}
	}
	return v.folded
}

// A moment is a date of a condition: an instant, or the whole day that begins there.
type moment struct {
	at  time.Time
	day bool
}

func (m moment) has(t time.Time) bool {
	if m.day {
		return !t.Before(m.at) && t.Before(m.at.AddDate(0, 0, 1))
	}
	return t.Equal(m.at)
}

// parseMoment reads a date of a condition. One without a zone, or the name of one
// behind it, is in the zone of this machine.
func parseMoment(s string) (moment, error) {
	in := time.Local
	when := s
	if i := strings.LastIndexByte(s, ' '); i > 0 && !strings.ContainsAny(s[i+1:], "0123456789:") || strings.HasSuffix(s, " UTC") {
		zone, err := time.LoadLocation(s[i+1:])
		if err != nil || s[i+1:] == "Local" {
			return moment{}, fmt.Errorf("unknown time zone %q; write one like Europe/Berlin or UTC", setting.Printable(s[i+1:], 60))
		}
		when, in = s[:i], zone
	}
	for _, form := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.DateTime} {
		if t, err := time.ParseInLocation(form, when, in); err == nil {
			return moment{t, form == time.DateOnly}, nil
		}
	}
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(form, s); err == nil {
			return moment{at: t}, nil
		}
	}
	return moment{}, fmt.Errorf(`%q is not a date; write 2027-01-31, "2027-01-31 12:00 Europe/Berlin" or 2027-01-31T12:00:00Z`, setting.Printable(s, 60))
}

func parseSize(s string) (int64, error) {
	var z setting.Size
	err := z.UnmarshalText([]byte(s))
	return int64(z), err
}

func parseAge(s string) (int64, error) {
	var d setting.Duration
	err := d.UnmarshalText([]byte(s))
	return int64(d), err
}
