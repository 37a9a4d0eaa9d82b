package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/cmd/mailtriggerd/internal/term"
	"mailtrigger/connection"
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
	d, err := connection.NewDialer(connection.DialerOptions{StateDir: cfg.StateDir})
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	defer d.Close()
	daemon := c.runningDaemon(ctx, cfg)
	if daemon != nil {
		defer daemon.Close()
	}
	var targets []*target
	for _, name := range wanted {
		t := targetOf(ctx, d, cfg, name)
		if t == nil {
			c.problem("the config has no connection %q%s", name, known("connections", all))
			return exitUsage
		}
		if daemon != nil {
			c.byDaemon(ctx, daemon, t)
		}
		targets = append(targets, t)
	}
	if failed := c.testTargets(targets); len(failed) > 0 {
		return exitFailed
	}
	return exitOK
}

// A target is what can be tested: a connection, or an smtp table.
type target struct {
	name, address string
	port          int
	check         func(report func(connection.Step)) []connection.Step
}

// byDaemon has the running daemon do the test.
func (c *call) byDaemon(ctx context.Context, daemon *controlClient, t *target) {
	local := t.check
	t.check = func(report func(connection.Step)) (steps []connection.Step) {
		err := daemon.connect(ctx, "/test-connection", t.name, c.config, func(l connectLine) {
			if l.Step != nil {
				steps = append(steps, *l.Step)
				report(*l.Step)
			}
		})
		switch {
		case errors.Is(err, errOtherConfig):
			c.withoutDaemon()
			return local(report)
		case err != nil:
			s := connection.Step{Step: connection.StageSecrets, Detail: err.Error()}
			steps = append(steps, s)
			report(s)
		}
		return steps
	}
}

