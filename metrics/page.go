package metrics

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"net/http"
	"path"
	"time"
)

// The page is rendered here and works without JavaScript. With it, page.js asks
// for the same page again and again, and puts what has changed into the one that is
// shown. So there is one place that knows what the page looks like. An ETag of what
// is shown makes most of these requests cheap.

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.New("page.html").Funcs(pageFuncs).ParseFS(pageFiles, "page/page.html"))

// pageLimit is how many mailboxes, and triggers, the page has at once.
const pageLimit = 50

// contentPolicy lets the page load its own style, script and icon, ask its own
// server, and nothing else (CSP level 3). An answer that is no page needs nothing.
const (
	contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	noContentPolicy = "default-src 'none'; frame-ancestors 'none'"
)

// handlePage adds the status page and what belongs to it.
func (m *Metrics) handlePage(mux *http.ServeMux) {
	mux.Handle("GET /{$}", guarded(contentPolicy, http.HandlerFunc(m.page)))
	mux.Handle("GET /api/status", guarded(noContentPolicy, http.HandlerFunc(m.apiStatus)))
	for _, f := range []struct{ name, kind string }{
		{"page.css", "text/css; charset=utf-8"}, {"page.js", "text/javascript; charset=utf-8"}, {"icon.svg", "image/svg+xml"},
	} {
		body, err := pageFiles.ReadFile(path.Join("page", f.name))
		if err != nil {
			panic(err) // it is built in
		}
		mux.Handle("GET /page/"+f.name, guarded(noContentPolicy, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", f.kind)
			_, _ = w.Write(body)
		})))
	}
}

// guarded sets the headers by which browsers keep an answer from other sites.
func guarded(policy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (m *Metrics) apiStatus(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query(), defaultLimit)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, tag := encode(m.Status(q))
	if unchanged(w, r, tag) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (m *Metrics) page(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query(), pageLimit)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q.Limit = pageLimit
	st := m.Status(q)
	if q.clamp(st.Matching) { // the list has become shorter than where the reader was
		st = m.Status(q)
	}
	st.Firings = st.Firings[:min(pageFirings, len(st.Firings))]
	_, tag := encode(st)
	if unchanged(w, r, tag) {
		return
	}
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, newPage(st, q, tag, time.Now())); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes())
}

// encode returns a status as JSON, and its ETag.
func encode(st Status) (body []byte, tag string) {
	body, err := json.Marshal(st)
	if err != nil {
		panic(err) // nothing in a Status can fail
	}
	sum := sha256.Sum256(body)
	return append(body, '\n'), `"` + hex.EncodeToString(sum[:12]) + `"`
}

// unchanged sets the ETag. It reports whether the client has what it stands for,
// and says so then (RFC 9110, section 13.1.2).
func unchanged(w http.ResponseWriter, r *http.Request, tag string) bool {
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") != tag {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}
