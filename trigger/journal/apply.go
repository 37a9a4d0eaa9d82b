package journal

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// op is one mutation, worked out when it was asked for. Applying it twice, in
// order with the others, leaves what applying it once leaves.
type op struct {
	commit *Commit
	number uint64 // in the order they were asked for
	queued time.Time
	seqs   []uint64 // the jobs it is about
	lazy   bool     // may wait for others for groupWait
	grows  bool     // accepts something new: waits while disk space is short
	logged bool     // its result is in results.log
	size   int      // bytes, about

	// What is applied, in this order.
	bodies  []newBody
	puts    []put
	chunks  []chunkWrite
	state   map[string][]byte
	renames []Rename
	result  *loggedResult
	endings []ending
	unlink  []uint64 // spool files to remove once it is durable
}

type newBody struct {
	id      uint64
	data    []byte
	spool   bool
	spooled bool // the file is there
}

// put sets one record; a nil value deletes it, or all whose keys begin with the key.
type put struct {
	bucket, key, value []byte
	prefix             bool
}

// ending deletes a job's record and makes a line of history of it.
type ending struct {
	seq     uint64
	line    uint64
	outcome string
	when    time.Time
}

func (o *op) put(bucket, key, value []byte) {
	o.puts = append(o.puts, put{bucket: bucket, key: key, value: value})
	o.size += len(key) + len(value)
}

func (o *op) deletePrefix(bucket, key []byte) {
	o.puts = append(o.puts, put{bucket: bucket, key: key, prefix: true})
}

func (o *op) putJob(seq uint64, job *Job, body bodyRef) error {
	v := encodeJob(job, body)
	if len(v) > MaxRecord {
		return fmt.Errorf("a job's record of %d bytes is over the limit of %d", len(v), MaxRecord)
	}
	o.put(bucketJobs, be(seq), v)
	return nil
}

// line writes a line of history that needs no look at the record.
func (o *op) line(j *Journal, h HistoryEntry) {
	o.put(bucketHistory, be(j.nextLine%HistoryLen), encodeHistory(j.nextLine, &h))
	j.nextLine++
}

// apply makes the changes in a transaction. Its errors are bbolt's or damage.
func (o *op) apply(tx *bolt.Tx) error {
	for i := range o.bodies {
		if b := &o.bodies[i]; !b.spool {
			if err := tx.Bucket(bucketBodies).Put(be(b.id), b.data); err != nil {
				return err
			}
		}
	}
	for i := range o.puts {
		if err := o.puts[i].apply(tx); err != nil {
			return err
		}
	}
	for i := range o.chunks {
		if err := o.chunks[i].apply(tx); err != nil {
			return err
		}
	}
	for k, v := range o.state {
		if err := setState(tx, k, v); err != nil {
			return err
		}
	}
	for i := range o.renames {
		if err := o.renames[i].apply(tx); err != nil {
			return err
		}
	}
	if o.result != nil {
		if err := o.result.apply(tx); err != nil {
			return err
		}
	}
	for i := range o.endings {
		if err := o.endings[i].apply(tx); err != nil {
			return err
		}
	}
	return nil
}

func (p *put) apply(tx *bolt.Tx) error {
	b := tx.Bucket(p.bucket)
	switch {
	case p.prefix:
		// bbolt's cursor may skip a record after a deletion: look again each time.
		c := b.Cursor()
		for k, _ := c.Seek(p.key); k != nil && bytes.HasPrefix(k, p.key); k, _ = c.Seek(p.key) {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		return nil
	case p.value == nil:
		return b.Delete(p.key)
	}
	return b.Put(p.key, p.value)
}

func setState(tx *bolt.Tx, key string, v []byte) error {
	if v == nil {
		return tx.Bucket(bucketState).Delete([]byte(key))
	}
	return tx.Bucket(bucketState).Put([]byte(key), encodeState(v))
}

// apply puts a result into the job's record. A job that is not there has ended
// by a later mutation that landed in an earlier try.
func (r *loggedResult) apply(tx *bolt.Tx) error {
	job, err := storedJob(tx, r.seq)
	if job == nil || err != nil {
		return err
	}
	if r.action >= len(job.Actions) {
		return damaged("job %d has lost its action %d", r.seq, r.action)
	}
	a := &job.Actions[r.action]
	a.State, a.Saved, a.Next, a.Err = r.State, r.Saved, time.Time{}, ""
	return tx.Bucket(bucketJobs).Put(be(r.seq), encodeJob(job, job.body))
}

func storedJob(tx *bolt.Tx, seq uint64) (*Job, error) {
	v := tx.Bucket(bucketJobs).Get(be(seq))
	if v == nil {
		return nil, nil
	}
	job, err := decodeJob(seq, v, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, bucketJobs, be(seq), err)
	}
	return job, nil
}

// apply turns a job's record, or a dead letter's, into a line of history.
func (e *ending) apply(tx *bolt.Tx) error {
	job, err := storedJob(tx, e.seq)
	if job == nil && err == nil {
		job, err = storedDead(tx, e.seq)
	}
	if job == nil || err != nil {
		return err // gone: an earlier try landed, and its line with it
	}
	h := lineOf(job, e.outcome, e.when)
	return errors.Join(
		tx.Bucket(bucketHistory).Put(be(e.line%HistoryLen), encodeHistory(e.line, &h)),
		tx.Bucket(bucketJobs).Delete(be(e.seq)),
		tx.Bucket(bucketDead).Delete(be(e.seq)))
}

func storedDead(tx *bolt.Tx, seq uint64) (*Job, error) {
	v := tx.Bucket(bucketDead).Get(be(seq))
	if v == nil {
		return nil, nil
	}
	d, err := decodeDead(seq, v)
	if err != nil {
		return nil, fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, bucketDead, be(seq), err)
	}
	return d.Job, nil
}
