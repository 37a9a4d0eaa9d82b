package trigger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

// maxAnswers is how many answers of one action are counted; the oldest are forgotten first.
const maxAnswers = 100_000

// answers counts the automatic answers of the actions that send some; it is an
// action.Answers. They are claims in the journal, a list for each action: so daemons
// that answer each other come to an end even if they start again and again.
type answers struct {
	store journal.Store
	now   func() time.Time

	mu    sync.Mutex
	lists map[string]*answerList
}

func newAnswers(store journal.Store, now func() time.Time) *answers {
	return &answers{store: store, now: now, lists: make(map[string]*answerList)}
}

// answerList is what one action has answered.
type answerList struct {
	list  []journal.Claim // as the journal has them
	past  int             // so many of them, the first, do not count any more
	count map[uint64]int  // by address: those of list that count, and what is being sent
}

// Begin implements action.Answers.
func (a *answers) Begin(trigger, action, address string, limit int) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, err := a.of(trigger, action)
	if err != nil {
		return false, fmt.Errorf("read from the journal what was answered: %w", err)
	}
	l.forget(a.now())
	id := answerID(address)
	if l.count[id] >= limit {
		return false, nil
	}
	l.count[id]++
	return true, nil
}

// End implements action.Answers.
func (a *answers) End(trigger, action, address string, sent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, err := a.of(trigger, action)
	if err != nil {
		return // Begin would have failed
	}
	id := answerID(address)
	if !sent {
		l.uncount(id)
		return
	}
	c := journal.Claim{At: uint32(max(a.now().Unix(), 0)), Hash: id}
	l.list = append(l.list, c)
	l.forget(a.now())
	drop := l.past / journal.ClaimChunk * journal.ClaimChunk
	a.store.Accept(&journal.Batch{Claims: []journal.ClaimUpdate{{Trigger: answersOf(trigger, action), Add: []journal.Claim{c}, Forget: drop}}})
	l.list, l.past = l.list[drop:], l.past-drop
}

// of returns what an action has answered. mu is held.
func (a *answers) of(trigger, action string) (*answerList, error) {
	key := answersOf(trigger, action)
	if l := a.lists[key]; l != nil {
		return l, nil
	}
	list, err := a.store.Claims(key)
	if err != nil {
		return nil, err
	}
	l := &answerList{list: list, count: make(map[uint64]int)}
	for _, c := range list {
		l.count[c.Hash]++
	}
	a.lists[key] = l
	return l, nil
}

// answersOf is the name of an action's list among those of triggers, which have no slash.
func answersOf(trigger, action string) string { return trigger + "/answers/" + action }

// answerID stands for an address, without regard to case as nearly all servers are.
func answerID(address string) uint64 {
	sum := sha256.Sum256([]byte(strings.ToLower(address)))
	return binary.BigEndian.Uint64(sum[:])
}

// forget no longer counts what is too old, or too much, or from a clock that was far ahead.
func (l *answerList) forget(now time.Time) {
	for l.past < len(l.list) {
		oldest := l.list[l.past]
		age := now.Sub(time.Unix(int64(oldest.At), 0)).Abs()
		if age < action.AnswersFor && len(l.list)-l.past <= maxAnswers {
			return
		}
		l.uncount(oldest.Hash)
		l.past++
	}
}

func (l *answerList) uncount(id uint64) {
	if l.count[id]--; l.count[id] <= 0 {
		delete(l.count, id)
	}
}
