package trigger

import (
	"container/heap"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/crashpoint"
	"mailtrigger/trigger/journal"
)

// The limits of a trigger's queue. Full, the trigger's cursor stops: the mailbox
// is the queue then.
const (
	maxJobs       = 1000
	maxJobBytes   = 64 << 20
	maxUnrecorded = 64 // results of a trigger that the journal has not synced yet
)

// wakeAgain is the longest time until a runner looks at the clock again while
// something waits: the clock may be set, and the machine may sleep.
const wakeAgain = time.Minute

// A runner runs the jobs of one trigger: first attempts in the order they came
// (live mail before a backlog), retries when their time has come, at most
// `concurrency` at once. A job that waits for a retry steps aside.
//
// It lives as long as the trigger's name: a changed definition is another shift.
type runner struct {
	e     *Engine
	name  string
	log   *slog.Logger
	vigil *vigil
	order atomic.Int64 // place in the file: the first trigger wins where two would move a message

	unrecorded chan struct{} // a place for each result not yet synced
	early      atomic.Bool   // one job at a time may start before its J1 is synced

	mu         sync.Mutex
	shift      *shift // the definition in force
	next       *shift // what comes when its running actions have ended; nil: nothing
	live, old  []*job // first attempts that wait: new mail, backlog
	due        []*job // retries whose time has come
	later      retryHeap
	timer      *time.Timer
	timerAt    time.Time // when the timer fires, by the monotonic clock
	ticked     time.Time // when it was set or fired last, by the wall clock
	lastWasDue bool
	lastTurn   *startTurn              // of the first attempt that was picked last
	deadlines  map[*job]time.Time      // of the actions that run
	seated     int                     // jobs at work that have a seat
	back       []*seat                 // jobs at work that wait for theirs
	running    int                     // jobs at work
	jobs       int                     // not ended
	bytes      int64                   // of their messages
	all        map[*job]struct{}       // jobs that were queued and have not ended
	full       map[*collector]struct{} // collectors to wake when there is room
}

func newRunner(e *Engine, rule *rule) *runner {
	r := &runner{
		e: e, name: rule.cfg.Name, log: e.log.With("trigger", rule.cfg.Name),
		shift:      e.newShift(rule, ""),
		unrecorded: make(chan struct{}, maxUnrecorded),
		deadlines:  make(map[*job]time.Time),
		all:        make(map[*job]struct{}),
		full:       make(map[*collector]struct{}),
	}
	r.vigil = newVigil(r)
	return r
}

// keeper returns what keeps the trigger's gates; nil if it has none.
func (r *runner) keeper() *keeper { return r.e.keepers.of(r.name) }

// reserve takes a place in the queue for a message of that size. If the queue is
// full it reports false, and c is woken when there is room.
func (r *runner) reserve(c *collector, size int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.jobs >= maxJobs || (r.jobs > 0 && r.bytes+size > maxJobBytes) {
		r.full[c] = struct{}{}
		return false
	}
	r.jobs++
	r.bytes += size
	return true
}

// isFull reports whether the collector waits for room in the queue.
func (r *runner) isFull(c *collector) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, full := r.full[c]
	return full
}

// adopt counts a job that the journal had at the start, whatever the limits.
func (r *runner) adopt(size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs++
	r.bytes += size
}

// released gives a job's place back, and wakes the collectors that wait for one
// once the queue is half empty.
func (r *runner) released(j *job) {
	r.mu.Lock()
	delete(r.all, j)
	r.jobs--
	r.bytes -= j.rec.Size
	var wake []*collector
	if r.jobs <= maxJobs/2 && r.bytes <= maxJobBytes/2 {
		for c := range r.full {
			wake = append(wake, c)
		}
		clear(r.full)
	}
	r.mu.Unlock()
	for _, c := range wake {
		c.wake()
	}
}

// queue takes a job whose place has been reserved.
func (r *runner) queue(j *job) {
	r.mu.Lock()
	r.all[j] = struct{}{}
	ok, why := r.latest().take(j)
	if ok {
		r.place(j, false)
		r.pump()
	}
	r.mu.Unlock()
	if !ok {
		r.e.dismiss(j, why)
	}
}

