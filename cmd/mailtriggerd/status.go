package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/cmd/mailtriggerd/internal/term"
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

// mostRows is how many mailboxes, and triggers, a terminal shows: trouble comes
// first, and the rest is more than anybody reads. A pipe gets them all.
const mostRows = 50

func (c *call) printStatus(st *metrics.Status) {
	out := c.out()
	health := term.Cell{Text: st.Health, Style: term.Good}
	if st.Health != "ok" {
		health.Style = term.Bad
	}
	fmt.Fprintf(c.stdout, "mailtriggerd %s, health: %s\n", st.Version.Version, out.Paint(health.Style, printable(health.Text)))
	fmt.Fprintln(c.stdout, summaryLine(&st.Summary))

	if len(st.Watches) > 0 {
		fmt.Fprintln(c.stdout)
		printWatches(out, st.Watches[:c.rows(out, len(st.Watches))])
		c.printRest(out, "mailboxes", len(st.Watches))
	}
	if len(st.Triggers) > 0 {
		fmt.Fprintln(c.stdout)
		printTriggers(out, st.Triggers[:c.rows(out, len(st.Triggers))])
		c.printRest(out, "triggers", len(st.Triggers))
	}
}

// rows returns how many of n rows are shown.
func (c *call) rows(out *term.Terminal, n int) int {
	if out.Is() {
		return min(n, mostRows)
	}
	return n
}

// printRest says what is not shown.
func (c *call) printRest(out *term.Terminal, what string, n int) {
	if shown := c.rows(out, n); shown < n {
		fmt.Fprintln(c.stdout, out.Paint(term.Soft, fmt.Sprintf("... and %d more %s; through a pipe, and with --json, all are shown", n-shown, what)))
	}
}

func printWatches(out *term.Terminal, watches []metrics.WatchStatus) {
	t := out.NewTable(term.Column{Head: "CONNECTION", Shrink: true}, term.Column{Head: "MAILBOX", Shrink: true}, term.Column{Head: "STATE"}, term.Column{Head: "MODE"},
		term.Column{Head: "SINCE"}, term.Column{Head: "ALIVE"}, term.Column{Head: "ROUND TRIP", Right: true}, term.Column{Head: "TLS"})
	for i := range watches {
		w := &watches[i]
		state, tls := term.Cell{Text: w.State, Style: term.Good}, ""
		switch {
		case w.Error != "" && !w.Watching:
			state.Style = term.Bad
		case !w.Watching:
			state.Style = term.Plain
		}
		if w.TLS != nil {
			tls = w.TLS.Version
		}
		t.Row(w.Connection, w.Mailbox, state, w.Mode, ago(w.Since), ago(w.LastProof), milliseconds(w.RoundTrip), tls)
		if w.Error != "" {
			t.Note(term.Bad, w.Stage+": "+w.Error)
		}
		if w.Hint != "" {
			t.Note(term.Plain, w.Hint)
		}
		if w.State == string(connection.StateBackoff) {
			t.Note(term.Plain, "next try in "+until(w.NextRetry))
		}
		if w.TLS != nil && w.Expiring() {
			t.Note(term.Warn, fmt.Sprintf("the server's certificate ends on %s", w.TLS.Expires.Format(time.DateOnly)))
		}
		if w.Insecure != "" {
			t.Note(term.Warn, w.Insecure)
		}
	}
	t.Print()
}

func printTriggers(out *term.Terminal, triggers []metrics.TriggerStatus) {
	t := out.NewTable(term.Column{Head: "TRIGGER", Shrink: true}, term.Column{Head: "MATCHES", Right: true}, term.Column{Head: "LAST"}, term.Column{Head: "QUEUE", Right: true},
		term.Column{Head: "RETRYING", Right: true}, term.Column{Head: "OLDEST"}, term.Column{Head: "DEAD LETTERS", Right: true}, term.Column{Head: "ACTIONS", Shrink: true})
	for i := range triggers {
		s := &triggers[i]
		dead := term.Cell{Text: strconv.Itoa(s.DeadLetters)}
		if s.DeadLetters > 0 {
			dead.Style = term.Bad
		}
		t.Row(s.Name, s.Matches, ago(s.LastMatch), s.Queue, s.Retrying, ago(s.Oldest), dead, strings.Join(s.Actions, " "))
		if s.Backlog > 0 {
			t.Note(term.Plain, fmt.Sprintf("backlog: %d messages still to be read", s.Backlog))
		}
		for _, note := range firingNotes(s) {
			t.Note(term.Plain, note)
		}
	}
	t.Print()
}

// milliseconds is a round trip.
func milliseconds(seconds float64) string {
	if seconds == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f ms", seconds*1e3)
}

// firingNotes say why a trigger does not fire, or not now.
func firingNotes(t *metrics.TriggerStatus) (notes []string) {
	if t.Silent != "" {
		notes = append(notes, fmt.Sprintf("silent since %s: %s", t.SilentSince.Local().Format("2006-01-02 15:04:05"), t.Silent))
	}
	if t.Expired {
		notes = append(notes, "it has expired and does not fire any more")
	}
	if t.Waiting > 0 {
		notes = append(notes, fmt.Sprintf("%s until %s, in %s", count(t.Waiting, "message waits", "messages wait"), t.Until.Local().Format("2006-01-02 15:04:05"), until(t.Until)))
	}
	var held []string
	for _, reason := range slices.Sorted(maps.Keys(t.Suppressed)) {
		if n := t.Suppressed[reason]; n > 0 {
			held = append(held, fmt.Sprintf("%s %d", reason, n))
		}
	}
	if held != nil {
		notes = append(notes, "did not fire since the start: "+strings.Join(held, ", "))
	}
	return notes
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
