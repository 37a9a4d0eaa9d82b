package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection"
	"mailtrigger/trigger"
)

// A checkResult is one line of --test-connection --json.
type checkResult struct {
	Connection string            `json:"connection"` // or smtp.NAME
	OK         bool              `json:"ok"`
	Steps      []connection.Step `json:"steps"`
	Suggest    []string          `json:"suggest,omitempty"` // settings that would help
}

func (c *call) runTestConnections(ctx context.Context) int {
	cfg := c.load(config.Options{})
	if cfg == nil {
		return exitConfig
	}
	all := reachable(cfg)
	wanted := c.testConnections
	if slices.Contains(wanted, "all") {
		wanted = all
	}
	for _, name := range wanted {
		if cfg.Connection(name) == nil && smtpNamed(cfg, name) == nil {
			c.problem("the config has no connection %q%s", name, known("connections", all))
			return exitUsage
		}
	}
	d, err := connection.NewDialer(connection.DialerOptions{StateDir: cfg.StateDir})
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	defer d.Close()
	code := exitOK
	for _, name := range wanted {
		var ok bool
		if conn := cfg.Connection(name); conn != nil {
			ok = c.testConnection(conn.Name, conn.Address, conn.Port, func(report func(connection.Step)) []connection.Step {
				return d.Check(ctx, conn, mailboxesOf(cfg, conn.Name), report)
			})
		} else {
			s := smtpNamed(cfg, name)
			ok = c.testConnection(s.QualifiedName(), s.Address, s.Port, func(report func(connection.Step)) []connection.Step {
				return d.CheckSMTP(ctx, s, report)
			})
		}
		if !ok {
			code = exitFailed
		}
	}
	return code
}

// reachable are the names of all that can be tested and authorized: connections, and
// the smtp tables as smtp.NAME.
func reachable(cfg *config.Config) []string {
	return append(names(cfg.Connections, func(c *connection.Config) string { return c.Name }),
		names(cfg.SMTP, (*connection.SMTP).QualifiedName)...)
}

// smtpNamed returns the smtp table that a call means: by smtp.NAME, or by NAME where no
// connection has that name. nil if there is none.
func smtpNamed(cfg *config.Config, name string) *connection.SMTP {
	for _, s := range cfg.SMTP {
		if s.QualifiedName() == name {
			return s
		}
	}
	return cfg.SMTPTable(name)
}

// testConnection tries one connection and prints each step as it ends.
func (c *call) testConnection(name, address string, port int, check func(report func(connection.Step)) []connection.Step) bool {
	report := func(connection.Step) {}
	if !c.json {
		fmt.Fprintf(c.stdout, "%s: %s:%d\n", name, address, port)
		report = c.printStep
	}
	steps := check(report)
	ok := len(steps) > 0
	var suggest []string
	for _, s := range steps {
		ok = ok && s.OK
		suggest = append(suggest, s.Suggest...)
	}
	if c.json {
		c.printJSON(checkResult{name, ok, steps, suggest})
		return ok
	}
	if len(suggest) > 0 {
		fmt.Fprintln(c.stdout, "  suggested:")
	}
	for _, s := range suggest {
		fmt.Fprintf(c.stdout, "    %s\n", s)
	}
	if ok {
		fmt.Fprintf(c.stdout, "%s: good\n", name)
	} else {
		fmt.Fprintf(c.stdout, "%s: failed\n", name)
	}
	return ok
}

func (c *call) printStep(s connection.Step) {
	verdict := "ok  "
	if !s.OK {
		verdict = "FAIL"
	}
	fmt.Fprintf(c.stdout, "  %s  %-12s %7.3f s  %s\n", verdict, s.Step, s.Seconds, strings.TrimSpace(s.Detail))
	if s.Hint != "" {
		fmt.Fprintf(c.stdout, "        %s\n", s.Hint)
	}
}

// mailboxesOf returns the mailboxes that triggers watch over the connection.
func mailboxesOf(cfg *config.Config, name string) []string {
	var boxes []string
	for _, t := range cfg.Triggers {
		if !slices.Contains(t.Connection, name) {
			continue
		}
		for _, box := range t.Mailboxes {
			if !slices.Contains(boxes, box) && !trigger.IsPattern(box) {
				boxes = append(boxes, box)
			}
		}
	}
	if len(boxes) == 0 {
		boxes = []string{"INBOX"}
	}
	return boxes
}
