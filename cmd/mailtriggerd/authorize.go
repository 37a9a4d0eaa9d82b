package main

import (
	"context"
	"errors"
	"fmt"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection"
)

func (c *call) runAuthorize(ctx context.Context) int {
	cfg := c.load(config.Options{})
	if cfg == nil {
		return exitConfig
	}
	if cfg.Connection(c.authorize) == nil && smtpNamed(cfg, c.authorize) == nil {
		c.problem("the config has no connection %q%s", c.authorize, known("connections", reachable(cfg)))
		return exitUsage
	}
	prompt := func(url, code string) {
		fmt.Fprintf(c.stdout, "open this page in a browser and allow the access:\n\n  %s\n\n", url)
		if code != "" {
			fmt.Fprintf(c.stdout, "and enter this code there: %s\n\n", code)
		}
	}
	if err := c.obtainConsent(ctx, cfg, prompt); err != nil {
		c.problem("%s: %v", c.authorize, err)
		return exitFailed
	}
	fmt.Fprintf(c.stdout, "%s: authorized; the refresh token is stored\n", c.authorize)
	return exitOK
}

// obtainConsent has the running daemon ask for consent, as the refresh token is to
// belong to its user; or does it itself where none runs.
func (c *call) obtainConsent(ctx context.Context, cfg *config.Config, prompt func(url, code string)) error {
	if daemon := c.runningDaemon(ctx, cfg); daemon != nil {
		defer daemon.Close()
		err := daemon.connect(ctx, "/authorize", c.authorize, c.config, func(l connectLine) { prompt(l.URL, l.Code) })
		if !errors.Is(err, errOtherConfig) {
			return err
		}
		c.withoutDaemon()
	}
	d, err := connection.NewDialer(connection.DialerOptions{StateDir: cfg.StateDir})
	if err != nil {
		return err
	}
	defer d.Close()
	return authorize(ctx, d, cfg, c.authorize, prompt)
}

// authorize has a person consent to the access of a connection or an smtp table.
func authorize(ctx context.Context, d *connection.Dialer, cfg *config.Config, name string, prompt func(url, code string)) error {
	if conn := cfg.Connection(name); conn != nil {
		return d.Authorize(ctx, conn, prompt)
	}
	if s := smtpNamed(cfg, name); s != nil {
		return d.AuthorizeSMTP(ctx, s, prompt)
	}
	return fmt.Errorf("the config has no connection %q", name)
}
