package metrics

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"mailtrigger/connection"
)

// A pageView is a status in the words of the page.
type pageView struct {
	Status
	Query Query
	ETag  string
	Now   time.Time
}

// pageFirings is how many firings the page shows.
const pageFirings = 25

func newPage(st Status, q Query, tag string, now time.Time) *pageView {
	return &pageView{st, q, tag, now}
}

// MaxSearch is the longest text to search for, in bytes.
func (v *pageView) MaxSearch() int { return maxSearch }

// Title is what a tab shows: trouble first.
func (v *pageView) Title() string {
	switch s := v.Summary; {
	case v.unwell():
		return "not well – mailtriggerd"
	case s.Failing > 0:
		return number(s.Failing) + " not watched – mailtriggerd"
	case s.DeadLetters > 0:
		return count(s.DeadLetters, "dead letter", "dead letters") + " – mailtriggerd"
	}
	return "mailtriggerd"
}

func (v *pageView) unwell() bool { return v.Health != "ok" && v.Health != "starting" }

// Headline says in a sentence how everything is.
func (v *pageView) Headline() string {
	s := v.Summary
	switch {
	case v.unwell():
		return "The daemon is not well."
	case v.Health == "starting":
		return "The daemon is starting."
	case s.Mailboxes == 0:
		return "No mailbox is watched."
	case s.Failing == s.Mailboxes && s.Mailboxes > 1:
		return fmt.Sprintf("None of the %s mailboxes is watched.", number(s.Mailboxes))
	case s.Failing == s.Mailboxes:
		return "The mailbox is not watched."
	case s.Failing == 1:
		return fmt.Sprintf("1 of %s mailboxes is not watched.", number(s.Mailboxes))
	case s.Failing > 1:
		return fmt.Sprintf("%s of %s mailboxes are not watched.", number(s.Failing), number(s.Mailboxes))
	case s.Watching < s.Mailboxes:
		return fmt.Sprintf("Connecting: %s of %s mailboxes are watched.", number(s.Watching), number(s.Mailboxes))
	case s.Mailboxes == 1:
		return "The mailbox is watched."
	}
	return fmt.Sprintf("All %s mailboxes are watched.", number(s.Mailboxes))
}

// A remark is what else a person should know, and what to call to know more.
type remark struct{ Text, Call string }

// Remarks are what else a person should know.
func (v *pageView) Remarks() (all []remark) {
	s := v.Summary
	if v.unwell() {
		all = append(all, remark{clean(v.Health), ""})
	}
	switch {
	case s.DeadLetters == 1:
		all = append(all, remark{"1 message failed for good. To see why:", "mailtriggerd --dead-letters"})
	case s.DeadLetters > 1:
		all = append(all, remark{number(s.DeadLetters) + " messages failed for good. To see why:", "mailtriggerd --dead-letters"})
	}
	switch {
	case s.Expiring == 1:
		all = append(all, remark{"The server of 1 mailbox has a certificate that ends within 14 days.", ""})
	case s.Expiring > 1:
		all = append(all, remark{fmt.Sprintf("The servers of %s mailboxes have certificates that end within 14 days.", number(s.Expiring)), ""})
	}
	return all
}

// Mood is how everything is: good, warn, bad or busy.
func (v *pageView) Mood() string {
	s := v.Summary
	switch {
	case v.unwell(), s.Failing > 0:
		return "bad"
	case s.DeadLetters > 0, s.Expiring > 0:
		return "warn"
	case s.Watching < s.Mailboxes, s.Mailboxes == 0:
		return "busy"
	}
	return "good"
}

// A fact is a number of the overview.
type fact struct {
	Name, Value string
	Bad         bool
}

// Facts are the numbers of the overview.
func (v *pageView) Facts() []fact {
	s := v.Summary
	return []fact{
		{"Connections", number(s.Connections), false},
		{"Watched", number(s.Watching), s.Failing > 0},
		{"Triggers", number(s.Triggers), false},
		{"Queue", number(s.Queue), false},
		{"Retrying", number(s.Retrying), false},
		{"Dead letters", number(s.DeadLetters), s.DeadLetters > 0},
	}
}

