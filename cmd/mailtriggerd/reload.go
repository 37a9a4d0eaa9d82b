package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection"
	"mailtrigger/metrics"
	"mailtrigger/trigger"
	"mailtrigger/trigger/action"
)

// catchHangups catches SIGHUP from now on, so that it ends nothing, and until end
// is called.
func catchHangups() (hangups <-chan os.Signal, end func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// maxBackoff is the longest wait between reconnects; 0 is the default. Tests of
// many outages shorten it.
var maxBackoff time.Duration

// build makes dialer and engine of a configuration.
func (d *daemon) build(cfg *config.Config) (err error) {
	d.dialer, err = connection.NewDialer(connection.DialerOptions{
		Log: d.log, Trace: d.metrics.ConnectionTrace(), ConnectRate: cfg.ConnectRate, StateDir: cfg.StateDir, Version: buildVersion().Version,
		MaxBackoff: maxBackoff,
	})
	if err != nil {
		return err
	}
	if d.engine, err = trigger.New(d.engineOptions(cfg)); err != nil {
		closeLogged(d.log, "connections", d.dialer)
		return err
	}
	d.observe(cfg)
	return nil
}

func (d *daemon) engineOptions(cfg *config.Config) trigger.Options {
	return trigger.Options{
		Connections: cfg.Connections, Triggers: cfg.Triggers, Watcher: d.dialer, Store: d.store, StateDir: cfg.StateDir,
		Env: action.Env{BaseDir: cfg.BaseDir, TempDir: d.temp, Mailer: d.dialer}, Log: d.log, Trace: d.metrics.TriggerTrace(),
	}
}

// observe lets metrics and watchdog see what runs by the configuration.
func (d *daemon) observe(cfg *config.Config) {
	d.cfg.Store(cfg)
	connections := d.engine.Connections()
	d.metrics.Watch(metrics.Source{
		Connections: connections, Watches: d.engine.Watches, Triggers: d.engine.Triggers,
		Health: d.health, JournalErrors: d.store.Errors, History: d.store.History, ShowSubjects: cfg.Metrics.ShowSubjects,
	})
	d.watched.Store(newProgress(connections))
	d.metrics.Loaded(nil, time.Now())
}

// run lets the engine work until ctx ends. SIGHUP has it go over to the file as it
// is then.
func (d *daemon) run(ctx context.Context, hangups <-chan os.Signal, n *notifier) error {
	ctx, end := context.WithCancel(ctx)
	var reloads sync.WaitGroup
	reloads.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			n.reloading()
			d.reload()
			n.reloaded()
		}
	})
	err := d.engine.Run(ctx)
	end()
	reloads.Wait()
	return err
}

// reload reads the file again and goes over to it. A bad one, or one that the engine
// cannot use, leaves everything as it is.
func (d *daemon) reload() {
	now := d.cfg.Load()
	next, err := d.readAgain()
	if err == nil {
		next.KeepSMTP(now)
		for _, s := range next.SMTP {
			d.dialer.ForgiveSMTP(s) // the login may be what has changed
		}
		err = d.engine.Reload(d.engineOptions(next))
	}
	switch {
	case errors.Is(err, trigger.ErrStopping):
		return
	case err != nil:
		d.metrics.Loaded(err, time.Now())
		d.log.Error("the configuration was not reloaded, the old one goes on", "err", err)
		return
	}
	d.dialer.SetConnectRate(next.ConnectRate)
	d.level.Set(next.Log.Level.Level())
	d.observe(next)
	for _, s := range now.SMTP {
		if next.SMTPTable(s.Name) != s {
			d.dialer.ReleaseSMTP(s)
		}
	}
	d.retryMended()
	d.log.Info("the configuration was reloaded", "config", next.Path, "connections", len(next.Connections), "triggers", len(next.Triggers))
}

// retryMended tries those connections and actions at once that wait for a person: who
// reloads may have mended what they lack, a password in a file for instance.
func (d *daemon) retryMended() {
	d.engine.RetryMended()
	waiting := make(map[string]bool)
	for _, w := range d.engine.Watches() {
		if w.State == connection.StateBackoff && w.LastError != nil && (w.LastError.Permanent || w.LastError.AuthRequired) {
			waiting[w.Connection] = true
		}
	}
	for name := range waiting {
		d.engine.Reconnect(name)
	}
}

// readAgain reads the file as it is now.
func (d *daemon) readAgain() (*config.Config, error) {
	now := d.cfg.Load()
	next, problems := config.Load(now.Path, config.Options{CheckSecrets: true})
	if len(problems) > 0 {
		var all []error
		for _, p := range problems {
			all = append(all, p)
		}
		return nil, errors.Join(all...)
	}
	if err := idle(next); err != nil {
		return nil, err
	}
	for _, fixed := range []struct{ key, now, next string }{
		{"state_dir", now.StateDir, next.StateDir}, {"control", now.Control, next.Control},
		{"metrics.listen", now.Metrics.Listen, next.Metrics.Listen}, {"metrics.web_config_file", now.Metrics.WebConfigFile, next.Metrics.WebConfigFile},
		{"log.format", now.Log.Format, next.Log.Format},
	} {
		if fixed.now != fixed.next {
			d.log.Warn("this key takes effect at a restart only", "key", fixed.key, "now", fixed.now, "then", fixed.next)
		}
	}
	next.StateDir, next.Control = now.StateDir, now.Control
	return next, nil
}

// idle refuses a configuration that has nothing to do. It is rather a file that is
// empty or cut short, and by it every waiting job would become a dead letter.
func idle(cfg *config.Config) error {
	if len(cfg.Triggers) > 0 {
		return nil
	}
	return fmt.Errorf("%s has no trigger: is it empty or cut short? Write a [trigger.NAME] table", cfg.Path)
}
