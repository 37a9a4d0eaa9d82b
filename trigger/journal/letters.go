package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// letterID is a dead letter's id as people see it.
func letterID(seq uint64) string { return strconv.FormatUint(seq, 10) }

// DeadLetters returns the dead letters, the oldest first, without their messages: see Body.
func (j *Journal) DeadLetters() ([]DeadLetter, error) {
	var list []DeadLetter
	err := j.view(func(tx *bolt.Tx) error {
		return each(tx, bucketDead, func(k, v []byte) error {
			seq, err := number(k)
			if err != nil {
				return err
			}
			d, err := decodeDead(seq, v)
			list = append(list, d)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := list[:0]
	for _, d := range list {
		if e := j.dead[d.Job.Seq]; e != nil { // else it is being taken away
			d.Job.Trigger = e.trigger
			kept = append(kept, d)
		}
	}
	return kept, nil
}

// Unbury makes a dead letter a job again, durably: under a new Seq and the same
// event id. What is done stays done, as does a finish that has begun; all other
// actions, those skipped because of the failure too, wait for a first attempt. It is
// refused while the journal is not healthy: nobody knows for how long that would be.
func (j *Journal) Unbury(id string) (*Job, error) {
	if err := j.Health(); err != nil {
		return nil, fmt.Errorf("a dead letter cannot be tried again now: %w", err)
	}
	seq, err := j.letter(id)
	if err != nil {
		return nil, err
	}
	var job *Job
	err = j.view(func(tx *bolt.Tx) (err error) {
		job, err = storedDead(tx, seq)
		return err
	})
	if err != nil {
		return nil, err
	}
	if job == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoLetter, id)
	}
	for i := range job.Actions {
		if a := &job.Actions[i]; a.State != Done {
			*a = ActionState{Name: a.Name, Attempt: 1, Saved: a.Saved}
		}
	}
	c, err := j.unbury(seq, job)
	if err != nil {
		return nil, err
	}
	return job, j.soon(c)
}

func (j *Journal) unbury(seq uint64, job *Job) (*Commit, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return nil, err
	}
	d := j.dead[seq]
	if d == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoLetter, letterID(seq))
	}
	o := &op{commit: newCommit()}
	job.Trigger = d.trigger
	if err := o.putJob(j.next, job, d.body); err != nil {
		return nil, err
	}
	o.put(bucketDead, be(seq), nil)
	job.Seq = j.next
	j.next++
	j.reserve(o)
	delete(j.dead, seq)
	j.live[job.Seq] = newEntry(job, o.commit)
	o.seqs = []uint64{seq, job.Seq}
	return j.enqueue(o), nil
}

// Discard drops a dead letter and its message, durably. On a full disk too: that makes
// room.
func (j *Journal) Discard(id string) error {
	seq, err := j.letter(id)
	if err != nil {
		return err
	}
	c, err := j.discard(seq)
	if err != nil {
		return err
	}
	return j.soon(c)
}

// letterWait is how long somebody who asks about a dead letter waits for the disk.
const letterWait = 30 * time.Second

// soon waits until it is committed, as long as somebody can be let wait.
func (j *Journal) soon(c *Commit) error {
	ctx, cancel := context.WithTimeout(context.Background(), letterWait)
	defer cancel()
	err := c.Wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the journal has not written it within %v, and does as soon as it can: %w", letterWait, cmp.Or(j.Health(), err))
	}
	return err
}

func (j *Journal) discard(seq uint64) (*Commit, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return nil, err
	}
	d := j.dead[seq]
	if d == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoLetter, letterID(seq))
	}
	o := &op{commit: newCommit(), seqs: []uint64{seq}}
	delete(j.dead, seq)
	o.endings = []ending{{seq: seq, line: j.nextLine, outcome: "discarded", when: j.now()}}
	j.nextLine++
	j.dropBody(o, d.body)
	return j.enqueue(o), nil
}

// letter finds a dead letter and waits until it is durable.
func (j *Journal) letter(id string) (uint64, error) {
	seq, err := strconv.ParseUint(id, 10, 64)
	if err != nil || letterID(seq) != id {
		return 0, fmt.Errorf("%w: %q is no id", ErrNoLetter, id)
	}
	j.mu.Lock()
	d, err := j.dead[seq], j.usable()
	j.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case d == nil:
		return 0, fmt.Errorf("%w: %s", ErrNoLetter, id)
	}
	return seq, j.soon(d.buried)
}
