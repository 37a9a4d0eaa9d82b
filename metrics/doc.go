// Package metrics shows how the daemon is doing: Prometheus metrics, health and
// readiness, and a status page, over HTTP. It is the only package that knows Prometheus.
//
// What changes with each message is counted as it happens, by the functions of
// ConnectionTrace and TriggerTrace; what is a state is read from the Source at
// each scrape and turned into constant samples. So a connection costs a few words
// between scrapes, and what is gone from the configuration is gone from the next
// scrape. No label holds message data or a name that a server chose. At 10,000
// connections with a trigger each, a scrape is 14 MB of text, allocates 9 KiB a
// connection and takes a quarter of a second (TestManyConnections).
//
// For people there is a page at /, and the same as JSON at /api/status. Both show a
// Status: a part, chosen by a Query, of a snapshot that is taken at most once a
// second. At 10,000 connections a snapshot takes 5 ms and a page 4 ms more
// (BenchmarkPoll); a client that has what would be shown is told so instead.
//
// Documentation is the table that the metrics are made from. Beside the code are
// alerts.yml and alerts_test.yml, rules for Prometheus and their tests;
// dashboard.json, for Grafana; and operations.md, what to do when an alert fires.
package metrics
