package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// A chunkList is a list of small entries (a number and an 8-byte hash) to which
// entries are appended and from which the oldest are dropped, chunkLen at a time. Its
// chunks are under keys that ascend. A commit touches the last chunk only; hashes as
// keys would touch as many pages as there are hashes.
type chunkList struct {
	first uint64 // number of the first chunk
	next  uint64 // position of the next entry
}

const chunkLen = 128

// chunkWrite puts entries at their position in a list.
type chunkWrite struct {
	bucket  []byte
	list    []byte // the keys of the list's chunks begin with it
	pos     uint64
	entries []Seen
	reset   bool // forget what is there first
}

func (w *chunkWrite) key(chunk uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(w.list), chunk)
}

func (w *chunkWrite) sameList(bucket, list []byte) bool {
	return bytes.Equal(w.bucket, bucket) && bytes.Equal(w.list, list)
}

// append plans the entries of w, its position aside. j.mu is held.
func (l *chunkList) append(o *op, w chunkWrite) {
	if w.reset {
		l.first, l.next = 0, 0
	}
	w.pos, w.entries = l.next, append([]Seen(nil), w.entries...)
	o.chunks = append(o.chunks, w)
	o.size += seenEntry * len(w.entries)
	l.next += uint64(len(w.entries))
}

// drop plans to forget the first n chunks, as far as they are full. j.mu is held.
func (l *chunkList) drop(o *op, bucket, list []byte, n int) {
	for ; n > 0 && (l.first+1)*chunkLen <= l.next; n-- {
		o.chunks = append(o.chunks, chunkWrite{bucket: bucket, list: list, pos: l.first * chunkLen})
		l.first++
	}
}

func (l *chunkList) len() int { return int(l.next - l.first*chunkLen) }

// apply writes the entries; a write without any drops the chunk at its position.
func (w *chunkWrite) apply(tx *bolt.Tx) error {
	b := tx.Bucket(w.bucket)
	if w.reset {
		p := put{bucket: w.bucket, key: w.list, prefix: true}
		if err := p.apply(tx); err != nil {
			return err
		}
	} else if len(w.entries) == 0 {
		return b.Delete(w.key(w.pos / chunkLen))
	}
	pos := w.pos
	for rest := w.entries; len(rest) > 0; {
		key, at := w.key(pos/chunkLen), int(pos%chunkLen)
		var chunk []Seen
		if v := b.Get(key); v != nil {
			var err error
			if chunk, err = decodeSeen(v); err != nil {
				return fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, w.bucket, key, err)
			}
		}
		if chunk == nil && at > 0 {
			// Dropped by a later write that landed in an earlier try.
			n := min(len(rest), chunkLen-at)
			rest, pos = rest[n:], pos+uint64(n)
			continue
		}
		if len(chunk) < at {
			return damaged("%s/%x has %d entries, not %d", w.bucket, key, len(chunk), at)
		}
		n := min(len(rest), chunkLen-at)
		chunk = append(chunk[:at], rest[:n]...)
		if err := b.Put(key, encodeSeen(chunk)); err != nil {
			return err
		}
		rest, pos = rest[n:], pos+uint64(n)
	}
	return nil
}

// entries returns a list as last accepted, in the order it was made. j.mu is held.
func (j *Journal) entries(l *chunkList, bucket, list []byte) ([]Seen, error) {
	var pending []chunkWrite
	for _, o := range j.waiting() {
		for _, w := range o.chunks {
			if !w.sameList(bucket, list) {
				continue
			}
			if w.reset {
				pending = pending[:0]
			}
			pending = append(pending, w)
		}
	}
	all := make([]Seen, 0, l.len())
	if len(pending) == 0 || !pending[0].reset {
		// What waits may be stored already, if its commit is under way: it goes
		// by its position.
		var err error
		if all, err = j.storedEntries(l, bucket, list, all, pending); err != nil {
			return nil, err
		}
	}
	for _, w := range pending {
		all = append(all, w.entries...)
	}
	// What is to be dropped may be stored still.
	return all[max(len(all)-l.len(), 0):], nil
}

// storedEntries appends what is stored, up to where what waits begins.
func (j *Journal) storedEntries(l *chunkList, bucket, list []byte, all []Seen, pending []chunkWrite) ([]Seen, error) {
	end := l.next
	for _, w := range pending {
		if len(w.entries) > 0 {
			end = min(end, w.pos)
		}
	}
	err := j.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for k, v := c.Seek(list); len(k) == len(list)+8 && bytes.HasPrefix(k, list); k, v = c.Next() {
			entries, err := decodeSeen(v)
			if err != nil {
				return fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, bucket, k, err)
			}
			pos := binary.BigEndian.Uint64(k[len(list):]) * chunkLen
			if pos >= end {
				return nil
			}
			all = append(all, entries[:min(uint64(len(entries)), end-pos)]...)
		}
		return nil
	})
	return all, err
}

// loadList finds where a stored list begins and ends.
func loadList(c *bolt.Cursor, bucket, list []byte) (l chunkList, err error) {
	k, _ := c.Seek(list)
	if len(k) != len(list)+8 || !bytes.HasPrefix(k, list) {
		return l, nil
	}
	l.first = binary.BigEndian.Uint64(k[len(list):])
	back := c.Prev
	if k, _ := c.Seek(binary.BigEndian.AppendUint64(bytes.Clone(list), ^uint64(0))); k == nil {
		back = c.Last
	}
	k, v := back()
	entries, err := decodeSeen(v)
	if err != nil || len(k) != len(list)+8 || !bytes.HasPrefix(k, list) {
		return l, fmt.Errorf("%w: %s/%x: %w", ErrCorrupt, bucket, k, errors.Join(errRecord, err))
	}
	l.next = binary.BigEndian.Uint64(k[len(list):])*chunkLen + uint64(len(entries))
	return l, nil
}
