package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

// A directory finds the mailboxes of one account that its triggers name by
// patterns ("cust/*") or by special use ("\\Archive"), again and again: a mailbox
// that appears later is watched from its first message on, one that is gone no more.
type directory struct {
	e        *Engine
	conn     *connection.Config
	patterns []patternFeed
	watched  map[string]bool // the mailboxes that patterns have given
}

// A patternFeed is a trigger that names mailboxes by patterns.
type patternFeed struct {
	runner   *runner
	patterns []string
}

const (
	directoryPrefix = "list/"     // of the state in which the names of the last LIST are kept
	listRetry       = time.Minute // after a LIST that failed
	maxListed       = 10000       // mailboxes of one account
)

// IsPattern reports whether an entry of `mailboxes` is not the name of one mailbox:
// a pattern of LIST, or a special use.
func IsPattern(mailbox string) bool {
	return strings.ContainsAny(mailbox, "*%") || strings.HasPrefix(mailbox, `\`)
}

// run lists the mailboxes at every recheck until ctx ends.
func (d *directory) run(ctx context.Context) {
	for {
		wait := time.Duration(d.conn.Session.RecheckInterval)
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			wait = min(wait, listRetry)
			d.e.log.Warn("cannot list the mailboxes, will be tried again", "connection", d.conn.Name, "err", err, "next", wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// look lists the mailboxes once, and starts and ends watches accordingly.
func (d *directory) look(ctx context.Context) error {
	all, wanted, err := d.list(ctx)
	if err != nil {
		return err
	}
	before, known, err := d.remembered()
	if err != nil {
		return err
	}
	now := make(map[string]bool)
	for _, w := range wanted {
		now[w.mailbox] = true
		// Without an earlier list there is no saying what is new: every mailbox is
		// as one that the file names.
		d.e.addFeed(d.conn, w.mailbox, w.runner, known && !before[w.mailbox])
	}
	for name := range d.watched {
		if !now[name] {
			d.e.log.Info("the mailbox is gone and no longer watched", "connection", d.conn.Name, "mailbox", name)
			d.e.dropMailbox(ctx, mailboxKey(d.conn, name))
		}
	}
	d.watched = now
	return d.remember(ctx, all, before, known)
}

// A wantedMailbox is a mailbox that a trigger's patterns name.
type wantedMailbox struct {
	mailbox string
	runner  *runner
}

// list asks the server for all mailboxes, and picks those that the triggers want.
func (d *directory) list(ctx context.Context) (all []string, wanted []wantedMailbox, err error) {
	err = d.e.watcher.Do(ctx, d.conn, "", func(ctx context.Context, mb *connection.Mailbox) error {
		everything, err := mb.ListMailboxes(ctx, "*")
		if err != nil {
			return err
		}
		if len(everything) > maxListed {
			return fmt.Errorf("the account has %d mailboxes, more than the %d that are looked through", len(everything), maxListed)
		}
		delimiter := ""
		for _, m := range everything {
			all = append(all, m.Name)
			delimiter = m.Delimiter
		}
		for _, p := range d.patterns {
			found, err := mb.ListMailboxes(ctx, p.patterns...)
			if err != nil {
				return err
			}
			for _, m := range found {
				if !p.excludes(m, delimiter) {
					wanted = append(wanted, wantedMailbox{m.Name, p.runner})
				}
			}
		}
		return nil
	})
	return all, wanted, err
}

// excludes reports whether the trigger does not want the mailbox: it says so, or
// it puts messages there itself.
func (p *patternFeed) excludes(m connection.MailboxInfo, delimiter string) bool {
	cfg := p.runner.rule.cfg
	for _, x := range cfg.ExcludeMailboxes {
		if strings.HasPrefix(x, `\`) && slices.ContainsFunc(m.Attributes, func(a string) bool { return strings.EqualFold(a, x) }) {
			return true
		}
		if matchMailbox(x, m.Name, delimiter) {
			return true
		}
	}
	return slices.ContainsFunc(cfg.Actions, func(a action.Definition) bool { return destination(a) == m.Name })
}

// matchMailbox matches a name with a pattern of LIST: "*" is anything, "%"
// anything but the delimiter (RFC 9051 section 6.3.9); INBOX in any case.
func matchMailbox(pattern, name, delimiter string) bool {
	if strings.EqualFold(pattern, "INBOX") {
		return strings.EqualFold(name, "INBOX")
	}
	// Positions in the pattern that the name up to here can have brought us to.
	at := map[int]bool{0: true}
	open := func(set map[int]bool) map[int]bool {
		for i := 0; i < len(pattern); i++ { // a wildcard may stand for nothing
			if set[i] && (pattern[i] == '*' || pattern[i] == '%') {
				set[i+1] = true
			}
		}
		return set
	}
	at = open(at)
	for k := 0; k < len(name); k++ {
		next := make(map[int]bool)
		for i := range at {
			switch {
			case i == len(pattern):
			case pattern[i] == '*', pattern[i] == '%' && string(name[k]) != delimiter:
				next[i] = true
			case pattern[i] == name[k] && pattern[i] != '%':
				next[i+1] = true
			}
		}
		at = open(next)
	}
	return at[len(pattern)]
}

func (d *directory) stateKey() string {
	host, user := d.conn.Identity()
	return fmt.Sprintf("%s%q/%q", directoryPrefix, host, user)
}

// remembered returns the mailboxes of the last LIST; known is false if there was none.
func (d *directory) remembered() (names map[string]bool, known bool, err error) {
	state, err := d.e.store.State(d.stateKey())
	if err != nil {
		return nil, false, err
	}
	v, known := state[d.stateKey()]
	var list []string
	if known {
		if err := json.Unmarshal(v, &list); err != nil {
			return nil, false, fmt.Errorf("the list of mailboxes in the journal: %w", err)
		}
	}
	names = make(map[string]bool, len(list))
	for _, n := range list {
		names[n] = true
	}
	return names, known, nil
}

// remember keeps the names of this LIST, if they are others than the last one's.
func (d *directory) remember(ctx context.Context, all []string, before map[string]bool, known bool) error {
	same := known && len(all) == len(before) && !slices.ContainsFunc(all, func(n string) bool { return !before[n] })
	if same {
		return nil
	}
	v, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return d.e.store.Accept(&journal.Batch{State: map[string][]byte{d.stateKey(): v}}).Wait(ctx)
}
