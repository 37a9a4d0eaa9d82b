package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection"
	"mailtrigger/trigger"
	"mailtrigger/trigger/action"
)

// maxMessageFile is the largest file that --message reads.
const maxMessageFile = 256 << 20

func (c *call) runTestTrigger(ctx context.Context) int {
	cfg := c.load(config.Options{})
	if cfg == nil {
		return exitConfig
	}
	t := cfg.Trigger(c.testTrigger)
	if t == nil {
		c.problem("the config has no trigger %q%s", c.testTrigger, known("triggers", names(cfg.Triggers, func(t *trigger.Config) string { return t.Name })))
		return exitUsage
	}
	conn := cfg.Connection(t.Connection[0])
	mail, err := c.mailToTest(ctx, cfg, t, conn)
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	x, err := trigger.Explain(t, conn, *mail, action.Env{BaseDir: cfg.BaseDir, TempDir: os.TempDir()})
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	if c.json {
		return c.printJSON(x)
	}
	c.printExplanation(x)
	return exitOK
}

// mailToTest reads the message from a file, or fetches it from the mailbox.
func (c *call) mailToTest(ctx context.Context, cfg *config.Config, t *trigger.Config, conn *connection.Config) (*trigger.Mail, error) {
	if c.message != "" {
		raw, err := readMessage(c.message)
		if err != nil {
			return nil, err
		}
		return &trigger.Mail{
			Info: connection.Info{UID: 1, InternalDate: time.Now(), Size: int64(len(raw))},
			Raw:  raw, Mailbox: firstMailbox(t), UIDValidity: 1,
		}, nil
	}
	mailbox := c.mailbox
	if mailbox == "" {
		mailbox = firstMailbox(t)
	}
	d, err := connection.NewDialer(connection.DialerOptions{StateDir: cfg.StateDir})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var mail *trigger.Mail
	err = d.Do(ctx, conn, mailbox, func(ctx context.Context, mb *connection.Mailbox) error {
		uid := uint32(c.uid)
		if uid == 0 {
			infos, err := mb.List(ctx, 0)
			if err != nil {
				return err
			}
			if len(infos) == 0 {
				return fmt.Errorf("mailbox %s is empty; name a file with --message", mailbox)
			}
			uid = infos[len(infos)-1].UID
		}
		return mb.Fetch(ctx, []uint32{uid}, func(b connection.Body) error {
			mail = &trigger.Mail{Info: b.Info, Raw: b.Raw, Mailbox: mailbox, UIDValidity: mb.UIDValidity}
			return nil
		})
	})
	if err == nil && mail == nil {
		err = fmt.Errorf("mailbox %s has no message with UID %d", mailbox, c.uid)
	}
	return mail, err
}

// firstMailbox returns a mailbox of the trigger; INBOX if it has patterns only.
func firstMailbox(t *trigger.Config) string {
	for _, m := range t.Mailboxes {
		if !trigger.IsPattern(m) {
			return m
		}
	}
	return "INBOX"
}

func readMessage(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxMessageFile+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxMessageFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxMessageFile)
	}
	return raw, nil
}

func (c *call) printExplanation(x *trigger.Explanation) {
	m := x.Event.Message
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	from := make([]string, 0, len(m.From))
	for _, a := range m.From {
		from = append(from, strings.TrimSpace(a.Name+" <"+a.Address+">"))
	}
	fmt.Fprintf(w, "from\t%s\n", printable(strings.Join(from, ", ")))
	fmt.Fprintf(w, "subject\t%s\n", printable(m.Subject))
	fmt.Fprintf(w, "code page\t%s (%s)\n", m.CodePage.Used, m.CodePage.Why)
	if len(m.Defects) > 0 {
		fmt.Fprintf(w, "defects\t%s\n", strings.Join(m.Defects, " "))
	}
	w.Flush()
	fmt.Fprintln(c.stdout)
	w = tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, v := range x.Conditions {
		verdict := "no"
		if v.OK {
			verdict = "yes"
		}
		fmt.Fprintf(w, "%s\t%s %s %s\thas %s\n", verdict, v.Field, v.Operator, quoteAll(v.Want), quoteAll(v.Got))
	}
	w.Flush()
	if len(x.Conditions) > 0 {
		fmt.Fprintln(c.stdout)
	}
	if x.Matched {
		fmt.Fprintf(c.stdout, "trigger %s matches; it would:\n", x.Trigger)
	} else {
		fmt.Fprintf(c.stdout, "trigger %s does not match", x.Trigger)
		if len(x.Actions) == 0 {
			fmt.Fprintln(c.stdout, ": nothing would run")
			return
		}
		fmt.Fprintln(c.stdout, "; it would:")
	}
	for _, a := range x.Actions {
		would := strings.Split(a.Would, "\n")
		fmt.Fprintf(c.stdout, "  %s (%s): %s\n", a.Name, a.Type, printable(would[0]))
		for _, line := range would[1:] {
			fmt.Fprintln(c.stdout, strings.TrimRight("    "+printable(line), " "))
		}
	}
}

func quoteAll(values []string) string {
	quoted := make([]string, 0, len(values))
	for _, v := range values {
		quoted = append(quoted, quote(v))
	}
	if len(quoted) == 0 {
		return "nothing"
	}
	return strings.Join(quoted, ", ")
}

// quote quotes a value as TOML does: without escapes where that is possible.
func quote(s string) string {
	if strings.Contains(s, `\`) && printable(s) == s && !strings.Contains(s, "'") {
		return "'" + s + "'"
	}
	return fmt.Sprintf("%q", s)
}

// names returns the names of a list's items.
func names[T any](list []T, name func(T) string) []string {
	out := make([]string, 0, len(list))
	for _, item := range list {
		out = append(out, name(item))
	}
	return out
}

// known says which names there are.
func known(what string, names []string) string {
	if len(names) == 0 {
		return "; it has no " + what + " at all"
	}
	return "; its " + what + " are " + strings.Join(names, ", ")
}
