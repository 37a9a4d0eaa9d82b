package message

import (
	"strconv"
	"strings"
	"time"
)

// ParseDate reads a date in the shape of RFC 5322, section 3.3, the older ones,
// and what mailers make of them: no weekday, comments, zones by name or with a
// colon, two-digit years, the order of asctime, ISO 8601, a few languages. A
// date without a zone is UTC.
func ParseDate(s string) (time.Time, bool) {
	if len(s) > 200 {
		return time.Time{}, false
	}
	d := dateParser{year: -1, zone: time.UTC}
	for _, t := range dateTokens(s) {
		if !d.token(t) {
			return time.Time{}, false
		}
	}
	return d.time()
}

// dateTokens splits at blanks and commas and drops comments.
func dateTokens(s string) []string {
	var b strings.Builder
	depth := 0
	for _, c := range s {
		switch {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteRune(c)
		}
	}
	return strings.FieldsFunc(b.String(), func(c rune) bool {
		return c == ' ' || c == '\t' || c == ',' || c == '\u00a0' || c == '"'
	})
}

// A dateParser gathers what the tokens of a date say, in any order.
type dateParser struct {
	year, month, day  int
	clock, zoned      bool
	hour, min, sec    int
	nano              int
	zone              *time.Location
	afternoon, before bool // PM, AM
}

// token takes one token; false if it makes no sense.
func (d *dateParser) token(t string) bool {
	lower := strings.ToLower(strings.TrimSuffix(t, "."))
	switch c := t[0]; {
	case d.clock && !d.zoned && (c == '+' || c == '-'):
		return d.offset(t)
	case strings.Contains(t, ":") && c >= '0' && c <= '9':
		if date, clock, ok := strings.Cut(strings.ToUpper(t), "T"); ok {
			return d.date(date) && d.time24(clock)
		}
		return d.time24(t)
	case c >= '0' && c <= '9':
		if strings.ContainsAny(t[1:], "-/.") && !d.whole() {
			if strings.Count(t, ".") == 2 && d.month > 0 {
				return d.time24(strings.ReplaceAll(t, ".", ":"))
			}
			return d.date(t)
		}
		if strings.Count(t, ".") >= 1 && !d.clock {
			return d.time24(strings.ReplaceAll(t, ".", ":"))
		}
		return d.number(t)
	case lower == "am":
		d.before = true
		return true
	case lower == "pm":
		d.afternoon = true
		return true
	}
	if m := month(lower); m > 0 && d.month == 0 {
		d.month = m
		return true
	}
	if z, ok := zones[lower]; ok {
		if !d.zoned {
			d.zone, d.zoned = time.FixedZone(strings.ToUpper(t), z*36), true
			if z == 0 {
				d.zone = time.UTC
			}
		}
		return true
	}
	if strings.HasPrefix(lower, "gmt") || strings.HasPrefix(lower, "utc") {
		return d.offset(t[3:])
	}
	// A weekday in any language, the name of a zone that is not known: nothing
	// that the rest does not say.
	return true
}

func (d *dateParser) whole() bool { return d.year >= 0 && d.month > 0 && d.day > 0 }

// number takes a day or a year.
func (d *dateParser) number(t string) bool {
	digits := strings.TrimRight(strings.ToLower(t), "stndrh.") // 1st, 2nd, 3., 4th
	n, err := strconv.Atoi(digits)
	if err != nil {
		return false
	}
	switch {
	case d.day == 0 && len(digits) <= 2 && n >= 1 && n <= 31:
		d.day = n
	case d.year < 0 && len(digits) <= 4:
		d.year = fullYear(n, len(digits))
	case d.clock && !d.zoned && len(digits) == 4: // a zone without its sign
		return d.offset("+" + digits)
	default:
		return false
	}
	return true
}

// fullYear is RFC 5322, section 4.3.
func fullYear(n, digits int) int {
	switch {
	case digits <= 2 && n < 50:
		return 2000 + n
	case digits <= 3:
		return 1900 + n
	}
	return n
}

// date takes year-month-day, day.month.year, day-Month-year, month/day/year.
func (d *dateParser) date(t string) bool {
	f := strings.FieldsFunc(t, func(c rune) bool { return c == '-' || c == '/' || c == '.' })
	if len(f) != 3 {
		return false
	}
	if m := month(strings.ToLower(f[1])); m > 0 {
		day, err := strconv.Atoi(f[0])
		year, err2 := strconv.Atoi(f[2])
		d.day, d.month, d.year = day, m, fullYear(year, len(f[2]))
		return err == nil && err2 == nil
	}
	var n [3]int
	for i := range f {
		var err error
		if n[i], err = strconv.Atoi(f[i]); err != nil {
			return false
		}
	}
	switch {
	case len(f[0]) == 4:
		d.year, d.month, d.day = n[0], n[1], n[2]
	case strings.Contains(t, "/") && n[1] <= 31 && (n[0] <= 12 && n[1] > 12 || n[0] == n[1]):
		d.month, d.day, d.year = n[0], n[1], fullYear(n[2], len(f[2]))
	case strings.Contains(t, "/") && n[0] <= 12: // either order: no date is better than a wrong one
		return false
	default:
		d.day, d.month, d.year = n[0], n[1], fullYear(n[2], len(f[2]))
	}
	return true
}

