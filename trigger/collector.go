package trigger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailtrigger/codepage"
	"mailtrigger/connection"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
	"mailtrigger/trigger/crashpoint"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
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
	runner *runner
	conn   *connection.Config
	policy codepage.Policy
	fresh  bool // the mailbox is new: its first message is, too

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

// load gets the state of the mailbox and the triggers' cursors from the journal,
// and commits the state of a mailbox that is seen for the first time.
func (c *collector) load(ctx context.Context, mb *connection.Mailbox) error {
	state, known := c.e.store.Mailbox(c.key)
	if !known {
		seen, horizon, err := c.recentMail(ctx, mb)
		if err != nil {
			return err
		}
		state = journal.MailboxState{UIDValidity: mb.UIDValidity, UIDNext: mb.UIDNext, Horizon: horizon}
		err = c.commit(ctx, &journal.Batch{
			Mailboxes: []journal.MailboxUpdate{{Mailbox: c.key, State: state}},
			Seen:      []journal.SeenUpdate{{Mailbox: c.key, Seen: seen}},
		})
		if err != nil {
			return err
		}
	}
	seen, err := c.e.store.Seen(c.key)
	if err != nil {
		return err
	}
	c.newest = nil
	c.newest.add(seen...)
	c.state = state
	for _, f := range c.feeds {
		f.cursor, f.known = c.e.store.Cursor(c.key, f.runner.rule.cfg.Name)
	}
	return c.rekeyAdopted()
}

// baselines commits the cursors of triggers that see the mailbox for the first
// time: mail that is already there fires only if their `start` says so, and
// whatever comes later is new.
func (c *collector) baselines(ctx context.Context, mb *connection.Mailbox) error {
	batch := &journal.Batch{}
	for _, f := range c.feeds {
		if f.known {
			continue
		}
		cursor, err := c.baseline(ctx, mb, f)
		if err != nil {
			return err
		}
		f.cursor = cursor
		batch.Cursors = append(batch.Cursors, c.cursorUpdate(f))
	}
	if len(batch.Cursors) == 0 {
		return nil
	}
	if err := c.commit(ctx, batch); err != nil {
		return err
	}
	for _, f := range c.feeds {
		if !f.known {
			f.known = true
			c.log.Info("watching from now on", "trigger", f.runner.rule.cfg.Name, "start", f.runner.rule.cfg.Start, "uid", f.cursor.UID, "backlog", backlogSize(f.cursor))
		}
	}
	return nil
}

// rekeyAdopted finds out the UIDs of now of messages whose jobs were journaled
// before the server changed its UIDs.
func (c *collector) rekeyAdopted() error {
	c.mu.Lock()
	stale := false
	for key := range c.groups {
		stale = stale || key.uidValidity != c.state.UIDValidity
	}
	c.mu.Unlock()
	if !stale {
		return nil
	}
	seen, err := c.e.store.Seen(c.key)
	if err != nil {
		return err
	}
	byHash := make(map[uint64]uint32, len(seen))
	for _, s := range seen {
		byHash[s.Hash] = s.UID
	}
	c.rekey(byHash, c.state.UIDValidity, false)
	return nil
}

// baseline is the first cursor of a trigger in a mailbox.
func (c *collector) baseline(ctx context.Context, mb *connection.Mailbox, f *feed) (journal.Cursor, error) {
	cursor := journal.Cursor{UIDValidity: mb.UIDValidity, UID: mb.UIDNext - 1}
	if mb.UIDNext <= 1 || f.fresh {
		cursor.UID = 0
		return cursor, nil
	}
	var what connection.Search
	switch start := f.runner.rule.cfg.Start; {
	case start == "all":
		cursor.Backfill = []journal.Range{{First: 1, Last: cursor.UID}}
		return cursor, nil
	case start == "unseen":
		what.Unseen = true
	case strings.HasPrefix(start, "since:"):
		var d setting.Duration
		if err := d.UnmarshalText([]byte(strings.TrimPrefix(start, "since:"))); err != nil {
			return cursor, fmt.Errorf("start: %w", err)
		}
		what.Since = c.e.now().Add(-time.Duration(d))
	default:
		return cursor, nil
	}
	uids, err := mb.Search(ctx, what)
	if err != nil {
		return cursor, err
	}
	if !what.Since.IsZero() {
		if uids, err = notBefore(ctx, mb, uids, what.Since); err != nil {
			return cursor, err
		}
	}
	cursor.Backfill = ranges(uids, cursor.UID)
	return cursor, nil
}

