package journal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"mailtrigger/trigger/crashpoint"
)

// Accept queues a batch as one transaction and returns at once: J1. The jobs have
// their Seq, and reads show what the batch says, before it is durable; Done of
// the Commit tells when that is.
//
// A batch that cannot be (too many jobs, an unknown job, a record too large) changes nothing and
// returns a Commit that has ended with the reason.
func (j *Journal) Accept(b *Batch) *Commit {
	refs, err := checkBatch(b)
	if err != nil {
		return failedCommit(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return failedCommit(err)
	}
	o, err := j.plan(b, refs)
	if err != nil {
		return failedCommit(err)
	}
	return j.enqueue(o)
}

// Update writes a job's record as it now is, without its body: the number and
// time of the next attempt, a dead action, the finish begun. What Result has
// said of an action stays. The record is taken before Update returns.
func (j *Journal) Update(job *Job) *Commit { return j.Accept(&Batch{Updates: []*Job{job}}) }

// Remove ends a job: record and body are deleted, a line of history is written,
// and extra (nil: nothing) goes into the same transaction.
func (j *Journal) Remove(seq uint64, extra *Batch) *Commit {
	b := Batch{}
	if extra != nil {
		b = *extra
	}
	b.Removes = append(slices.Clone(b.Removes), seq)
	return j.Accept(&b)
}

// Bury makes a job a dead letter, as the job now is: its mail, the reason and the
// output stay until Unbury or Discard.
func (j *Journal) Bury(job *Job, reason string) *Commit {
	return j.Accept(&Batch{Buries: []Burial{{Job: job, Reason: reason}}})
}

// Result records that an action ended well. It returns when that outlives the
// process: normally after one write(2). It waits for the job's J1 first, if that
// is not committed; where results.log cannot be written, it waits for the commit.
// The Commit is the group commit, within 5 ms.
//
// It does not wait while the journal is not healthy, as nobody knows for how long that
// would be: the result is then in memory only, behind what else waits, and only the
// Commit tells when it is safe.
func (j *Journal) Result(seq uint64, action int, r Result) *Commit {
	if !r.State.final() {
		return failedCommit(fmt.Errorf("an action that is %v has no result", r.State))
	}
	e, trouble, err := j.entryOf(seq, action)
	if err != nil {
		return failedCommit(err)
	}
	l := &loggedResult{seq: seq, action: action, Result: Result{State: r.State, Saved: slices.Clone(r.Saved)}}
	o := &op{commit: newCommit(), result: l, seqs: []uint64{seq}}
	// A sequence number that is not durable may be given again after a crash: a
	// result under it would be some other job's.
	if e.accepted.wait(trouble) {
		if e.accepted.err != nil {
			return failedCommit(e.accepted.err)
		}
		crashpoint.Hit("journal.result.before")
		o.logged = j.logResult(l)
		o.lazy = o.logged
		crashpoint.Hit("journal.result.written")
	}
	c := j.queueResult(o, e)
	crashpoint.Hit("journal.result.queued")
	if !o.logged {
		c.wait(trouble)
	}
	return c
}

// logResult writes a result to results.log, and says whether it could.
func (j *Journal) logResult(l *loggedResult) bool {
	err := j.results.append(l)
	if err != nil && !errors.Is(err, errPayload) {
		j.errors.Add(1)
		j.log.Warn("results log cannot be written: the result is committed at once", "err", err)
	}
	return err == nil
}

// entryOf returns a job, and what is closed while the journal is not healthy.
func (j *Journal) entryOf(seq uint64, action int) (*entry, <-chan struct{}, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return nil, nil, err
	}
	e := j.live[seq]
	if e == nil {
		return nil, nil, fmt.Errorf("%w: %d", ErrUnknownJob, seq)
	}
	if action < 0 || action >= len(e.names) {
		return nil, nil, fmt.Errorf("job %d has no action %d", seq, action)
	}
	return e, j.trouble, nil
}

func (j *Journal) queueResult(o *op, e *entry) *Commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return failedCommit(err)
	}
	if j.live[o.result.seq] != e {
		return failedCommit(fmt.Errorf("%w: %d", ErrUnknownJob, o.result.seq))
	}
	e.setFinal(o.result.action, o.result.Result)
	return j.enqueue(o)
}

