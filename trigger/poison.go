package trigger

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"sync"

	"mailtrigger/trigger/crashpoint"
	"mailtrigger/trigger/journal"
)

// maxCrashes is how often the daemon may die while it reads a message before the
// message is given up as a dead letter.
const maxCrashes = 3

// poison remembers, across crashes of the process, which messages were being
// read. A message that takes the whole process down (out of memory, a stack that
// overflows) would otherwise do so for ever.
//
// Each message being read has a slot in a small file, written before and cleared
// after by one unsynced write each: that survives the death of the process, which
// is what it is for. At the start the slots still set are counted, in the
// journal, against their messages, and then cleared. The first slot names the file: what
// one file says is counted once, also if the daemon dies between counting and clearing.
type poison struct {
	mu    sync.Mutex
	file  *os.File
	free  []int
	next  int
	count map[string]int // crashes by event identity
	store journal.Store
}

const (
	poisonSlot   = 512
	poisonPrefix = "poison/"
	poisonFile   = "poison-counted" // key of the name of the file that was counted last
)

func openPoison(path string, store journal.Store, log *slog.Logger) (*poison, error) {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("read the marks of messages being read: %w", err)
	}
	p := &poison{count: make(map[string]int), store: store, next: 1}
	counted, err := store.State(poisonFile)
	if err != nil {
		return nil, fmt.Errorf("read the marks of messages being read: %w", err)
	}
	state, err := store.State(poisonPrefix)
	if err != nil {
		return nil, fmt.Errorf("read the marks of messages being read: %w", err)
	}
	for key, v := range state {
		if len(v) == 1 {
			p.count[key[len(poisonPrefix):]] = int(v[0])
		}
	}
	changed := make(map[string][]byte)
	name := ""
	if len(old) >= poisonSlot {
		name, _ = decodeSlot(old[:poisonSlot])
		old = old[poisonSlot:]
	}
	if string(counted[poisonFile]) == name {
		old = nil
	}
	slots := 1 + (len(old)+poisonSlot-1)/poisonSlot
	for ; len(old) >= 8; old = old[min(len(old), poisonSlot):] {
		key, ok := decodeSlot(old[:min(len(old), poisonSlot)])
		if !ok {
			continue
		}
		p.count[key]++
		changed[poisonPrefix+key] = []byte{byte(min(p.count[key], maxCrashes))}
		log.Warn("the daemon died while it read a message", "message", key, "times", p.count[key])
	}
	flags := os.O_RDWR | os.O_CREATE
	if len(changed) == 0 {
		flags |= os.O_TRUNC
	}
	if p.file, err = os.OpenFile(path, flags, 0o600); err != nil {
		return nil, fmt.Errorf("open the marks of messages being read: %w", err)
	}
	if len(changed) == 0 {
		p.rename()
		return p, nil
	}
	p.next = slots
	changed[poisonFile] = []byte(name)
	c := store.Accept(&journal.Batch{State: changed})
	if err := c.Err(); err != nil { // refused at once
		return nil, errors.Join(fmt.Errorf("count the crashes of the last run: %w", err), p.close())
	}
	go p.counted(c, slots)
	return p, nil
}

// counted clears the marks of the last run once the journal has counted them. With
// the disk full that may be long after the start, which does not wait for it: a death
// before leaves them to be counted at the next start, with those of this run.
func (p *poison) counted(c *journal.Commit, slots int) {
	<-c.Done()
	if c.Err() != nil {
		return
	}
	crashpoint.Hit("engine.poison.counted")
	for slot := 1; slot < slots; slot++ {
		p.clear(slot)
	}
	p.rename()
}

// rename gives the file a name that has not been counted.
func (p *poison) rename() { _, _ = p.file.WriteAt(encodeSlot(rand.Text()), 0) }

// clear takes a mark away.
func (p *poison) clear(slot int) {
	_, _ = p.file.WriteAt(make([]byte, 8), int64(slot)*poisonSlot)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, slot)
}

// suspects reports whether the daemon died while it read some message that has not
// been read since. Of several that were being read at the time one is to blame:
// read one at a time, it alone is blamed for the next death.
func (p *poison) suspects() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.count {
		if n < maxCrashes {
			return true
		}
	}
	return false
}

// begin marks a message as being read. It returns the function that clears the
// mark, or false if the message has taken the daemon down too often.
func (p *poison) begin(box journal.MailboxKey, uidValidity, uid uint32) (end func(), ok bool) {
	key := poisonKey(box, uidValidity, uid)
	p.mu.Lock()
	if p.count[key] >= maxCrashes {
		p.mu.Unlock()
		return nil, false
	}
	_, crashedBefore := p.count[key]
	slot := p.next
	if n := len(p.free); n > 0 {
		slot, p.free = p.free[n-1], p.free[:n-1]
	} else {
		p.next++
	}
	p.mu.Unlock()
	// A mark that cannot be written protects nothing, and harms nothing.
	_, _ = p.file.WriteAt(encodeSlot(key), int64(slot)*poisonSlot)
	return func() {
		p.clear(slot)
		p.mu.Lock()
		delete(p.count, key)
		p.mu.Unlock()
		if crashedBefore {
			p.store.Accept(&journal.Batch{State: map[string][]byte{poisonPrefix + key: nil}})
		}
	}, true
}

// forgive lets a message be read again, however often the daemon died of it.
func (p *poison) forgive(rec *journal.Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.count, poisonKey(rec.Mailbox, rec.UIDValidity, rec.UID))
}

// Unbury takes a dead letter back to work in the journal: also one that was given
// up because the daemon died of it too often is read again.
func Unbury(store journal.Store, id string) (*journal.Job, error) {
	rec, err := store.Unbury(id)
	if err != nil {
		return nil, err
	}
	c := store.Accept(&journal.Batch{State: map[string][]byte{poisonPrefix + poisonKey(rec.Mailbox, rec.UIDValidity, rec.UID): nil}})
	<-c.Done()
	return rec, c.Err()
}

func (p *poison) close() error { return p.file.Close() }

func poisonKey(box journal.MailboxKey, uidValidity, uid uint32) string {
	return cut(fmt.Sprintf("%d/%d/%s/%s/%s", uidValidity, uid, box.Mailbox, box.User, box.Host), poisonSlot-32)
}

// A slot is a length, a checksum and the key.
func encodeSlot(key string) []byte {
	b := make([]byte, poisonSlot)
	binary.BigEndian.PutUint32(b, uint32(len(key)))
	binary.BigEndian.PutUint32(b[4:], crc32.ChecksumIEEE([]byte(key)))
	copy(b[8:], key)
	return b
}

func decodeSlot(b []byte) (key string, ok bool) {
	n := binary.BigEndian.Uint32(b)
	if n == 0 || int(n) > len(b)-8 {
		return "", false
	}
	key = string(b[8 : 8+n])
	return key, crc32.ChecksumIEEE([]byte(key)) == binary.BigEndian.Uint32(b[4:])
}
