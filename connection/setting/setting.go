// Package setting has the types of configuration values that TOML itself
// cannot express: durations, sizes, secrets and where they come from, and the
// error that names the key it is about.
//
// They are shared by every package that owns a table of the configuration.
// The types know nothing of TOML; they implement encoding.TextUnmarshaler.
package setting

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Problem is something wrong with one key of a table. Text says what is wrong
// and what would be right; it never holds a secret's value.
type Problem struct {
	Key  string // path below the table, e.g. "encryption.ca_file"; "" is the table itself
	Text string
}

// Error returns the key and the text.
func (p Problem) Error() string {
	if p.Key == "" {
		return p.Text
	}
	return p.Key + ": " + p.Text
}

// Below returns the problems with their keys moved below the table prefix.
func Below(prefix string, problems []Problem) []Problem {
	for i := range problems {
		switch {
		case problems[i].Key == "":
			problems[i].Key = prefix
		case strings.HasPrefix(problems[i].Key, "["):
			problems[i].Key = prefix + problems[i].Key
		default:
			problems[i].Key = prefix + "." + problems[i].Key
		}
	}
	return problems
}

// Duration is a length of time. Text is a bare number of seconds or a Go
// duration, to which "d" (24 h) is added as a unit: "90", "1h30m", "30d".
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler. Negative values are refused.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if !(n >= 0 && n <= 1e9) { // not a number is neither
			return fmt.Errorf("%q is not a length of time between 0 and 1e9 seconds", s)
		}
		*d = Duration(n * float64(time.Second))
		return nil
	}
	var days time.Duration
	rest := s
	if head, tail, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return fmt.Errorf(`%q is not a length of time; write seconds (30) or a duration ("30s", "5m", "12h", "30d")`, s)
		}
		days, rest = time.Duration(n)*24*time.Hour, tail
	}
	var v time.Duration
	if rest != "" || s == "" {
		var err error
		if v, err = time.ParseDuration(rest); err != nil || v < 0 {
			return fmt.Errorf(`%q is not a length of time; write seconds (30) or a duration ("30s", "5m", "12h", "30d")`, s)
		}
	}
	*d = Duration(days + v)
	return nil
}

// MarshalText returns the duration in Go's notation.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the duration in Go's notation.
func (d Duration) String() string { return time.Duration(d).String() }

// Or returns d, or fallback if d is zero.
func (d Duration) Or(fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return time.Duration(d)
}

// Size is a number of bytes. Text is a bare number or one with a unit: kB, MB,
// GB are powers of 1,000; KiB, MiB, GiB powers of 1,024.
type Size int64

var units = []struct {
	name string
	n    int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
}

// UnmarshalText implements encoding.TextUnmarshaler. Negative values are refused.
func (z *Size) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	for _, u := range units {
		head, found := strings.CutSuffix(s, u.name)
		if !found {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(head), 64)
		if err != nil || !(n >= 0 && n*float64(u.n) <= 1<<50) {
			break
		}
		*z = Size(n * float64(u.n))
		return nil
	}
	return fmt.Errorf(`%q is not a size; write bytes (65536) or a number with kB, MB, GB, KiB, MiB or GiB ("64MB")`, s)
}

// String returns the size in bytes, or in the largest unit that divides it.
func (z Size) String() string {
	for _, u := range []struct {
		name string
		n    Size
	}{{"GB", 1e9}, {"GiB", 1 << 30}, {"MB", 1e6}, {"MiB", 1 << 20}, {"kB", 1e3}, {"KiB", 1 << 10}} {
		if z >= u.n && z%u.n == 0 {
			return fmt.Sprintf("%d%s", z/u.n, u.name)
		}
	}
	return strconv.FormatInt(int64(z), 10) + "B"
}

// MarshalText returns what String returns.
func (z Size) MarshalText() ([]byte, error) { return []byte(z.String()), nil }
