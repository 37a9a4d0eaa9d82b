// Package metrics shows how the daemon is doing: Prometheus metrics, health and
// readiness, over HTTP. It is the only package that knows Prometheus.
//
// What changes with each message is counted as it happens, by the functions of
// ConnectionTrace and TriggerTrace; what is a state is read from the Source at
// each scrape and turned into constant metrics. So a connection costs a few words
// between scrapes, and what is gone from the configuration is gone from the next
// scrape. No label holds message data or a name that a server chose.
package metrics
