package metrics

import (
	"slices"
	"strings"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger"
	"mailtrigger/trigger/journal"
)

// A Status is how the daemon is doing. It is what GET /api/status answers, what
// the status page shows, and what the daemon tells over its control socket.
//
// Nothing in it is of a message's content, unless the Source says so. Names of
// mailboxes and texts of errors come from servers: what shows them must escape them.
type Status struct {
	Version  Build           `json:"version"`
	Started  time.Time       `json:"started"`
	Health   string          `json:"health"` // "ok", or what is wrong
	Summary  Summary         `json:"summary"`
	Matching Matching        `json:"matching"`
	Watches  []WatchStatus   `json:"watches"`  // those that are trouble first, then in the order of the file
	Triggers []TriggerStatus `json:"triggers"` // likewise
	Firings  []Firing        `json:"firings"`  // the newest first
}

// A Summary counts everything, whatever was asked for.
type Summary struct {
	Connections int `json:"connections"`  // in the config, with those that no trigger uses
	Used        int `json:"used"`         // of them, those with a watched mailbox
	Up          int `json:"up"`           // of them, those of which every watched mailbox has a session
	Mailboxes   int `json:"mailboxes"`    // that triggers watch
	Watching    int `json:"watching"`     // of them, those with a session
	Failing     int `json:"failing"`      // of them, those whose last try failed
	Expiring    int `json:"expiring"`     // of them, those whose server's certificate expires within 14 days
	Triggers    int `json:"triggers"`     // enabled
	Queue       int `json:"queue"`        // messages whose actions have not all ended
	Running     int `json:"running"`      // of them, being acted on
	Retrying    int `json:"retrying"`     // of them, waiting for another attempt
	DeadLetters int `json:"dead_letters"` // messages whose actions failed for good
}

// Matching counts what fits a Query, of which a Status has a part.
type Matching struct {
	Watches  int `json:"watches"`
	Triggers int `json:"triggers"`
	Firings  int `json:"firings"`
}

// A WatchStatus is how one watched mailbox is doing.
type WatchStatus struct {
	Connection   string     `json:"connection"`
	Mailbox      string     `json:"mailbox"`
	State        string     `json:"state"` // connecting, looking, parked or backoff
	Since        time.Time  `json:"since,omitzero"`
	Watching     bool       `json:"watching"` // there is a session in the mailbox
	Mode         string     `json:"mode"`     // idle, notify or poll; "" before the first session
	LastProof    time.Time  `json:"last_proof,omitzero"`
	RoundTrip    float64    `json:"round_trip_seconds"`
	TLS          *TLSStatus `json:"tls,omitempty"`      // none without TLS, or before the first session
	Insecure     string     `json:"insecure,omitempty"` // why an eavesdropper could listen
	Connects     int        `json:"connects"`           // since the start, or since the config was loaded
	NextRetry    time.Time  `json:"next_retry,omitzero"`
	Stage        string     `json:"stage,omitempty"` // what failed: a step of --test-connection
	Error        string     `json:"error,omitempty"`
	Hint         string     `json:"hint,omitempty"` // what to do
	AuthRequired bool       `json:"auth_required"`  // the login needs a person

	trouble trouble
}

// Expiring reports whether the server's certificate ends soon, or has ended.
func (w *WatchStatus) Expiring() bool { return w.TLS != nil && endsSoon(w.TLS.Expires, time.Now()) }

// TLSStatus is what was agreed with the server.
type TLSStatus struct {
	Version string    `json:"version"` // "TLS1.3"
	Cipher  string    `json:"cipher"`
	Expires time.Time `json:"certificate_expires,omitzero"`
}

// A TriggerStatus is how a trigger is doing. What it counts begins at the start.
type TriggerStatus struct {
	trigger.TriggerStatus
	Matches    uint64            `json:"matches"`             // messages
	LastMatch  time.Time         `json:"last_match,omitzero"` // after a restart, as far as the journal's history knows
	Suppressed map[string]uint64 `json:"suppressed"`          // matches that did not fire, by the reason
	Attempts   map[string]uint64 `json:"attempts"`            // at actions, by result: ok, retry or dead

	trouble trouble
}

// A Firing is a message that a trigger has done with.
type Firing struct {
	Trigger    string         `json:"trigger"`
	Connection string         `json:"connection"`
	Mailbox    string         `json:"mailbox"`
	UID        uint32         `json:"uid"`
	Kind       string         `json:"kind"` // of the event; "held" is a mailbox that is held
	EventID    string         `json:"event_id"`
	Accepted   time.Time      `json:"accepted"`
	Ended      time.Time      `json:"ended"`
	Outcome    string         `json:"outcome"` // done, dead or discarded
	Actions    []FiringAction `json:"actions"`
	From       string         `json:"from,omitempty"`    // with show_subjects only
	Subject    string         `json:"subject,omitempty"` // likewise
}