// A choice is an option of the filter by state.
type choice struct {
	Value, Name string
	Chosen      bool
}

// States are the options of the filter by state.
func (v *pageView) States() []choice {
	all := []choice{{"", "all", false}, {stateProblem, "with a problem", false}}
	for _, s := range []connection.State{connection.StateParked, connection.StateLooking, connection.StateConnecting, connection.StateBackoff} {
		all = append(all, choice{string(s), stateNames[s], false})
	}
	for i := range all {
		all[i].Chosen = all[i].Value == v.Query.State
	}
	return all
}

// Of says how many fit, of how many.
func (v *pageView) Of(fit, all int) string {
	if fit == all {
		return number(all)
	}
	return number(fit) + " of " + number(all)
}

// NoWatches says why there is no mailbox to show.
func (v *pageView) NoWatches() string {
	if v.Summary.Mailboxes > 0 {
		return "No mailbox fits the search."
	}
	return "No enabled trigger names a mailbox, or the mailboxes that fit its patterns have not been listed yet."
}

// NoTriggers says why there is no trigger to show.
func (v *pageView) NoTriggers() string {
	if v.Summary.Triggers > 0 {
		return "No trigger fits the search."
	}
	return "No trigger is enabled."
}

// NoFirings says why there is no firing to show.
func (v *pageView) NoFirings() string {
	if v.Query.Text != "" {
		return "Nothing that has fired of late fits the search."
	}
	return "Nothing has fired yet."
}

// A pager leads through a list that is shown in parts.
type pager struct {
	Label, Where   string
	Previous, Next string // URLs; "" where there is none
	Needed         bool
}

// WatchPager leads through the mailboxes.
func (v *pageView) WatchPager() pager {
	return v.pager("Pages of mailboxes", v.Matching.Watches, v.Query.Offset, func(q *Query, offset int) { q.Offset = offset })
}

// TriggerPager leads through the triggers.
func (v *pageView) TriggerPager() pager {
	return v.pager("Pages of triggers", v.Matching.Triggers, v.Query.TriggerOffset, func(q *Query, offset int) { q.TriggerOffset = offset })
}

func (v *pageView) pager(label string, all, offset int, turn func(*Query, int)) pager {
	to := func(offset int) string {
		q := v.Query
		turn(&q, offset)
		return "/?" + q.values().Encode()
	}
	p := pager{Label: label, Needed: all > pageLimit}
	p.Where = fmt.Sprintf("%s to %s of %s", number(offset+1), number(min(offset+pageLimit, all)), number(all))
	if offset > 0 {
		p.Previous = to(max(offset-pageLimit, 0))
	}
	if offset+pageLimit < all {
		p.Next = to(offset + pageLimit)
	}
	return p
}

// pageFuncs are the functions of the page's template.
var pageFuncs = template.FuncMap{
	"ago": ago, "in": in, "expires": expires, "number": number[any], "clean": clean, "mood": mood, "stateName": stateName, "roundTrip": roundTrip,
	"tlsName": func(version string) string { return strings.Replace(version, "TLS", "TLS ", 1) },
	"orDash":  func(s string) string { return orElse(s, "–") },
	"outcome": outcome, "actionState": actionState, "attempts": attempts, "notes": notes,
	"took": func(f Firing) string { return duration(f.Ended.Sub(f.Accepted)) },
}

// maxShown is the longest text of somebody else's on the page, in characters.
const maxShown = 300

