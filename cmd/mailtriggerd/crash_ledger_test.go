package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A firing is one action of one trigger on one message in one mailbox.
type firing struct{ mail, mailbox, trigger, action string }

func (f firing) String() string {
	return fmt.Sprintf("%s in %s: %s/%s", f.mail, f.mailbox, f.trigger, f.action)
}

// An execution is one time that an action was run.
type execution struct {
	firing
	event   string // its id; "" for those seen on the mail server only
	life    int
	attempt int
	ended   bool // ran to its end
	ok      bool // and ended well
	whole   bool // with its whole input
	begunAt time.Time
	endedAt time.Time
}

// A ledger holds what was done, in the order of the starts.
type ledger struct {
	mu    sync.Mutex
	list  []*execution
	byKey map[firing][]*execution
}

func newLedger() *ledger { return &ledger{byKey: make(map[firing][]*execution)} }

func (l *ledger) start(e *execution) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.begunAt = time.Now()
	l.list = append(l.list, e)
	l.byKey[e.firing] = append(l.byKey[e.firing], e)
}

func (l *ledger) end(e *execution, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.ended, e.ok, e.endedAt = true, ok, time.Now()
}

// times returns how often the action was begun.
func (l *ledger) times(f firing) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byKey[f])
}

// done reports whether the action ran to a good end with its whole input.
func (l *ledger) done(f firing) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.byKey[f], func(e *execution) bool { return e.ok && e.whole })
}

// repeats judges what was run again after it had ended well. Such a repeat is in
// the documented window if the daemon died before it could note the end. An action
// is noted before its trigger starts another (with n at once: all but n), so the
// unnoted ones of a life that was killed are among the last n that the trigger
// began in it; and what ended long before the death was noted too.
func (l *ledger) repeats(lives map[int]*life, died map[int]time.Time, concurrency func(trigger string) int) (inWindow, outside int, say []string) {
	const long = 10 * time.Second
	type slot struct {
		life    int
		trigger string
	}
	slices.SortStableFunc(l.list, func(a, b *execution) int { return a.begunAt.Compare(b.begunAt) })
	begun := make(map[slot][]*execution)
	for _, e := range l.list {
		s := slot{e.life, e.trigger}
		begun[s] = append(begun[s], e)
	}
	unnoted := make(map[slot]int)
	for _, f := range sortedFirings(l.byKey) {
		// A command that outlives its daemon may begin after the next one's.
		slices.SortStableFunc(l.byKey[f], func(a, b *execution) int { return cmp.Or(cmp.Compare(a.life, b.life), a.begunAt.Compare(b.begunAt)) })
		var before *execution
		for _, e := range l.byKey[f] {
			if before == nil {
				if e.ok {
					before = e
				}
				continue
			}
			s := slot{before.life, before.trigger}
			n := concurrency(before.trigger)
			all := begun[s]
			why := ""
			switch first := lives[before.life]; {
			case e.life == before.life:
				why = "in the same life"
			case !first.crashed:
				why = "and the life it was done in had ended in order"
			case unnoted[s] >= n:
				why = fmt.Sprintf("and %d others of the same life were too", unnoted[s])
			case n == 1 && all[len(all)-1] != before:
				why = "and its trigger had begun another in the meantime"
			case died[before.life].Sub(before.endedAt) > long:
				why = "and the daemon lived long enough to note it"
			}
			unnoted[s]++
			if why == "" {
				inWindow++
			} else {
				outside++
				say = append(say, fmt.Sprintf("repeated outside the window: %v: done in life %d (attempt %d), again in life %d (attempt %d), %s",
					f, before.life, before.attempt, e.life, e.attempt, why))
			}
			if e.ok {
				before = e
			}
		}
	}
	return inWindow, outside, say
}