// targetOf returns what a call means by a name; nil if there is none.
func targetOf(ctx context.Context, d *connection.Dialer, cfg *config.Config, name string) *target {
	if conn := cfg.Connection(name); conn != nil {
		return &target{conn.Name, conn.Address, conn.Port, func(report func(connection.Step)) []connection.Step {
			return d.Check(ctx, conn, mailboxesOf(cfg, conn.Name), report)
		}}
	}
	if s := smtpNamed(cfg, name); s != nil {
		return &target{s.QualifiedName(), s.Address, s.Port, func(report func(connection.Step)) []connection.Step {
			return d.CheckSMTP(ctx, s, report)
		}}
	}
	return nil
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

// test tests it, and reports each step as it ends.
func (t *target) test(report func(connection.Step)) *checkResult {
	r := &checkResult{Connection: t.name, Steps: t.check(report)}
	r.OK = len(r.Steps) > 0
	for _, s := range r.Steps {
		r.OK = r.OK && s.OK
		r.Suggest = append(r.Suggest, s.Suggest...)
	}
	return r
}

// How connections are tested.
const (
	testsAtOnce = 8  // connections that are tested at the same time
	mostInFull  = 10 // with more of them, a terminal shows a good one in one line
)

// testTargets tests at the same time, and tells of each in order. It returns the
// names of those that failed.
func (c *call) testTargets(targets []*target) (failed []string) {
	out, line := c.out(), c.progress()
	if len(targets) == 1 && !c.json { // each step as it ends
		t := targets[0]
		c.printTitle(out, t)
		r := t.test(func(s connection.Step) { c.printStep(out, s) })
		c.printVerdict(out, r)
		if !r.OK {
			failed = append(failed, t.name)
		}
		return failed
	}
	test := func(t *target) *checkResult { return t.test(func(connection.Step) {}) }
	for i, r := range inOrder(targets, testsAtOnce, test) {
		line.Clear()
		switch {
		case c.json:
			c.printJSON(r)
		case r.OK && out.Is() && len(targets) > mostInFull:
			c.printGood(out, r)
		default:
			if i > 0 {
				fmt.Fprintln(c.stdout)
			}
			c.printResult(out, targets[i], r)
		}
		if !r.OK {
			failed = append(failed, r.Connection)
		}
		line.Say("%d of %d connections tested, %d failed", i+1, len(targets), len(failed))
	}
	line.Clear()
	if !c.json {
		c.printTotal(out, len(targets), failed)
	}
	return failed
}

// inOrder runs work on each item, n at a time, and yields the results in order.
func inOrder[T, R any](items []T, n int, work func(T) R) func(func(int, R) bool) {
	return func(yield func(int, R) bool) {
		results := make([]chan R, len(items))
		slots := make(chan struct{}, n)
		for i := range results {
			results[i] = make(chan R, 1)
		}
		go func() {
			for i, item := range items {
				slots <- struct{}{}
				go func() {
					results[i] <- work(item)
					<-slots
				}()
			}
		}()
		for i := range results {
			if !yield(i, <-results[i]) {
				return
			}
		}
	}
}

// printResult prints a whole test.
func (c *call) printResult(out *term.Terminal, t *target, r *checkResult) {
	c.printTitle(out, t)
	for _, s := range r.Steps {
		c.printStep(out, s)
	}
	c.printVerdict(out, r)
}

// printGood prints a test that went well in one line.
func (c *call) printGood(out *term.Terminal, r *checkResult) {
	seconds := 0.0
	for _, s := range r.Steps {
		seconds += s.Seconds
	}
	fmt.Fprintf(c.stdout, "%s %s %s\n", printable(r.Connection)+":", out.Paint(term.Good, "good"), out.Paint(term.Soft, fmt.Sprintf("(%.3f s)", seconds)))
}

func (c *call) printTitle(out *term.Terminal, t *target) {
	fmt.Fprintf(c.stdout, "%s: %s:%d\n", out.Paint(term.Strong, t.name), t.address, t.port)
}

func (c *call) printStep(out *term.Terminal, s connection.Step) {
	verdict := out.Paint(term.Good, "ok  ")
	if !s.OK {
		verdict = out.Paint(term.Bad, "FAIL")
	}
	out.Hanging(fmt.Sprintf("  %s  %-12s %7.3f s  ", verdict, s.Step, s.Seconds), stepIndent, printable(s.Detail))
	if s.Hint != "" {
		out.Indented(8, term.Plain, printable(s.Hint))
	}
}

// stepIndent is how wide a step's line is before its detail.
const stepIndent = 2 + 4 + 2 + 12 + 1 + 7 + 2 + 2

func (c *call) printVerdict(out *term.Terminal, r *checkResult) {
	if len(r.Suggest) > 0 {
		fmt.Fprintln(c.stdout, "  suggested:")
	}
	for _, s := range r.Suggest { // to be copied: never wrapped
		fmt.Fprintf(c.stdout, "    %s\n", printable(s))
	}
	if r.OK {
		fmt.Fprintf(c.stdout, "%s: %s\n", r.Connection, out.Paint(term.Good, "good"))
	} else {
		fmt.Fprintf(c.stdout, "%s: %s\n", r.Connection, out.Paint(term.Bad, "failed"))
	}
}

// printTotal sums many tests up.
func (c *call) printTotal(out *term.Terminal, all int, failed []string) {
	fmt.Fprintln(c.stdout)
	if len(failed) == 0 {
		fmt.Fprintf(c.stdout, "%d connections: %s\n", all, out.Paint(term.Good, "all good"))
		return
	}
	out.Indented(0, term.Plain, fmt.Sprintf("%d connections: %d good, %d failed: %s", all, all-len(failed), len(failed), strings.Join(failed, ", ")))
}

// mailboxesOf returns the mailboxes, and patterns of some, that triggers watch over
// the connection.
func mailboxesOf(cfg *config.Config, name string) []string {
	var boxes []string
	for _, t := range cfg.Triggers {
		if !slices.Contains(t.Connection, name) {
			continue
		}
		for _, box := range t.Mailboxes {
			if !slices.Contains(boxes, box) {
				boxes = append(boxes, box)
			}
		}
	}
	if len(boxes) == 0 {
		boxes = []string{"INBOX"}
	}
	return boxes
}
