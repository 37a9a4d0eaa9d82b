package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailtrigger/connection"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	descUp           = desc("connection_up", "1 if every watched mailbox of the connection has a session that was alive when last looked at.", "connection")
	descConnections  = desc("connections", "Connections in use by state.", "state")
	descLastActivity = desc("connection_last_activity_timestamp_seconds", "When the line was last proven alive, the oldest of the connection's sessions.", "connection")
	descConnects     = desc("connection_connects_total", "Connects by result: ok or failed.", "connection", "result")
	descRoundTrip    = desc("connection_round_trip_seconds", "The last round trip to the server, the longest of the connection's sessions.", "connection")
	descExpiry       = desc("connection_tls_certificate_expiry_timestamp_seconds", "When the server's certificate expires.", "connection")
	descAuthRequired = desc("connection_auth_required", "1 if the login needs a person: wrong password, or consent that is gone.", "connection")
	descInsecure     = desc("connection_insecure", "1 if the connection is not encrypted, or certificates are not checked.", "connection")
	descMailboxes    = desc("mailboxes", "Watched mailboxes by mode: idle, notify or poll.", "mode")
	descMessages     = desc("messages_total", "Messages read.", "connection")

	descMatches     = desc("trigger_matches_total", "Messages that matched.", "trigger")
	descLastMatch   = desc("trigger_last_match_timestamp_seconds", "When a message last matched; 0 if none did since the start.", "trigger")
	descSuppressed  = desc("trigger_suppressed_total", "Matches that did not fire, by the reason.", "trigger", "reason")
	descSilent      = desc("trigger_silent", "1 if an expected message has not come.", "trigger")
	descActions     = desc("actions_total", "Attempts at actions by result: ok, retry or dead.", "trigger", "action", "result")
	descQueue       = desc("queue_length", "Messages whose actions have not all ended.", "trigger")
	descQueueOldest = desc("queue_oldest_timestamp_seconds", "When the oldest message of the queue was accepted; 0 if the queue is empty.", "trigger")
	descDead        = desc("dead_letters", "Messages whose actions failed for good.", "trigger")

	descJournalErrors = desc("journal_errors_total", "Commits of the journal that failed.")
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
	c.collectConnections(ch, s)
	c.collectTriggers(ch, s)
	counter(ch, descJournalErrors, s.JournalErrors())
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

func (c *collector) collectConnections(ch chan<- prometheus.Metric, s *Source) {
	sums, modes := sumUp(s.Watches())
	byState := make(map[connection.State]int)
	for _, state := range states {
		byState[state] = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cfg := range s.Connections {
		n := c.connection(cfg.Name)
		gauge(ch, descInsecure, truth(cfg.Insecure() != ""), cfg.Name)
		counter(ch, descConnects, n.connected, cfg.Name, "ok")
		counter(ch, descConnects, n.failed, cfg.Name, "failed")
		counter(ch, descMessages, n.messages, cfg.Name)
		st := sums[cfg.Name]
		if st == nil {
			continue // no trigger uses it
		}
		byState[st.state]++
		gauge(ch, descUp, truth(st.watching == st.watches), cfg.Name)
		gauge(ch, descAuthRequired, truth(st.authRequired), cfg.Name)
		gauge(ch, descLastActivity, timestamp(st.lastActivity), cfg.Name)
		gauge(ch, descRoundTrip, st.roundTrip.Seconds(), cfg.Name)
		if !st.expiry.IsZero() {
			gauge(ch, descExpiry, timestamp(st.expiry), cfg.Name)
		}
	}
	for state, n := range byState {
		gauge(ch, descConnections, float64(n), string(state))
	}
	for mode, n := range modes {
		gauge(ch, descMailboxes, float64(n), mode)
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
			st = &connectionState{lastActivity: w.LastProof, state: w.State}
			sums[w.Connection] = st
		}
		st.watches++
		if w.Connected {
			st.watching++
			modes[w.Mode]++
		} else {
			st.state = w.State
		}
		if w.LastProof.Before(st.lastActivity) {
			st.lastActivity = w.LastProof
		}
		st.roundTrip = max(st.roundTrip, w.RoundTrip)
		if w.TLS != nil && (st.expiry.IsZero() || w.TLS.NotAfter.Before(st.expiry)) {
			st.expiry = w.TLS.NotAfter
		}
		st.authRequired = st.authRequired || needsPerson(w.LastError)
	}
	return sums, modes
}

// needsPerson reports whether a login cannot work until somebody does something.
func needsPerson(e *connection.Error) bool {
	return e != nil && (e.AuthRequired || e.Stage == connection.StageLogin && e.Permanent)
}

func (c *collector) collectTriggers(ch chan<- prometheus.Metric, s *Source) {
	triggers := s.Triggers()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range triggers {
		n := c.trigger(t.Name)
		counter(ch, descMatches, n.matches, t.Name)
		gauge(ch, descLastMatch, timestamp(n.lastMatch), t.Name)
		for reason, k := range n.suppressed {
			counter(ch, descSuppressed, k, t.Name, reason)
		}
		gauge(ch, descSilent, 0, t.Name)
		for _, action := range t.Actions {
			for _, result := range []string{"ok", "retry", "dead"} {
				counter(ch, descActions, n.actions[actionResult{action, result}], t.Name, action, result)
			}
		}
		gauge(ch, descQueue, float64(t.Queue), t.Name)
		gauge(ch, descQueueOldest, timestamp(t.Oldest), t.Name)
		gauge(ch, descDead, float64(t.DeadLetters), t.Name)
	}
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
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
