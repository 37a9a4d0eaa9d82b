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
	fired map[string]ownNote // by mailbox and identity
	added int
}

// An ownNote is which triggers have fired on a message, and when that was noted.
type ownNote struct {
	triggers []string
	at       time.Time
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
	o := &own{fired: make(map[string]ownNote)}
	old := make(map[string][]byte)
	for key, v := range state {
		if len(v) < 8 {
			old[key] = nil
			continue
		}
		at := time.Unix(int64(binary.BigEndian.Uint64(v)), 0)
		if now.Sub(at) > ownKept {
			old[key] = nil
			continue
		}
		o.fired[key] = ownNote{strings.Split(string(v[8:]), "\x00"), at}
	}
	return o, old
}

// announce notes, in the state to be committed before the turn's actions on the
// server are done, the watched mailboxes that its message will appear in.
func (o *own) announce(c *collector, t *turn, state map[string][]byte) {
	for _, j := range t.jobs {
		for _, a := range j.rec.Actions {
			dest := destination(j.rule.actions[a.Name])
			if dest == "" || a.State != journal.Waiting {
				continue
			}
			box := c.key
			box.Mailbox = foldInbox(dest)
			if c.e.watches(box) {
				o.add(ownKey(box, j.rec.IdentityHash), o.chain(c, t), c.e.now(), state)
			}
		}
	}
}

// chain returns the triggers that have fired on the turn's message so far, in
// this mailbox and in those that it came from.
func (o *own) chain(c *collector, t *turn) []string {
	c.mu.Lock()
	chain := slices.Clone(t.group.fired)
	c.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, key := range []string{ownKey(c.key, t.key.hash), hereKey(c.key, t.key.hash)} {
		for _, name := range o.fired[key].triggers {
			if !slices.Contains(chain, name) {
				chain = append(chain, name)
			}
		}
	}
	return chain
}

// hereKey is under what is noted which triggers have fired on a message where it
// is, while others are still to do something with it.
func hereKey(box journal.MailboxKey, hash uint64) string { return ownKey(box, hash) + "/here" }

// ended notes, in the transaction in which a job leaves the journal, that its
// trigger has fired: a restart forgets the job, and the message may yet be moved
// into a mailbox that the trigger watches too. It returns nil if that cannot be.
func (o *own) ended(c *collector, j *job) *journal.Batch {
	c.mu.Lock()
	g := j.group
	fired, others := slices.Clone(g.fired), g.open > 1 || len(g.jobs) > 0
	c.mu.Unlock()
	others = others || c.lags()
	key := hereKey(c.key, j.rec.IdentityHash)
	state := make(map[string][]byte)
	switch {
	case others && c.movesOn():
		o.add(key, fired, c.e.now(), state)
	case !others && o.forget(key):
		state[key] = nil
	default:
		return nil
	}
	return &journal.Batch{State: state}
}

// lags reports whether a trigger has yet to decide about mail that others may have
// passed, as its queue is full.
func (c *collector) lags() bool {
	return slices.ContainsFunc(c.wantsNow(), func(w want) bool { return w.runner.isFull(c) })
}

func (o *own) forget(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.fired[key]
	delete(o.fired, key)
	return ok
}

// movesOn reports whether any trigger on the mailbox moves or copies mail into a
// watched mailbox.
func (c *collector) movesOn() bool {
	for _, w := range c.wantsNow() {
		for _, def := range w.rule.actions {
			box := c.key
			if box.Mailbox = foldInbox(destination(def)); box.Mailbox != "" && c.e.watches(box) {
				return true
			}
		}
	}
	return false
}

// sweepEvery is after how many notes the old ones are looked for.
const sweepEvery = 1000

func (o *own) add(key string, triggers []string, now time.Time, state map[string][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.added++; o.added%sweepEvery == 0 {
		for key, n := range o.fired {
			if now.Sub(n.at) > ownKept {
				delete(o.fired, key)
				state[key] = nil
			}
		}
	}
	o.fired[key] = ownNote{triggers, now}
	v := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	state[key] = append(v, strings.Join(triggers, "\x00")...)
}

// hasFired reports whether the trigger fired on this message before one of our
// own actions put it into this mailbox.
func (o *own) hasFired(box journal.MailboxKey, hash uint64, trigger string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.fired) > 0 && slices.Contains(o.fired[ownKey(box, hash)].triggers, trigger)
}
