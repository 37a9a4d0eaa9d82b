package trigger

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// dedupeID is what makes two messages the same one for dedupe: Message-ID, From,
// Date, and the size of what is below the header, as each way that a copy takes
// writes lines of its own above it. 0: it has no Message-ID, or is a duplicate of nothing.
func dedupeID(msg *message.Message, raw []byte) uint64 {
	if msg.MessageID == "" {
		return 0
	}
	from := ""
	if len(msg.From) > 0 {
		from = strings.ToLower(msg.From[0].Address)
	}
	var b []byte
	for _, s := range []string{msg.MessageID, from, msg.Date.UTC().Format(time.RFC3339)} {
		b = appendString(b, s)
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(bodySize(raw))))
	return max(binary.BigEndian.Uint64(sum[:]), 1)
}

// bodySize is how many bytes are below the first empty line.
func bodySize(raw []byte) int64 {
	line := 0 // where it begins
	for i, c := range raw {
		if c != '\n' {
			continue
		}
		if i == line || i == line+1 && raw[line] == '\r' {
			return int64(len(raw) - i - 1)
		}
		line = i + 1
	}
	return 0
}

// claims are the messages that dedupe has seen in its window. The nil claims are empty.
type claims struct {
	window time.Duration
	list   []journal.Claim   // as the journal has them
	seen   map[uint64]uint32 // when each was seen last
	drop   int               // of the list: how many the batch under way forgets
}

func newClaims(list []journal.Claim, window time.Duration, now time.Time) *claims {
	c := &claims{window: window, list: list, seen: make(map[uint64]uint32)}
	for _, l := range list {
		if c.counts(l.At, now) {
			c.seen[l.Hash] = l.At
		}
	}
	return c
}

// counts reports whether a claim is still in the window. One from a clock that was
// ahead is: nothing waits for it to end.
func (c *claims) counts(at uint32, now time.Time) bool {
	return now.Unix()-int64(at) < int64(c.window/time.Second)
}

func (c *claims) has(id uint64, now time.Time) bool {
	if c == nil {
		return false
	}
	at, seen := c.seen[id]
	return seen && c.counts(at, now)
}

func (c *claims) add(id uint64, now time.Time) {
	l := journal.Claim{At: uint32(max(now.Unix(), 0)), Hash: id}
	c.list = append(c.list, l)
	c.seen[id] = l.At
}

// update is what the journal is told: the last added claims, and how many of the
// oldest no longer count; nil: nothing.
func (c *claims) update(trigger string, added int, now time.Time) *journal.ClaimUpdate {
	if c == nil || added == 0 {
		return nil
	}
	old := max(len(c.list)-journal.MaxClaims, 0)
	for old < len(c.list)-added && !c.counts(c.list[old].At, now) {
		old++
	}
	c.drop = old / journal.ClaimChunk * journal.ClaimChunk
	return &journal.ClaimUpdate{Trigger: trigger, Add: slices.Clone(c.list[len(c.list)-added:]), Forget: c.drop}
}

// forget forgets what the journal has forgotten.
func (c *claims) forget() {
	if c == nil || c.drop == 0 {
		return
	}
	for _, l := range c.list[:c.drop] {
		if c.seen[l.Hash] == l.At {
			delete(c.seen, l.Hash)
		}
	}
	c.list, c.drop = c.list[c.drop:], 0 // append leaves behind what is dropped
}

// takeBack takes the last added claims away again.
func (c *claims) takeBack(added int) {
	if c == nil {
		return
	}
	for _, l := range c.list[len(c.list)-added:] {
		delete(c.seen, l.Hash)
	}
	c.list, c.drop = c.list[:len(c.list)-added], 0
}
