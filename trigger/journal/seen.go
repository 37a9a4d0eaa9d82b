package journal

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// The identity set of a mailbox: 8-byte hashes, appended in the order they came in, in chunks of
// seenChunk under keys that ascend. A commit touches the last chunk only;
// hashes as keys would touch as many pages as there are hashes.
//
// Bound: MaxSeen hashes a mailbox (8.2 MiB), plus less than one chunk; beyond
// it the oldest chunk goes. Hashes are not made unique: the caller adds a message once.

const seenChunk = 128

// seenWrite puts hashes at their position in a mailbox's set.
type seenWrite struct {
	mailbox uint64
	pos     uint64
	hashes  []uint64
	reset   bool // forget what is there first
}

// addSeen plans an update of a set. j.mu is held.
func (j *Journal) addSeen(o *op, u SeenUpdate) {
	if len(u.Hashes) == 0 && !u.Reset {
		return
	}
	m := j.mailboxOf(o, u.Mailbox)
	if u.Reset {
		m.firstChunk, m.nextSeen = 0, 0
	}
	w := seenWrite{mailbox: m.id, pos: m.nextSeen, hashes: append([]uint64(nil), u.Hashes...), reset: u.Reset}
	o.seen = append(o.seen, w)
	o.size += 8 * len(w.hashes)
	m.nextSeen += uint64(len(w.hashes))
	for m.nextSeen-m.firstChunk*seenChunk >= MaxSeen+seenChunk {
		o.seen = append(o.seen, seenWrite{mailbox: m.id, pos: m.firstChunk * seenChunk})
		m.firstChunk++
	}
}

// apply writes the hashes; a write without hashes drops the chunk at its position.
func (w *seenWrite) apply(tx *bolt.Tx) error {
	b := tx.Bucket(bucketSeen)
	if w.reset {
		p := put{bucket: bucketSeen, key: be(w.mailbox), prefix: true}
		if err := p.apply(tx); err != nil {
			return err
		}
	} else if len(w.hashes) == 0 {
		return b.Delete(pair(w.mailbox, be(w.pos/seenChunk)))
	}
	pos := w.pos
	for rest := w.hashes; len(rest) > 0; {
		key, at := pair(w.mailbox, be(pos/seenChunk)), int(pos%seenChunk)
		var chunk []uint64
		if v := b.Get(key); v != nil {
			var err error
			if chunk, err = decodeSeen(v); err != nil {
				return fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, bucketSeen, key, err)
			}
		}
		if chunk == nil && at > 0 {
			// Dropped by a later write that landed in an earlier try.
			n := min(len(rest), seenChunk-at)
			rest, pos = rest[n:], pos+uint64(n)
			continue
		}
		if len(chunk) < at {
			return damaged("%s/%x has %d hashes, not %d", bucketSeen, key, len(chunk), at)
		}
		n := min(len(rest), seenChunk-at)
		chunk = append(chunk[:at], rest[:n]...)
		if err := b.Put(key, encodeSeen(chunk)); err != nil {
			return err
		}
		rest, pos = rest[n:], pos+uint64(n)
	}
	return nil
}

// Seen returns a mailbox's identity set, as last accepted.
func (j *Journal) Seen(key MailboxKey) (map[uint64]struct{}, error) {
	j.mu.Lock() // as in State
	defer j.mu.Unlock()
	m := j.mailboxes[key]
	if m == nil {
		return map[uint64]struct{}{}, nil
	}
	all := make(map[uint64]struct{}, m.nextSeen-m.firstChunk*seenChunk)
	var pending []seenWrite
	for _, o := range j.waiting() {
		for _, w := range o.seen {
			if w.mailbox != m.id {
				continue
			}
			if w.reset {
				pending = pending[:0]
			}
			pending = append(pending, w)
		}
	}
	if len(pending) == 0 || !pending[0].reset {
		if err := j.storedSeen(m, all); err != nil {
			return nil, err
		}
	}
	for _, w := range pending {
		for _, h := range w.hashes {
			all[h] = struct{}{}
		}
	}
	return all, nil
}

func (j *Journal) storedSeen(m *mailbox, all map[uint64]struct{}) error {
	return j.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketSeen).Cursor()
		for k, v := c.Seek(be(m.id)); len(k) == 16 && binary.BigEndian.Uint64(k) == m.id; k, v = c.Next() {
			hashes, err := decodeSeen(v)
			if err != nil {
				return fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, bucketSeen, k, err)
			}
			for _, h := range hashes {
				all[h] = struct{}{}
			}
		}
		return nil
	})
}
