package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection"
	"mailtrigger/metrics"
	"mailtrigger/trigger"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

// catchHangups catches SIGHUP from now on, so that it ends nothing, and until end
// is called.
func catchHangups() (hangups <-chan os.Signal, end func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// An engineSlot holds the engine that runs now; a reload puts another one in. Its
// methods may be called at any time.
type engineSlot struct {
	now atomic.Pointer[trigger.Engine]
}

func (s *engineSlot) Watches() []connection.Status               { return s.now.Load().Watches() }
func (s *engineSlot) Triggers() []trigger.TriggerStatus          { return s.now.Load().Triggers() }
func (s *engineSlot) Health() error                              { return s.now.Load().Health() }
func (s *engineSlot) Moving() error                              { return s.now.Load().Moving() }
func (s *engineSlot) DeadLetters() ([]journal.DeadLetter, error) { return s.now.Load().DeadLetters() }
func (s *engineSlot) Retry(id string) error                      { return s.now.Load().Retry(id) }
func (s *engineSlot) Discard(id string) error                    { return s.now.Load().Discard(id) }

// maxBackoff is the longest wait between reconnects; 0 is the default. Tests of
// many outages shorten it.
var maxBackoff time.Duration

// build makes dialer and engine of a configuration. What runs already is not touched.
func (d *daemon) build(cfg *config.Config) (*connection.Dialer, *trigger.Engine, error) {
	dialer, err := connection.NewDialer(connection.DialerOptions{
		Log: d.log, Trace: d.metrics.ConnectionTrace(), ConnectRate: cfg.ConnectRate, StateDir: cfg.StateDir, Version: buildVersion().Version,
		MaxBackoff: maxBackoff,
	})
	if err != nil {
		return nil, nil, err
	}
	engine, err := trigger.New(trigger.Options{
		Connections: cfg.Connections, Triggers: cfg.Triggers, Watcher: dialer, Store: d.store, StateDir: cfg.StateDir,
		Env: action.Env{BaseDir: cfg.BaseDir, TempDir: d.temp, Mailer: dialer}, Log: d.log, Trace: d.metrics.TriggerTrace(),
	})
	if err != nil {
		closeLogged(d.log, "connections", dialer)
		return nil, nil, err
	}
	return dialer, engine, nil
}

// use makes a configuration the one that runs.
func (d *daemon) use(cfg *config.Config) error {
	dialer, engine, err := d.build(cfg)
	if err != nil {
		return err
	}
	d.cfg, d.dialer = cfg, dialer
	d.engine.now.Store(engine)
	d.metrics.Watch(metrics.Source{
		Connections: cfg.Connections, Watches: engine.Watches, Triggers: engine.Triggers,
		Health: d.health, JournalErrors: d.store.Errors, History: d.store.History, ShowSubjects: cfg.Metrics.ShowSubjects,
	})
	d.watched.Store(newProgress(cfg.Connections))
	d.metrics.Loaded(nil, time.Now())
	return nil
}

// run lets the engine work until ctx ends. SIGHUP has it end what it does, as a
// stop would, and go on by the file as it is then; queues go on where they were.
func (d *daemon) run(ctx context.Context, hangups <-chan os.Signal, n *notifier) error {
	for {
		next, err := d.runUntilReload(ctx, hangups, n)
		if next == nil {
			return err
		}
		closeLogged(d.log, "connections", d.dialer)
		old := d.cfg
		if err := d.use(next); err != nil {
			d.reloadFailed(err)
			if err := d.use(old); err != nil {
				return fmt.Errorf("the old configuration does not start again either: %w", err)
			}
			n.reloaded()
			continue
		}
		d.log.Info("the configuration was reloaded", "config", next.Path, "connections", len(next.Connections), "triggers", len(next.Triggers))
		n.reloaded()
	}
}

// runUntilReload runs the engine until ctx ends, or until SIGHUP comes and the
// file is good: then it returns the new configuration.
func (d *daemon) runUntilReload(ctx context.Context, hangups <-chan os.Signal, n *notifier) (*config.Config, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	reloaded := make(chan *config.Config, 1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			n.reloading()
			if next := d.reload(); next != nil {
				reloaded <- next
				end()
				return
			}
			n.reloaded()
		}
	}()
	err := d.engine.now.Load().Run(ctx)
	select {
	case next := <-reloaded:
		if err == nil {
			return next, nil
		}
	default:
	}
	return nil, err
}

// reload reads the file again. A bad one leaves the old configuration running.
func (d *daemon) reload() *config.Config {
	next, problems := config.Load(d.cfg.Path, config.Options{CheckSecrets: true})
	if len(problems) > 0 {
		var all []error
		for _, p := range problems {
			all = append(all, p)
		}
		d.reloadFailed(errors.Join(all...))
		return nil
	}
	if err := idle(next); err != nil {
		d.reloadFailed(err)
		return nil
	}
	for _, fixed := range []struct{ key, now, next string }{
		{"state_dir", d.cfg.StateDir, next.StateDir}, {"control", d.cfg.Control, next.Control},
		{"metrics.listen", d.cfg.Metrics.Listen, next.Metrics.Listen},
	} {
		if fixed.now != fixed.next {
			d.log.Warn("this key takes effect at a restart only", "key", fixed.key, "now", fixed.now, "then", fixed.next)
		}
	}
	next.StateDir, next.Control = d.cfg.StateDir, d.cfg.Control
	return next
}

// idle refuses a configuration that has nothing to do. It is rather a file that is
// empty or cut short, and by it every waiting job would become a dead letter.
func idle(cfg *config.Config) error {
	if len(cfg.Triggers) > 0 {
		return nil
	}
	return fmt.Errorf("%s has no trigger: is it empty or cut short? Write a [trigger.NAME] table", cfg.Path)
}

func (d *daemon) reloadFailed(err error) {
	d.metrics.Loaded(err, time.Now())
	d.log.Error("the configuration was not reloaded, the old one goes on", "err", err)
}
