package metrics

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves /metrics, /healthz and /readyz. Nothing here changes state.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", m.healthz)
	mux.HandleFunc("GET /readyz", m.readyz)
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

// readyz is 200 once every watched mailbox was tried and at least all that can be
// reached watch; with ?connection=NAME, 200 only if that one watches.
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

// Listen serves Handler at address: host:port, or unix:/path. It returns the
// function that ends it.
func (m *Metrics) Listen(ctx context.Context, address string, log *slog.Logger) (stop func(), err error) {
	network, at := "tcp", address
	handler := m.Handler()
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, at = "unix", path
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
			_ = os.Remove(path) // a dead daemon's: the journal's lock says there is no other
		}
	} else {
		handler = checkHost(handler)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, network, at)
	if err != nil {
		return nil, err
	}
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() { _ = srv.Serve(l) }()
	log.Info("serving metrics", "address", l.Addr().String())
	return func() { _ = srv.Close() }, nil
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
		if host != "localhost" && (err != nil || !addr.IsLoopback()) {
			http.Error(w, "this listener answers to localhost only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