// usable says why nothing can be queued. j.mu is held.
func (j *Journal) usable() error {
	switch {
	case j.failure != nil:
		return j.failure
	case j.readOnly:
		return ErrReadOnly
	case j.closing:
		return ErrClosed
	}
	return nil
}

// enqueue hands a mutation to the writer. j.mu is held.
func (j *Journal) enqueue(o *op) *Commit {
	j.asked++
	o.number, o.queued = j.asked, time.Now()
	j.queue = append(j.queue, o)
	j.pending += o.size
	j.notify()
	return o.commit
}

// checkBatch checks what needs no look at the journal, and sums up the bodies: it
// runs outside of the lock.
func checkBatch(b *Batch) ([]bodyRef, error) {
	if len(b.Jobs) > MaxBatchJobs {
		return nil, fmt.Errorf("a batch has at most %d jobs, not %d", MaxBatchJobs, len(b.Jobs))
	}
	if len(b.Bodies) > len(b.Jobs) {
		return nil, fmt.Errorf("%d bodies for %d jobs", len(b.Bodies), len(b.Jobs))
	}
	for k, v := range b.State {
		if k == "" || len(k) > MaxStateKey || len(v) > MaxState {
			return nil, fmt.Errorf("trigger state of %d bytes under a key of %d bytes: at most %d and %d", len(v), len(k), MaxState, MaxStateKey)
		}
	}
	if err := checkClaims(b.Claims); err != nil {
		return nil, err
	}
	if err := checkRenames(b.Renames); err != nil {
		return nil, err
	}
	for _, c := range b.Cursors {
		if len(c.Trigger) > MaxStateKey {
			return nil, fmt.Errorf("a trigger's name of %d bytes", len(c.Trigger))
		}
	}
	refs := make([]bodyRef, len(b.Jobs))
	for i, body := range b.Bodies {
		if body == nil {
			continue
		}
		if k := sameBody(b.Bodies[:i], body); k >= 0 {
			refs[i] = refs[k]
			continue
		}
		refs[i] = bodyRef{id: uint64(i) + 1, size: int64(len(body)), crc: checksum(body), spool: len(body) > MaxInline}
	}
	return refs, nil
}

// sameBody finds the same slice: jobs of one message share its body.
func sameBody(bodies [][]byte, body []byte) int {
	return slices.IndexFunc(bodies, func(b []byte) bool {
		return len(b) > 0 && len(b) == len(body) && &b[0] == &body[0]
	})
}

// plan works out what a batch changes, first without changing anything in
// memory, then in memory too. The ids in refs are relative to the batch. j.mu is held.
func (j *Journal) plan(b *Batch, refs []bodyRef) (*op, error) {
	o, now := &op{commit: newCommit()}, j.now()
	if err := j.planNew(o, b, refs, now); err != nil {
		return nil, err
	}
	if err := j.planOld(o, b); err != nil {
		return nil, err
	}
	for _, p := range o.bodies {
		o.size += len(p.data)
	}
	if j.pending+o.size > MaxPending && o.size > 0 && j.pending > 0 {
		return nil, fmt.Errorf("%w: %d MiB wait for it", ErrBusy, j.pending>>20)
	}
	if err := j.planRenames(o, b.Renames); err != nil {
		return nil, err
	}
	// From here on nothing fails.
	lifecycle := len(b.Updates) + len(b.Removes) + len(b.Buries)
	o.grows = lifecycle == 0 || len(b.Jobs)+len(b.Mailboxes)+len(b.Renames)+len(b.Cursors)+len(b.Seen)+len(b.Claims)+len(b.State) > 0
	o.lazy = len(b.Removes) > 0 && len(b.Removes) == lifecycle && len(b.Jobs) == 0
	for _, u := range b.Mailboxes {
		j.setMailbox(o, u)
	}
	for _, u := range b.Cursors {
		j.setCursor(o, u)
	}
	for _, u := range b.Seen {
		j.addSeen(o, u)
	}
	for _, u := range b.Claims {
		j.addClaims(o, u)
	}
	if len(b.State) > 0 {
		o.state = make(map[string][]byte, len(b.State))
		for k, v := range b.State {
			if v != nil {
				v = append(make([]byte, 0, len(v)), v...)
			}
			o.state[k] = v
			o.size += len(k) + len(v)
		}
	}
	j.admit(o, b, refs, now)
	for _, seq := range b.Removes {
		j.end(o, seq, "done")
	}
	for i := range b.Buries {
		j.inter(o, &b.Buries[i])
	}
	return o, nil
}