// notBefore returns those of the UIDs whose messages came at that time or later:
// SEARCH knows days only.
func notBefore(ctx context.Context, mb *connection.Mailbox, uids []uint32, since time.Time) (out []uint32, err error) {
	for len(uids) > 0 {
		n := min(len(uids), listWindow)
		infos, err := mb.ListRange(ctx, uids[0], uids[n-1])
		if err != nil {
			return nil, err
		}
		for _, info := range infos {
			if _, found := slices.BinarySearch(uids[:n], info.UID); found && !info.InternalDate.Before(since) {
				out = append(out, info.UID)
			}
		}
		uids = uids[n:]
	}
	return out, nil
}

// ranges makes ranges of the UIDs up to last.
func ranges(uids []uint32, last uint32) []journal.Range {
	slices.Sort(uids)
	var out []journal.Range
	for _, uid := range slices.Compact(uids) {
		switch n := len(out); {
		case uid > last:
			return out
		case n > 0 && out[n-1].Last == uid-1:
			out[n-1].Last = uid
		default:
			out = append(out, journal.Range{First: uid, Last: uid})
		}
	}
	return out
}

// collectNew brings what came after the cursors to the triggers.
func (c *collector) collectNew(ctx context.Context, mb *connection.Mailbox, wake wire.Wake) error {
	pushed := time.Time{}
	if wake.Reason == wire.Pushed {
		pushed = wake.At
	}
	empty, width := uint32(0), uint32(listWindow) // up to here there is nothing; how much is listed at once
	for {
		after, ok := c.lowest()
		if !ok {
			return nil
		}
		after = max(after, empty)
		// A long absence leaves more than should be listed at once.
		windowed := mb.UIDNext > 0 && mb.UIDNext-1 > after && mb.UIDNext-1-after > width
		var infos []connection.Info
		var err error
		if windowed {
			infos, err = mb.ListRange(ctx, after+1, after+width)
		} else {
			infos, err = mb.List(ctx, after)
		}
		switch {
		case err != nil:
			return err
		case len(infos) == 0 && windowed:
			empty, width = after+width, width*2
			continue
		case len(infos) == 0:
			return nil
		}
		width = listWindow
		for len(infos) > 0 {
			if c.e.stopping.Err() != nil {
				return nil
			}
			n := c.batchOf(infos)
			switch err := c.deliver(ctx, mb, infos[:n], true, pushed); {
			case refused(err):
				continue // in a smaller batch, or as a dead letter
			case err != nil:
				return err
			}
			infos = infos[n:]
		}
	}
}

// lowest returns the lowest cursor of the feeds that have room.
func (c *collector) lowest() (after uint32, ok bool) {
	for _, f := range c.feeds {
		if !f.full && (!ok || f.cursor.UID < after) {
			after, ok = f.cursor.UID, true
		}
	}
	return after, ok
}

// batchOf says how many of the messages make one batch: at most as many as give
// maxBatch jobs, if every trigger matches them all.
func (c *collector) batchOf(infos []connection.Info) int {
	most := max(1, min(c.batch, maxBatch/len(c.feeds)))
	var bytes int64
	for i, info := range infos {
		bytes += info.Size
		if i > 0 && (i >= most || bytes > maxBatchBytes) {
			return i
		}
	}
	return len(infos)
}

// collectBacklog brings a batch of the mail that was there before to the triggers
// that asked for it. It reports whether there is more.
func (c *collector) collectBacklog(ctx context.Context, mb *connection.Mailbox) (more bool, err error) {
	first, last, ok := c.nextBacklog()
	if !ok {
		return false, nil
	}
	infos, err := mb.ListRange(ctx, first, last)
	if err != nil {
		return false, err
	}
	if len(infos) == 0 {
		return true, c.passBacklog(last)
	}
	for len(infos) > 0 && !c.allFull() && c.e.stopping.Err() == nil {
		n := c.batchOf(infos)
		switch err := c.deliver(ctx, mb, infos[:n], false, time.Time{}); {
		case refused(err):
			continue // in a smaller batch, or as a dead letter
		case err != nil:
			return false, err
		}
		if infos = infos[n:]; len(infos) == 0 {
			return true, c.passBacklog(last)
		}
		if err := c.collectNew(ctx, mb, wire.Wake{}); err != nil {
			return false, err
		}
		if err := c.finishReady(ctx, mb); err != nil {
			return false, err
		}
	}
	return !c.allFull(), nil
}

