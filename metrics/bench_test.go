package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger"
	"mailtrigger/trigger/journal"
)

// many is a daemon of n connections with a mailbox and a trigger each.
func many(n int) Source {
	var connections []*connection.Config
	watches := make([]connection.Status, n)
	triggers := make([]trigger.TriggerStatus, n)
	for i := range n {
		name := fmt.Sprintf("customer-%05d", i)
		connections = append(connections, &connection.Config{Name: name})
		watches[i] = connection.Status{
			Connection: name, Mailbox: "INBOX", State: connection.StateParked, Connected: true, Mode: "idle", Connects: 1,
			LastProof: time.Unix(1767600000, int64(i)*1e6), RoundTrip: time.Duration(i) * time.Microsecond, TLS: &connection.TLSInfo{NotAfter: time.Unix(1800000000, 0)},
		}
		triggers[i] = trigger.TriggerStatus{Name: name, Actions: []string{"exec"}, Queue: i % 7}
	}
	return Source{
		Connections: connections, Watches: func() []connection.Status { return watches }, Triggers: func() []trigger.TriggerStatus { return triggers },
		Health: func() error { return nil }, JournalErrors: func() uint64 { return 0 },
		History: func(int) []journal.HistoryEntry { return nil },
	}
}

// A counting writer keeps nothing, as a client does that reads quickly.
type counting struct {
	http.ResponseWriter
	bytes, lines int
}

func (c *counting) Write(p []byte) (int, error) {
	c.bytes += len(p)
	c.lines += strings.Count(string(p), "\n")
	return len(p), nil
}

// scrape measures one scrape.
func scrape(m *Metrics) (w *counting, allocated uint64) {
	w = &counting{ResponseWriter: httptest.NewRecorder()}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	runtime.ReadMemStats(&after)
	return w, after.TotalAlloc - before.TotalAlloc
}

func BenchmarkScrape(b *testing.B) {
	for _, n := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := New(Build{})
			m.Watch(many(n))
			h := m.Handler()
			b.ReportAllocs()
			var w *counting
			for b.Loop() {
				w = &counting{ResponseWriter: httptest.NewRecorder()}
				h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			}
			b.ReportMetric(float64(w.bytes), "text-B/scrape")
			b.ReportMetric(float64(w.lines), "lines/scrape")
		})
	}
}

var _ io.Writer = (*counting)(nil)