// clean makes a text of somebody else's fit for a line: without control characters
// and marks that turn the direction of writing, and not too long.
func clean(s string) string {
	n := 0
	var b strings.Builder
	for _, r := range s {
		if n++; n > maxShown {
			return b.String() + "…"
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mood returns how something is, as a class of the style sheet.
func mood(v any) string {
	switch v := v.(type) {
	case WatchStatus:
		switch {
		case v.trouble <= severe:
			return "bad"
		case v.trouble == mild:
			return "warn"
		case v.Watching:
			return "good"
		}
		return "busy"
	case TriggerStatus:
		return [numTrouble]string{stuck: "bad", severe: "bad", mild: "warn", none: "good"}[v.trouble]
	case Firing:
		return map[string]string{"done": "good", "dead": "bad"}[v.Outcome]
	}
	return ""
}

// stateNames are the states in the words of the page.
var stateNames = map[connection.State]string{
	connection.StateParked: "watching", connection.StateLooking: "reading", connection.StateConnecting: "connecting",
	connection.StateBackoff: "waiting to retry",
}

func stateName(w WatchStatus) string {
	if w.AuthRequired && !w.Watching {
		return "needs a person"
	}
	return orElse(stateNames[connection.State(w.State)], w.State)
}

func roundTrip(w WatchStatus) string {
	if w.RoundTrip == 0 {
		return "–"
	}
	return duration(time.Duration(w.RoundTrip * float64(time.Second)))
}

func outcome(f Firing) string {
	switch {
	case f.Kind == "held" && f.Outcome == "dead":
		return "mailbox held"
	case f.Outcome == "dead":
		return "dead letter"
	}
	return f.Outcome
}

func actionState(a FiringAction) string {
	name := orElse(map[string]string{"dead": "failed", "waiting": "not run"}[a.State], a.State)
	if a.Attempts > 1 {
		return fmt.Sprintf("%s (%s attempts)", name, number(a.Attempts))
	}
	return name
}

func attempts(by map[string]uint64) string {
	var parts []string
	for _, p := range []struct{ result, name string }{{"ok", "done"}, {"retry", "retried"}, {"dead", "failed"}} {
		if n := by[p.result]; n > 0 {
			parts = append(parts, number(n)+" "+p.name)
		}
	}
	return orElse(strings.Join(parts, ", "), "none yet")
}

// notes are what else there is to say of a trigger.
func notes(t TriggerStatus) (all []string) {
	if t.Backlog > 0 {
		all = append(all, "backlog: "+count(t.Backlog, "message", "messages")+" still to be read")
	}
	if t.Retrying > 0 {
		all = append(all, number(t.Retrying)+" waiting for another attempt")
	}
	if t.Waiting > 0 {
		all = append(all, fmt.Sprintf("%s until %s", count(t.Waiting, "message waits", "messages wait"), t.Until.Local().Format("2006-01-02 15:04:05 MST")))
	}
	if t.Silent != "" {
		all = append(all, fmt.Sprintf("silent since %s: %s", t.SilentSince.Local().Format("2006-01-02 15:04:05 MST"), clean(strings.ReplaceAll(t.Silent, "_", " "))))
	}
	if t.Expired {
		all = append(all, "expired: does not fire any more")
	}
	for _, reason := range slices.Sorted(maps.Keys(t.Suppressed)) {
		if n := t.Suppressed[reason]; n > 0 {
			all = append(all, fmt.Sprintf("%s suppressed: %s", count(n, "match", "matches"), clean(strings.ReplaceAll(reason, "_", " "))))
		}
	}
	return all
}

// ago is how long t is past, kept right by page.js.
func ago(t time.Time) template.HTML { return relative(t, "") }

// in is how far t is to come; what is due is now.
func in(t time.Time) template.HTML { return relative(t, "now") }

// expires is how far the end of a certificate is to come.
func expires(t time.Time) template.HTML { return relative(t, "expired") }

// relative writes a time in relation to now. past is what to say of the past,
// instead of how long ago it was.
func relative(t time.Time, past string) template.HTML {
	if t.IsZero() {
		return "never"
	}
	text := ""
	switch d := time.Since(t); {
	case d < 0:
		text = "in " + distance(-d)
	case past != "":
		text = past
	default:
		text = distance(d) + " ago"
	}
	// Nothing in it is anybody's text.
	return template.HTML(fmt.Sprintf(`<time datetime="%[1]s" title="%[1]s" data-past="%[2]s">%[3]s</time>`, t.UTC().Format(time.RFC3339), past, text))
}

// distance is how far a time is away, in its largest unit: a page that ticks in
// seconds everywhere is hard to read. page.js has the same.
func distance(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return number(int(d/(24*time.Hour))) + " days"
}

// duration is how long something took.
func duration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", max(float64(d)/1e6, 0))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d/time.Millisecond)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return distance(d)
}

// number writes a number with a comma before each three digits.
func number[N any](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is a number and its noun.
func count[N int | uint64](n N, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + more
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