// place puts a job among those that wait. again says that it was picked before: it
// goes before what came after it. r.mu is held.
func (r *runner) place(j *job, again bool) {
	i := j.nextLocal()
	now := r.e.now()
	switch due := r.dueOf(j, now); {
	case due.After(now):
		// A clock that was set back must not put it off for longer than it was to be.
		j.waits, j.retryAt = true, earlier(due, now.Round(0).Add(due.Sub(j.rec.Accepted)))
		heap.Push(&r.later, j)
		r.setTimer()
		return
	case i >= 0 && !j.rec.Actions[i].Next.IsZero():
		// A stepped clock must not put a retry off for longer than any wait there is.
		j.retryAt = earlier(j.rec.Actions[i].Next, now.Add(time.Duration(j.rule.cfg.Retry.Max)))
		heap.Push(&r.later, j)
		r.setTimer()
		return
	}
	list := &r.old
	if j.live {
		list = &r.live
	}
	at := len(*list)
	if again {
		for at = 0; at < len(*list) && (*list)[at].rec.Seq < j.rec.Seq; at++ {
		}
	}
	*list = slices.Insert(*list, at, j)
}

// pump starts what may start. r.mu is held.
func (r *runner) pump() {
	s := r.shift
	for s.rule != nil && r.seated < s.rule.cfg.Concurrency && s.stopping.Err() == nil {
		if r.seatAgain() {
			continue
		}
		j := r.pick()
		if j == nil {
			return
		}
		j.seat = &seat{runner: r, shift: s}
		r.seated++
		r.running++
		r.e.running.Add(1)
		if s.rule.ordered() && j.turn == nil {
			j.turn = newStartTurn(r.lastTurn)
			r.lastTurn = j.turn
		}
		go r.run(s, j)
	}
}

// pick takes the next job: due retries and first attempts in turn, so that
// neither holds up the other.
func (r *runner) pick() *job {
	fresh := &r.live
	if len(r.live) == 0 {
		fresh = &r.old
	}
	from := fresh
	if len(r.due) > 0 && (len(*fresh) == 0 || !r.lastWasDue) {
		from = &r.due
	}
	if len(*from) == 0 {
		return nil
	}
	r.lastWasDue = from == &r.due
	j := (*from)[0]
	(*from)[0] = nil
	*from = (*from)[1:]
	return j
}

// run takes a job through its local actions until they have ended or it has to wait.
func (r *runner) run(s *shift, j *job) {
	next, stopped := r.work(s, j)
	j.turn.taken() // if it did not start anything
	r.mu.Lock()
	j.seat.rise()
	r.running--
	if stopped {
		j.turn = nil
		ok, why := r.latest().take(j)
		if ok {
			r.place(j, true)
		} else {
			next = func() { r.e.dismiss(j, why) }
		}
	}
	r.relieve()
	r.pump()
	r.mu.Unlock()
	if next != nil {
		next()
	}
	r.e.running.Done()
}

// work runs the job's local actions. What it returns is to be done once the
// runner's place is free again, unless the shift has ended before the actions have.
func (r *runner) work(s *shift, j *job) (next func(), stopped bool) {
	if j.needsReading() && j.nextLocal() >= 0 {
		if asked := j.asked; !asked {
			j.asked = true
			return func() { j.group.collector.readAgain(j) }, false
		}
		j.failUnread()
	}
	defer j.unload(r.e)
	for {
		i := j.nextLocal()
		if i < 0 {
			return func() { r.e.localEnded(j) }, false
		}
		if s.stopping.Err() != nil || !j.seat.sit() {
			return nil, true
		}
		switch r.attempt(s, j, i) {
		case attemptStopped:
			return nil, true
		case attemptLater:
			return func() { r.postpone(j, j.rec.Actions[i].Next) }, false
		case attemptUnhealthy:
			return func() { r.postpone(j, r.e.now().Add(time.Second)) }, false
		}
	}
}

