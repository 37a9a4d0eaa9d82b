package trigger

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/wire"
	"mailtrigger/trigger/journal"
)

// The limits of one batch: what is fetched, matched and journaled together.
const (
	maxBatch      = 100
	maxBatchBytes = 16 << 20
	listWindow    = 5000             // UIDs listed at once while a backlog is worked through
	largeMail     = 1 << 20          // above it, a message's header is judged before its body is fetched
	maxFetchFails = 5                // fetches of one message alone that may fail before it becomes a dead letter ...
	fetchPatience = 10 * time.Minute // ... if each takes the session down, for at least as long
)

// A collector brings one mailbox's mail to the triggers that watch it, and does
// on the server what they ask for. All of it happens in look, which the watch
// calls from one goroutine at a time.
type collector struct {
	e     *Engine
	conn  *connection.Config
	key   journal.MailboxKey
	log   *slog.Logger
	feeds []*feed                          // owned by look, once started
	watch atomic.Pointer[connection.Watch] // nil: nobody watches the mailbox (yet)

	// Owned by look.
	state    journal.MailboxState
	settled  bool
	selected selection
	newest   newest                // known messages whose UIDs are looked at again after a connect
	heldAt   uint32                // the UIDVALIDITY for which the mailbox is held, in this run
	batch    int                   // messages a batch: halved when a fetch fails, so that the one to blame is found
	fails    map[uint32]fetchFails // of messages fetched alone
	pipeline *journal.Commit       // the last batch sent to the journal

	alone sync.Mutex // held by finishAlone

	mu         sync.Mutex
	joining    []*feed             // feeds for look to take over
	fedRunners []*runner           // the triggers that watch the mailbox
	groups     map[groupKey]*group // messages with jobs that have not ended
	ready      []*group            // their turn on the server has come
	unread     []*job              // dead letters tried again whose mail is still to be fetched
	adopted    []*job              // of the last run; resume queues them
}

// A feed lets the mailbox's mail go to one trigger.
type feed struct {
	runner  *runner
	conn    *connection.Config
	reading reading
	fresh   bool // the mailbox is new: its first message is, too

	// Owned by look.
	cursor journal.Cursor
	known  bool // it has a cursor
	full   bool // its queue is full: the cursor stays where it is
}

// selection is what the server said of the mailbox when it was last selected.
type selection struct{ uidValidity, uidNext uint32 }

func newCollector(e *Engine, conn *connection.Config, key journal.MailboxKey) *collector {
	c := &collector{
		e: e, conn: conn, key: key, batch: maxBatch,
		fails: make(map[uint32]fetchFails), groups: make(map[groupKey]*group),
		log: e.log.With("mailbox", key.Mailbox),
	}
	if conn != nil {
		c.log = c.log.With("connection", conn.Name)
	}
	return c
}

// addFeed lets the mailbox's mail go to one more trigger. It reports false if it
// does already: by another name of the same account, or another pattern. One
// message is one event.
func (c *collector) addFeed(f *feed) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.fedRunners, f.runner) {
		return false
	}
	c.fedRunners = append(c.fedRunners, f.runner)
	c.joining = append(c.joining, f)
	return true
}

// watches reports whether any trigger watches the mailbox.
func (c *collector) watches() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.fedRunners) > 0
}

// takeJoining takes over the feeds that were added since the last look.
func (c *collector) takeJoining() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.joining) > 0 {
		c.feeds, c.joining = append(c.feeds, c.joining...), nil
		c.settled = false
	}
}

// start watches the mailbox.
func (c *collector) start() {
	if c.watches() {
		c.watch.Store(c.e.watcher.Watch(c.conn, c.key.Mailbox, c.look))
	}
}

// wake asks for a look soon. A mailbox that nobody watches gets a session of its own for it.
func (c *collector) wake() {
	switch w := c.watch.Load(); {
	case w != nil:
		w.Wake()
	case !c.watches() && c.e.stopping.Err() == nil:
		c.e.running.Add(1)
		go c.finishAlone()
	}
}

func (c *collector) close(ctx context.Context) {
	w := c.watch.Load()
	if w == nil {
		return
	}
	if err := w.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
		c.log.Debug("the session did not end cleanly", "err", err)
	}
}

// look brings everything that is new to the triggers. Live mail goes first,
// then what is to be done on the server, then a batch of the backlog, and again.
func (c *collector) look(ctx context.Context, mb *connection.Mailbox, wake wire.Wake) error {
	c.takeJoining()
	if err := c.settle(ctx, mb, wake.Reason == wire.Rechecked); err != nil {
		return err
	}
	for _, f := range c.feeds {
		f.full = false
	}
	for c.e.stopping.Err() == nil {
		if c.state.Held == "" {
			if err := c.collectNew(ctx, mb, wake); err != nil {
				return err
			}
		}
		if err := c.readUnread(ctx, mb); err != nil {
			return err
		}
		if err := c.finishReady(ctx, mb); err != nil {
			return err
		}
		if c.state.Held != "" {
			return nil
		}
		more, err := c.collectBacklog(ctx, mb)
		if err != nil || !more {
			return err
		}
		wake = wire.Wake{}
	}
	return nil
}

// settle makes sure that cursors and mailbox speak of the same UIDs: it finds
// known messages again where the server has changed its UIDs, and commits the
// baseline of a mailbox or trigger seen for the first time.
// selected says that the mailbox has just been selected.
func (c *collector) settle(ctx context.Context, mb *connection.Mailbox, selected bool) error {
	now := selection{mb.UIDValidity, mb.UIDNext}
	if c.settled && now == c.selected && c.state.Held == "" && !selected {
		return nil
	}
	if !c.settled {
		if err := c.load(ctx, mb); err != nil {
			return err
		}
	}
	resync := c.state.UIDValidity != mb.UIDValidity || mb.UIDNext < c.state.UIDNext
	if !resync {
		var err error
		if resync, err = c.reused(ctx, mb); err != nil {
			return err
		}
	}
	if c.state.Held != "" {
		answer, err := c.released()
		if err != nil {
			return err
		}
		resync = answer != "" || c.heldAt != mb.UIDValidity
	}
	if resync {
		if err := c.resync(ctx, mb); err != nil {
			return err
		}
	}
	if c.state.Held == "" {
		if err := c.baselines(ctx, mb); err != nil {
			return err
		}
	}
	c.settled, c.selected = true, now
	return nil
}
