package metrics

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailtrigger/connection"
	"mailtrigger/trigger"
)

const namespace = "mailtriggerd"

// stages are those of connection's errors: each has a series from the start.
var stages = []string{
	connection.StageSecrets, connection.StageProxy, connection.StageConnect, connection.StageTLS, connection.StageGreeting,
	connection.StageCapabilities, connection.StageLogin, connection.StageMailbox, connection.StageIdle, connection.StageBudget,
}

// states are those of a connection in use.
var states = []connection.State{connection.StateConnecting, connection.StateLooking, connection.StateParked, connection.StateBackoff}

// Build is what build_info says.
type Build struct{ Version, Go, Commit string }

// A Source is the running daemon, as the states are read from it. Its functions
// are called at each scrape and must be safe for concurrent use.
type Source struct {
	Connections   []*connection.Config
	Watches       func() []connection.Status
	Triggers      func() []trigger.TriggerStatus
	Health        func() error
	JournalErrors func() uint64 // failed commits so far
}

// Metrics counts and shows. Make it with New; it is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	source   atomic.Pointer[Source]

	connectDuration prometheus.Histogram
	stageErrors     *prometheus.CounterVec
	defects         *prometheus.CounterVec
	actionDuration  *prometheus.HistogramVec
	pushToAction    prometheus.Histogram
	resets          prometheus.Counter
	reloadOK        prometheus.Gauge
	reloadAt        prometheus.Gauge

	mu          sync.Mutex
	connections map[string]*connectionCounts
	triggers    map[string]*triggerCounts
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
		registry: prometheus.NewRegistry(),

		connectDuration: histogram("connection_connect_duration_seconds", "Time from dialling to a selected mailbox, of connects that succeeded.", prometheus.ExponentialBuckets(0.01, 3, 8)),
		stageErrors:     counters("connection_errors_total", "Failed connects and broken sessions, by the stage that failed.", "stage"),
		defects:         counters("message_defects_total", "What had to be mended to read messages.", "defect"),
		actionDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "action_duration_seconds", Help: "How long attempts at actions took.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}, []string{"type"}),
		pushToAction: histogram("push_to_action_seconds", "Time from the server's push of a new message to the start of its first action.", prometheus.ExponentialBuckets(0.0005, 4, 10)),
		resets: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "mailbox_resets_total", Help: "How often a server changed the UIDs of a mailbox (UIDVALIDITY), or went back in time.",
		}),
		reloadOK: single("config_last_reload_successful", "1 if the last load of the config was successful.", nil),
		reloadAt: single("config_last_reload_success_timestamp_seconds", "When the config was last loaded successfully.", nil),

		connections: make(map[string]*connectionCounts),
		triggers:    make(map[string]*triggerCounts),
	}
	for _, stage := range stages {
		m.stageErrors.WithLabelValues(stage)
	}
	build := single("build_info", "1; the labels say what was built.", prometheus.Labels{"version": b.Version, "goversion": b.Go, "commit": b.Commit})
	build.Set(1)
	m.registry.MustRegister(m.connectDuration, m.stageErrors, m.defects, m.actionDuration, m.pushToAction, m.resets, m.reloadOK, m.reloadAt, build, &collector{m})
	return m
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, []string{label})
}

func single(name, help string, labels prometheus.Labels) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels})
}

// Watch sets the daemon that states are read from.
func (m *Metrics) Watch(s Source) { m.source.Store(&s) }

// Loaded counts a load of the configuration.
func (m *Metrics) Loaded(err error, at time.Time) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadAt.Set(timestamp(at))
}

// ConnectionTrace returns the functions by which connections are counted.
func (m *Metrics) ConnectionTrace() *connection.Trace {
	return &connection.Trace{
		ConnectDone: func(name string, err *connection.Error, d time.Duration) {
			if err == nil {
				m.connectDuration.Observe(d.Seconds())
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
		PushToAction: func(d time.Duration) { m.pushToAction.Observe(d.Seconds()) },
		MailboxReset: m.resets.Inc,
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
		t = &triggerCounts{suppressed: make(map[string]uint64), actions: make(map[actionResult]uint64)}
		m.triggers[name] = t
	}
	return t
}