// postpone puts the job aside until at.
func (r *runner) postpone(j *job, at time.Time) {
	r.mu.Lock()
	ok, why := r.latest().take(j)
	if ok {
		j.retryAt = at
		heap.Push(&r.later, j)
		r.setTimer()
	}
	r.mu.Unlock()
	if !ok {
		r.e.dismiss(j, why)
	}
}

// setTimer wakes the runner for the first of the later jobs. r.mu is held.
func (r *runner) setTimer() {
	if len(r.later) == 0 || r.shift.stopping.Err() != nil {
		return
	}
	now := r.e.now()
	wait := min(max(r.later[0].retryAt.Sub(now), 0), wakeAgain)
	r.timerAt, r.ticked = time.Now().Add(wait), now.Round(0)
	if r.timer == nil {
		r.timer = time.AfterFunc(wait, r.tick)
	} else {
		r.timer.Reset(wait)
	}
}

func (r *runner) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.e.now()
	if back := r.ticked.Sub(now.Round(0)); back > 0 {
		// The clock was set back: what waits for a time of day waits no longer for it.
		for _, j := range r.later {
			if j.waits {
				j.retryAt = j.retryAt.Add(-back)
			}
		}
		heap.Init(&r.later)
	}
	for len(r.later) > 0 && !r.later[0].retryAt.After(now) {
		j := heap.Pop(&r.later).(*job)
		if !j.waits {
			r.due = append(r.due, j)
		} else if again := r.dueOf(j, now); again.After(now) && again.After(j.due()) {
			j.retryAt = again
			heap.Push(&r.later, j)
		} else {
			j.waits = false
			r.live = append(r.live, j)
		}
	}
	r.setTimer()
	r.pump()
}

// dueOf returns when a job may begin that a gate has put off; zero: at once. One that is
// late, as the daemon did not run or the machine slept, waits again if it is quiet now.
func (r *runner) dueOf(j *job, now time.Time) time.Time {
	due := j.due()
	if due.IsZero() || due.After(now) || j.touched() {
		return due
	}
	if k := r.keeper(); k != nil {
		return k.gates.Loud(now)
	}
	return due
}

// takeWaiting takes the job whose time comes last out of those that wait for their
// time; nil if none does.
func (r *runner) takeWaiting() *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := -1
	for i, j := range r.later {
		if j.waits && (last < 0 || !j.retryAt.Before(r.later[last].retryAt)) {
			last = i
		}
	}
	if last < 0 {
		return nil
	}
	j := heap.Remove(&r.later, last).(*job)
	j.waits = false
	return j
}

// began and ended note until when an action must have ended.
func (r *runner) began(j *job, deadline time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deadlines[j] = deadline
}

func (r *runner) ended(j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.deadlines, j)
}

// A startTurn makes first attempts start one after another, where several run at
// once. The nil turn is always one's own.
type startTurn struct {
	before *startTurn
	start  chan struct{}
	once   sync.Once
}

func newStartTurn(before *startTurn) *startTurn {
	return &startTurn{before: before, start: make(chan struct{})}
}

// wait waits until the one before has started, or ctx ends.
func (t *startTurn) wait(ctx context.Context) bool {
	if t == nil || t.before == nil {
		return true
	}
	select {
	case <-t.before.start:
		t.before = nil
		return true
	case <-ctx.Done():
		return false
	}
}

// taken lets the next one start.
func (t *startTurn) taken() {
	if t != nil {
		t.once.Do(func() { close(t.start) })
	}
}

// stop lets nothing start any more. Jobs stay in the journal.
func (r *runner) stop() {
	r.vigil.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shift.beginStop()
	if r.timer != nil {
		r.timer.Stop()
	}
}

type attemptEnd int

const (
	attemptDone      attemptEnd = iota // the action has ended, well or for good
	attemptLater                       // it is to be tried again at its Next
	attemptUnhealthy                   // not begun: the journal cannot write now
	attemptStopped                     // not begun or not ended: the daemon stops
)