// newIDs finds messages that fired one trigger under more than one event id.
func (l *ledger) newIDs() (n int, say []string) {
	type key struct{ mail, mailbox, trigger string }
	ids := make(map[key]string)
	for _, e := range l.list {
		k := key{e.mail, e.mailbox, e.trigger}
		switch was := ids[k]; {
		case e.event == "":
		case was == "":
			ids[k] = e.event
		case was != e.event:
			n++
			say = append(say, fmt.Sprintf("new id: %v: %.8s, then %.8s in life %d", e.firing, was, e.event, e.life))
		}
	}
	return n, say
}

func sortedFirings(m map[firing][]*execution) []firing {
	return slices.SortedFunc(maps.Keys(m), func(a, b firing) int { return strings.Compare(a.String(), b.String()) })
}

// readCommands takes over what commands have written to their ledger file.
func (l *ledger) readCommands(file string, sums map[string]string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(e *execution) bool { return e.event != "" && strings.HasPrefix(e.action, "exec") })
	maps.DeleteFunc(l.byKey, func(f firing, _ []*execution) bool { return strings.HasPrefix(f.action, "exec") })
	for line := range bytes.Lines(b) {
		var c commandLine
		if json.Unmarshal(line, &c) != nil {
			continue
		}
		f := firing{c.Subject, c.Mailbox, c.Trigger, c.Action}
		if c.Start {
			e := &execution{firing: f, event: c.Event, life: c.Life, attempt: c.Attempt, begunAt: c.At}
			l.list = append(l.list, e)
			l.byKey[f] = append(l.byKey[f], e)
			continue
		}
		for _, e := range l.byKey[f] {
			if e.life == c.Life && e.attempt == c.Attempt && !e.ended {
				e.ended, e.ok, e.whole, e.endedAt = true, true, c.Sum == sums[c.Subject], c.At
			}
		}
	}
}

// A hookServer takes the webhooks of all runs.
type hookServer struct {
	*httptest.Server
	mu   sync.Mutex
	runs map[string]*trial
}

func newHookServer(t *testing.T) *hookServer {
	h := &hookServer{runs: make(map[string]*trial)}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hookServer) join(r *trial) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs[r.name] = r
}

func (h *hookServer) leave(r *trial) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.runs, r.name)
}

// url is where a life sends its webhooks.
func (h *hookServer) url(r *trial, life int) string {
	return fmt.Sprintf("%s/%s/%d", h.URL, r.name, life)
}

// A hook is a request for a webhook, and how it is answered.
type hook struct {
	*execution
	key     string          // the idempotency key
	before  int             // executions of the same action that were begun before
	stopped <-chan struct{} // closed when the one who asked has gone
}

func (h *hookServer) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	name, number, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"), "/")
	h.mu.Lock()
	r := h.runs[name]
	h.mu.Unlock()
	if r == nil || err != nil {
		http.Error(w, "who are you?", http.StatusServiceUnavailable) // the rest of a life that was killed
		return
	}
	var ev struct {
		ID, Trigger, Action, Mailbox string
		Attempt                      int
		Message                      struct {
			Subject, Text string
			Size          int
		}
	}
	if err := json.Unmarshal(body, &ev); err != nil {
		r.complain("a webhook's body is not an event: %v", err)
	}
	e := &execution{firing: firing{ev.Message.Subject, ev.Mailbox, ev.Trigger, ev.Action}, event: ev.ID, attempt: ev.Attempt}
	fmt.Sscan(number, &e.life)
	m := r.mail(ev.Message.Subject)
	e.whole = m != nil && len(m.raw) == ev.Message.Size && strings.TrimSpace(ev.Message.Text) == m.text
	if m == nil {
		r.complain("a webhook for a message that never was: %q", ev.Message.Subject)
	} else if !e.whole {
		r.complain("a webhook for %v got %d of %d bytes of text", e.firing, len(ev.Message.Text), len(m.text))
	}
	r.ledger.start(e)
	status := http.StatusOK
	if r.scenario.answer != nil {
		status = r.scenario.answer(r, &hook{e, q.Header.Get("Idempotency-Key"), r.ledger.times(e.firing) - 1, q.Context().Done()})
	}
	r.ledger.end(e, status < 300)
	w.WriteHeader(status)
	r.changed()
}
