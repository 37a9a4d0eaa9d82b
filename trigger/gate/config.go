package gate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailtrigger/connection/setting"
)

// Config is the part of the table [trigger.NAME] that says when the trigger
// fires of the messages that match. Set it up with SetDefaults, check it with Validate.
type Config struct {
	Every       int              `toml:"every"`
	Expires     string           `toml:"expires,text"`
	QuietHours  string           `toml:"quiet_hours"`
	After       []string         `toml:"after"`
	AfterWindow setting.Duration `toml:"after_window"`
	Dedupe      Dedupe           `toml:"dedupe"`
	Limit       Limit            `toml:"limit"`
	Expect      Expect           `toml:"expect"`
}

// Dedupe is the table [trigger.NAME.dedupe].
type Dedupe struct {
	By     string           `toml:"by"`
	Window setting.Duration `toml:"window"`
}

// Limit is the table [trigger.NAME.limit].
type Limit struct {
	Count int              `toml:"count"`
	Per   setting.Duration `toml:"per"`
	Over  string           `toml:"over"`
}

// Expect is the table [trigger.NAME.expect].
type Expect struct {
	By       string           `toml:"by,text"`
	Opens    string           `toml:"opens,text"`
	Days     []string         `toml:"days"`
	Timezone string           `toml:"timezone"`
	Every    setting.Duration `toml:"every"`
}

// Enabled reports whether any mail is expected.
func (e *Expect) Enabled() bool { return e.By != "" || e.Every > 0 }

// The limits of the keys.
const (
	maxCount    = 1000                          // of a limit: so many times are kept
	maxDuration = 10 * 366 * 24 * time.Hour     // of a window
	minExpect   = setting.Duration(time.Second) // of expect.every
)

// defaultAfterWindow is how long a firing of another trigger counts.
const defaultAfterWindow = setting.Duration(24 * time.Hour)

// SetDefaults fills in what the table left out.
func (c *Config) SetDefaults() {
	if c.Every == 0 {
		c.Every = 1
	}
	if len(c.After) > 0 && c.AfterWindow == 0 {
		c.AfterWindow = defaultAfterWindow
	}
	if c.Dedupe != (Dedupe{}) && c.Dedupe.By == "" {
		c.Dedupe.By = "message-id"
	}
	if c.Limit != (Limit{}) && c.Limit.Over == "" {
		c.Limit.Over = overSkip
	}
}

// A checker collects what is wrong with the keys.
type checker struct{ found []setting.Problem }

func (k *checker) add(key, format string, args ...any) {
	k.found = append(k.found, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
}

func (k *checker) length(key string, d setting.Duration) {
	if time.Duration(d) > maxDuration {
		k.add(key, "%s is more than ten years", d)
	}
}

// Validate returns all that is wrong, once the defaults are set.
func (c *Config) Validate() []setting.Problem {
	k := &checker{}
	if c.Every < 1 {
		k.add("every", "%d is below 1; 1 fires on each match", c.Every)
	}
	if _, err := parseExpires(c.Expires); err != nil {
		k.add("expires", "%v", err)
	}
	if _, err := parseQuiet(c.QuietHours); err != nil {
		k.add("quiet_hours", "%v", err)
	}
	if c.AfterWindow > 0 && len(c.After) == 0 {
		k.add("after_window", "is nothing without after, the names of other triggers")
	}
	k.length("after_window", c.AfterWindow)
	for i, name := range c.After {
		if slices.Contains(c.After[:i], name) {
			k.add(fmt.Sprintf("after[%d]", i), "%q is named twice", name)
		}
	}
	if c.Dedupe != (Dedupe{}) {
		k.found = append(k.found, setting.OneOf("dedupe.by", c.Dedupe.By, []string{"message-id"})...)
		if c.Dedupe.Window <= 0 {
			k.add("dedupe.window", `is missing; say how long messages are remembered: "30d"`)
		}
		k.length("dedupe.window", c.Dedupe.Window)
	}
	c.Limit.validate(k)
	c.Expect.validate(k)
	return k.found
}

func (l *Limit) validate(k *checker) {
	if *l == (Limit{}) {
		return
	}
	switch {
	case l.Count < 1:
		k.add("limit.count", "must be at least 1")
	case l.Count > maxCount:
		k.add("limit.count", "%d is above %d; allow fewer in a shorter time", l.Count, maxCount)
	}
	if l.Per <= 0 {
		k.add("limit.per", `is missing; say in which time: "10m"`)
	}
	k.length("limit.per", l.Per)
	k.found = append(k.found, setting.OneOf("limit.over", l.Over, []string{overSkip, overQueue, Latest})...)
}

func (e *Expect) validate(k *checker) {
	if !e.Enabled() {
		if e.Opens != "" || e.Days != nil || e.Timezone != "" {
			k.add("expect", "says not what is expected; give by (a time of day) or every (a length of time)")
		}
		return
	}
	switch {
	case e.By != "" && e.Every > 0:
		k.add("expect", "give either by or every")
	case e.Every > 0 && (e.Opens != "" || e.Days != nil || e.Timezone != ""):
		k.add("expect", "opens, days and timezone go with by, not with every")
	case e.Every > 0 && e.Every < minExpect:
		k.add("expect.every", "%s is less than a second", e.Every)
	}
	k.length("expect.every", e.Every)
	if _, err := parseClock(e.By); e.By != "" && err != nil {
		k.add("expect.by", "%q is not a time of day; write 06:30", e.By)
	}
	if _, err := parseClock(e.Opens); e.Opens != "" && (err != nil || e.Opens == e.By) {
		k.add("expect.opens", "%q is not a time of day other than by; write 20:00", e.Opens)
	}
	for i, d := range e.Days {
		if _, err := parseDays([]string{d}); err != nil {
			k.add(fmt.Sprintf("expect.days[%d]", i), "%v", err)
		}
	}
	if e.Days != nil && len(e.Days) == 0 {
		k.add("expect.days", `is empty; leave it out for every day`)
	}
	if _, err := zone(e.Timezone); err != nil {
		k.add("expect.timezone", "%v", err)
	}
}

var (
	firings = regexp.MustCompile(`^([1-9][0-9]{0,17}) firings?$`)
	quiet   = regexp.MustCompile(`^([0-2][0-9]:[0-5][0-9])-([0-2][0-9]:[0-5][0-9])(?: (\S+))?$`)
)

// parseExpires reads "100 firings" or a date; a date alone lasts until its end,
// in the machine's time zone. nil: never.
func parseExpires(s string) (*expires, error) {
	if s == "" {
		return nil, nil
	}
	if m := firings.FindStringSubmatch(s); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		return &expires{firings: n}, err
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return &expires{at: instant(dateOf(t).add(1), clock{}, time.Local, first)}, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return &expires{at: t}, nil
		}
	}
	return nil, fmt.Errorf(`%q is neither a date (2027-01-31) nor a count ("100 firings")`, s)
}

// parseQuiet reads "22:00-06:00 Europe/Berlin"; nil: no quiet hours.
func parseQuiet(s string) (*quietHours, error) {
	if s == "" {
		return nil, nil
	}
	if m := quiet.FindStringSubmatch(s); m != nil {
		from, err := parseClock(m[1])
		to, err2 := parseClock(m[2])
		if err == nil && err2 == nil && from != to {
			in, err := zone(m[3])
			return &quietHours{span{from, to, in}, strings.TrimSpace(s)}, err
		}
	}
	return nil, fmt.Errorf(`%q is not a span of a day; write "22:00-06:00 Europe/Berlin"`, s)
}