// planNew encodes the new jobs.
func (j *Journal) planNew(o *op, b *Batch, refs []bodyRef, now time.Time) error {
	for i, job := range b.Jobs {
		if len(job.Actions) > MaxActions {
			return fmt.Errorf("%d actions are over the limit of %d", len(job.Actions), MaxActions)
		}
		if job.Seq != 0 {
			return fmt.Errorf("job %d was accepted before", job.Seq)
		}
		if refs[i].id == 0 && job.body.id != 0 { // see SameMessage
			if j.bodies[job.body.id] == 0 {
				return fmt.Errorf("the message of another job is gone")
			}
			refs[i] = job.body
		} else if refs[i].id != 0 {
			own := refs[i].id == uint64(i)+1
			refs[i].id = j.next + refs[i].id - 1
			if own {
				o.bodies = append(o.bodies, newBody{id: refs[i].id, data: b.Bodies[i], spool: refs[i].spool})
			}
		}
		c := *job
		if c.Accepted.IsZero() {
			c.Accepted = now
		}
		if err := o.putJob(j.next+uint64(i), &c, refs[i]); err != nil {
			return err
		}
	}
	return nil
}

// planOld encodes what changes about jobs that are there.
func (j *Journal) planOld(o *op, b *Batch) error {
	ended := map[uint64]bool{}
	known := func(seq uint64) (*entry, error) {
		e := j.live[seq]
		if e == nil || ended[seq] {
			return nil, fmt.Errorf("%w: %d", ErrUnknownJob, seq)
		}
		o.seqs = append(o.seqs, seq)
		return e, nil
	}
	for _, job := range b.Updates {
		e, err := known(job.Seq)
		if err != nil {
			return err
		}
		c, err := e.merge(job)
		if err == nil {
			err = o.putJob(job.Seq, c, e.body)
		}
		if err != nil {
			return err
		}
	}
	for _, seq := range b.Removes {
		if _, err := known(seq); err != nil {
			return err
		}
		ended[seq] = true
	}
	for i := range b.Buries {
		e, err := known(b.Buries[i].Job.Seq)
		if err != nil {
			return err
		}
		if _, err := e.merge(b.Buries[i].Job); err != nil {
			return err
		}
		ended[b.Buries[i].Job.Seq] = true
	}
	return nil
}

// merge is a job as the caller sees it, with the results that were recorded:
// they are not taken back.
func (e *entry) merge(job *Job) (*Job, error) {
	if !slices.EqualFunc(job.Actions, e.names, func(a ActionState, name string) bool { return a.Name == name }) {
		return nil, fmt.Errorf("job %d: the names and the order of its actions cannot change", job.Seq)
	}
	c := *job
	c.Trigger = e.trigger // it may have got another name since
	c.Actions = slices.Clone(job.Actions)
	for i, r := range e.finals {
		if a := &c.Actions[i]; r.State.final() {
			a.State, a.Saved = r.State, r.Saved
		}
	}
	return &c, nil
}

// admit makes a batch's jobs known.
func (j *Journal) admit(o *op, b *Batch, refs []bodyRef, now time.Time) {
	for i, job := range b.Jobs {
		job.Seq = j.next
		if job.Accepted.IsZero() {
			job.Accepted = now
		}
		job.body = refs[i]
		e := newEntry(job, o.commit)
		e.trigger = j.share(e.trigger)
		for k := range e.names {
			e.names[k] = j.share(e.names[k])
		}
		j.live[job.Seq] = e
		if refs[i].id != 0 {
			j.bodies[refs[i].id]++
		}
		o.seqs = append(o.seqs, job.Seq)
		j.next++
	}
	j.reserve(o)
}

// reserve extends the durable bound of sequence numbers in good time.
func (j *Journal) reserve(o *op) {
	if j.next+seqBlock/2 > j.reserved {
		j.reserved = j.next + seqBlock
		o.put(bucketMeta, keyNext, encodeNumber(j.reserved))
	}
}

