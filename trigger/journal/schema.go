package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// The buckets of journal.db.
var (
	bucketMeta      = []byte("meta")      // version, next, epoch
	bucketMailboxes = []byte("mailboxes") // id -> kindMailbox
	bucketCursors   = []byte("cursors")   // mailbox id, trigger -> kindCursor
	bucketSeen      = []byte("seen")      // mailbox id, chunk number -> kindSeen
	bucketClaims    = []byte("claims")    // trigger, NUL, chunk number -> kindSeen
	bucketState     = []byte("state")     // trigger state: key -> kindState
	bucketJobs      = []byte("jobs")      // sequence -> kindJob
	bucketBodies    = []byte("bodies")    // body id -> raw message (its CRC is in the jobs)
	bucketDead      = []byte("dead")      // sequence -> kindDead
	bucketHistory   = []byte("history")   // line number modulo HistoryLen -> kindHistory

	buckets = [][]byte{bucketMeta, bucketMailboxes, bucketCursors, bucketSeen, bucketClaims, bucketState, bucketJobs, bucketBodies, bucketDead, bucketHistory}

	keyVersion = []byte("version") // 8 bytes, big-endian, unsealed: every version can read it
	keyNext    = []byte("next")    // sequence numbers below are used or reserved
	keyEpoch   = []byte("epoch")   // of results.log
)

// be is a number as a key: keys sort as numbers do.
func be(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func pair(id uint64, rest []byte) []byte { return append(be(id), rest...) }

// A step takes the journal from one version to the next, inside of the
// transaction that also writes the new version: all steps are made, or none.
type step func(tx *bolt.Tx) error

// steps[n] takes version n to n+1; len(steps) is the version of this program.
// An empty file is version 0.
var steps = []step{
	func(tx *bolt.Tx) error { // 0 to 1
		for _, b := range buckets {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		if meta.Get(keyNext) == nil {
			if err := meta.Put(keyNext, encodeNumber(1)); err != nil {
				return err
			}
		}
		if meta.Get(keyEpoch) == nil {
			return meta.Put(keyEpoch, encodeNumber(1))
		}
		return nil
	},
	func(tx *bolt.Tx) error { // 1 to 2
		_, err := tx.CreateBucketIfNotExists(bucketClaims)
		return err
	},
}

// version returns the journal's version.
func version(tx *bolt.Tx) (int, error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil {
			return 0, errors.New("journal.db is a database of some other program")
		}
		return 0, nil
	}
	v := meta.Get(keyVersion)
	if len(v) != 8 {
		return 0, damaged("it has no version")
	}
	n := binary.BigEndian.Uint64(v)
	if n > 1<<31-1 {
		return 0, damaged("its version is %d", n)
	}
	return int(n), nil
}

// migrate brings the journal to the version that steps make.
func migrate(db *bolt.DB, steps []step) (from int, err error) {
	err = db.View(func(tx *bolt.Tx) error {
		from, err = version(tx)
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case from > len(steps):
		return from, fmt.Errorf("%w (it has version %d, this program %d): run that version, or a newer one", ErrNewer, from, len(steps))
	case from == len(steps):
		return from, nil
	}
	return from, db.Update(func(tx *bolt.Tx) error {
		for n := from; n < len(steps); n++ {
			if err := steps[n](tx); err != nil {
				return fmt.Errorf("from version %d to %d: %w", n, n+1, err)
			}
		}
		return tx.Bucket(bucketMeta).Put(keyVersion, be(uint64(len(steps))))
	})
}