// time24 takes hh:mm[:ss[.fff]] with a zone that may follow at once.
func (d *dateParser) time24(t string) bool {
	if d.clock {
		return false
	}
	d.clock = true
	u := strings.ToUpper(t)
	for _, half := range []string{"AM", "PM"} {
		if v, ok := strings.CutSuffix(u, half); ok {
			u, d.before, d.afternoon = v, half == "AM", half == "PM"
		}
	}
	if v, ok := strings.CutSuffix(u, "Z"); ok {
		u, d.zoned = v, true
	} else if i := strings.LastIndexAny(u, "+-"); i > 0 {
		if !d.offset(u[i:]) {
			return false
		}
		u = u[:i]
	}
	f := strings.Split(u, ":")
	if len(f) < 2 || len(f) > 4 {
		return false
	}
	part := [3]int{}
	for i := range f {
		if i == 3 {
			break // hundredths behind a colon
		}
		s := f[i]
		if i == 2 {
			if whole, fraction, ok := strings.Cut(strings.ReplaceAll(s, ",", "."), "."); ok {
				s = whole
				if n, err := strconv.Atoi((fraction + "000000000")[:9]); err == nil {
					d.nano = n
				}
			}
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			return false
		}
		part[i] = n
	}
	d.hour, d.min, d.sec = part[0], part[1], part[2]
	return true
}

// offset takes +hhmm, +hh:mm, +hh, or nothing for zero.
func (d *dateParser) offset(t string) bool {
	if d.zoned {
		return true
	}
	d.zoned = true
	if t == "" {
		return true
	}
	sign := 1
	switch t[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return false
	}
	digits := strings.ReplaceAll(strings.TrimLeft(t[1:], "+-"), ":", "")
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) > 4 {
		return false
	}
	if len(digits) <= 2 {
		n *= 100
	}
	seconds := sign * (n/100*3600 + n%100*60)
	if n/100 > 23 || n%100 > 59 {
		return false
	}
	if seconds != 0 {
		d.zone = time.FixedZone("", seconds)
	}
	return true
}

// time puts it together.
func (d *dateParser) time() (time.Time, bool) {
	h := d.hour
	if d.afternoon && h < 12 {
		h += 12
	} else if d.before && h == 12 {
		h = 0
	}
	if !d.whole() || d.month > 12 || d.day > 31 || h > 24 || h < 0 || d.min < 0 || d.min > 59 || d.sec < 0 || d.sec > 60 ||
		d.year < 1900 || d.year > 9999 {
		return time.Time{}, false
	}
	t := time.Date(d.year, time.Month(d.month), d.day, h, d.min, d.sec, d.nano, d.zone)
	if t.Year() > 9999 {
		return time.Time{}, false
	}
	return t, true
}

// zones are hours and minutes east, times 100 over 3600 seconds an hour: the
// obsolete names (RFC 5322, section 4.3; a military letter says nothing) and
// those that mailers still write.
var zones = map[string]int{
	"ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0,
	"est": -500, "edt": -400, "cst": -600, "cdt": -500, "mst": -700, "mdt": -600, "pst": -800, "pdt": -700,
	"akst": -900, "hst": -1000, "cet": 100, "mez": 100, "met": 100, "cest": 200, "mesz": 200, "mest": 200,
	"bst": 100, "west": 100, "eet": 200, "eest": 300, "msk": 300, "jst": 900, "kst": 900, "aest": 1000, "aedt": 1100,
	"nzst": 1200, "nzdt": 1300,
}

// month returns the number of a month by its English name or its first three
// letters, or by those of other languages that mailers were seen to write; 0 if it is none.
func month(s string) int {
	if len(s) < 3 {
		return 0
	}
	if m, ok := months[s]; ok {
		return m
	}
	if s[0] < 0x80 && s[1] < 0x80 && s[2] < 0x80 {
		if m, ok := months[s[:3]]; ok && strings.HasPrefix(longMonths[m-1], s) {
			return m
		}
	}
	return 0
}

var longMonths = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}

var months = map[string]int{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9, "oct": 10, "nov": 11, "dec": 12,
	"januar": 1, "februar": 2, "mär": 3, "mrz": 3, "märz": 3, "mai": 5, "juni": 6, "juli": 7, "okt": 10, "oktober": 10, "dez": 12, "dezember": 12,
	"janv": 1, "janvier": 1, "févr": 2, "février": 2, "mars": 3, "avr": 4, "avril": 4, "juin": 6, "juil": 7, "juillet": 7, "août": 8, "septembre": 9, "octobre": 10, "novembre": 11, "déc": 12, "décembre": 12,
	"ene": 1, "enero": 1, "abr": 4, "ago": 8, "dic": 12, "gen": 1, "mag": 5, "giu": 6, "lug": 7, "set": 9, "ott": 10, "maj": 5,
	"янв": 1, "фев": 2, "мар": 3, "апр": 4, "май": 5, "мая": 5, "июн": 6, "июл": 7, "авг": 8, "сен": 9, "окт": 10, "ноя": 11, "дек": 12,
}