// nextBacklog returns the next window of UIDs that some trigger with room has to fill back.
func (c *collector) nextBacklog() (first, last uint32, ok bool) {
	for _, f := range c.feeds {
		if f.full {
			continue
		}
		if uid, end, some := nextOf(f.cursor); some && (!ok || uid < first) {
			first, last, ok = uid, end, true
		}
	}
	if ok && last-first >= listWindow {
		last = first + listWindow - 1
	}
	return first, last, ok
}

// nextOf returns the first range of a cursor's backlog that is not decided yet.
func nextOf(cursor journal.Cursor) (first, last uint32, ok bool) {
	for _, r := range cursor.Backfill {
		if r.Last > cursor.BackfillPos {
			return max(r.First, cursor.BackfillPos+1), r.Last, true
		}
	}
	return 0, 0, false
}

func inBacklog(cursor journal.Cursor, uid uint32) bool {
	if uid <= cursor.BackfillPos {
		return false
	}
	_, found := slices.BinarySearchFunc(cursor.Backfill, uid, func(r journal.Range, uid uint32) int {
		switch {
		case r.Last < uid:
			return -1
		case r.First > uid:
			return 1
		}
		return 0
	})
	return found
}

func backlogSize(cursor journal.Cursor) (n uint64) {
	for _, r := range cursor.Backfill {
		if r.Last > cursor.BackfillPos {
			n += uint64(r.Last-max(r.First, cursor.BackfillPos+1)) + 1
		}
	}
	return n
}

// passBacklog moves the backlog of every trigger with room to last: nothing is left below it.
func (c *collector) passBacklog(last uint32) error {
	batch := &journal.Batch{}
	for _, f := range c.feeds {
		if f.full || backlogSize(f.cursor) == 0 || f.cursor.BackfillPos >= last {
			continue
		}
		f.cursor.BackfillPos = last
		batch.Cursors = append(batch.Cursors, c.cursorUpdate(f))
		c.sayBacklogDone(f)
	}
	return c.send(batch)
}

func (c *collector) sayBacklogDone(f *feed) {
	if backlogSize(f.cursor) == 0 {
		c.log.Info("the backlog is done", "trigger", f.runner.rule.cfg.Name)
	}
}

func (c *collector) cursorUpdate(f *feed) journal.CursorUpdate {
	return journal.CursorUpdate{Mailbox: c.key, Trigger: f.runner.rule.cfg.Name, Cursor: f.cursor}
}

func (c *collector) allFull() bool {
	return !slices.ContainsFunc(c.feeds, func(f *feed) bool { return !f.full })
}

// wants reports whether the trigger has not yet decided about this message.
func (f *feed) wants(uid uint32, live bool) bool {
	if f.full {
		return false
	}
	if live {
		return uid > f.cursor.UID
	}
	return inBacklog(f.cursor, uid)
}

// pass moves the cursor past a message that is decided.
func (f *feed) pass(uid uint32, live bool) {
	if live {
		f.cursor.UID = uid
	} else {
		f.cursor.BackfillPos = uid
	}
}

