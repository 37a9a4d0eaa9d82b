package main

import (
	"context"
	"fmt"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection"
)

func (c *call) runAuthorize(ctx context.Context) int {
	cfg := c.load(config.Options{})
	if cfg == nil {
		return exitConfig
	}
	conn, s := cfg.Connection(c.authorize), smtpNamed(cfg, c.authorize)
	if conn == nil && s == nil {
		c.problem("the config has no connection %q%s", c.authorize, known("connections", reachable(cfg)))
		return exitUsage
	}
	d, err := connection.NewDialer(connection.DialerOptions{StateDir: cfg.StateDir})
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	defer d.Close()
	prompt := func(url, code string) {
		fmt.Fprintf(c.stdout, "open this page in a browser and allow the access:\n\n  %s\n\n", url)
		if code != "" {
			fmt.Fprintf(c.stdout, "and enter this code there: %s\n\n", code)
		}
	}
	if conn != nil {
		err = d.Authorize(ctx, conn, prompt)
	} else {
		err = d.AuthorizeSMTP(ctx, s, prompt)
	}
	if err != nil {
		c.problem("%s: %v", c.authorize, err)
		return exitFailed
	}
	fmt.Fprintf(c.stdout, "%s: authorized; the refresh token is stored\n", c.authorize)
	return exitOK
}