// A FiringAction is how one action of a firing ended.
type FiringAction struct {
	Name     string `json:"name"`
	State    string `json:"state"` // done, dead, skipped, or waiting if it never had its turn
	Attempts int    `json:"attempts"`
}

// trouble says how much something needs a person's eye.
type trouble int

const (
	stuck  trouble = iota // does not work, and will not until a person does something
	severe                // does not work
	mild                  // works, but may not for long
	none
	numTrouble
)

// expiryWarning is how long before a certificate's end it is trouble: the alert
// rules have the same.
const expiryWarning = 14 * 24 * time.Hour

// A snapshot is the daemon at one moment, sorted. It does not change, so that any
// number of clients can look at one.
type snapshot struct {
	at       time.Time
	source   *Source
	health   string
	summary  Summary
	watches  []*connection.Status     // trouble first
	triggers []*trigger.TriggerStatus // likewise
	firings  []journal.HistoryEntry   // the newest first
	matched  map[string]time.Time     // the newest firing of each trigger
	insecure map[string]string        // why a connection is
}

// snapshotAge is how long a snapshot serves: it costs most of a look, and with
// 10,000 mailboxes a few milliseconds, however many clients look.
const snapshotAge = time.Second

// snapshot returns a snapshot that is not older than snapshotAge; nil before Watch.
func (m *Metrics) snapshot() *snapshot {
	s := m.source.Load()
	if s == nil {
		return nil
	}
	m.snapshotMu.Lock()
	defer m.snapshotMu.Unlock()
	if p := m.lastSnapshot; p != nil && p.source == s && time.Since(p.at) < snapshotAge {
		return p
	}
	m.lastSnapshot = take(s)
	return m.lastSnapshot
}

func take(s *Source) *snapshot {
	p := &snapshot{at: time.Now(), source: s, health: "ok", insecure: make(map[string]string), matched: make(map[string]time.Time)}
	if err := s.Health(); err != nil {
		p.health = err.Error()
	}
	for _, c := range s.Connections {
		if why := c.Insecure(); why != "" {
			p.insecure[c.Name] = why
		}
	}
	p.summary.Connections = len(s.Connections)
	p.takeWatches(s.Watches())
	p.takeTriggers(s.Triggers())
	p.firings = s.History(journal.HistoryLen)
	for i := range p.firings {
		f := &p.firings[i]
		if f.Accepted.After(p.matched[f.Trigger]) {
			p.matched[f.Trigger] = f.Accepted
		}
	}
	return p
}

func (p *snapshot) takeWatches(watches []connection.Status) {
	p.summary.countWatches(watches, p.at)
	p.watches = troubleFirst(watches, func(w *connection.Status) trouble { return troubleOfWatch(w, p.at) })
}

func (s *Summary) countWatches(watches []connection.Status, now time.Time) {
	s.Mailboxes = len(watches)
	up := make(map[string]bool)
	for i := range watches {
		w := &watches[i]
		if w.Connected {
			s.Watching++
		}
		before, used := up[w.Connection]
		up[w.Connection] = w.Connected && (before || !used)
		switch troubleOfWatch(w, now) {
		case stuck, severe:
			s.Failing++
		case mild:
			s.Expiring++
		}
	}
	s.Used = len(up)
	for _, all := range up {
		if all {
			s.Up++
		}
	}
}

func (p *snapshot) takeTriggers(triggers []trigger.TriggerStatus) {
	p.summary.countTriggers(triggers)
	p.triggers = troubleFirst(triggers, troubleOfTrigger)
}

func (s *Summary) countTriggers(triggers []trigger.TriggerStatus) {
	s.Triggers = len(triggers)
	for i := range triggers {
		t := &triggers[i]
		s.Queue += t.Queue
		s.Running += t.Running
		s.Retrying += t.Retrying
		s.DeadLetters += t.DeadLetters
	}
}

// troubleFirst sorts by trouble, and else leaves the order as it is.
func troubleFirst[T any](all []T, of func(*T) trouble) []*T {
	var by [numTrouble][]*T
	for i := range all {
		t := of(&all[i])
		by[t] = append(by[t], &all[i])
	}
	return slices.Concat(by[:]...)
}

func troubleOfWatch(w *connection.Status, now time.Time) trouble {
	switch {
	case !w.Connected && needsPerson(w.LastError):
		return stuck
	case !w.Connected && w.LastError != nil:
		return severe
	case w.TLS != nil && endsSoon(w.TLS.NotAfter, now):
		return mild
	}
	return none
}

func endsSoon(certificate, now time.Time) bool {
	return !certificate.IsZero() && certificate.Sub(now) < expiryWarning
}

