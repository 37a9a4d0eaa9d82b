package trigger

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mailtrigger/trigger/journal"
)

// own knows the messages that the daemon itself puts into watched mailboxes, and
// which triggers they have fired by then: a trigger fires once for a message,
// however often the daemon's own actions move it around. It lives in the journal's
// state, written before the move or copy is made.
type own struct {
	mu    sync.Mutex
	fired map[string][]string // by mailbox and identity: the triggers that have fired
}

const (
	ownPrefix = "own/"
	ownKept   = 30 * 24 * time.Hour // after it, a message that appears is a new one
)

func ownKey(box journal.MailboxKey, hash uint64) string {
	return fmt.Sprintf("%s%q/%q/%q/%016x", ownPrefix, box.Host, box.User, box.Mailbox, hash)
}

// openOwn reads what is known, and returns the keys that are too old to keep.
func openOwn(state map[string][]byte, now time.Time) (*own, map[string][]byte) {
	o := &own{fired: make(map[string][]string)}
	old := make(map[string][]byte)
	for key, v := range state {
		if len(v) < 8 || now.Sub(time.Unix(int64(binary.BigEndian.Uint64(v)), 0)) > ownKept {
			old[key] = nil
			continue
		}
		o.fired[key] = strings.Split(string(v[8:]), "\x00")
	}
	return o, old
}

// announce notes, in the state to be committed before the group's actions on the
// server are done, the watched mailboxes that its message will appear in.
func (o *own) announce(c *collector, g *group, state map[string][]byte) {
	for _, j := range g.jobs {
		for _, a := range j.rec.Actions {
			dest := destination(j.runner.rule.actions[a.Name])
			if dest == "" || a.State != journal.Waiting {
				continue
			}
			box := c.key
			box.Mailbox = dest
			if !c.e.watches(box) {
				continue
			}
			o.add(ownKey(box, j.rec.IdentityHash), o.chain(c.key, g), c.e.now(), state)
		}
	}
}

// chain returns the triggers that have fired on the group's message so far.
func (o *own) chain(box journal.MailboxKey, g *group) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	chain := slices.Clone(o.fired[ownKey(box, g.jobs[0].rec.IdentityHash)])
	for _, j := range g.jobs {
		if !slices.Contains(chain, j.rec.Trigger) {
			chain = append(chain, j.rec.Trigger)
		}
	}
	return chain
}

func (o *own) add(key string, triggers []string, now time.Time, state map[string][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fired[key] = triggers
	v := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	state[key] = append(v, strings.Join(triggers, "\x00")...)
}

// hasFired reports whether the trigger fired on this message before one of our
// own actions put it into this mailbox.
func (o *own) hasFired(box journal.MailboxKey, hash uint64, trigger string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.fired) > 0 && slices.Contains(o.fired[ownKey(box, hash)], trigger)
}
