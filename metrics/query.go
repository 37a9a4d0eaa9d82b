package metrics

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger"
	"mailtrigger/trigger/journal"
)

// A Query says which part of the status is wanted.
type Query struct {
	Text          string // words, each of which must be in a name, a state or an error; "": all
	State         string // of mailboxes: a state's name, or "problem"; "": all
	Offset, Limit int    // of the mailboxes that fit
	TriggerOffset int    // of the triggers that fit; the limit is the mailboxes'

	words []string // of Text, in lower case
}

// Everything asks for the whole status. Its size is that of the config.
var Everything = Query{Limit: math.MaxInt}

// The limits of a query by HTTP.
const (
	defaultLimit = 100
	maxLimit     = 1000
	maxSearch    = 200 // bytes
	maxFirings   = 100 // in one answer
)

// stateProblem is the state of mailboxes that need a person's eye.
const stateProblem = "problem"

// parseQuery reads the parameters q, state, offset, limit and trigger_offset.
// Others are ignored. Its errors are for whoever wrote the URL.
func parseQuery(v url.Values, limit int) (Query, error) {
	q := Query{Text: strings.ToValidUTF8(v.Get("q"), "\uFFFD"), State: v.Get("state"), Limit: limit}
	if len(q.Text) > maxSearch {
		return q, fmt.Errorf("q is longer than %d bytes", maxSearch)
	}
	q.words = strings.Fields(strings.ToLower(q.Text))
	switch connection.State(q.State) {
	case "", stateProblem, connection.StateConnecting, connection.StateLooking, connection.StateParked, connection.StateBackoff:
	default:
		return q, fmt.Errorf("no such state: it is connecting, looking, parked, backoff or problem")
	}
	for _, p := range []struct {
		name      string
		into      *int
		from, top int
	}{{"offset", &q.Offset, 0, math.MaxInt32}, {"trigger_offset", &q.TriggerOffset, 0, math.MaxInt32}, {"limit", &q.Limit, 1, maxLimit}} {
		text := v.Get(p.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < p.from || n > p.top {
			return q, fmt.Errorf("%s must be a number from %d to %d", p.name, p.from, p.top)
		}
		*p.into = n
	}
	return q, nil
}

// values returns the query as parameters of an URL.
func (q Query) values() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{"q": q.Text, "state": q.State} {
		if text != "" {
			v.Set(name, text)
		}
	}
	for name, n := range map[string]int{"offset": q.Offset, "trigger_offset": q.TriggerOffset} {
		if n > 0 {
			v.Set(name, strconv.Itoa(n))
		}
	}
	return v
}

// clamp moves offsets that are beyond what fits to the last page, and reports
// whether any was.
func (q *Query) clamp(fit Matching) bool {
	last := func(n int) int { return max(n-1, 0) / q.Limit * q.Limit }
	before := *q
	q.Offset, q.TriggerOffset = min(q.Offset, last(fit.Watches)), min(q.TriggerOffset, last(fit.Triggers))
	return q.Offset != before.Offset || q.TriggerOffset != before.TriggerOffset
}

// firings returns how many firings an answer has at most.
func (q Query) firings() int { return min(q.Limit, maxFirings) }

func (q Query) fitsWatch(w *connection.Status, now time.Time) bool {
	switch {
	case q.State == stateProblem && troubleOfWatch(w, now) == none:
		return false
	case q.State != "" && q.State != stateProblem && q.State != string(w.State):
		return false
	}
	text := w.Connection + "\n" + w.Mailbox + "\n" + string(w.State) + "\n" + w.Mode
	if w.LastError != nil {
		text += "\n" + w.LastError.Stage + "\n" + w.LastError.Text
	}
	return q.in(text)
}

func (q Query) fitsTrigger(t *trigger.TriggerStatus) bool {
	return q.in(t.Name + "\n" + strings.Join(t.Actions, "\n"))
}

func (q Query) fitsFiring(f *journal.HistoryEntry, subjects bool) bool {
	text := f.Trigger + "\n" + f.Connection + "\n" + f.Mailbox.Mailbox + "\n" + f.EventID + "\n" + f.Outcome
	if subjects {
		text += "\n" + f.From + "\n" + f.Subject
	}
	return q.in(text)
}

// in reports whether each word of the search is in the text.
func (q Query) in(text string) bool {
	text = strings.ToLower(text)
	for _, w := range q.words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