// attempt makes one attempt at action i and records how it ended.
func (r *runner) attempt(s *shift, j *job, i int) attemptEnd {
	ctx, state := s.working, &j.rec.Actions[i]
	def := j.rule.actions[state.Name].(action.Local)
	early := r.startsEarly(j, i, def)
	if early {
		defer r.early.Store(false)
		j.whenJournaled(r.e.begun.begin(j.startKey, j.rec.EventID))
	} else {
		if err := j.durable(s.stopping); err != nil {
			return attemptStopped
		}
		if r.e.store.Health() != nil {
			return attemptUnhealthy
		}
	}
	// The turn comes first: who waits for the one before must not have a place that
	// the one before needs.
	if !j.turn.wait(s.stopping) || !j.seat.reserve() {
		return attemptStopped
	}
	result, took := r.do(ctx, j, i, def)
	j.seat.ended()
	if ctx.Err() != nil && result.Outcome != action.Done {
		// The daemon stops: the attempt counts as not ended, but what it has done is done.
		if j.remember(state.Name, result.Paths, result.Progress, result.Note) {
			j.changed = r.e.store.Update(j.rec)
			j.seat.recorded(j.changed)
		} else {
			j.seat.free()
		}
		return attemptStopped
	}
	half := result.Outcome != action.Done && (result.Note != j.note(state.Name) || result.Progress != j.progress(state.Name))
	end := r.record(j, i, result, took)
	// The next in line may start early again once this one is in the journal, and not before
	// it is where a failure has done half of its work: that half would be done again.
	if early || half {
		if err := j.durable(ctx); err != nil {
			return attemptStopped
		}
	}
	return end
}

// startsEarly reports whether action i may start while its J1 is still being
// synced: the first attempt of a command or webhook, one job at a time, while the
// journal is healthy. The cursor has not moved, so a crash fetches the message
// again, under the same event id.
func (r *runner) startsEarly(j *job, i int, def action.Definition) bool {
	if i != 0 || j.raw == nil || j.committed() || j.rec.Actions[i].Attempt > 1 {
		return false
	}
	switch def.Base().Type {
	case "exec", "webhook":
	default:
		return false
	}
	return r.e.store.Health() == nil && r.early.CompareAndSwap(false, true)
}

// do runs the action once.
func (r *runner) do(ctx context.Context, j *job, i int, def action.Local) (action.Result, time.Duration) {
	state := &j.rec.Actions[i]
	if err := j.load(r.e); err != nil {
		return action.Result{Outcome: action.Dead, Err: err}, 0
	}
	if state.Since.IsZero() {
		state.Since = r.e.now()
	}
	if d := time.Duration(def.Base().Timeout); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	env := r.e.env
	env.Log = r.log.With("action", state.Name, "event", j.rec.EventID, "uid", j.rec.UID)
	crashpoint.Hit("engine.action.before")
	if !j.pushed.IsZero() && j.due().IsZero() { // a wait that a gate wants is none of ours
		r.e.trace.pushToAction(time.Since(j.pushed))
		j.pushed = time.Time{}
	}
	start := time.Now()
	r.began(j, start.Add(time.Duration(def.Base().Timeout)))
	defer r.ended(j)
	defer j.turn.taken()
	result := def.Run(ctx, &action.Run{
		Event: j.event(i), Key: idempotencyKey(j.rec.EventID, state.Name), Env: env,
		Progress: j.progress(state.Name), Note: j.note(state.Name), Begun: j.turn.taken,
		Settling: func() { j.seat.leave(j.rec.Size) },
	})
	crashpoint.Hit("engine.action.after")
	return result, time.Since(start)
}

