package action

import (
	"context"
	"fmt"
	"slices"
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
	return a.deliver(ctx, r, a.write, a.count)
}

// count sends an answer to addresses that have not had too many yet.
func (a *Reply) count(ctx context.Context, r *Run, o *outgoing) (result Result) {
	answers := r.Env.Answers
	if answers == nil {
		answers = noAnswers{}
	}
	before := newReached(r.Note)
	for _, m := range o.recipients {
		if before.has(m.path) {
			continue
		}
		ok, err := answers.Begin(r.Event.Trigger, r.Event.Action, m.path, a.DailyLimit)
		switch {
		case err != nil:
			return Result{Outcome: Retry, Err: err, Note: r.Note}
		case !ok:
			return Result{Outcome: Dead, Note: r.Note,
				Err: fmt.Errorf("%s has got %d answers within 24 hours, and so this may be a loop; raise daily_limit if it is none", m.path, a.DailyLimit)}
		}
		// Some may get it though others do not.
		defer func() {
			sent := result.Outcome == Done || newReached(result.Note).has(m.path)
			answers.End(r.Event.Trigger, r.Event.Action, m.path, sent)
		}()
	}
	return a.send(ctx, r, o)
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

// AnswersFor is how long an answer counts for daily_limit.
const AnswersFor = 24 * time.Hour

const maxDailyLimit = 10_000

// Answers counts what an action has answered to an address within AnswersFor, across
// restarts and reloads. Two programs that answer each other
// are stopped by it. Its methods may be called from any goroutine.
type Answers interface {
	// Begin counts one more answer that is about to be sent; ok is false if the address has had
	// limit of them.
	Begin(trigger, action, address string, limit int) (ok bool, err error)
	// End says of an answer that was begun whether it was sent; else it does not count.
	End(trigger, action, address string, sent bool)
}

// noAnswers counts nothing.
type noAnswers struct{}

func (noAnswers) Begin(string, string, string, int) (bool, error) { return true, nil }
func (noAnswers) End(string, string, string, bool)                {}
