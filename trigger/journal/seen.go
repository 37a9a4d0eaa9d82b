package journal

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// The identity set of a mailbox: a UID and an 8-byte hash each, appended in the order
// they came in, in chunks of seenChunk under keys that ascend. A commit touches the last
// chunk only; hashes as keys would touch as many pages as there are hashes.
//
// Bound: MaxSeen entries a mailbox (12.4 MiB), plus less than one chunk; beyond
// it the oldest chunk goes. Entries are not made unique: the caller adds a message once.

const seenChunk = 128

// seenWrite puts entries at their position in a mailbox's set.
type seenWrite struct {
	mailbox uint64
	pos     uint64
	entries []Seen
	reset   bool // forget what is there first
}

// addSeen plans an update of a set. j.mu is held.
func (j *Journal) addSeen(o *op, u SeenUpdate) {
	if len(u.Seen) == 0 && !u.Reset {
		return
	}
	m := j.mailboxOf(o, u.Mailbox)
	if u.Reset {
		m.firstChunk, m.nextSeen = 0, 0
	}
	w := seenWrite{mailbox: m.id, pos: m.nextSeen, entries: append([]Seen(nil), u.Seen...), reset: u.Reset}
	o.seen = append(o.seen, w)
	o.size += seenEntry * len(w.entries)
	m.nextSeen += uint64(len(w.entries))
	for m.nextSeen-m.firstChunk*seenChunk >= MaxSeen+seenChunk {
		o.seen = append(o.seen, seenWrite{mailbox: m.id, pos: m.firstChunk * seenChunk})
		m.firstChunk++
	}
}

// apply writes the entries; a write without any drops the chunk at its position.
func (w *seenWrite) apply(tx *bolt.Tx) error {
	b := tx.Bucket(bucketSeen)
	if w.reset {
		p := put{bucket: bucketSeen, key: be(w.mailbox), prefix: true}
		if err := p.apply(tx); err != nil {
			return err
		}
	} else if len(w.entries) == 0 {
		return b.Delete(pair(w.mailbox, be(w.pos/seenChunk)))
	}
	pos := w.pos
	for rest := w.entries; len(rest) > 0; {
		key, at := pair(w.mailbox, be(pos/seenChunk)), int(pos%seenChunk)
		var chunk []Seen
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
			return damaged("%s/%x has %d entries, not %d", bucketSeen, key, len(chunk), at)
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

// Seen returns a mailbox's identity set, as last accepted, in the order it was added.
func (j *Journal) Seen(key MailboxKey) ([]Seen, error) {
	j.mu.Lock() // as in State
	defer j.mu.Unlock()
	m := j.mailboxes[key]
	if m == nil {
		return nil, nil
	}
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
	all := make([]Seen, 0, m.nextSeen-m.firstChunk*seenChunk)
	if len(pending) == 0 || !pending[0].reset {
		// What waits may be stored already, if its commit is under way: it goes
		// by its position.
		var err error
		if all, err = j.storedSeen(m, all, pending); err != nil {
			return nil, err
		}
	}
	for _, w := range pending {
		all = append(all, w.entries...)
	}
	return all, nil
}

// storedSeen appends what is stored, up to where what waits begins.
func (j *Journal) storedSeen(m *mailbox, all []Seen, pending []seenWrite) ([]Seen, error) {
	end := m.nextSeen
	for _, w := range pending {
		if len(w.entries) > 0 {
			end = min(end, w.pos)
		}
	}
	err := j.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketSeen).Cursor()
		for k, v := c.Seek(be(m.id)); len(k) == 16 && binary.BigEndian.Uint64(k) == m.id; k, v = c.Next() {
			entries, err := decodeSeen(v)
			if err != nil {
				return fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, bucketSeen, k, err)
			}
			pos := binary.BigEndian.Uint64(k[8:]) * seenChunk
			if pos >= end {
				return nil
			}
			all = append(all, entries[:min(uint64(len(entries)), end-pos)]...)
		}
		return nil
	})
	return all, err
}
