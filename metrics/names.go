package metrics

import "github.com/prometheus/client_golang/prometheus"

const namespace = "mailtriggerd"

// A Doc documents a metric. The metrics are made from the same table, so the
// documentation cannot differ from what is exposed.
type Doc struct {
	Name   string   // without the prefix "mailtriggerd_"
	Type   string   // counter, gauge or histogram
	Labels []string // sorted; the values are names of the configuration and fixed words
	Help   string   // what it means, in a sentence
}

// Documentation lists every metric, sorted by name.
var Documentation = []Doc{
	{"action_duration_seconds", "histogram", []string{"type"}, "How long attempts at actions took."},
	{"actions_total", "counter", []string{"action", "result", "trigger"}, "Attempts at actions by result: ok, retry or dead."},
	{"build_info", "gauge", []string{"commit", "goversion", "version"}, "1; the labels say what was built."},
	{"config_last_reload_success_timestamp_seconds", "gauge", nil, "When the config was last loaded successfully."},
	{"config_last_reload_successful", "gauge", nil, "1 if the last load of the config was successful."},
	{"connection_auth_required", "gauge", []string{"connection"}, "1 if the login needs a person: wrong password, or consent that is gone."},
	{"connection_connect_duration_seconds", "histogram", nil, "Time from dialling to a selected mailbox, of connects that succeeded."},
	{"connection_connects_total", "counter", []string{"connection", "result"}, "Connects by result: ok or failed."},
	{"connection_errors_total", "counter", []string{"stage"}, "Failed connects and broken sessions, by the stage that failed."},
	{"connection_insecure", "gauge", []string{"connection"}, "1 if the connection is not encrypted, or certificates are not checked."},
	{"connection_last_activity_timestamp_seconds", "gauge", []string{"connection"}, "When the line was last proven alive, the oldest of the connection's sessions."},
	{"connection_round_trip_seconds", "gauge", []string{"connection"}, "The last round trip to the server, the longest of the connection's sessions."},
	{"connection_tls_certificate_expiry_timestamp_seconds", "gauge", []string{"connection"}, "When the server's certificate expires."},
	{"connection_up", "gauge", []string{"connection"}, "1 if every watched mailbox of the connection has a session that was alive when last looked at."},
	{"connections", "gauge", []string{"state"}, "Connections in use by state."},
	{"dead_letters", "gauge", []string{"trigger"}, "Messages whose actions failed for good."},
	{"journal_errors_total", "counter", nil, "Commits of the journal that failed."},
	{"mailbox_resets_total", "counter", nil, "How often a server changed the UIDs of a mailbox (UIDVALIDITY), or went back in time."},
	{"mailboxes", "gauge", []string{"mode"}, "Watched mailboxes by mode: idle, notify or poll."},
	{"message_defects_total", "counter", []string{"defect"}, "What had to be mended to read messages."},
	{"messages_total", "counter", []string{"connection"}, "Messages read."},
	{"push_to_action_seconds", "histogram", nil, "Time from the server's push of a new message to the start of its first action, unless quiet hours or a limit put it off."},
	{"queue_length", "gauge", []string{"trigger"}, "Messages whose actions have not all ended."},
	{"queue_oldest_timestamp_seconds", "gauge", []string{"trigger"}, "When the oldest message of the queue was accepted; 0 if the queue is empty."},
	{"trigger_last_match_timestamp_seconds", "gauge", []string{"trigger"}, "When a message last matched; 0 if none did since the start."},
	{"trigger_matches_total", "counter", []string{"trigger"}, "Messages that matched."},
	{"trigger_silent", "gauge", []string{"trigger"}, "1 if an expected message has not come."},
	{"trigger_suppressed_total", "counter", []string{"reason", "trigger"}, "Matches that did not fire, by the reason."},
}

// documented returns the documentation of a metric, which must be there.
func documented(name string) Doc {
	for _, d := range Documentation {
		if d.Name == name {
			return d
		}
	}
	panic("metrics: " + name + " is not documented")
}

// desc returns what the registry wants to know of a metric.
func desc(name string) *prometheus.Desc {
	d := documented(name)
	return prometheus.NewDesc(namespace+"_"+name, d.Help, d.Labels, nil)
}

func histogram(name string, buckets []float64) *prometheus.HistogramVec {
	d := documented(name)
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: d.Help, Buckets: buckets}, d.Labels)
}

func counters(name string) *prometheus.CounterVec {
	d := documented(name)
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: d.Help}, d.Labels)
}

func gauges(name string) *prometheus.GaugeVec {
	d := documented(name)
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: d.Help}, d.Labels)
}
