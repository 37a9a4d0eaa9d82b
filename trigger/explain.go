package trigger

import (
	"fmt"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/authres"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/journal"
)

// An Explanation is what a trigger would do with a message, and why.
type Explanation struct {
	Trigger    string              `json:"trigger"`
	Matched    bool                `json:"matched"`
	Conditions []condition.Verdict `json:"conditions"`
	Problem    string              `json:"problem,omitempty"` // why the message would become a dead letter unseen
	Actions    []Would             `json:"actions"`           // those that would run, in order
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
// runs nothing.
func Explain(cfg *Config, conn *connection.Config, m Mail, env action.Env) (*Explanation, error) {
	r, err := newRule(cfg, 0)
	if err != nil {
		return nil, err
	}
	rd := r.reading(conn)
	msg := rd.message(m.Raw)
	msg.Size, msg.Flags = m.Size, m.Flags
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
	x := &Explanation{Trigger: cfg.Name, Matched: matched, Conditions: verdicts, Actions: []Would{}}
	switch {
	case said.Err != nil:
		x.Problem, plan = said.Err.Error(), nil
	case plan != nil && m.Size > int64(cfg.MaxSize):
		x.Problem = fmt.Sprintf("the message has %d bytes, more than the trigger's max_size of %s", m.Size, cfg.MaxSize)
		plan = nil
	}
	for i := range plan {
		w := Would{Name: plan[i].Name, Type: r.actions[plan[i].Name].Base().Type}
		if w.Would, err = describe(r.actions[plan[i].Name], j.event(i), env); err != nil {
			w.Would = "cannot: " + err.Error()
		}
		x.Actions = append(x.Actions, w)
	}
	if len(plan) == 0 {
		rec.Actions = []journal.ActionState{{Attempt: 1}}
	}
	x.Event = j.event(0)
	return x, nil
}

func describe(def action.Definition, ev *event.Event, env action.Env) (string, error) {
	switch d := def.(type) {
	case action.Local:
		return d.Describe(&action.Run{Event: ev, Key: idempotencyKey(ev.ID, ev.Action), Env: env})
	case action.Server:
		return d.Describe(), nil
	}
	return "", fmt.Errorf("an action of type %s cannot be described", def.Base().Type)
}

// idempotencyKey names one action of one event.
func idempotencyKey(eventID, action string) string { return eventID + "-" + action }
