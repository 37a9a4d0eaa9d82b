package trigger

import (
	"fmt"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
)

// The limits of a trigger.
const (
	maxConcurrency = 1000
	maxMailboxName = 1000 // bytes
)

// A checker collects what is wrong with a table.
type checker struct{ found []setting.Problem }

func (k *checker) add(key, format string, args ...any) {
	k.found = append(k.found, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
}

// Validate returns all that is wrong with the table by itself, once the defaults
// are set; what it says of other tables is for their owner to check. Keys are
// relative to the table, array items count from 0.
func (c *Config) Validate() []setting.Problem {
	k := &checker{}
	if len(c.Connection) == 0 {
		k.add("connection", "is missing; name the connection whose mail is meant")
	}
	c.checkMailboxes(k)
	c.checkPace(k)
	c.checkRetry(k)
	k.found = append(k.found, c.conditions().Validate()...)
	if c.MaxSize < 1 {
		k.add("max_size", "must be above 0")
	}
	c.checkActions(k)
	return k.found
}

func (c *Config) checkMailboxes(k *checker) {
	if len(c.Mailboxes) == 0 {
		k.add("mailboxes", `is empty; leave it out for ["INBOX"]`)
	}
	seen := map[string]bool{}
	for i, m := range c.Mailboxes {
		key := fmt.Sprintf("mailboxes[%d]", i)
		switch {
		case m == "":
			k.add(key, "is empty; name a mailbox")
		case len(m) > maxMailboxName || strings.ContainsAny(m, "\x00\r\n"):
			k.add(key, "a mailbox name has no line ends or NUL and at most %d bytes", maxMailboxName)
		case seen[foldInbox(m)]:
			k.add(key, "%q is named twice", m)
		}
		seen[foldInbox(m)] = true
	}
	switch since, isSince := strings.CutPrefix(c.Start, "since:"); {
	case isSince:
		var d setting.Duration
		if err := d.UnmarshalText([]byte(since)); err != nil || d <= 0 {
			k.add("start", `%q is not a start; after since: comes a length of time: "since:24h"`, c.Start)
		}
	default:
		if !slices.Contains([]string{"new", "unseen", "all"}, c.Start) {
			k.add("start", `unknown start %q; write new, unseen, all or "since:24h"`, c.Start)
		}
	}
}

// foldInbox makes one of the spellings of INBOX, whose case does not matter (RFC 9051, section 5.1).
func foldInbox(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return name
}

// checkPace checks when a trigger fires of the messages that match.
func (c *Config) checkPace(k *checker) {
	if c.Concurrency < 1 || c.Concurrency > maxConcurrency {
		k.add("concurrency", "%d is not between 1 and %d", c.Concurrency, maxConcurrency)
	}
	k.found = append(k.found, c.Config.Validate()...)
}

func (c *Config) checkRetry(k *checker) {
	r := &c.Retry
	if r.Max < r.First {
		k.add("retry.max", "%s is less than retry.first, %s", r.Max, r.First)
	}
	if r.GiveUpAfter < r.First {
		k.add("retry.give_up_after", "%s is less than retry.first, %s: nothing would be tried again", r.GiveUpAfter, r.First)
	}
	if r.Attempts < 0 {
		k.add("retry.attempts", "%d is below 0; 0 sets no limit but the time", r.Attempts)
	}
}

func (c *Config) checkActions(k *checker) {
	if len(c.Actions) == 0 {
		k.add("action", "is missing; write at least one [[trigger.NAME.action]]")
	}
	byName := map[string]string{}
	c.checkRemovals(k)
	c.checkSilence(k)
	for i, a := range c.Actions {
		at := fmt.Sprintf("action[%d]", i)
		base := a.Base()
		if typ, taken := byName[base.Name]; taken {
			hint := "; names are unique in a trigger"
			if base.Name == base.Type && typ == base.Type {
				hint = "; give each a name of its own, as the type repeats"
			}
			k.add(at+".name", "another action has the name %q%s", base.Name, hint)
		}
		byName[base.Name] = base.Type
		k.found = append(k.found, setting.Below(at, a.Validate())...)
		c.checkDestination(k, at, a)
	}
	c.checkGroups(k)
}

// checkGroups refuses a template that asks for a group which no condition finds: it
// would fail for every message.
func (c *Config) checkGroups(k *checker) {
	groups := c.conditions().Groups()
	for i, a := range c.Actions {
		when := a.Base().When
		for _, name := range action.Groups(a) {
			at := fmt.Sprintf("action[%d]", i)
			switch {
			case when == action.OnNoMatch || when == action.OnSilence:
				k.add(at, "a template names .Match.%s, and with when = %q there is no match", name, when)
			case !slices.Contains(groups, name):
				k.add(at, "a template names .Match.%s, and no condition has such a group: matches = '(?P<%s>...)'%s", name, name, alternatives(name, groups))
			}
		}
	}
}

// alternatives says what there is in place of name.
func alternatives(name string, known []string) string {
	switch near := setting.DidYouMean(name, known); {
	case near != "":
		return fmt.Sprintf("; did you mean .Match.%s?", near)
	case len(known) > 0:
		return "; there is .Match." + strings.Join(known, ", .Match.")
	}
	return ""
}

// checkSilence refuses actions of a silence that never comes.
func (c *Config) checkSilence(k *checker) {
	for i, a := range c.Actions {
		if a.Base().When == action.OnSilence && !c.Expect.Enabled() {
			k.add(fmt.Sprintf("action[%d].when", i), `silence needs expect, what mail is expected by when: expect = {by = "06:30"}`)
		}
	}
}

// checkRemovals refuses a second action that takes the message away: it would find nothing.
func (c *Config) checkRemovals(k *checker) {
	var first *action.Common
	for i, a := range c.Actions {
		base := a.Base()
		if base.Type != "move" && base.Type != "delete" {
			continue
		}
		if first != nil && (first.When == base.When || first.When == action.Always || base.When == action.Always) {
			k.add(fmt.Sprintf("action[%d].type", i), "%s has taken the message away already; a trigger moves or deletes a message once", first.Name)
		}
		if first == nil {
			first = base
		}
	}
}

// checkDestination refuses an action that would bring the message back into a
// mailbox that the trigger watches: it would fire for ever.
func (c *Config) checkDestination(k *checker, at string, a action.Definition) {
	var to string
	switch a := a.(type) {
	case *action.Move:
		to = a.Mailbox
	case *action.Copy:
		to = a.Mailbox
	}
	for _, m := range c.Mailboxes {
		if to != "" && foldInbox(m) == foldInbox(to) {
			k.add(at+".mailbox", "%q is one of the trigger's own mailboxes: what comes there would fire it again", to)
		}
	}
}
