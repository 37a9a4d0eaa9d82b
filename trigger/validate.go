package trigger

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
)

// The limits of a trigger.
const (
	maxConcurrency = 1000
	maxMailboxName = 1000 // bytes
	maxGroupDepth  = 8    // of conditions in conditions
)

// A checker collects what is wrong with a table.
type checker struct{ found []setting.Problem }

func (k *checker) add(key, format string, args ...any) {
	k.found = append(k.found, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
}

// oneOf checks a value that is one of a few words.
func (k *checker) oneOf(key, value string, words ...string) {
	k.found = append(k.found, setting.OneOf(key, value, words)...)
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
	k.oneOf("match", c.Match, "all", "any", "none")
	if c.MaxSize < 1 {
		k.add("max_size", "must be above 0")
	}
	for i := range c.Conditions {
		k.found = append(k.found, setting.Below(fmt.Sprintf("condition[%d]", i), c.Conditions[i].validate(1))...)
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

func isDate(s string) bool {
	for _, form := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04:05", time.DateTime} {
		if _, err := time.Parse(form, s); err == nil {
			return true
		}
	}
	return false
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

// measure is how a field's values are compared by above and below.
type measure uint8

const (
	words measure = iota // not at all
	yesNo                // not at all, and only true and false are values
	bytes                // as sizes
	ages                 // as lengths of time
	dates                // as times
)

// fields are what conditions look at. header takes a name: header:List-Id.
var fields = map[string]measure{
	"from": words, "to": words, "cc": words, "reply-to": words, "recipient": words,
	"subject": words, "body": words, "header": words, "flag": words,
	"size": bytes, "date": dates, "age": ages,
	"has-attachment": yesNo, "attachment-name": words, "attachment-type": words, "attachment-size": bytes,
	"auto-submitted": words, "authenticated": yesNo,
}

var headerName = regexp.MustCompile(`^[!-9;-~]+$`) // RFC 5322, section 3.6.8

// validate checks one condition, or a group of them. depth counts groups in groups.
func (c *Condition) validate(depth int) []setting.Problem {
	k := &checker{}
	groups := []struct {
		key  string
		list []Condition
	}{{"any", c.Any}, {"all", c.All}, {"none", c.None}}
	given := 0
	for _, g := range groups {
		if g.list == nil {
			continue
		}
		given++
		if len(g.list) == 0 {
			k.add(g.key, "is empty; write conditions: %s = [{field = \"from\", is = \"...\"}]", g.key)
		}
		if depth >= maxGroupDepth {
			k.add(g.key, "groups are nested more than %d deep", maxGroupDepth)
			continue
		}
		for i := range g.list {
			k.found = append(k.found, setting.Below(fmt.Sprintf("%s[%d]", g.key, i), g.list[i].validate(depth+1))...)
		}
	}
	switch operators := c.operators(); {
	case given == 0:
		c.checkTest(k, operators)
	case given > 1:
		k.add("", "give one of any, all and none; groups can be in groups")
	case c.Field != "" || len(operators) > 0 || c.CaseSensitive:
		k.add("", "give either field with an operator, or a group (any, all, none)")
	}
	return k.found
}

// An operator is one key of a condition that compares.
type operator struct {
	key    string
	values []string
}

// operators returns those given.
func (c *Condition) operators() (given []operator) {
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	for _, o := range []operator{
		{"is", c.Is}, {"is_not", c.IsNot}, {"contains", c.Contains}, {"not_contains", c.NotContains},
		{"matches", c.Matches}, {"not_matches", c.NotMatches}, {"glob", c.Glob}, {"above", one(c.Above)}, {"below", one(c.Below)},
	} {
		if o.values != nil {
			given = append(given, o)
		}
	}
	return given
}

// checkTest checks a condition that is no group.
func (c *Condition) checkTest(k *checker, operators []operator) {
	field, header, hasHeader := strings.Cut(c.Field, ":")
	kind, known := fields[field]
	switch {
	case c.Field == "":
		k.add("field", "is missing; write one of %s", fieldNames())
	case !known || hasHeader && field != "header":
		hint := "; there is " + fieldNames()
		if near := setting.DidYouMean(field, fieldList()); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		k.add("field", "unknown field %q%s", c.Field, hint)
		known = false
	case field == "header" && !headerName.MatchString(header):
		k.add("field", "%q lacks the name of a header field; write header:List-Id", c.Field)
	}
	switch {
	case len(operators) == 0:
		k.add("", "says not what the field is compared with; give one of is, is_not, contains, not_contains, matches, not_matches, glob, above, below")
	case len(operators) > 1:
		k.add(operators[1].key, "a condition has one operator, and here are %s and %s; write a condition for each", operators[0].key, operators[1].key)
	}
	for _, o := range operators {
		if len(o.values) == 0 {
			k.add(o.key, "is empty; an array means any of its values")
		}
		for i, v := range o.values {
			key := o.key
			if len(o.values) > 1 {
				key = fmt.Sprintf("%s[%d]", o.key, i)
			}
			if text := checkValue(o.key, v); text != "" {
				k.add(key, "%s", text)
			} else if known {
				if text := checkKind(field, kind, o.key, v); text != "" {
					k.add(key, "%s", text)
				}
			}
		}
	}
}

// checkValue says what is wrong with an operator's value, whatever the field.
func checkValue(operator, value string) string {
	switch operator {
	case "matches", "not_matches":
		if _, err := regexp.Compile(value); err != nil {
			return fmt.Sprintf("%q is no regular expression (RE2): %v", value, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	case "contains", "not_contains":
		if value == "" {
			return "is empty, which every text contains"
		}
	case "glob":
		if _, err := path.Match(value, ""); err != nil {
			return fmt.Sprintf(`%q is no pattern: a [ without ], or a \ at the end`, value)
		}
	}
	return ""
}

// checkKind says what is wrong with a value for this kind of field.
func checkKind(field string, kind measure, operator, value string) string {
	if operator != "above" && operator != "below" {
		if kind == yesNo && value != "true" && value != "false" {
			return fmt.Sprintf("%s is true or false, never %q", field, value)
		}
		return ""
	}
	switch kind {
	case bytes:
		var z setting.Size
		if err := z.UnmarshalText([]byte(value)); err != nil {
			return err.Error()
		}
	case ages:
		var d setting.Duration
		if err := d.UnmarshalText([]byte(value)); err != nil {
			return err.Error()
		}
	case dates:
		if !isDate(value) {
			return fmt.Sprintf("%q is not a date; write 2027-01-31 or 2027-01-31T12:00:00Z", value)
		}
	default:
		return fmt.Sprintf("%s has no order; above and below go with size, age, date and attachment-size", field)
	}
	return ""
}

func fieldList() []string {
	return []string{"from", "to", "cc", "reply-to", "recipient", "subject", "body", "header", "size", "date", "age", "flag",
		"has-attachment", "attachment-name", "attachment-type", "attachment-size", "auto-submitted", "authenticated"}
}

func fieldNames() string {
	return strings.Replace(strings.Join(fieldList(), ", "), "header", "header:NAME", 1)
}
