package condition

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"mailtrigger/trigger/event"
)

// Truth is what can be said of a condition. Without the body of a message, some
// conditions cannot be judged (Kleene's logic of three values).
type Truth uint8

// The truths. Unknown is the zero value.
const (
	Unknown Truth = iota
	No
	Yes
)

// truthOf is the Truth of what is known.
func truthOf(ok bool) Truth {
	if ok {
		return Yes
	}
	return No
}

func (t Truth) not() Truth {
	switch t {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Unknown
}

// String returns "yes", "no" or "unknown".
func (t Truth) String() string { return [...]string{"unknown", "no", "yes"}[t] }

// A Mail is a message to judge.
type Mail struct {
	*event.Event           // what expressions see; Message is not nil
	Whole        bool      // the message has its body; without, Message comes of its header
	Now          time.Time // of the judgement
	// AuthenticatedWhy says for people what Message.Authenticated comes from.
	AuthenticatedWhy string
}

// A Judgement is what conditions say of a mail.
type Judgement struct {
	// Truth is Unknown only if the mail is not Whole, or with Err.
	Truth Truth
	// Groups are the named groups of the conditions by regular expression that
	// made it Yes; nil for none.
	Groups map[string]string
	// Err says that the expression could not be worked out, or that judging took too
	// long. Another try gives the same.
	Err error
}

// A Rule is all that a trigger says of which mail it takes.
type Rule struct {
	Conditions []Condition
	Match      string // all, any or none
	Expression string // must hold besides, whatever Match is; "" for none
}

// Uses reports whether a condition of the rule, however deep, is about a field, or
// its expression names it.
func (r Rule) Uses(field string) bool {
	var uses func(list []Condition) bool
	uses = func(list []Condition) bool {
		return slices.ContainsFunc(list, func(c Condition) bool {
			return c.Field == field || uses(c.Any) || uses(c.All) || uses(c.None)
		})
	}
	return uses(r.Conditions) || strings.Contains(r.Expression, field)
}

// Groups returns the names of the groups that a Judgement of a sound rule can have, sorted.
func (r Rule) Groups() (names []string) {
	var collect func(list []Condition)
	collect = func(list []Condition) {
		for _, c := range list {
			for _, s := range c.Matches {
				if re, err := regexp.Compile(s); err == nil {
					names = append(names, re.SubexpNames()...)
				}
			}
			collect(c.Any)
			collect(c.All)
			collect(c.None)
		}
	}
	collect(r.Conditions)
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	slices.Sort(names)
	return slices.Compact(names)
}

// A Matcher is a compiled Rule. It is safe for concurrent use.
type Matcher struct {
	conditions *group
	expression *expression // nil for none
}

// Compile makes a Matcher. It reports the first mistake; Rule.Validate reports all.
func Compile(r Rule) (*Matcher, error) {
	g, err := compileGroup(r.Match, r.Conditions)
	if err != nil {
		return nil, err
	}
	m := &Matcher{conditions: g}
	if r.Expression != "" {
		if m.expression, err = compileExpression(r.Expression); err != nil {
			return nil, fmt.Errorf("expression: %w", err)
		}
	}
	return m, nil
}

// Judge judges a mail. Judging a mail by its header never contradicts judging it
// whole: it gives the same Truth, or Unknown. A header alone says nothing where it
// is not plain which fields it has: a server may have cut it off elsewhere than a
// reader of the whole message does.
func (m *Matcher) Judge(mail *Mail) Judgement {
	if !mail.Whole && mail.Message.HeaderMended() {
		return Judgement{}
	}
	return m.judge(newSight(mail))
}

func (m *Matcher) judge(s *sight) Judgement {
	truth := m.conditions.judge(s)
	if truth == Unknown && s.late > 0 {
		return Judgement{Err: fmt.Errorf("the conditions could not be judged: %w; a simpler regular expression may do", errTime)}
	}
	if m.expression != nil && truth != No {
		holds, err := m.expression.judge(s)
		if err != nil {
			return Judgement{Err: err}
		}
		truth = and(truth, holds)
	}
	if truth != Yes {
		return Judgement{Truth: truth}
	}
	return Judgement{Truth: Yes, Groups: s.named()}
}

func and(a, b Truth) Truth {
	switch {
	case a == No || b == No:
		return No
	case a == Yes && b == Yes:
		return Yes
	}
	return Unknown
}
