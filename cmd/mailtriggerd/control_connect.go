package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection"
	"mailtrigger/connection/setting"
)

// --test-connection and --authorize beside a running daemon are done by the daemon:
// it has the credentials (systemd's, its environment, files that only its user may
// read) and the network as its sessions have them, and what is stored belongs to its
// user. It reads the file again for it, so that a connection can be tried before the
// reload. What happens is told line by line, as it happens.

// A connectLine is one line of the daemon's answer: one of its parts is set.
type connectLine struct {
	Step  *connection.Step `json:"step,omitempty"`
	URL   string           `json:"url,omitempty"`  // the page for a person's consent,
	Code  string           `json:"code,omitempty"` // and what to enter there
	Error string           `json:"error,omitempty"`
	Ended bool             `json:"ended,omitempty"` // the last line
}

// serveTest answers a --test-connection.
func (d *daemon) serveTest(w http.ResponseWriter, r *http.Request) {
	cfg, ok := d.configOfCall(w, r)
	if !ok {
		return
	}
	name := r.URL.Query().Get("name")
	t := targetOf(r.Context(), d.dialer, cfg, name)
	if t == nil {
		answer(w, nil, fmt.Errorf("the daemon's config has no connection %q", name))
		return
	}
	say := lines(w)
	if t.test(func(s connection.Step) { say(connectLine{Step: &s}) }).OK {
		d.mended(name)
	}
	say(connectLine{Ended: true})
}

// serveAuthorize answers an --authorize.
func (d *daemon) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	cfg, ok := d.configOfCall(w, r)
	if !ok {
		return
	}
	name := r.URL.Query().Get("name")
	say := lines(w)
	err := authorize(r.Context(), d.dialer, cfg, name, func(url, code string) { say(connectLine{URL: url, Code: code}) })
	if err != nil {
		say(connectLine{Error: err.Error()})
		return
	}
	d.log.Info("somebody has consented to the access; connecting at once", "connection", name)
	d.mended(name)
	say(connectLine{Ended: true})
}

// mended has what waits for a connection, or for "smtp.NAME", tried at once.
func (d *daemon) mended(name string) {
	cfg := d.cfg.Load()
	if s := smtpNamed(cfg, name); s != nil && cfg.Connection(name) == nil {
		d.dialer.ForgiveSMTP(s)
		d.engine.RetryMended()
		return
	}
	d.engine.Reconnect(name)
}

// configOfCall reads the daemon's file as it is now, if it is the one that the call is
// about. Connections that it has not changed are those that run.
func (d *daemon) configOfCall(w http.ResponseWriter, r *http.Request) (*config.Config, bool) {
	path := d.cfg.Load().Path
	if !sameFile(path, r.URL.Query().Get("config")) {
		w.WriteHeader(http.StatusMisdirectedRequest)
		return nil, false
	}
	cfg, problems := config.Load(path, config.Options{})
	if len(problems) > 0 {
		var all []error
		for _, p := range problems {
			all = append(all, p)
		}
		answer(w, nil, fmt.Errorf("the daemon cannot read its config: %w", errors.Join(all...)))
		return nil, false
	}
	for _, running := range d.engine.Connections() {
		for i, c := range cfg.Connections {
			if c.Name == running.Name && setting.Same(c, running) {
				cfg.Connections[i] = running
			}
		}
	}
	cfg.KeepSMTP(d.cfg.Load())
	return cfg, true
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// lines begins an answer of lines; each is sent at once.
func lines(w http.ResponseWriter) func(connectLine) {
	w.Header().Set("Content-Type", "application/jsonl")
	control, encoder := http.NewResponseController(w), json.NewEncoder(w)
	return func(l connectLine) {
		_ = encoder.Encode(l)
		_ = control.Flush()
	}
}

// connect asks the daemon for a test or a consent, and calls each with its lines.
func (c *controlClient) connect(ctx context.Context, path, name, configPath string, each func(connectLine)) error {
	if absolute, err := filepath.Abs(configPath); err == nil {
		configPath = absolute
	}
	query := url.Values{"name": {name}, "config": {configPath}}
	resp, err := c.ask(ctx, "POST", path+"?"+query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, maxControlBody)
	for s.Scan() {
		var l connectLine
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		switch {
		case l.Ended:
			return nil
		case l.Error != "":
			return errors.New(l.Error)
		}
		each(l)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return errors.New("the daemon ended before it was done; start it, and try again")
}

// runningDaemon returns the daemon that is to do a call which needs its credentials;
// nil if this process has to do it by itself: none runs, or it is none of ours.
func (c *call) runningDaemon(ctx context.Context, cfg *config.Config) *controlClient {
	client, err := dialControl(ctx, cfg.Control)
	switch {
	case err == nil:
		return client
	case !errors.Is(err, errNoDaemon):
		c.problem("%v; going on without the daemon, with the secrets that this user can read", err)
	}
	return nil
}

// withoutDaemon says, once, that the daemon that runs has another config than this call.
func (c *call) withoutDaemon() {
	c.otherConfig.Do(func() {
		c.problem("the daemon that runs has another config; going on without it, with the secrets that this user can read")
	})
}
