package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/cmd/mailtriggerd/internal/term"
	"mailtrigger/trigger"
	"mailtrigger/trigger/journal"
)

// A letterInfo is a dead letter as people and programs see it.
type letterInfo struct {
	ID         string       `json:"id"`
	When       time.Time    `json:"when"`
	Trigger    string       `json:"trigger"`
	Connection string       `json:"connection"`
	Mailbox    string       `json:"mailbox"`
	UID        uint32       `json:"uid"`
	EventID    string       `json:"event_id"`
	MessageID  string       `json:"message_id"`
	From       string       `json:"from"`
	Subject    string       `json:"subject"`
	Reason     string       `json:"reason"`
	HasMail    bool         `json:"has_mail"` // the mail itself is kept
	Actions    []actionInfo `json:"actions"`
}

type actionInfo struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
	Error    string `json:"error,omitempty"`
	Output   string `json:"output,omitempty"`
}

func letterInfos(letters []journal.DeadLetter) []letterInfo {
	out := make([]letterInfo, 0, len(letters))
	for _, l := range letters {
		j := l.Job
		info := letterInfo{
			ID: l.ID, When: l.When, Trigger: j.Trigger, Connection: j.Connection, Mailbox: j.Mailbox.Mailbox, UID: j.UID,
			EventID: j.EventID, MessageID: j.MessageID, From: j.From, Subject: j.Subject, Reason: l.Reason, HasMail: j.HasBody(),
		}
		for _, a := range j.Actions {
			info.Actions = append(info.Actions, actionInfo{a.Name, a.State.String(), a.Attempt, a.Err, string(a.Output)})
		}
		out = append(out, info)
	}
	return out
}

// A letterbox is what the dead-letter calls work on: the running daemon, or the
// journal itself where none runs.
type letterbox interface {
	DeadLetters() ([]letterInfo, error)
	Retry(id string) error
	Discard(id string) error
	io.Closer
}

func (c *call) runDeadLetters(ctx context.Context) int {
	cfg := c.load(config.Options{})
	if cfg == nil {
		return exitConfig
	}
	box, code := c.openLetterbox(ctx, cfg)
	if box == nil {
		return code
	}
	defer box.Close()
	if err := c.workOnLetters(box); err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	return exitOK
}

// openLetterbox asks the daemon if one runs, and else opens the journal.
func (c *call) openLetterbox(ctx context.Context, cfg *config.Config) (letterbox, int) {
	client, err := dialControl(ctx, cfg.Control)
	if err == nil {
		return client, exitOK
	}
	if !errors.Is(err, errNoDaemon) {
		c.problem("%v", err)
		return nil, exitFailed
	}
	if box, code := c.lookAtState(cfg.StateDir); code != exitOK || box != nil {
		return box, code
	}
	store, code := openJournal(cfg.StateDir, slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if store == nil {
		return nil, code
	}
	return &journalLetters{store}, exitOK
}

// lookAtState leaves a state directory alone that is not there yet, or that is
// another user's: what is made or written in it must be the daemon's.
func (c *call) lookAtState(dir string) (letterbox, int) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return noLetters{}, exitOK
	}
	if err != nil {
		c.problem("%v", err)
		return nil, exitState
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		owner := strconv.Itoa(int(st.Uid))
		if u, err := user.LookupId(owner); err == nil {
			owner = u.Username
		}
		c.problem("the state directory %s belongs to the user %s, and no daemon runs that could be asked; call this as that user (sudo -u %s)", dir, owner, owner)
		return nil, exitState
	}
	return nil, exitOK
}

func (c *call) workOnLetters(box letterbox) error {
	switch {
	case c.retry != "":
		return c.eachLetter(box, c.retry, "will be tried again", box.Retry)
	case c.discard != "":
		return c.eachLetter(box, c.discard, "dropped", box.Discard)
	}
	letters, err := box.DeadLetters()
	if err != nil {
		return err
	}
	if c.json {
		for _, l := range letters {
			c.printJSON(l)
		}
		return nil
	}
	c.printLetters(letters)
	return nil
}

// eachLetter does something with one dead letter, or with all.
func (c *call) eachLetter(box letterbox, id, done string, do func(string) error) error {
	ids := []string{id}
	if id == "all" {
		letters, err := box.DeadLetters()
		if err != nil {
			return err
		}
		ids = ids[:0]
		for _, l := range letters {
			ids = append(ids, l.ID)
		}
	}
	var failed []error
	quiet := c.out().Is() && !c.json && len(ids) > manyLetters
	line := c.progress()
	for i, n := range ids {
		if quiet {
			line.Say("%d of %d", i, len(ids))
		}
		err := do(n)
		switch {
		case err != nil:
			failed = append(failed, err)
		case c.json:
			c.printJSON(map[string]string{"id": n, "result": done})
		case !quiet:
			fmt.Fprintf(c.stdout, "%s: %s\n", n, done)
		}
	}
	line.Clear()
	switch {
	case c.json:
	case len(ids) == 0:
		fmt.Fprintln(c.stdout, "no dead letters")
	case quiet:
		fmt.Fprintf(c.stdout, "%d of %d dead letters: %s\n", len(ids)-len(failed), len(ids), done)
	}
	return errors.Join(failed...)
}

// manyLetters is from how many dead letters on a terminal shows progress instead
// of each.
const manyLetters = 20

func (c *call) printLetters(letters []letterInfo) {
	if len(letters) == 0 {
		fmt.Fprintln(c.stdout, "no dead letters")
		return
	}
	out := c.out()
	t := out.NewTable(term.Column{Head: "ID"}, term.Column{Head: "WHEN"}, term.Column{Head: "TRIGGER", Shrink: true}, term.Column{Head: "MAILBOX", Shrink: true},
		term.Column{Head: "UID", Right: true}, term.Column{Head: "FROM", Shrink: true}, term.Column{Head: "SUBJECT", Shrink: true})
	for _, l := range letters {
		t.Row(l.ID, l.When.Local().Format(time.DateTime), l.Trigger, l.Connection+"/"+l.Mailbox, l.UID, l.From, l.Subject)
		t.Note(term.Bad, l.Reason)
	}
	t.Print()
	if out.Is() && len(letters) > 1 {
		fmt.Fprintln(c.stdout)
		out.Indented(0, term.Soft, fmt.Sprintf("%d dead letters; --retry ID tries one again, --retry all every one, --discard drops", len(letters)))
	}
}

// noLetters is where no daemon has ever run.
type noLetters struct{}

func (noLetters) DeadLetters() ([]letterInfo, error) { return nil, nil }
func (noLetters) Retry(id string) error              { return fmt.Errorf("there is no dead letter %q", id) }
func (noLetters) Discard(id string) error            { return fmt.Errorf("there is no dead letter %q", id) }
func (noLetters) Close() error                       { return nil }

// journalLetters works on the journal of a daemon that does not run.
type journalLetters struct{ store *journal.Journal }

func (l *journalLetters) DeadLetters() ([]letterInfo, error) {
	letters, err := l.store.DeadLetters()
	return letterInfos(letters), err
}

func (l *journalLetters) Retry(id string) error {
	_, err := trigger.Unbury(l.store, id)
	return err
}

func (l *journalLetters) Discard(id string) error { return l.store.Discard(id) }

func (l *journalLetters) Close() error { return l.store.Close() }