// deliver fetches, decodes and matches the messages, which are in the order of
// their UIDs, journals what is to be done and starts it. Cursors move only over
// what is in the same batch for the journal.
func (c *collector) deliver(ctx context.Context, mb *connection.Mailbox, infos []connection.Info, live bool, pushed time.Time) error {
	release, err := c.takeMemory(ctx, infos)
	if err != nil {
		return err
	}
	defer func() { release() }()
	read, err := c.read(ctx, mb, infos, live)
	if err != nil {
		return err
	}
	batch := &journal.Batch{}
	var jobs []*job
	seen := journal.SeenUpdate{Mailbox: c.key}
	moved := make(map[*feed]bool)
	for _, info := range infos {
		m := read[info.UID]
		decided := false
		for _, f := range c.feeds {
			if !f.wants(info.UID, live) {
				continue
			}
			j, ok := c.decide(f, info, m)
			if !ok {
				f.full = true
				continue
			}
			decided = true
			f.pass(info.UID, live)
			moved[f] = true
			if j == nil {
				continue
			}
			if j.live, j.pushed = live, pushed; !live {
				j.setExtra(extraBacklog, "")
			}
			if m.raw != nil && c.e.budget.take(int64(len(m.raw))) {
				j.budget = int64(len(m.raw))
			}
			jobs = append(jobs, j)
			batch.Jobs, batch.Bodies = append(batch.Jobs, j.rec), append(batch.Bodies, m.raw)
		}
		delete(c.fails, info.UID)
		if decided && m != nil && m.hash != 0 {
			c.e.trace.message(c.conn.Name)
			seen.Seen = append(seen.Seen, journal.Seen{UID: info.UID, Hash: m.hash})
			c.state.UIDNext = max(c.state.UIDNext, info.UID+1)
		}
	}
	for f := range moved {
		batch.Cursors = append(batch.Cursors, c.cursorUpdate(f))
		if !live {
			c.sayBacklogDone(f)
		}
	}
	if len(seen.Seen) > 0 {
		batch.Seen = append(batch.Seen, seen)
		batch.Mailboxes = append(batch.Mailboxes, journal.MailboxUpdate{Mailbox: c.key, State: c.state})
	}
	if err := c.send(batch); err != nil {
		c.takeBack(jobs)
		return err
	}
	if c.pipeline != nil {
		// The messages stay in memory until they are in the journal.
		held := release
		release = func() {}
		commit := c.pipeline
		go func() { <-commit.Done(); held() }()
	}
	c.newest.add(seen.Seen...)
	c.hand(jobs)
	return nil
}

// takeMemory waits until there is room for the messages in what all mailboxes
// together may hold in memory. It returns what gives the room back.
func (c *collector) takeMemory(ctx context.Context, infos []connection.Info) (release func(), err error) {
	var n int64
	for _, info := range infos {
		n += info.Size
	}
	n = min(max(n, 1), maxUndecided)
	if err := c.e.memory.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { c.e.memory.Release(n) }, nil
}

// takeBack undoes what was done for jobs that the journal did not take. Their
// messages are read again: the cursors in the journal have not moved.
func (c *collector) takeBack(jobs []*job) {
	for _, j := range jobs {
		j.drop(c.e)
		j.runner.released(j)
	}
	c.settled = false
}

// hand gives accepted jobs to their runners; dead letters among them are buried.
func (c *collector) hand(jobs []*job) {
	for _, j := range jobs {
		j.accepted = c.pipeline
		j.whenJournaled(j.journaled)
		c.join(j)
	}
	for _, j := range jobs {
		if reason := j.rec.Extra[unread]; reason != "" {
			j.skipWaiting()
			c.e.bury(j.rec, reason)
			j.drop(c.e)
			j.runner.released(j)
			c.leave(j, reason)
			continue
		}
		if j.budget == 0 {
			j.raw, j.msg = nil, nil // read back from the journal when its turn comes
		}
		j.runner.queue(j)
	}
}