// record says in log and journal how an attempt ended.
func (r *runner) record(j *job, i int, result action.Result, took time.Duration) attemptEnd {
	state := &j.rec.Actions[i]
	def := j.rule.actions[state.Name]
	log := r.log.With("connection", j.rec.Connection, "mailbox", j.rec.Mailbox.Mailbox, "uid", j.rec.UID,
		"action", state.Name, "event", j.rec.EventID, "attempt", state.Attempt)
	kind := def.Base().Type
	if result.Outcome == action.Retry {
		if reason := r.givesUp(j.rule, state); reason != "" {
			result.Outcome = action.Dead
			log.Warn("giving up on the action: "+reason, "err", result.Err)
		}
	}
	switch result.Outcome {
	case action.Done:
		r.e.trace.action(j.rec.Trigger, state.Name, kind, "ok", took)
		log.Info("action done", "seconds", seconds(took), "output", logOutput(result.Output))
		state.State, state.Saved = journal.Done, result.Saved
		// What only another attempt would want to know need not be forgotten, nor what only
		// a later action would, after the last one: a result alone is written at once.
		if len(result.Paths) > 0 && j.unfinished() && j.remember(state.Name, result.Paths, 0, "") {
			j.changed = r.e.store.Update(j.rec)
			j.seat.recorded(j.changed)
		} else {
			j.seat.recorded(r.e.store.Result(j.rec.Seq, i, journal.Result{State: journal.Done, Saved: result.Saved}))
		}
		return attemptDone
	case action.Retry:
		r.e.trace.action(j.rec.Trigger, state.Name, kind, "retry", took)
		j.remember(state.Name, result.Paths, result.Progress, result.Note)
		j.setForPerson(state.Name, forPerson(result.Err))
		state.Attempt++
		state.Err, state.Output = errText(result.Err), result.Output
		state.Next = r.e.now().Add(max(j.rule.backoff(state.Attempt-1), result.RetryAfter))
		log.Warn("action failed, will be tried again", "err", result.Err, "next", state.Next.Format(time.RFC3339), "output", logOutput(result.Output))
		j.changed = r.e.store.Update(j.rec)
		crashpoint.Hit("engine.retry.sent")
		j.seat.recorded(j.changed)
		return attemptLater
	default:
		r.e.trace.action(j.rec.Trigger, state.Name, kind, "dead", took)
		log.Error("action failed for good, the message becomes a dead letter", "err", result.Err, "output", logOutput(result.Output))
		j.remember(state.Name, result.Paths, result.Progress, result.Note) // for a retry of the dead letter
		j.fail(i, errText(result.Err), result.Output)
		j.changed = r.e.store.Update(j.rec)
		crashpoint.Hit("engine.dead.sent")
		j.seat.recorded(j.changed)
		return attemptDone
	}
}

// givesUp returns why there is no further attempt; "" if there is one.
func (r *runner) givesUp(rule *rule, state *journal.ActionState) string {
	retry := &rule.cfg.Retry
	if retry.Attempts > 0 && state.Attempt >= retry.Attempts {
		return "all its attempts are used up (retry.attempts)"
	}
	if r.e.now().Sub(state.Since) >= time.Duration(retry.GiveUpAfter) {
		return "it has failed for as long as retry.give_up_after allows"
	}
	return ""
}

// backoff is the wait after the nth failed attempt: exponential from retry.first
// to retry.max, with jitter of a quarter to either side.
func (r *rule) backoff(n int) time.Duration {
	d, most := time.Duration(r.cfg.Retry.First), time.Duration(r.cfg.Retry.Max)
	for ; n > 1 && d < most; n-- {
		d *= 2
	}
	d = min(d, most)
	return d*3/4 + time.Duration(rand.Int64N(int64(d/2)+1))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func acquire(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// retryHeap orders jobs by the time of their next attempt, and then as they came.
type retryHeap []*job

func (h *retryHeap) init() { heap.Init(h) }

func (h retryHeap) Len() int { return len(h) }
func (h retryHeap) Less(a, b int) bool {
	if h[a].retryAt.Equal(h[b].retryAt) {
		return h[a].rec.Seq < h[b].rec.Seq
	}
	return h[a].retryAt.Before(h[b].retryAt)
}
func (h retryHeap) Swap(a, b int) { h[a], h[b] = h[b], h[a] }
func (h *retryHeap) Push(x any)   { *h = append(*h, x.(*job)) }
func (h *retryHeap) Pop() any {
	old := *h
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return j
}
