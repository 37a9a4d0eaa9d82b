package trigger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"

	"mailtrigger/trigger/journal"
)

// begun remembers, across the death of the process, the event ids under which
// actions were started before their job was in the journal. The message is fetched
// again then, and gets the same id from the same UID; but a server that changes its
// UIDs in the meantime would give it another one.
//
// Each such start has a slot in a small file, written before by one unsynced write
// and cleared once the job is in the journal. That survives the death of the
// process, which is what it is for.
type begun struct {
	mu   sync.Mutex
	file *os.File
	free []int
	next int
	old  map[string]oldStart // of the last runs, by startKey
}

// An oldStart is a start whose job did not reach the journal.
type oldStart struct {
	id   string
	slot int
}

// maxBegun is how many starts are remembered; beyond it new ones are not.
const maxBegun = 4096

// openBegun reads what the last run left. journaled says which events the journal has.
func openBegun(path string, journaled func(id string) bool) (*begun, error) {
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("read the marks of actions being started: %w", err)
	}
	s := &begun{old: make(map[string]oldStart)}
	if s.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("open the marks of actions being started: %w", err)
	}
	for ; len(b) >= 8 && s.next < maxBegun; b = b[min(len(b), poisonSlot):] {
		slot := s.next
		s.next++
		text, ok := decodeSlot(b[:min(len(b), poisonSlot)])
		key, id, two := strings.Cut(text, " ")
		if !ok || !two || journaled(id) {
			s.clear(slot)
			continue
		}
		s.old[key] = oldStart{id, slot}
	}
	return s, nil
}

// startKey names a trigger's firing on a message by what no change of UIDs changes;
// "" if the message has nothing to be known by.
func startKey(box journal.MailboxKey, hash uint64, trigger string) string {
	if hash == 0 {
		return ""
	}
	b := make([]byte, 0, 256)
	for _, s := range []string{box.Host, box.User, box.Mailbox, trigger} {
		b = appendString(b, s)
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, hash))
	return hex.EncodeToString(sum[:16])
}

// startKey is the key under which an action may have been started in an earlier run:
// the trigger may have had another name then.
func (e *Engine) startKey(box journal.MailboxKey, hash uint64, trigger string) string {
	if before := e.before[trigger]; before != "" {
		if key := startKey(box, hash, before); e.begun.started(key) {
			return key
		}
	}
	return startKey(box, hash, trigger)
}

// begin notes that an action of an event is being started. It returns what is to
// be called once the event's job is in the journal.
func (s *begun) begin(key, id string) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.next
	switch n := len(s.free); {
	case n > 0:
		slot, s.free = s.free[n-1], s.free[:n-1]
	case s.next < maxBegun:
		s.next++
	default:
		return func() {}
	}
	_, _ = s.file.WriteAt(encodeSlot(key+" "+id), int64(slot)*poisonSlot)
	return func() { s.clear(slot) }
}

// clear frees a slot.
func (s *begun) clear(slot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.file.WriteAt(make([]byte, 8), int64(slot)*poisonSlot)
	s.free = append(s.free, slot)
}

// resume returns the id under which an event was started in an earlier run, and
// what is to be called once its job is in the journal; nil if it was not.
func (s *begun) resume(key string) (id string, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.old[key]
	if !ok || key == "" {
		return "", nil
	}
	delete(s.old, key) // a message that is alike in all is another one
	return o.id, func() { s.clear(o.slot) }
}

// started reports whether an action was started under that key in an earlier run,
// and its job did not reach the journal.
func (s *begun) started(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.old[key]
	return ok && key != ""
}

func (s *begun) close() error { return s.file.Close() }