// send hands a batch to the journal. At most one batch is under way while the
// next is fetched.
func (c *collector) send(batch *journal.Batch) error {
	if len(batch.Jobs)+len(batch.Cursors)+len(batch.Mailboxes)+len(batch.Seen) == 0 {
		return nil
	}
	if c.pipeline != nil {
		if err := c.pipeline.Wait(c.e.stopping); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	crashpoint.Hit("engine.accept.ready")
	commit := c.e.store.Accept(batch)
	if err := commit.Err(); err != nil { // refused at once
		return fmt.Errorf("journal: %w", err)
	}
	c.pipeline = commit
	return nil
}

// commit sends a batch and waits until it is in the journal.
func (c *collector) commit(ctx context.Context, batch *journal.Batch) error {
	if err := c.send(batch); err != nil {
		return err
	}
	if c.pipeline == nil {
		return nil
	}
	if err := c.pipeline.Wait(ctx); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// A mail is a message as it was read, decoded once for each code page policy.
type mail struct {
	info    connection.Info
	raw     []byte // nil if only the header was read
	header  []byte
	hash    uint64
	problem string // why it could not be read at all
	decoded map[codepage.Policy]*message.Message
}

// decode returns the message as the feed's code page reads it.
func (m *mail) decode(c *collector, f *feed) *message.Message {
	if msg := m.decoded[f.policy]; msg != nil {
		return msg
	}
	var msg *message.Message
	if m.raw == nil {
		msg = message.ParseHeader(m.header, message.Options{Policy: f.policy})
	} else {
		var err error
		if msg, err = c.e.decode(c.key, c.state.UIDValidity, m.info.UID, m.raw, f.policy); err != nil {
			msg = &message.Message{MessageID: rawField(m.raw, "Message-ID"), Subject: rawField(m.raw, "Subject")}
			m.problem, m.raw = err.Error(), nil
		} else {
			c.e.trace.defects(msg.Defects)
		}
	}
	msg.Size, msg.Flags = m.info.Size, m.info.Flags
	m.decoded[f.policy] = msg
	return msg
}

// read fetches the messages that any trigger wants. What has gone meanwhile is
// not in the result.
func (c *collector) read(ctx context.Context, mb *connection.Mailbox, infos []connection.Info, live bool) (map[uint32]*mail, error) {
	out := make(map[uint32]*mail, len(infos))
	var whole, large, unfetched []uint32
	most := c.largestWanted()
	for _, info := range infos {
		if !slices.ContainsFunc(c.feeds, func(f *feed) bool { return f.wants(info.UID, live) }) {
			continue
		}
		m := &mail{info: info, decoded: make(map[codepage.Policy]*message.Message)}
		switch {
		case c.fails[info.UID].times >= maxFetchFails:
			m.problem = fmt.Sprintf("the server could not deliver it in %d attempts; look at it with a mail program, then retry or discard the dead letter", maxFetchFails)
			out[info.UID] = m
			unfetched = append(unfetched, info.UID)
		case info.Size > largeMail:
			large = append(large, info.UID)
			out[info.UID] = m
		default:
			whole = append(whole, info.UID)
			out[info.UID] = m
		}
	}
	c.readIdentity(ctx, mb, unfetched, out)
	if len(large) > 0 {
		wanted, err := c.readHeaders(ctx, mb, large, out, live, most)
		if err != nil {
			return nil, err
		}
		whole = append(whole, wanted...)
	}
	if len(whole) == 0 {
		return out, nil
	}
	slices.Sort(whole)
	got := make(map[uint32]bool, len(whole))
	err := mb.Fetch(ctx, whole, func(b connection.Body) error {
		if m := out[b.UID]; m != nil {
			// The size that was listed is the one that identities are made of.
			m.info.Flags, m.raw, m.hash = b.Flags, b.Raw, identityHash(b.Raw, m.info.Size)
			got[b.UID] = true
		}
		return nil
	})
	if err != nil {
		c.fetchFailed(ctx, whole, err)
		return nil, err
	}
	c.batch = min(c.batch*2, maxBatch)
	for _, uid := range whole {
		if !got[uid] {
			delete(out, uid) // expunged meanwhile
		}
	}
	return out, nil
}

// readIdentity gets what can be got of messages that the server cannot deliver:
// enough to tell in the dead letter what it is, and to find it again.
func (c *collector) readIdentity(ctx context.Context, mb *connection.Mailbox, uids []uint32, out map[uint32]*mail) {
	if len(uids) == 0 {
		return
	}
	err := mb.FetchHeaders(ctx, uids, identityFields, func(uid uint32, raw []byte) error {
		if m := out[uid]; m != nil {
			m.header, m.hash = raw, identityHash(raw, m.info.Size)
		}
		return nil
	})
	if err != nil {
		c.log.Debug("the header of a message that cannot be delivered cannot be had either", "err", err)
	}
}

// fetchFailed halves the batch, so that the message that makes fetches fail is
// found; failures of one alone are counted against it. A session that was lost is
// no message's fault, unless that goes on for long.
func (c *collector) fetchFailed(ctx context.Context, uids []uint32, err error) {
	if ctx.Err() != nil {
		return
	}
	c.batch = max(c.batch/2, 1)
	if len(uids) > 1 {
		return
	}
	f := c.fails[uids[0]]
	if f.since.IsZero() {
		f.since = c.e.now()
	}
	f.times++
	c.fails[uids[0]] = f
	c.log.Warn("a message could not be fetched", "uid", uids[0], "times", f.times, "err", err)
	if f.times >= maxFetchFails && !refused(err) && c.e.now().Sub(f.since) < fetchPatience {
		f.times = maxFetchFails - 1
		c.fails[uids[0]] = f
	}
}

// fetchFails is how often a message alone could not be fetched, and since when.
type fetchFails struct {
	times int
	since time.Time
}

// largestWanted is the largest message that any trigger takes.
func (c *collector) largestWanted() (most int64) {
	for _, f := range c.feeds {
		most = max(most, int64(f.runner.rule.cfg.MaxSize))
	}
	return most
}

// readHeaders judges large messages by their headers, and returns those whose
// bodies are wanted.
func (c *collector) readHeaders(ctx context.Context, mb *connection.Mailbox, uids []uint32, out map[uint32]*mail, live bool, most int64) (wanted []uint32, err error) {
	err = mb.FetchHeaders(ctx, uids, nil, func(uid uint32, raw []byte) error {
		if m := out[uid]; m != nil {
			m.header, m.hash = raw, identityHash(raw, m.info.Size)
		}
		return nil
	})
	if err != nil {
		c.fetchFailed(ctx, uids, err)
		return nil, err
	}
	for _, uid := range uids {
		m := out[uid]
		if m.header == nil {
			delete(out, uid) // expunged meanwhile
			continue
		}
		if m.info.Size > most {
			continue
		}
		for _, f := range c.feeds {
			if f.wants(uid, live) && f.runner.rule.mayPlan(m.decode(c, f)) {
				wanted = append(wanted, uid)
				clear(m.decoded)
				break
			}
		}
	}
	return wanted, nil
}

// unread is the key of Job.Extra under which a message that was not read says why.
const unread = "unread"

// decide matches a message against one trigger. It returns the job, nil if there
// is nothing to do, or false if the trigger's queue is full.
func (c *collector) decide(f *feed, info connection.Info, m *mail) (*job, bool) {
	if m == nil {
		return nil, true // expunged before it could be read
	}
	r := f.runner.rule
	var plan []journal.ActionState
	var matched bool
	var groups map[string]string
	msg := m.decode(c, f)
	problem := m.problem
	switch {
	case problem != "":
		plan, matched = r.plan(true), true
	case m.raw == nil && info.Size > int64(r.cfg.MaxSize) && r.mayPlan(msg):
		plan, matched = r.plan(true), true
		problem = fmt.Sprintf("the message has %d bytes, more than the trigger's max_size of %s; raise it and retry the dead letter", info.Size, r.cfg.MaxSize)
	case m.raw == nil:
		plan, matched, groups = r.plan(false), false, nil
	case info.Size > int64(r.cfg.MaxSize):
		if plan, matched, groups = r.decide(msg); plan != nil {
			problem = fmt.Sprintf("the message has %d bytes, more than the trigger's max_size of %s; raise it and retry the dead letter", info.Size, r.cfg.MaxSize)
		}
	default:
		plan, matched, groups = r.decide(msg)
	}
	if len(plan) > 0 && c.e.own.hasFired(c.key, m.hash, r.cfg.Name) {
		c.e.trace.suppressed(r.cfg.Name, "own_move")
		c.log.Debug("the trigger fired on this message before the daemon moved it here", "trigger", r.cfg.Name, "uid", info.UID)
		return nil, true
	}
	if len(plan) > 0 && !f.runner.reserve(c, info.Size) {
		return nil, false
	}
	if matched {
		c.e.trace.match(r.cfg.Name, c.e.now())
	}
	if len(plan) == 0 {
		return nil, true
	}
	rec := &journal.Job{
		Trigger: r.cfg.Name, Connection: f.conn.Name, Mailbox: c.key, Kind: "message",
		EventID:     eventID(c.key, c.state.UIDValidity, info.UID, m.info.InternalDate, info.Size, r.cfg.Name),
		UIDValidity: c.state.UIDValidity, UID: info.UID, InternalDate: m.info.InternalDate, Size: info.Size,
		MessageID: msg.MessageID, Subject: cut(msg.Subject, 200), From: firstAddress(msg.From), IdentityHash: m.hash,
		Accepted: c.e.now(), Actions: plan, Match: groups,
	}
	if problem != "" {
		rec.Extra = map[string]string{unread: problem}
	}
	return &job{rec: rec, runner: f.runner, policy: f.policy, raw: m.raw, msg: msg, journaled: c.e.begun.resume(rec)}, true
}

func firstAddress(list []message.Address) string {
	if len(list) == 0 {
		return ""
	}
	return cut(list[0].Address, 200)
}
