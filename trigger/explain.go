package trigger

import (
	"fmt"
	"strings"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/authres"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/gate"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// An Explanation is what a trigger would do with a message, and why.
type Explanation struct {
	Trigger    string              `json:"trigger"`
	Matched    bool                `json:"matched"`
	Conditions []condition.Verdict `json:"conditions"`
	Problem    string              `json:"problem,omitempty"` // why the message would become a dead letter unseen
	Actions    []Would             `json:"actions"`           // those that would run, in order
	Gates      []string            `json:"gates,omitempty"`   // what may hold back a message that matches, as the config has it
	Event      *event.Event        `json:"event"`             // as actions get it, whether or not it matched
}

// Form returns what encodes to the explanation's JSON, without the copies that
// MarshalJSON of a long message needs.
func (x *Explanation) Form() any {
	type plain Explanation
	return struct {
		*plain
		Event any `json:"event"`
	}{(*plain)(x), x.Event.Form()}
}

// Would is what an action would do: an argv, a request or a path.
type Would struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Would string `json:"would"`
}

// Mail is a message to explain a trigger with.
type Mail struct {
	connection.Info
	Raw         []byte
	Mailbox     string
	UIDValidity uint32
}

// Explain says what the trigger would do with a message of the connection. It
// runs nothing. Where m has no InternalDate, the message says when it was received.
func Explain(cfg *Config, conn *connection.Config, m Mail, env action.Env) (*Explanation, error) {
	r, err := newRule(cfg)
	if err != nil {
		return nil, err
	}
	rd := r.reading(conn)
	msg := rd.message(m.Raw)
	msg.Size, msg.Flags = m.Size, m.Flags
	if m.InternalDate.IsZero() {
		m.InternalDate = receivedAt(msg)
	}
	key := mailboxKey(conn, m.Mailbox)
	rec := &journal.Job{
		Trigger: cfg.Name, Connection: conn.Name, Mailbox: key, Kind: string(event.KindMessage),
		EventID:     eventID(key, m.UIDValidity, m.UID, m.InternalDate, m.Size, cfg.Name),
		UIDValidity: m.UIDValidity, UID: m.UID, InternalDate: m.InternalDate, Size: m.Size,
		Actions: []journal.ActionState{{Attempt: 1}},
	}
	j := &job{rec: rec, raw: m.Raw, msg: msg}
	mail := &condition.Mail{Event: j.event(0), Whole: true, Now: time.Now()}
	_, mail.AuthenticatedWhy = authres.Judge(msg, rd.serverID)
	said, verdicts := r.matcher.Explain(mail)
	matched := said.Truth == condition.Yes
	plan := r.plan(matched)
	rec.Match, rec.Actions = said.Groups, plan
	x := &Explanation{Trigger: cfg.Name, Matched: matched, Conditions: verdicts, Actions: []Would{}, Gates: gatesOf(&cfg.Config)}
	switch {
	case said.Err != nil:
		x.Problem, plan = said.Err.Error(), nil
	case plan != nil && m.Size > int64(cfg.MaxSize):
		x.Problem = fmt.Sprintf("the message has %d bytes, more than the trigger's max_size of %s", m.Size, cfg.MaxSize)
		plan = nil
	}
	if len(plan) == 0 {
		rec.Actions = []journal.ActionState{{Attempt: 1}}
	}
	x.Event = j.event(0) // before anything is saved
	for i := range plan {
		w := Would{Name: plan[i].Name, Type: r.actions[plan[i].Name].Base().Type}
		if w.Would, err = j.pretend(i, r.actions[plan[i].Name], env); err != nil {
			w.Would = "cannot: " + err.Error()
		}
		x.Actions = append(x.Actions, w)
	}
	return x, nil
}

// pretend describes action i, and lets the actions after it see the files that it would make.
func (j *job) pretend(i int, def action.Definition, env action.Env) (string, error) {
	ev := j.event(i)
	run := &action.Run{Event: ev, Key: idempotencyKey(ev.ID, ev.Action), Env: env}
	if saver, ok := def.(action.Saver); ok {
		saved, paths, err := saver.WouldSave(run)
		if err != nil {
			return "", err
		}
		j.rec.Actions[i].Saved = saved
		j.remember(ev.Action, paths, 0, "")
	}
	switch d := def.(type) {
	case action.Local:
		return d.Describe(run)
	case action.Server:
		return d.Describe(), nil
	}
	return "", fmt.Errorf("an action of type %s cannot be described", def.Base().Type)
}

// idempotencyKey names one action of one event.
func idempotencyKey(eventID, action string) string { return eventID + "-" + action }

// receivedAt is when a message was received, by itself: the time of the topmost
// Received field, else its date, else now.
func receivedAt(m *message.Message) time.Time {
	for _, h := range m.Trace() {
		if strings.EqualFold(h.Name, "Received") {
			if t, ok := message.ParseDate(h.Value[strings.LastIndexByte(h.Value, ';')+1:]); ok {
				return t
			}
			break
		}
	}
	if !m.Date.IsZero() {
		return m.Date
	}
	return time.Now()
}

// gatesOf says what may hold back a message that matches, in the order in which it
// does. Whether it would depends on what has fired before, which a dry run does not ask.
func gatesOf(c *gate.Config) (list []string) {
	say := func(said bool, format string, args ...any) {
		if said {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	say(c.Expires != "", "expires: %s", c.Expires)
	say(c.Dedupe.By != "", "dedupe: by %s, for %s", c.Dedupe.By, c.Dedupe.Window)
	say(c.Every > 1, "every: %d", c.Every)
	say(len(c.After) > 0, "after: %s, within %s", strings.Join(c.After, ", "), c.AfterWindow)
	say(c.QuietHours != "", "quiet_hours: %s", c.QuietHours)
	say(c.Limit.Count > 0, "limit: %d per %s, over it %s", c.Limit.Count, c.Limit.Per, c.Limit.Over)
	return list
}
