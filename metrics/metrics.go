package metrics

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailtrigger/connection"
	"mailtrigger/trigger"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// stages are those of connection's errors: each has a series from the start.
var stages = []string{
	connection.StageSecrets, connection.StageProxy, connection.StageConnect, connection.StageTLS, connection.StageGreeting,
	connection.StageCapabilities, connection.StageLogin, connection.StageMailbox, connection.StageIdle, connection.StageLook, connection.StageBudget,
}

// states are those of a connection in use.
var states = []connection.State{connection.StateConnecting, connection.StateLooking, connection.StateParked, connection.StateBackoff}

// Build is what was built, and of what.
type Build struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Commit  string `json:"commit"`
}

// A Source is the running daemon, as the states are read from it. Its functions
// are called at each scrape and must be safe for concurrent use.
type Source struct {
	Connections   []*connection.Config
	Watches       func() []connection.Status
	Triggers      func() []trigger.TriggerStatus
	Health        func() error
	JournalErrors func() uint64 // failed commits so far
	History       func(n int) []journal.HistoryEntry
	ShowSubjects  bool // on the status page and in its JSON: of the messages that fired, who from and what about
}

// Metrics counts and shows. Make it with New; it is safe for concurrent use.
type Metrics struct {
	build    Build
	started  time.Time
	registry *prometheus.Registry
	source   atomic.Pointer[Source]

	connectDuration *prometheus.HistogramVec
	stageErrors     *prometheus.CounterVec
	defects         *prometheus.CounterVec
	actionDuration  *prometheus.HistogramVec
	pushToAction    *prometheus.HistogramVec
	resets          *prometheus.CounterVec
	reloadOK        *prometheus.GaugeVec
	reloadAt        *prometheus.GaugeVec

	mu          sync.Mutex
	connections map[string]*connectionCounts
	triggers    map[string]*triggerCounts

	snapshotMu   sync.Mutex // held while one is taken, so that clients share it
	lastSnapshot *snapshot
}

// connectionCounts is what is counted of one connection.
type connectionCounts struct{ connected, failed, messages uint64 }

// triggerCounts is what is counted of one trigger.
type triggerCounts struct {
	matches    uint64
	lastMatch  time.Time
	suppressed map[string]uint64
	actions    map[actionResult]uint64
}

type actionResult struct{ action, result string }

// New makes the metrics and registers them all.
func New(b Build) *Metrics {
	m := &Metrics{
		build: b, started: time.Now(), registry: prometheus.NewRegistry(),

		connectDuration: histogram("connection_connect_duration_seconds", prometheus.ExponentialBuckets(0.01, 3, 8)),
		stageErrors:     counters("connection_errors_total"),
		defects:         counters("message_defects_total"),
		actionDuration:  histogram("action_duration_seconds", prometheus.ExponentialBuckets(0.001, 4, 10)),
		pushToAction:    histogram("push_to_action_seconds", prometheus.ExponentialBuckets(0.0005, 4, 10)),
		resets:          counters("mailbox_resets_total"),
		reloadOK:        gauges("config_last_reload_successful"),
		reloadAt:        gauges("config_last_reload_success_timestamp_seconds"),

		connections: make(map[string]*connectionCounts),
		triggers:    make(map[string]*triggerCounts),
	}
	// What has not happened yet is 0, not absent: else its first increase is missed.
	for _, stage := range stages {
		m.stageErrors.WithLabelValues(stage)
	}
	for defect := range message.Defects {
		m.defects.WithLabelValues(defect)
	}
	for _, name := range action.Types() {
		m.actionDuration.WithLabelValues(name)
	}
	m.connectDuration.WithLabelValues()
	m.pushToAction.WithLabelValues()
	m.resets.WithLabelValues()
	m.reloadOK.WithLabelValues()
	m.reloadAt.WithLabelValues()
	build := gauges("build_info")
	build.With(prometheus.Labels{"version": b.Version, "goversion": b.Go, "commit": b.Commit}).Set(1)
	m.registry.MustRegister(m.connectDuration, m.stageErrors, m.defects, m.actionDuration, m.pushToAction, m.resets, m.reloadOK, m.reloadAt, build, &collector{m})
	return m
}

// Watch sets the daemon that states are read from. What was counted of
// connections, triggers and actions that it does not have is dropped.
func (m *Metrics) Watch(s Source) {
	m.source.Store(&s)
	connections := make(map[string]bool, len(s.Connections))
	for _, c := range s.Connections {
		connections[c.Name] = true
	}
	triggers := make(map[string]trigger.TriggerStatus)
	for _, t := range s.Triggers() {
		triggers[t.Name] = t
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.connections, func(name string, _ *connectionCounts) bool { return !connections[name] })
	maps.DeleteFunc(m.triggers, func(name string, n *triggerCounts) bool {
		t, there := triggers[name]
		maps.DeleteFunc(n.actions, func(k actionResult, _ uint64) bool { return !slices.Contains(t.Actions, k.action) })
		return !there
	})
}

// Loaded counts a load of the configuration.
func (m *Metrics) Loaded(err error, at time.Time) {
	if err != nil {
		m.reloadOK.WithLabelValues().Set(0)
		return
	}
	m.reloadOK.WithLabelValues().Set(1)
	m.reloadAt.WithLabelValues().Set(timestamp(at))
}

// ConnectionTrace returns the functions by which connections are counted.
func (m *Metrics) ConnectionTrace() *connection.Trace {
	return &connection.Trace{
		ConnectDone: func(name string, err *connection.Error, d time.Duration) {
			if err == nil {
				m.connectDuration.WithLabelValues().Observe(d.Seconds())
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if c := m.connection(name); err == nil {
				c.connected++
			} else {
				c.failed++
			}
		},
		Error: func(_, stage string) { m.stageErrors.WithLabelValues(stage).Inc() },
	}
}

// TriggerTrace returns the functions by which messages, matches and actions are counted.
func (m *Metrics) TriggerTrace() *trigger.Trace {
	return &trigger.Trace{
		Message: func(name string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.connection(name).messages++
		},
		Defect: func(d string) { m.defects.WithLabelValues(d).Inc() },
		Match: func(name string, at time.Time) {
			m.mu.Lock()
			defer m.mu.Unlock()
			t := m.trigger(name)
			t.matches++
			t.lastMatch = at
		},
		Suppressed: func(name, reason string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.trigger(name).suppressed[reason]++
		},
		Action: func(name, action, kind, result string, d time.Duration) {
			m.actionDuration.WithLabelValues(kind).Observe(d.Seconds())
			m.mu.Lock()
			defer m.mu.Unlock()
			m.trigger(name).actions[actionResult{action, result}]++
		},
		PushToAction: func(d time.Duration) { m.pushToAction.WithLabelValues().Observe(d.Seconds()) },
		MailboxReset: func() { m.resets.WithLabelValues().Inc() },
	}
}

// connection returns the counts of a connection. m.mu is held.
func (m *Metrics) connection(name string) *connectionCounts {
	c := m.connections[name]
	if c == nil {
		c = &connectionCounts{}
		m.connections[name] = c
	}
	return c
}

// trigger returns the counts of a trigger. m.mu is held.
func (m *Metrics) trigger(name string) *triggerCounts {
	t := m.triggers[name]
	if t == nil {
		t = &triggerCounts{suppressed: map[string]uint64{trigger.SuppressedOwnMove: 0}, actions: make(map[actionResult]uint64)}
		m.triggers[name] = t
	}
	return t
}
