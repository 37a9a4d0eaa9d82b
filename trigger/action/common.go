package action

import (
	"fmt"
	"regexp"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
)

// Common is what every action has.
type Common struct {
	Name            string           `toml:"name"` // default the type
	Type            string           `toml:"type"`
	When            When             `toml:"when"`
	Timeout         setting.Duration `toml:"timeout"` // of one attempt
	ForEach         string           `toml:"for_each"`
	ContinueOnError bool             `toml:"continue_on_error"`
}

// When says at which events an action runs.
type When string

// The values of When.
const (
	OnMatch   When = "match"
	OnNoMatch When = "no_match"
	Always    When = "always" // OnMatch and OnNoMatch
	OnSilence When = "silence"
	OnDead    When = "dead"
)

// The values of for_each.
const (
	eachMessage    = "message"
	eachAttachment = "attachment"
)

// defaultTimeout is how long one attempt may take, where the type says nothing else.
const defaultTimeout = setting.Duration(time.Minute)

// Base implements Definition.
func (c *Common) Base() *Common { return c }

// SetDefaults implements Definition.
func (c *Common) SetDefaults() {
	setDefault(&c.Name, c.Type)
	setDefault(&c.When, OnMatch)
	setDefault(&c.ForEach, eachMessage)
	setDefault(&c.Timeout, defaultTimeout)
}

func setDefault[T comparable](v *T, to T) {
	if *v == *new(T) {
		*v = to
	}
}

// needs says what a type asks of the event.
type needs struct {
	message bool // it is nothing without a message
	server  bool // it acts on the message where it is
	forEach bool // it can run once an attachment
}

var validName = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,100}$`)

// check reports what is wrong with the keys that every type has.
func (c *Common) check(n needs) (problems []setting.Problem) {
	problem := func(key, format string, args ...any) {
		problems = append(problems, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
	if !validName.MatchString(c.Name) {
		problem("name", "%q is not a name; use up to 100 letters, digits and . _ @ -", c.Name)
	}
	problems = append(problems, setting.OneOf("when", string(c.When), []string{
		string(OnMatch), string(OnNoMatch), string(Always), string(OnSilence), string(OnDead)})...)
	if c.When == OnSilence && n.message {
		problem("when", "silence has no message to %s; use exec, webhook, append or mail", c.Type)
	}
	if c.When == OnDead && n.server {
		problem("when", "a message that has become a dead letter stays as it is on the server; use another action, or another event than dead")
	}
	problems = append(problems, setting.OneOf("for_each", c.ForEach, []string{eachMessage, eachAttachment})...)
	switch {
	case c.ForEach != eachAttachment:
	case c.Type == "save_attachments":
		problem("for_each", "save_attachments saves each attachment as it is; leave for_each out")
	case !n.forEach:
		problem("for_each", "%s runs once a message; only exec, webhook and mail can run for each attachment", c.Type)
	case c.When == OnSilence:
		problem("for_each", "silence has no message, so no attachments")
	}
	if c.Timeout < setting.Duration(time.Millisecond) || c.Timeout > setting.Duration(24*time.Hour) {
		problem("timeout", "%s is not between 1ms and 24h", c.Timeout)
	}
	return problems
}

// sample returns the event against which the action's templates are checked.
func (c *Common) sample() *event.Event {
	kind := event.KindMessage
	switch c.When {
	case OnSilence:
		kind = event.KindSilence
	case OnDead:
		kind = event.KindDead
	}
	e := event.Sample(kind)
	if c.ForEach == eachAttachment && e.Message != nil && len(e.Message.Attachments) > 0 {
		e.Attachment = &e.Message.Attachments[0]
	}
	return e
}
