package journal

import (
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// The claims of a trigger: when it has seen which message, an 8-byte hash each, in
// the order in which they were made. Which of them still count is the caller's
// knowledge; it says how many of the oldest go.
//
// Bound: MaxClaims a trigger (48 MiB), plus less than one chunk; beyond it the oldest
// chunk goes.

// claimList is the beginning of the keys of a trigger's claims. No name has a NUL.
func claimList(trigger string) []byte { return append([]byte(trigger), 0) }

func checkClaims(updates []ClaimUpdate) error {
	for _, u := range updates {
		if err := checkName(u.Trigger); err != nil {
			return fmt.Errorf("claims: %w", err)
		}
	}
	return nil
}

// checkName checks a trigger's name where it is to be the beginning of keys.
func checkName(trigger string) error {
	if trigger == "" || len(trigger) > MaxStateKey || strings.Contains(trigger, "\x00") {
		return fmt.Errorf("a trigger whose name has %d bytes", len(trigger))
	}
	return nil
}

// addClaims plans an update of a trigger's claims. j.mu is held.
func (j *Journal) addClaims(o *op, u ClaimUpdate) {
	list := claimList(u.Trigger)
	l := j.claims[u.Trigger]
	if l == nil {
		l = &chunkList{}
		j.claims[strings.Clone(u.Trigger)] = l
	}
	if len(u.Add) > 0 {
		entries := make([]Seen, len(u.Add))
		for i, c := range u.Add {
			entries[i] = Seen{UID: c.At, Hash: c.Hash}
		}
		l.append(o, chunkWrite{bucket: bucketClaims, list: list, entries: entries})
	}
	l.drop(o, bucketClaims, list, max(u.Forget, l.len()-MaxClaims)/chunkLen)
}

// Claims returns a trigger's claims, as last accepted, in the order they were made.
func (j *Journal) Claims(trigger string) ([]Claim, error) {
	j.mu.Lock() // as in State
	defer j.mu.Unlock()
	l := j.claims[trigger]
	if l == nil {
		return nil, nil
	}
	entries, err := j.entries(l, bucketClaims, claimList(trigger))
	claims := make([]Claim, len(entries))
	for i, e := range entries {
		claims[i] = Claim{At: e.UID, Hash: e.Hash}
	}
	return claims, err
}

// claims finds where each trigger's claims begin and end.
func (l *loader) claims(tx *bolt.Tx) error {
	c := tx.Bucket(bucketClaims).Cursor()
	for k, _ := c.First(); k != nil; {
		if len(k) < 10 || k[len(k)-9] != 0 {
			return fmt.Errorf("%w: %s/%x: %w: it is of no trigger", ErrCorrupt, bucketClaims, k, errRecord)
		}
		trigger := string(k[:len(k)-9])
		list, err := loadList(tx.Bucket(bucketClaims).Cursor(), bucketClaims, claimList(trigger))
		if err != nil {
			return err
		}
		l.j.claims[trigger] = &list
		k, _ = c.Seek(append([]byte(trigger), 1))
	}
	return nil
}
