package journal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// A trigger's name is in the keys of its cursors and claims and in the records of its
// jobs and dead letters. A Rename changes it in all of them, in one transaction. The
// records are rewritten where they are stored, as there may be more of them than
// belong in memory; until then the name in memory (entry, deadEntry) is what counts.
// Event ids and the lines of history stay as they are.

// Rename gives a trigger another name. What the other name had, goes, but for jobs
// and dead letters.
type Rename struct{ From, To string }

func checkRenames(renames []Rename) error {
	for _, r := range renames {
		if err := errors.Join(checkName(r.From), checkName(r.To)); err != nil || r.From == r.To {
			return errors.Join(fmt.Errorf("trigger %q cannot get the name %q", r.From, r.To), err)
		}
	}
	return nil
}

// planRenames plans renames. j.mu is held.
func (j *Journal) planRenames(o *op, renames []Rename) error {
	claims := make([][]Seen, len(renames))
	for i, r := range renames {
		if l := j.claims[r.From]; l != nil {
			var err error
			if claims[i], err = j.entries(l, bucketClaims, claimList(r.From)); err != nil {
				return err
			}
		}
	}
	for i, r := range renames {
		j.rename(o, r, claims[i])
	}
	o.renames = renames
	return nil
}

func (j *Journal) rename(o *op, r Rename, claims []Seen) {
	to := j.share(r.To)
	for _, key := range slices.SortedFunc(maps.Keys(j.mailboxes), func(a, b MailboxKey) int { return int(j.mailboxes[a].id) - int(j.mailboxes[b].id) }) {
		if c, ok := j.mailboxes[key].cursors[r.From]; ok {
			j.setCursor(o, CursorUpdate{Mailbox: key, Trigger: r.From, Delete: true})
			j.setCursor(o, CursorUpdate{Mailbox: key, Trigger: to, Cursor: c})
		}
	}
	delete(j.claims, r.From)
	delete(j.claims, r.To)
	o.deletePrefix(bucketClaims, claimList(r.From))
	o.deletePrefix(bucketClaims, claimList(r.To))
	if len(claims) > 0 {
		l := &chunkList{}
		j.claims[to] = l
		l.append(o, chunkWrite{bucket: bucketClaims, list: claimList(r.To), entries: claims})
	}
	for _, e := range j.live {
		if e.trigger == r.From {
			e.trigger = to
		}
	}
	for _, d := range j.dead {
		if d.trigger == r.From {
			d.trigger = to
		}
	}
	for _, job := range j.loaded {
		if job.Trigger == r.From {
			job.Trigger = to
		}
	}
}

// apply renames the trigger in the records of its jobs and dead letters.
func (r *Rename) apply(tx *bolt.Tx) error {
	err := rewrite(tx, bucketJobs, func(seq uint64, v []byte) ([]byte, error) {
		job, err := decodeJob(seq, v, nil)
		if err != nil || job.Trigger != r.From {
			return nil, err
		}
		job.Trigger = r.To
		return encodeJob(job, job.body), nil
	})
	if err != nil {
		return err
	}
	return rewrite(tx, bucketDead, func(seq uint64, v []byte) ([]byte, error) {
		d, err := decodeDead(seq, v)
		if err != nil || d.Job.Trigger != r.From {
			return nil, err
		}
		d.Job.Trigger = r.To
		return encodeDead(d.Job, d.Job.body, d.Reason, d.When), nil
	})
}

// rewrite replaces the records for which change returns another; nil: it stays. bbolt
// forbids changes while a bucket is gone through, so that it is done a part at a time.
func rewrite(tx *bolt.Tx, bucket []byte, change func(seq uint64, v []byte) ([]byte, error)) error {
	const part = 1000
	type record struct{ key, value []byte }
	b := tx.Bucket(bucket)
	var from []byte
	for {
		var changed []record
		n := 0
		c := b.Cursor()
		k, v := c.Seek(from)
		for ; k != nil && n < part; k, v = c.Next() {
			n++
			seq, err := number(k)
			var value []byte
			if err == nil {
				value, err = change(seq, v)
			}
			if err != nil {
				return fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, bucket, k, err)
			}
			if value != nil {
				changed = append(changed, record{bytes.Clone(k), value})
			}
		}
		from = bytes.Clone(k)
		for _, r := range changed {
			if err := b.Put(r.key, r.value); err != nil {
				return err
			}
		}
		if from == nil {
			return nil
		}
	}
}