// end forgets a job that is done.
func (j *Journal) end(o *op, seq uint64, outcome string) {
	e := j.live[seq]
	delete(j.live, seq)
	o.endings = append(o.endings, ending{seq: seq, line: j.nextLine, outcome: outcome, when: j.now()})
	j.nextLine++
	j.dropBody(o, e.body)
}

// dropBody deletes a body that nothing has any more.
func (j *Journal) dropBody(o *op, ref bodyRef) {
	if ref.id == 0 {
		return
	}
	if j.bodies[ref.id]--; j.bodies[ref.id] > 0 {
		return
	}
	delete(j.bodies, ref.id)
	if ref.spool {
		o.unlink = append(o.unlink, ref.id)
	} else {
		o.put(bucketBodies, be(ref.id), nil)
	}
}

// inter makes a job a dead letter.
func (j *Journal) inter(o *op, b *Burial) {
	e := j.live[b.Job.Seq]
	c, _ := e.merge(b.Job) // checked before
	delete(j.live, c.Seq)
	j.dead[c.Seq] = &deadEntry{trigger: j.share(c.Trigger), body: e.body, buried: o.commit}
	now := j.now()
	o.put(bucketJobs, be(c.Seq), nil)
	o.put(bucketDead, be(c.Seq), encodeDead(c, e.body, b.Reason, now))
	o.line(j, lineOf(c, "dead", now))
}

// setMailbox sets, renames or forgets a mailbox.
func (j *Journal) setMailbox(o *op, u MailboxUpdate) {
	m := j.mailboxes[u.Mailbox]
	if from := j.mailboxes[u.From]; from != nil && from != m {
		j.forgetMailbox(o, u.Mailbox)
		delete(j.mailboxes, u.From)
		j.mailboxes[u.Mailbox], m = from, from
	}
	if u.Delete {
		j.forgetMailbox(o, u.Mailbox)
		return
	}
	if m == nil {
		m = j.newMailbox(u.Mailbox)
	}
	m.state = u.State
	m.state.Held = cut(u.State.Held, MaxErr)
	o.put(bucketMailboxes, be(m.id), encodeMailbox(u.Mailbox, m.state))
}

func (j *Journal) newMailbox(key MailboxKey) *mailbox {
	m := &mailbox{id: j.nextMailbox, cursors: map[string]Cursor{}}
	j.nextMailbox++
	j.mailboxes[key] = m
	return m
}

func (j *Journal) forgetMailbox(o *op, key MailboxKey) {
	m := j.mailboxes[key]
	if m == nil {
		return
	}
	delete(j.mailboxes, key)
	o.put(bucketMailboxes, be(m.id), nil)
	o.deletePrefix(bucketCursors, be(m.id))
	o.deletePrefix(bucketSeen, be(m.id))
}

// mailboxOf returns a mailbox, and makes it if nothing was said of it before.
func (j *Journal) mailboxOf(o *op, key MailboxKey) *mailbox {
	if m := j.mailboxes[key]; m != nil {
		return m
	}
	m := j.newMailbox(key)
	o.put(bucketMailboxes, be(m.id), encodeMailbox(key, m.state))
	return m
}

func (j *Journal) setCursor(o *op, u CursorUpdate) {
	if u.Delete {
		if m := j.mailboxes[u.Mailbox]; m != nil {
			delete(m.cursors, u.Trigger)
			o.put(bucketCursors, pair(m.id, []byte(u.Trigger)), nil)
		}
		return
	}
	m := j.mailboxOf(o, u.Mailbox)
	c := u.Cursor
	c.Backfill = slices.Clone(c.Backfill)
	m.cursors[j.share(u.Trigger)] = c
	o.put(bucketCursors, pair(m.id, []byte(u.Trigger)), encodeCursor(c))
}

// lineOf is a job's line of history.
func lineOf(job *Job, outcome string, ended time.Time) HistoryEntry {
	h := HistoryEntry{Seq: job.Seq, Trigger: job.Trigger, Connection: job.Connection, Mailbox: job.Mailbox, EventID: job.EventID,
		Kind: job.Kind, UID: job.UID, MessageID: job.MessageID, Subject: job.Subject, From: job.From,
		Accepted: job.Accepted, Ended: ended, Outcome: outcome}
	for _, a := range job.Actions {
		h.Actions = append(h.Actions, HistoryAction{Name: a.Name, State: a.State, Attempt: a.Attempt})
	}
	return h
}
