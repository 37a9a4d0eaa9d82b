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
	conn := cfg.Connection(c.authorize)
	if conn == nil {
		c.problem("the config has no connection %q%s", c.authorize,
			known("connections", names(cfg.Connections, func(conn *connection.Config) string { return conn.Name })))
		return exitUsage
	}
	d, err := connection.NewDialer(connection.DialerOptions{StateDir: cfg.StateDir})
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	defer d.Close()
	err = d.Authorize(ctx, conn, func(url, code string) {
		fmt.Fprintf(c.stdout, "open this page in a browser and allow the access:\n\n  %s\n\n", url)
		if code != "" {
			fmt.Fprintf(c.stdout, "and enter this code there: %s\n\n", code)
		}
	})
	if err != nil {
		c.problem("%s: %v", conn.Name, err)
		return exitFailed
	}
	fmt.Fprintf(c.stdout, "%s: authorized; the refresh token is stored\n", conn.Name)
	return exitOK
}
