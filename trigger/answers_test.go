package trigger

import (
	"fmt"
	"testing"
	"time"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

// An answerBook is answers on a journal that may be opened again.
type answerBook struct {
	*answers
	t     *testing.T
	dir   string
	store *journal.Journal
	at    time.Time
}

func newAnswerBook(t *testing.T) *answerBook {
	b := &answerBook{t: t, dir: t.TempDir(), at: time.Date(2026, time.January, 5, 12, 0, 0, 0, time.UTC)}
	b.open()
	t.Cleanup(func() { b.store.Close() })
	return b
}

func (b *answerBook) open() {
	b.t.Helper()
	store, err := journal.Open(b.dir, journal.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	b.store, b.answers = store, newAnswers(store, func() time.Time { return b.at })
}

func (b *answerBook) restart() {
	b.t.Helper()
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// answer counts an answer, if it may be given.
func (b *answerBook) answer(address string, limit int) bool {
	b.t.Helper()
	ok, err := b.Begin("t", "reply", address, limit)
	if err != nil {
		b.t.Fatal(err)
	}
	if ok {
		b.End("t", "reply", address, true)
	}
	return ok
}

func (b *answerBook) want(address string, limit int, want bool) {
	b.t.Helper()
	if got := b.answer(address, limit); got != want {
		b.t.Errorf("%s at %s: may be answered: %v; want %v", address, b.at, got, want)
	}
}

func TestAnswersSurvive(t *testing.T) {
	b := newAnswerBook(t)
	b.want("a@x.example", 2, true)
	b.restart()
	b.at = b.at.Add(time.Hour)
	b.want("A@X.example", 2, true)
	b.restart()
	b.want("a@x.example", 2, false)
	b.want("b@x.example", 2, true)
	if ok, err := b.Begin("t", "other", "a@x.example", 2); !ok || err != nil {
		t.Errorf("another action may answer: %v, %v", ok, err)
	}
	b.at = b.at.Add(action.AnswersFor - time.Hour)
	b.want("a@x.example", 2, true)
	b.want("a@x.example", 2, false)
	b.restart()
	b.want("a@x.example", 2, false)
}

// What is being sent counts, and what could not be sent does not.
func TestAnswersUnderWay(t *testing.T) {
	b := newAnswerBook(t)
	for i, want := range []bool{true, true, false} {
		if ok, err := b.Begin("t", "reply", "a@x.example", 2); ok != want || err != nil {
			t.Errorf("%d: %v, %v; want %v", i, ok, err, want)
		}
	}
	b.End("t", "reply", "a@x.example", false)
	b.want("a@x.example", 2, true)
	b.want("a@x.example", 2, false)
}

// A clock that was wrong holds nothing up for longer than a clock that was right.
func TestAnswersClock(t *testing.T) {
	b := newAnswerBook(t)
	right := b.at
	b.at = right.AddDate(5, 0, 0)
	b.want("a@x.example", 1, true)
	b.at = right
	b.want("a@x.example", 1, true)
	b.want("a@x.example", 1, false)
	b.at = right.Add(-time.Hour)
	b.want("a@x.example", 1, false)
}

func TestAnswersForget(t *testing.T) {
	b := newAnswerBook(t)
	const more = 3 * journal.ClaimChunk
	for i := range maxAnswers + more {
		b.answer(fmt.Sprintf("%d@x.example", i), 1)
	}
	b.want("0@x.example", 1, true)
	b.want(fmt.Sprintf("%d@x.example", maxAnswers+more-1), 1, false)
	bounded := func(when string) {
		t.Helper()
		l := b.lists[answersOf("t", "reply")]
		if n := len(l.list); n > maxAnswers+journal.ClaimChunk || len(l.count) > maxAnswers {
			t.Errorf("%s: %d answers are kept, of %d addresses", when, n, len(l.count))
		}
	}
	bounded("in memory")
	b.restart()
	b.want(fmt.Sprintf("%d@x.example", maxAnswers+more-1), 1, false)
	bounded("in the journal")
	b.at = b.at.Add(2 * action.AnswersFor)
	b.want("new@x.example", 1, true)
	b.restart()
	b.want("new@x.example", 1, false)
	if n := len(b.lists[answersOf("t", "reply")].list); n > journal.ClaimChunk {
		t.Errorf("%d answers are kept after two days", n)
	}
}