func troubleOfTrigger(t *trigger.TriggerStatus) trouble {
	switch {
	case t.DeadLetters > 0, t.Silent != "":
		return severe
	case t.Retrying > 0:
		return mild
	}
	return none
}

// Summary returns the counts alone, as they are now; zeros before Watch.
func (m *Metrics) Summary() Summary {
	var all Summary
	if s := m.source.Load(); s != nil {
		all.Connections = len(s.Connections)
		all.countWatches(s.Watches(), time.Now())
		all.countTriggers(s.Triggers())
	}
	return all
}

// Status returns what fits the query; the zero Status before Watch.
func (m *Metrics) Status(q Query) Status {
	p := m.snapshot()
	if p == nil {
		return Status{Version: m.build, Started: m.started, Health: "starting", Watches: []WatchStatus{}, Triggers: []TriggerStatus{}, Firings: []Firing{}}
	}
	st := Status{Version: m.build, Started: m.started, Health: p.health, Summary: p.summary}
	watches, triggers, firings := p.watches, p.triggers, p.firings
	if q.State != "" || len(q.words) > 0 {
		watches = filter(watches, func(w *connection.Status) bool { return q.fitsWatch(w, p.at) })
	}
	if len(q.words) > 0 {
		triggers = filter(triggers, q.fitsTrigger)
		firings = filter(firings, func(f journal.HistoryEntry) bool { return q.fitsFiring(&f, p.source.ShowSubjects) })
	}
	st.Matching = Matching{len(watches), len(triggers), len(firings)}
	st.Watches = each(part(watches, q.Offset, q.Limit), p.watchStatus)
	st.Triggers = each(part(triggers, q.TriggerOffset, q.Limit), func(t *trigger.TriggerStatus) TriggerStatus { return m.triggerStatus(p, t) })
	st.Firings = each(part(firings, 0, min(q.Limit, q.firings())), func(f journal.HistoryEntry) Firing { return firingOf(&f, p.source.ShowSubjects) })
	return st
}

func (p *snapshot) watchStatus(w *connection.Status) WatchStatus {
	st := WatchStatus{
		Connection: w.Connection, Mailbox: w.Mailbox, State: string(w.State), Since: w.Since, Watching: w.Connected, Mode: w.Mode,
		LastProof: LastActivity(w), RoundTrip: w.RoundTrip.Seconds(), Insecure: p.insecure[w.Connection], Connects: w.Connects,
		NextRetry: w.NextRetry, AuthRequired: needsPerson(w.LastError), trouble: troubleOfWatch(w, p.at),
	}
	if w.TLS != nil {
		st.TLS = &TLSStatus{w.TLS.Version, w.TLS.Cipher, w.TLS.NotAfter}
	}
	if e := w.LastError; e != nil {
		st.Stage, st.Error, st.Hint = e.Stage, capped(e.Text), capped(e.Hint)
	}
	return st
}

func (m *Metrics) triggerStatus(p *snapshot, t *trigger.TriggerStatus) TriggerStatus {
	st := TriggerStatus{
		TriggerStatus: *t, LastMatch: p.matched[t.Name], Suppressed: map[string]uint64{},
		Attempts: map[string]uint64{"ok": 0, "retry": 0, "dead": 0}, trouble: troubleOfTrigger(t),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.trigger(t.Name)
	st.Matches = n.matches
	if n.lastMatch.After(st.LastMatch) {
		st.LastMatch = n.lastMatch
	}
	for reason, times := range n.suppressed {
		st.Suppressed[reason] = times
	}
	for k, times := range n.actions {
		st.Attempts[k.result] += times
	}
	return st
}

func firingOf(h *journal.HistoryEntry, subjects bool) Firing {
	f := Firing{
		Trigger: h.Trigger, Connection: h.Connection, Mailbox: h.Mailbox.Mailbox, UID: h.UID, Kind: h.Kind, EventID: h.EventID,
		Accepted: h.Accepted, Ended: h.Ended, Outcome: h.Outcome,
		Actions: each(h.Actions, func(a journal.HistoryAction) FiringAction { return FiringAction{a.Name, a.State.String(), a.Attempt} }),
	}
	if subjects {
		f.From, f.Subject = capped(h.From), capped(h.Subject)
	}
	return f
}

// maxText is the longest text of somebody else's in a Status, in bytes.
const maxText = 1000

func capped(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

func filter[T any](all []T, fits func(T) bool) (some []T) {
	for _, v := range all {
		if fits(v) {
			some = append(some, v)
		}
	}
	return some
}

// part returns at most limit items from offset on.
func part[T any](all []T, offset, limit int) []T {
	all = all[min(offset, len(all)):]
	return all[:min(limit, len(all))]
}

// each returns what of makes of each item, never nil: JSON has an array then.
func each[T, R any](all []T, of func(T) R) []R {
	out := []R{}
	for _, v := range all {
		out = append(out, of(v))
	}
	return out
}
