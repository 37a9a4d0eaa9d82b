package action

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/compose"
	"mailtrigger/trigger/message"
)

// Reply answers the sender: to Reply-To, else From, in the same thread. It is an
// automatic answer as RFC 3834 has it: with a null return path, marked as
// auto-replied, and never to mail that a program, a list or we ourselves have sent.
type Reply struct {
	Common
	Envelope
	DailyLimit int `toml:"daily_limit"` // answers to one address within 24 hours; more are dead letters

	answered answers
}

// defaultDailyLimit is enough for people, and soon over with two programs that answer
// each other.
const defaultDailyLimit = 10

// SetDefaults implements Definition.
func (a *Reply) SetDefaults() {
	setDefault(&a.Timeout, mailTimeout)
	a.Common.SetDefaults()
	setDefault(&a.DailyLimit, defaultDailyLimit)
}

// Validate implements Definition.
func (a *Reply) Validate() []setting.Problem {
	problems := append(a.check(needs{message: true}), a.Envelope.validate(a.sample())...)
	if a.Body == "" {
		problems = append(problems, setting.Problem{Key: "body", Text: "is missing; say what the answer is"})
	}
	if a.DailyLimit < 1 || a.DailyLimit > maxDailyLimit {
		problems = append(problems, setting.Problem{Key: "daily_limit", Text: fmt.Sprintf("%d is not between 1 and %d", a.DailyLimit, maxDailyLimit)})
	}
	return problems
}

// Run implements Local.
func (a *Reply) Run(ctx context.Context, r *Run) Result {
	o, err := a.write(ctx, r)
	if err != nil {
		return unmade(ctx, err)
	}
	if o.skip != "" {
		return Result{Output: []byte("not sent: " + o.skip)}
	}
	now := time.Now()
	for _, m := range o.recipients {
		if a.answered.count(m.path, now) >= a.DailyLimit {
			return dead(fmt.Errorf("%s has got %d answers within 24 hours, and so this may be a loop; raise daily_limit if it is none", m.path, a.DailyLimit))
		}
	}
	result := a.send(ctx, r, o)
	if result.Outcome == Done {
		for _, m := range o.recipients {
			a.answered.add(m.path, now)
		}
	}
	return result
}

// Describe implements Local: the envelope, the header and the text.
func (a *Reply) Describe(r *Run) (string, error) { return a.describe(r, a.write) }

// write makes the answer.
func (a *Reply) write(ctx context.Context, r *Run) (*outgoing, error) {
	m := r.Event.Message
	if m == nil {
		return nil, errNoMessage
	}
	o, err := a.begin(ctx, r)
	if err != nil {
		return nil, err
	}
	if o.skip = o.loops(r.Event); o.skip != "" {
		return o, nil
	}
	if auto, why := m.AutoSubmitted(); auto {
		o.skip = "nothing answers mail that a program has sent (" + setting.Printable(why, 100) + ")"
		return o, nil
	}
	if err := a.answer(ctx, r, o); err != nil || o.skip != "" {
		return o, err
	}
	l := &o.letter
	l.Auto = message.AutoReplied
	l.InReplyTo, l.Answered = m.MessageID, m.Get("References")
	if l.Answered == "" {
		l.Answered = m.Get("In-Reply-To")
	}
	if a.Subject == "" {
		l.Subject = prefixed("Re: ", m.Subject, "re:", "aw:", "sv:")
	}
	if a.AsAttachment {
		l.Files = []compose.File{original(r.Event)}
	}
	return o, nil
}

// answer addresses the answer: to those named by the key to, else to the sender.
func (a *Reply) answer(ctx context.Context, r *Run, o *outgoing) error {
	if len(a.To) == 0 {
		to := senders(r.Event.Message)
		switch {
		case len(to) == 0:
			o.skip = "the message does not say who sent it, by an address that mail can go to"
		case slices.ContainsFunc(to, func(m mailbox) bool { return sameAddress(m.path, o.sender.path) }):
			o.skip = "the sender is the one who would answer"
		}
		if o.skip != "" {
			return nil
		}
		o.add(to, &o.letter.To)
	}
	return a.address(ctx, r.Event, o)
}

// maxAnswered is how many senders of one message are answered: who writes "Reply-To" with
// many addresses wants us to write to others.
const maxAnswered = 3

// senders returns who is to get an answer to a message: Reply-To, else From (RFC 5322,
// section 3.6.2). What is no address is left out.
func senders(m *message.Message) (found []mailbox) {
	list := m.ReplyTo
	if len(list) == 0 {
		list = m.From
	}
	for _, a := range list[:min(len(list), maxAnswered)] {
		if to, err := newMailbox(a.Name, a.Address); err == nil {
			found = append(found, to)
		}
	}
	return found
}

// The limits of answers.
const (
	maxDailyLimit    = 10_000
	answersFor       = 24 * time.Hour
	maxAnsweredNames = 10_000 // addresses that are counted; the one that was answered longest ago goes first
)

// answers counts what has been sent to whom within answersFor, since the daemon
// started. Two programs that answer each other are stopped by it.
type answers struct {
	mu   sync.Mutex
	sent map[string][]time.Time
}

// count returns how many answers an address has got.
func (a *answers) count(path string, now time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.recent(strings.ToLower(path), now))
}

// add notes an answer.
func (a *answers) add(path string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	path = strings.ToLower(path)
	if a.sent == nil {
		a.sent = make(map[string][]time.Time)
	}
	if _, known := a.sent[path]; !known && len(a.sent) >= maxAnsweredNames {
		a.forget(now)
	}
	a.sent[path] = append(a.recent(path, now), now)
}

// recent drops what is too old of an address, and returns the rest.
func (a *answers) recent(path string, now time.Time) []time.Time {
	times := a.sent[path]
	for len(times) > 0 && now.Sub(times[0]) >= answersFor {
		times = times[1:]
	}
	if len(times) == 0 {
		delete(a.sent, path)
	} else {
		a.sent[path] = times
	}
	return times
}

// forget makes room: what is too old goes, else the address that was answered longest ago.
func (a *answers) forget(now time.Time) {
	oldest, at := "", now
	for path := range a.sent {
		if times := a.recent(path, now); len(times) > 0 && times[len(times)-1].Before(at) {
			oldest, at = path, times[len(times)-1]
		}
	}
	if len(a.sent) >= maxAnsweredNames {
		delete(a.sent, oldest)
	}
}
