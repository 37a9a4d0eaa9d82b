package trigger

import (
	"context"
	"log/slog"
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
	key   journal.MailboxKey
	log   *slog.Logger
	watch atomic.Pointer[connection.Watch] // nil: nobody watches the mailbox (yet)

	adjusting sync.Mutex         // held by adjust
	watchedBy *connection.Config // by which the watch was begun; guarded by adjusting
	halted    atomic.Bool        // the watch is to end

	looking sync.Mutex // held by look and finishAlone, which own what follows

	conn     *connection.Config // nil: gone from the config
	feeds    []*feed
	state    journal.MailboxState
	settled  bool
	newest   newest                // known messages whose UIDs are looked at again after a connect
	heldAt   uint32                // the UIDVALIDITY for which the mailbox is held, in this run
	batch    int                   // messages a batch: halved when a fetch fails, so that the one to blame is found
	fails    map[uint32]fetchFails // of messages fetched alone
	lost     int                   // sessions that have ended, one after the other, over collectNext
	pipeline *journal.Commit       // the last batch sent to the journal
	ahead    *delivery             // a batch of the backlog that was fetched, while new mail goes before it; nil: none

	backlog     atomic.Pointer[map[string]uint64] // what triggers have still to read of the mail that was there; written by look
	backlogTold time.Time                         // when the log was last told of it

	mu         sync.Mutex // guards what follows
	sources    []wantsOf
	wants      []want              // of all sources, each trigger once
	wantedConn *connection.Config  // by which the mailbox is to be watched
	changed    bool                // look has to take over wants and connection
	groups     map[groupKey]*group // messages with jobs that have not ended
	ready      []*group            // their turn on the server has come
	unread     []*job              // dead letters tried again whose mail is still to be fetched
	adopted    []*job              // from the journal; resume queues them
}

func newCollector(e *Engine, conn *connection.Config, key journal.MailboxKey) *collector {
	c := &collector{
		e: e, key: key, batch: maxBatch, conn: conn, wantedConn: conn,
		fails: make(map[uint32]fetchFails), groups: make(map[groupKey]*group),
	}
	if conn == nil {
		c.log = e.log.With("mailbox", key.Mailbox)
	} else {
		c.log = e.log.With("mailbox", key.Mailbox, "connection", conn.Name)
	}
	return c
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

// look brings everything that is new to the triggers. Live mail goes first,
// then what is to be done on the server, then a batch of the backlog, and again.
func (c *collector) look(ctx context.Context, mb *connection.Mailbox, wake wire.Wake) error {
	c.looking.Lock()
	defer c.looking.Unlock()
	began := c.e.now()
	for _, f := range c.feeds {
		f.runner.vigil.lookBegins(c.key)
	}
	err := c.lookInto(ctx, mb, wake)
	for _, f := range c.feeds {
		f.runner.vigil.lookEnds(c.key, began, err == nil && !f.full && c.state.Held == "" && !c.ending())
	}
	return err
}

func (c *collector) lookInto(ctx context.Context, mb *connection.Mailbox, wake wire.Wake) error {
	for _, f := range c.feeds {
		f.full = false
	}
	for first := true; !c.ending(); first = false {
		selected := first && wake.Reason == wire.Rechecked // just now
		if c.takeWants() || first {
			if len(c.feeds) == 0 {
				return nil // the watch is about to end
			}
			if err := c.settle(ctx, mb, selected); err != nil {
				return err
			}
		}
		if empty := selected && mb.Exists == 0; !empty && c.state.Held == "" {
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
		if err != nil || !more && !c.interrupted() {
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
	if c.settled && !selected && c.state.Held == "" && mb.UIDValidity == c.state.UIDValidity {
		return nil // without a SELECT no UID can have changed
	}
	var first *journal.Batch
	if !c.settled {
		var err error
		if first, err = c.load(ctx, mb); err != nil {
			return err
		}
	}
	if first == nil { // else there is nothing to compare with
		if err := c.agree(ctx, mb); err != nil {
			return err
		}
	}
	if c.state.Held == "" {
		if err := c.baselines(ctx, mb, first); err != nil {
			return err
		}
	}
	c.settled = true
	return nil
}

// agree finds known messages again if the server has changed its UIDs.
func (c *collector) agree(ctx context.Context, mb *connection.Mailbox) error {
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
	if !resync {
		return nil
	}
	return c.resync(ctx, mb)
}
