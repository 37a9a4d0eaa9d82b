package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mailtrigger/metrics"
)

// The control socket is HTTP with JSON on a Unix socket of mode 0600: who may
// open it may do what the daemon's user may.

var (
	errNoDaemon    = errors.New("no daemon runs")
	errOtherConfig = errors.New("the daemon that runs has another config")
)

// The limits of a control call.
const (
	controlTimeout = 5 * time.Minute // the longest call that waits for no person or server
	maxControlBody = 64 << 20
)

// listenControl serves the control socket. It returns the function that ends it.
func (d *daemon) listenControl(path string) (stop func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	old := syscall.Umask(0o177)
	l, err := metrics.ListenUnix(context.Background(), path, 0o600)
	syscall.Umask(old)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, d.metrics.Status(metrics.Everything), nil) })
	mux.HandleFunc("GET /dead-letters", func(w http.ResponseWriter, _ *http.Request) {
		letters, err := d.engine.DeadLetters()
		answer(w, letterInfos(letters), err)
	})
	mux.HandleFunc("POST /retry", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, d.engine.Retry(r.URL.Query().Get("id")))
	})
	mux.HandleFunc("POST /discard", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, d.engine.Discard(r.URL.Query().Get("id")))
	})
	mux.HandleFunc("POST /test-connection", d.serveTest)
	mux.HandleFunc("POST /authorize", d.serveAuthorize)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() { _ = srv.Serve(l) }()
	return func() { _ = srv.Close() }, nil
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusConflict)
		v = map[string]string{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(v)
}

// A controlClient talks to the running daemon.
type controlClient struct {
	http *http.Client
	ctx  context.Context
}

// inMinutes bounds a call that ends by itself.
func (c *controlClient) inMinutes() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.ctx, controlTimeout)
}

// dialControl finds the running daemon. errNoDaemon says that there is none.
func dialControl(ctx context.Context, path string) (*controlClient, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
	}
	conn, err := dial(ctx, "", "")
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ECONNREFUSED):
		return nil, errNoDaemon
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the daemon's control socket %s is not ours to open; call this as the daemon's user, or root", path)
	case err != nil:
		return nil, fmt.Errorf("the daemon's control socket: %w", err)
	}
	conn.Close()
	return &controlClient{&http.Client{Transport: &http.Transport{DialContext: dial}}, ctx}, nil
}

// ask makes a request. An answer that is no good one is an error.
func (c *controlClient) ask(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://daemon"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var e struct{ Error string }
	switch body, err := io.ReadAll(io.LimitReader(resp.Body, maxControlBody)); {
	case resp.StatusCode == http.StatusMisdirectedRequest:
		return nil, errOtherConfig
	case err == nil && json.Unmarshal(body, &e) == nil && e.Error != "":
		return nil, errors.New(e.Error)
	}
	return nil, fmt.Errorf("the daemon answered %s", resp.Status)
}

func (c *controlClient) do(method, path string, into any) error {
	ctx, cancel := c.inMinutes()
	defer cancel()
	resp, err := c.ask(ctx, method, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxControlBody))
	if err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

func (c *controlClient) DeadLetters() (letters []letterInfo, err error) {
	return letters, c.do("GET", "/dead-letters", &letters)
}

func (c *controlClient) Retry(id string) error {
	return c.do("POST", "/retry?id="+url.QueryEscape(id), nil)
}

func (c *controlClient) Discard(id string) error {
	return c.do("POST", "/discard?id="+url.QueryEscape(id), nil)
}

func (c *controlClient) Status() (st metrics.Status, err error) {
	return st, c.do("GET", "/status", &st)
}

// Close ends the connections to the daemon.
func (c *controlClient) Close() error { c.http.CloseIdleConnections(); return nil }
