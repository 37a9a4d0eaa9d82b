package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection"
	"mailtrigger/metrics"
)

func (c *call) runStatus(ctx context.Context) int {
	cfg := c.load(config.Options{})
	if cfg == nil {
		return exitConfig
	}
	client, err := dialControl(ctx, cfg.Control)
	if errors.Is(err, errNoDaemon) {
		err = fmt.Errorf("no daemon runs with this config (nothing answers at %s)", cfg.Control)
	}
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	defer client.Close()
	info, err := client.Status()
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	if c.json {
		return c.printJSON(info)
	}
	c.printStatus(&info)
	return exitOK
}

func (c *call) printStatus(info *metrics.Status) {
	fmt.Fprintf(c.stdout, "mailtriggerd %s, health: %s\n\n", info.Version.Version, info.Health)
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CONNECTION\tMAILBOX\tSTATE\tMODE\tSINCE\tALIVE\tNOTE")
	for i := range info.Watches {
		s := &info.Watches[i]
		note := s.Error
		if s.Hint != "" {
			note += "; " + s.Hint
		}
		if note != "" {
			note = s.Stage + ": " + note
		}
		if s.State == string(connection.StateBackoff) {
			note = fmt.Sprintf("next try in %s: %s", until(s.NextRetry), note)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Connection, printable(s.Mailbox), s.State, orDash(s.Mode), ago(s.Since), ago(s.LastProof), orDash(printable(note)))
	}
	w.Flush()
	fmt.Fprintln(c.stdout)
	w = tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TRIGGER\tQUEUE\tRUNNING\tRETRYING\tOLDEST\tDEAD LETTERS\tACTIONS")
	for _, t := range info.Triggers {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%d\t%s\n", t.Name, t.Queue, t.Running, t.Retrying, ago(t.Oldest), t.DeadLetters, strings.Join(t.Actions, " "))
	}
	w.Flush()
}

// ago says how long t is past.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return short(time.Since(t))
}

func until(t time.Time) string { return short(time.Until(t)) }

// short is a duration in its two largest units.
func short(d time.Duration) string {
	s := max(d.Round(time.Second)/time.Second, 0)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 60*60:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 24*60*60:
		return fmt.Sprintf("%dh%dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
}
