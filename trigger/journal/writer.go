package journal

import (
	"errors"
	"fmt"
	"os"
	"time"

	"mailtrigger/trigger/crashpoint"
)

const (
	groupWait  = 5 * time.Millisecond // how long a result waits for company
	groupLazy  = 32                   // results that do not wait for more company
	groupOps   = 4096                 // mutations in a transaction, at most
	groupBytes = 32 << 20             // bytes in a transaction; one mutation may be more

	retryFirst = time.Second // after a full disk; doubles
	retryMax   = 10 * time.Second

	stuckAfter = 30 * time.Second // a commit that takes longer is no longer healthy
)

// writer is the one goroutine that writes the database. Each turn it takes what
// is queued and commits it as one transaction; what comes meanwhile is the next turn's.
//
// While space is short (the floor is crossed, or a write found the disk full),
// what grows the journal waits, in order, and with it all that is about the
// same jobs; the rest goes on. From time to time everything is tried.
type writer struct {
	j *Journal

	short     bool          // space is short
	probeAt   time.Time     // when growing is tried next
	holdUntil time.Time     // nothing is tried before: the last commit failed
	backoff   time.Duration // the next wait after a failure
	restFirst bool          // everything was tried in vain: next what does not grow
	lastTry   bool          // closing, and a commit has failed since
}

func (j *Journal) write() {
	w := &writer{j: j, backoff: retryFirst}
	for w.turn() {
	}
	close(j.stopped)
}

// turn does what is to be done now, or waits for it. It returns false at the end.
func (w *writer) turn() bool {
	j := w.j
	j.mu.Lock()
	queued, closing, failure := len(j.queue), j.closing, j.failure
	j.mu.Unlock()
	switch now := time.Now(); {
	case failure != nil:
		return false
	case closing && queued == 0:
		if err := j.results.committed(0, true); err != nil {
			j.log.Debug("results log was not emptied", "err", err)
		}
		return false
	case closing:
	case now.Before(w.holdUntil):
		w.sleep(time.Until(w.holdUntil))
		return true
	case queued == 0 && !w.short:
		w.sleep(0)
		return true
	}
	all := w.mayGrow(closing)
	group, wait := w.take(all, closing)
	if len(group) == 0 {
		if closing {
			w.abandon(ErrClosed)
			return false
		}
		if all && w.short && queued == 0 {
			w.recovered()
			return true
		}
		if w.short && (wait == 0 || time.Until(w.probeAt) < wait) {
			wait = max(time.Until(w.probeAt), time.Millisecond)
		}
		w.sleep(wait)
		return true
	}
	return w.run(group, all, closing)
}

// mayGrow says whether what accepts something new may be committed now.
func (w *writer) mayGrow(closing bool) bool {
	now := time.Now()
	if w.short && now.Before(w.probeAt) && !closing {
		return false
	}
	if err := w.j.checkSpace(); err != nil {
		w.shortOf(err)
		w.probeAt = now.Add(retryFirst)
		return false
	}
	if w.restFirst {
		w.restFirst = false
		return false
	}
	return true
}

// checkSpace compares the free space with the floor.
func (j *Journal) checkSpace() error {
	if j.floor < 0 {
		return nil
	}
	free, known, err := j.fs.free(j.dir)
	if err != nil || !known || free >= j.floor {
		return nil // what cannot be told shows when it is written
	}
	return fmt.Errorf("%w: %d MiB are free in %s, %d MiB are to stay free; what comes in waits on the server until there is room",
		ErrNoSpace, free>>20, j.dir, j.floor>>20)
}

// take moves the next group from the queue to inflight. wait is how long results
// still wait for company (0: there is nothing to take).
func (w *writer) take(all, closing bool) (group []*op, wait time.Duration) {
	j := w.j
	j.mu.Lock()
	defer j.mu.Unlock()
	var rest []*op
	held := map[uint64]bool{}
	size, lazy := 0, true
	for i, o := range j.queue {
		if !all && (o.grows || about(held, o)) {
			for _, seq := range o.seqs {
				held[seq] = true
			}
			rest = append(rest, o)
			continue
		}
		if len(group) == groupOps || len(group) > 0 && size+o.size > groupBytes {
			rest = append(rest, j.queue[i:]...)
			lazy = false
			break
		}
		group = append(group, o)
		size += o.size
		lazy = lazy && o.lazy
	}
	if len(group) > 0 && len(group) < groupLazy && lazy && !closing {
		if wait = groupWait - time.Since(group[0].queued); wait > 0 {
			return nil, wait
		}
	}
	j.queue, j.inflight, j.since = rest, group, time.Now()
	return group, 0
}

func about(seqs map[uint64]bool, o *op) bool {
	for _, seq := range o.seqs {
		if seqs[seq] {
			return true
		}
	}
	return false
}

