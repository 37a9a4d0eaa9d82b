package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"mailtrigger/connection"
	"mailtrigger/trigger"
)

var (
	descUp            = desc("connection_up")
	descConnections   = desc("connections")
	descLastActivity  = desc("connection_last_activity_timestamp_seconds")
	descConnects      = desc("connection_connects_total")
	descRoundTrip     = desc("connection_round_trip_seconds")
	descExpiry        = desc("connection_tls_certificate_expiry_timestamp_seconds")
	descAuthRequired  = desc("connection_auth_required")
	descInsecure      = desc("connection_insecure")
	descMailboxes     = desc("mailboxes")
	descMessages      = desc("messages_total")
	descMatches       = desc("trigger_matches_total")
	descLastMatch     = desc("trigger_last_match_timestamp_seconds")
	descSuppressed    = desc("trigger_suppressed_total")
	descSilent        = desc("trigger_silent")
	descActions       = desc("actions_total")
	descQueue         = desc("queue_length")
	descQueueOldest   = desc("queue_oldest_timestamp_seconds")
	descDead          = desc("dead_letters")
	descJournalErrors = desc("journal_errors_total")
)

// collector turns the daemon's states into metrics, at each scrape.
type collector struct{ *Metrics }

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descUp, descConnections, descLastActivity, descConnects, descRoundTrip, descExpiry, descAuthRequired, descInsecure, descMailboxes, descMessages,
		descMatches, descLastMatch, descSuppressed, descSilent, descActions, descQueue, descQueueOldest, descDead, descJournalErrors,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.source.Load()
	if s == nil {
		return
	}
	k := &sink{ch: ch}
	c.collectConnections(k, s)
	c.collectTriggers(k, s)
	k.counter(descJournalErrors, s.JournalErrors())
}

// A connectionState sums up the sessions of one connection.
type connectionState struct {
	watches, watching int
	state             connection.State // of a session that does not watch, if there is one
	lastActivity      time.Time
	roundTrip         time.Duration
	expiry            time.Time
	authRequired      bool
}

// The words that results are told by.
var (
	connectResults = fixed("result", "ok", "failed")
	actionResults  = []*dto.LabelPair{label("result", "ok"), label("result", "retry"), label("result", "dead")}
)

func (c *collector) collectConnections(k *sink, s *Source) {
	sums, modes := sumUp(s.Watches())
	byState := make(map[connection.State]int)
	for _, state := range states {
		byState[state] = 0
	}
	for _, cfg := range s.Connections {
		c.mu.Lock()
		n := *c.connection(cfg.Name)
		c.mu.Unlock()
		name := label("connection", cfg.Name)
		k.gauge(descInsecure, truth(cfg.Insecure() != ""), name)
		k.counter(descConnects, n.connected, name, connectResults["ok"])
		k.counter(descConnects, n.failed, name, connectResults["failed"])
		k.counter(descMessages, n.messages, name)
		st := sums[cfg.Name]
		if st == nil {
			continue // no trigger uses it
		}
		byState[st.state]++
		k.gauge(descUp, truth(st.watching == st.watches), name)
		k.gauge(descAuthRequired, truth(st.authRequired), name)
		k.gauge(descLastActivity, timestamp(st.lastActivity), name)
		k.gauge(descRoundTrip, st.roundTrip.Seconds(), name)
		if !st.expiry.IsZero() {
			k.gauge(descExpiry, timestamp(st.expiry), name)
		}
	}
	for state, n := range byState {
		k.gauge(descConnections, float64(n), label("state", string(state)))
	}
	for mode, n := range modes {
		k.gauge(descMailboxes, float64(n), label("mode", mode))
	}
}

// sumUp sums the sessions up by connection, and counts the watched mailboxes by mode.
func sumUp(watches []connection.Status) (sums map[string]*connectionState, modes map[string]int) {
	sums = make(map[string]*connectionState)
	modes = map[string]int{"idle": 0, "notify": 0, "poll": 0}
	for i := range watches {
		w := &watches[i]
		st := sums[w.Connection]
		if st == nil {
			st = &connectionState{lastActivity: LastActivity(w), state: w.State}
			sums[w.Connection] = st
		}
		st.watches++
		if w.Connected {
			st.watching++
			modes[w.Mode]++
		} else {
			st.state = w.State
		}
		if at := LastActivity(w); at.Before(st.lastActivity) {
			st.lastActivity = at
		}
		st.roundTrip = max(st.roundTrip, w.RoundTrip)
		if w.TLS != nil && (st.expiry.IsZero() || w.TLS.NotAfter.Before(st.expiry)) {
			st.expiry = w.TLS.NotAfter
		}
		st.authRequired = st.authRequired || needsPerson(w.LastError)
	}
	return sums, modes
}

// LastActivity returns when the server was last heard: a proof while it waits, or
// the end of a connect or a look since then. The zero time says never.
func LastActivity(w *connection.Status) time.Time {
	if w.Connected && w.Since.After(w.LastProof) {
		return w.Since
	}
	return w.LastProof
}

// needsPerson reports whether a login cannot work until somebody does something.
func needsPerson(e *connection.Error) bool {
	return e != nil && (e.AuthRequired || e.Stage == connection.StageLogin && e.Permanent)
}

func (c *collector) collectTriggers(k *sink, s *Source) {
	for _, t := range s.Triggers() {
		name := label("trigger", t.Name)
		k.gauge(descSilent, truth(t.Silent != ""), name)
		k.gauge(descQueue, float64(t.Queue), name)
		k.gauge(descQueueOldest, timestamp(t.Oldest), name)
		k.gauge(descDead, float64(t.DeadLetters), name)
		c.collectCounts(k, t, name)
	}
}

// collectCounts collects what was counted of a trigger. The counts are locked for
// one trigger at a time, so that a scrape holds up no message.
func (c *collector) collectCounts(k *sink, t trigger.TriggerStatus, name *dto.LabelPair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.trigger(t.Name)
	k.counter(descMatches, n.matches, name)
	k.gauge(descLastMatch, timestamp(n.lastMatch), name)
	for _, reason := range t.Gates { // what has not happened yet is 0; a trigger has few of them
		n.suppressed[reason] += 0
	}
	for reason, times := range n.suppressed {
		k.counter(descSuppressed, times, label("reason", reason), name)
	}
	for _, a := range t.Actions {
		action := label("action", a)
		for _, result := range actionResults {
			k.counter(descActions, n.actions[actionResult{a, result.GetValue()}], action, result, name)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// timestamp is t in Unix seconds, 0 if it never happened.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
}
