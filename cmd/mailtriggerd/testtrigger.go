package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

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
		return c.printJSON(x.Form())
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
			Info: connection.Info{UID: 1, Size: int64(len(raw))},
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
			var err error
			if uid, err = newest(ctx, mb); err != nil {
				return err
			}
			if uid == 0 {
				return fmt.Errorf("mailbox %s is empty; name a file with --message", mailbox)
			}
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

// newest returns the highest UID of a mailbox, 0 if it is empty. It looks from the
// end on, since a mailbox may have a million messages.
func newest(ctx context.Context, mb *connection.Mailbox) (uint32, error) {
	after := uint32(0)
	if mb.UIDNext > 0 {
		for last, width := mb.UIDNext-1, uint32(100); last > 0; width *= 10 {
			after = last - min(last, width)
			infos, err := mb.ListRange(ctx, after+1, last)
			if err != nil {
				return 0, err
			}
			if len(infos) > 0 {
				return infos[len(infos)-1].UID, nil
			}
			last = after
		}
		after = mb.UIDNext - 1 // what came meanwhile
	}
	infos, err := mb.List(ctx, after)
	if err != nil || len(infos) == 0 {
		return 0, err
	}
	return infos[len(infos)-1].UID, nil
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
	var raw bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		raw.Grow(int(min(info.Size(), maxMessageFile)) + bytes.MinRead) // all at once: no copy of a copy
	}
	if _, err := raw.ReadFrom(io.LimitReader(f, maxMessageFile+1)); err != nil {
		return nil, err
	}
	if raw.Len() > maxMessageFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxMessageFile)
	}
	return raw.Bytes(), nil
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
