package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection"
	"mailtrigger/metrics"
	"mailtrigger/trigger"
	"mailtrigger/trigger/journal"
)

// runDaemon is the daemon's life: config, journal, engine, listeners, READY, work
// until a signal, and an orderly end.
func (c *call) runDaemon(ctx context.Context) int {
	paceCollector()
	hangups, endHangups := catchHangups()
	defer endHangups()
	cfg := c.load(config.Options{CheckSecrets: true})
	if cfg == nil {
		return exitConfig
	}
	if err := idle(cfg); err != nil {
		c.problem("%v", err)
		return exitConfig
	}
	log, level := newLogger(c.stderr, cfg.Log)
	store, code := openJournal(cfg.StateDir, log)
	if store == nil {
		return code
	}
	defer closeLogged(log, "journal", store)
	d, err := newDaemon(cfg, store, log, level)
	if err != nil {
		log.Error("cannot start", "err", err)
		return exitFailed
	}
	defer d.close()
	if err := d.listen(ctx); err != nil {
		log.Error("cannot start", "err", err)
		return exitFailed
	}
	n := newNotifier(log)
	n.ready(d.summary())
	log.Info("mailtriggerd is running", "version", buildVersion().Version, "config", cfg.Path, "connections", len(cfg.Connections), "triggers", len(cfg.Triggers))
	go giveBackMemory(ctx)
	go n.keepUp(ctx, d.summary, d.moving)
	err = d.run(ctx, hangups, n)
	n.stopping() // said already where ctx has ended it
	if err != nil {
		log.Error("ended", "err", err)
		return exitFailed
	}
	log.Info("mailtriggerd has ended; what was waiting goes on at the next start")
	return exitOK
}

// openJournal opens the state directory, or says why not and with which exit code. A
// full disk is a failure that passes: a service manager may start it again.
func openJournal(dir string, log *slog.Logger) (*journal.Journal, int) {
	err := os.MkdirAll(dir, 0o700)
	if isFull(err) {
		sayFull(log, dir, err)
		return nil, exitFailed
	}
	if err != nil {
		log.Error("cannot make the state directory; set state_dir to one that this user may write", "err", err)
		return nil, exitState
	}
	store, err := journal.Open(dir, journal.Options{Log: log})
	switch {
	case err == nil:
		return store, exitOK
	case isFull(err):
		sayFull(log, dir, err)
		return nil, exitFailed
	case errors.Is(err, journal.ErrLocked):
		log.Error("another daemon has the state directory; stop it first, or give this one a state_dir of its own", "state_dir", dir, "err", err)
		return nil, exitRunning
	}
	log.Error("cannot open the journal", "state_dir", dir, "err", err)
	return nil, exitState
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func sayFull(log *slog.Logger, dir string, err error) {
	log.Error("the disk of the state directory is full; make room on it, then start again (systemd does so by itself): nothing is lost, mail waits on the server", "state_dir", dir, "err", err)
}

// A daemon is the parts that run together.
type daemon struct {
	cfg     atomic.Pointer[config.Config] // the one that runs
	log     *slog.Logger
	level   *slog.LevelVar // of log
	store   *journal.Journal
	dialer  *connection.Dialer
	engine  *trigger.Engine
	temp    string // for temporary files of actions
	metrics *metrics.Metrics
	watched atomic.Pointer[progress]
	closers []func()
}

func newDaemon(cfg *config.Config, store *journal.Journal, log *slog.Logger, level *slog.LevelVar) (*daemon, error) {
	d := &daemon{log: log, level: level, store: store, metrics: metrics.New(metrics.Build(buildVersion()))}
	d.temp = filepath.Join(cfg.StateDir, "tmp")
	if err := emptyDir(d.temp); err != nil {
		return nil, err
	}
	if err := d.build(cfg); err != nil {
		return nil, err
	}
	d.closers = append(d.closers, func() { closeLogged(log, "connections", d.dialer) })
	return d, nil
}

// listen opens the HTTP listener and the control socket.
func (d *daemon) listen(ctx context.Context) error {
	cfg := d.cfg.Load()
	if cfg.Metrics.Listen != "" {
		stop, err := d.metrics.Listen(ctx, metrics.ListenOptions{Address: cfg.Metrics.Listen, WebConfigFile: cfg.Metrics.WebConfigFile, Log: d.log})
		if err != nil {
			return fmt.Errorf("metrics.listen: %w", err)
		}
		d.closers = append(d.closers, stop)
	}
	stop, err := d.listenControl(cfg.Control)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	d.closers = append(d.closers, stop)
	return nil
}

func (d *daemon) close() {
	for i := len(d.closers) - 1; i >= 0; i-- {
		d.closers[i]()
	}
	d.closers = nil
}

// health is nil if the journal can write and the daemon itself gets on.
func (d *daemon) health() error {
	if err := d.engine.Health(); err != nil {
		return err
	}
	return d.moving()
}

// moving is nil if the daemon itself gets on: the engine moves, and each session's
// owner meets its deadlines. Only what a restart mends is an error.
func (d *daemon) moving() error {
	if err := d.engine.Moving(); err != nil {
		return err
	}
	return d.watched.Load().check(d.engine.Watches(), time.Now())
}

// summary is one line for systemd's STATUS.
func (d *daemon) summary() string {
	s := d.metrics.Summary()
	return summaryLine(&s)
}

func summaryLine(s *metrics.Summary) string {
	dead := "no dead letters"
	if s.DeadLetters > 0 {
		dead = count(s.DeadLetters, "dead letter", "dead letters")
	}
	return fmt.Sprintf("watching %d of %s (%d of %s); %d queued; %s", s.Up, count(s.Used, "connection", "connections"),
		s.Watching, count(s.Mailboxes, "mailbox", "mailboxes"), s.Queue, dead)
}

// emptyDir makes a private directory, without what a killed run left in it.
func emptyDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear the directory for temporary files: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory for temporary files: %w", err)
	}
	return nil
}

func closeLogged(log *slog.Logger, what string, c interface{ Close() error }) {
	if err := c.Close(); err != nil {
		log.Error("closing failed", "part", what, "err", err)
	}
}