// run commits a group and says what became of it.
func (w *writer) run(group []*op, all, closing bool) bool {
	err := w.j.commit(group)
	switch {
	case err == nil:
		if all && w.short {
			w.recovered()
		}
		w.j.report(group)
		return true
	case isFull(err):
		w.j.errors.Add(1)
		w.shortOf(fmt.Errorf("%w: %w", ErrNoSpace, err))
		w.holdUntil = time.Now().Add(w.backoff)
		w.probeAt = w.holdUntil
		w.backoff = min(2*w.backoff, retryMax)
		w.restFirst = all
		w.putBack()
		if err := w.j.reopen(); err != nil {
			w.j.fail(err)
			return false
		}
		if closing && w.lastTry {
			w.abandon(ErrClosed)
			return false
		}
		w.lastTry = closing
		return true
	default:
		w.j.fail(err)
		return false
	}
}

// putBack queues a group again, in front: none of it is known to be durable, and
// applying it again changes nothing that is.
func (w *writer) putBack() {
	j := w.j
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue, j.inflight = merge(j.inflight, j.queue), nil
	j.results.letGo()
}

// merge keeps the order in which mutations were asked for: a group may have overtaken some.
func merge(a, b []*op) []*op {
	m := make([]*op, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].number < b[0].number {
			m, a = append(m, a[0]), a[1:]
		} else {
			m, b = append(m, b[0]), b[1:]
		}
	}
	return append(append(m, a...), b...)
}

func (w *writer) shortOf(err error) {
	w.j.setHealth(err)
	if !w.short {
		w.short = true
		w.j.log.Error("journal waits for disk space", "err", err)
	}
}

func (w *writer) recovered() {
	w.short, w.restFirst, w.backoff = false, false, retryFirst
	w.j.setHealth(nil)
	w.j.log.Info("journal has disk space again")
}

// abandon ends what is left.
func (w *writer) abandon(err error) {
	j := w.j
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range j.waiting() {
		o.commit.finish(err)
	}
	j.queue, j.inflight, j.pending = nil, nil, 0
}

// sleep waits for news, or for d if that is not 0.
func (w *writer) sleep(d time.Duration) {
	if d <= 0 {
		<-w.j.wake
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.j.wake:
	case <-t.C:
	}
}

// commit makes a group durable: spool files first, then one transaction. After an
// error it is open what is on the disk.
func (j *Journal) commit(group []*op) (err error) {
	defer func() { caught(recover(), &err) }()
	crashpoint.Hit("journal.group.begin")
	if err := j.spool(group); err != nil {
		return err
	}
	if j.db == nil {
		return errors.New("journal.db is not open")
	}
	tx, err := j.db.Begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, o := range group {
		if err := o.apply(tx); err != nil {
			return err
		}
	}
	crashpoint.Hit("journal.group.applied")
	if err := j.fs.commit(tx); err != nil {
		return err
	}
	crashpoint.Hit("journal.group.committed")
	return nil
}

// spool writes the large bodies of a group, once each.
func (j *Journal) spool(group []*op) error {
	wrote := false
	for _, o := range group {
		for i := range o.bodies {
			b := &o.bodies[i]
			if !b.spool || b.spooled {
				continue
			}
			if err := writeSpool(j.dir, &j.fs, b.id, b.data); err != nil {
				return err
			}
			b.spooled, wrote = true, true
		}
	}
	if !wrote {
		return nil
	}
	return j.fs.syncDir(spoolPath(j.dir))
}

// report tells everybody that a group is durable.
func (j *Journal) report(group []*op) {
	logged := 0
	for _, o := range group {
		for _, id := range o.unlink {
			if err := os.Remove(spoolFile(j.dir, id)); err != nil {
				j.log.Warn("spool file was not removed", "err", err)
			}
			crashpoint.Hit("journal.remove.unlinked")
		}
		if o.logged {
			logged++
		}
	}
	if err := j.results.committed(logged, false); err != nil {
		j.log.Warn("results log was not emptied", "err", err)
	}
	crashpoint.Hit("journal.results.truncated")
	j.mu.Lock()
	defer j.mu.Unlock()
	j.inflight = nil
	for _, o := range group {
		j.pending -= o.size
		o.commit.finish(nil)
	}
	crashpoint.Hit("journal.group.reported")
}

// reopen closes and opens journal.db: what is in memory of it after a failed
// commit may not be what is on the disk.
func (j *Journal) reopen() error {
	j.dbmu.Lock()
	defer j.dbmu.Unlock()
	err := j.db.Close()
	j.db = nil
	if err != nil {
		return err
	}
	return j.openDB()
}

// fail ends everything: the state of the disk is not known any more.
func (j *Journal) fail(err error) {
	err = fmt.Errorf("the journal's disk has failed, the daemon has to start again: %w", err)
	j.errors.Add(1)
	j.log.Error("journal failed", "err", err)
	j.mu.Lock()
	j.failure = err
	for _, o := range j.waiting() {
		o.commit.finish(err)
	}
	j.queue, j.inflight, j.pending = nil, nil, 0
	j.mu.Unlock()
	j.results.letGo()
	j.mark()
	j.failed <- err
	close(j.failed)
}
