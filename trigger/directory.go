package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

// A directory finds the mailboxes of one account that its triggers name by
// patterns ("cust/*") or by special use ("\\Archive"), again and again: a mailbox
// that appears later is watched from its first message on, one that is gone no more.
type directory struct {
	e    *Engine
	conn *connection.Config
	end  context.CancelFunc // nil: it does not run yet
	done chan struct{}      // closed when it has ended

	mu       sync.Mutex // guards what follows; held while the mailboxes' wants are changed
	patterns []patternFeed
	found    []wantedMailbox                   // at the last LIST
	given    map[journal.MailboxKey]*collector // the mailboxes that patterns have given
	changed  chan struct{}                     // capacity 1: there are other patterns
}

// A patternFeed is a trigger that names mailboxes by patterns.
type patternFeed struct {
	runner   *runner
	rule     *rule
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

func newDirectory(e *Engine, conn *connection.Config, patterns []patternFeed) *directory {
	return &directory{e: e, conn: conn, patterns: patterns, changed: make(chan struct{}, 1)}
}

// start lists the mailboxes at every recheck from now on, until stop is called or
// the engine stops.
func (d *directory) start() {
	var ctx context.Context
	ctx, d.end = context.WithCancel(d.e.stopping)
	d.done = make(chan struct{})
	go func() {
		defer close(d.done)
		d.run(ctx)
	}()
}

// stop ends that, and waits until it has ended.
func (d *directory) stop() {
	if d.end != nil {
		d.end()
		<-d.done
	}
}

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
		case <-d.changed:
		case <-time.After(wait):
		}
	}
}

// look lists the mailboxes once, and starts and ends watches accordingly.
func (d *directory) look(ctx context.Context) error {
	d.mu.Lock()
	patterns := d.patterns
	d.mu.Unlock()
	all, found, err := d.list(ctx, patterns)
	if err != nil {
		return err
	}
	before, known, err := d.remembered()
	if err != nil {
		return err
	}
	for i := range found {
		// Without an earlier list there is no saying what is new: every mailbox is
		// as one that the file names.
		found[i].fresh = known && !before[found[i].mailbox]
	}
	d.mu.Lock()
	d.found = found
	for _, key := range d.give() {
		d.e.log.Info("the mailbox is gone and no longer watched", "connection", d.conn.Name, "mailbox", key.Mailbox)
	}
	d.mu.Unlock()
	return d.remember(ctx, all, before, known)
}

// set replaces the triggers that name mailboxes by patterns. Those that stay keep
// their mailboxes; what other patterns change is found out by a LIST soon.
func (d *directory) set(patterns []patternFeed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.patterns = patterns
	d.give()
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// give lets the mail of the mailboxes that were found go to the triggers that want
// it. It returns those whose mail no trigger wants any more. d.mu is held.
func (d *directory) give() (gone []journal.MailboxKey) {
	wants := make(map[journal.MailboxKey][]want)
	for _, f := range d.found {
		if i := slices.IndexFunc(d.patterns, func(p patternFeed) bool { return p.runner == f.runner }); i >= 0 {
			key := mailboxKey(d.conn, f.mailbox)
			wants[key] = append(wants[key], want{f.runner, d.patterns[i].rule, d.conn, f.fresh})
		}
	}
	before := d.given
	d.given = make(map[journal.MailboxKey]*collector, len(wants))
	for key, w := range wants {
		d.given[key] = d.e.want(key, d.conn, d, w)
	}
	var all sync.WaitGroup
	for key, c := range before {
		if d.given[key] == nil {
			gone = append(gone, key)
			c.setWants(d, nil)
			all.Go(c.adjust)
		}
	}
	for _, c := range d.given {
		all.Go(c.adjust)
	}
	all.Wait()
	return gone
}

// A wantedMailbox is a mailbox that a trigger's patterns name.
type wantedMailbox struct {
	mailbox string
	runner  *runner
	fresh   bool // it was not there at the last LIST
}

// list asks the server for all mailboxes, and picks those that the triggers want.
func (d *directory) list(ctx context.Context, patterns []patternFeed) (all []string, wanted []wantedMailbox, err error) {
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
		for _, p := range patterns {
			found, err := mb.ListMailboxes(ctx, p.patterns...)
			if err != nil {
				return err
			}
			for _, m := range found {
				if !p.excludes(m, delimiter) {
					wanted = append(wanted, wantedMailbox{mailbox: m.Name, runner: p.runner})
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
	cfg := p.rule.cfg
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
