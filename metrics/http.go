package metrics

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves /metrics, /healthz, /readyz, /api/status and the status page at /.
// Nothing here changes state.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", m.healthz)
	mux.HandleFunc("GET /readyz", m.readyz)
	m.handlePage(mux)
	return mux
}

// healthz is 503 when the journal cannot write or the engine does not move. A
// mail server's health has no part in it.
func (m *Metrics) healthz(w http.ResponseWriter, _ *http.Request) {
	s := m.source.Load()
	if s == nil {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return
	}
	if err := s.Health(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// readyz is 200 once every watched mailbox was tried: what can be reached is then
// watched. With ?connection=NAME, 200 only if that one watches all its mailboxes.
func (m *Metrics) readyz(w http.ResponseWriter, r *http.Request) {
	s := m.source.Load()
	if s == nil {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return
	}
	name := r.URL.Query().Get("connection")
	all, watching, untried := 0, 0, 0
	for _, st := range s.Watches() {
		if name != "" && st.Connection != name {
			continue
		}
		all++
		switch {
		case st.Connected:
			watching++
		case st.Connects == 0 && st.LastError == nil:
			untried++
		}
	}
	switch {
	case name == "" && all == 0 && len(s.Triggers()) > 0:
		http.Error(w, "starting", http.StatusServiceUnavailable)
	case name != "" && all == 0:
		http.Error(w, "no such connection, or no trigger uses it", http.StatusNotFound)
	case untried > 0:
		http.Error(w, fmt.Sprintf("%d of %d mailboxes not tried yet", untried, all), http.StatusServiceUnavailable)
	case name != "" && watching < all:
		http.Error(w, fmt.Sprintf("watching %d of %d mailboxes", watching, all), http.StatusServiceUnavailable)
	default:
		fmt.Fprintf(w, "ok: watching %d of %d mailboxes\n", watching, all)
	}
}

// checkHost refuses requests by a name that is not this machine's: a web page
// somewhere cannot read the metrics by pointing its own name at 127.0.0.1.
func checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if !strings.EqualFold(host, "localhost") && (err != nil || !addr.IsLoopback()) {
			http.Error(w, "this listener answers to localhost only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
