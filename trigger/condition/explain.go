package condition

import (
	"fmt"
	"strconv"

	"mailtrigger/trigger/message"
)

// A Verdict is what one condition said about one message. Of a group, Field is
// its word (all, any, none), Operator is "group", Want what must hold, Got what
// holds, and Conditions its members. Of an expression, Field is "expression" and Want its text.
type Verdict struct {
	Field      string    `json:"field"`
	Operator   string    `json:"operator"`
	Want       []string  `json:"want"`
	Got        []string  `json:"got"` // cut to maxGot bytes each, and maxGots of them
	OK         bool      `json:"ok"`
	Why        string    `json:"why,omitempty"` // where Got comes from, if that is not plain
	Conditions []Verdict `json:"conditions,omitempty"`
}

// The limits of a Verdict, which is for people.
const (
	maxGot  = 200 // bytes of one value
	maxGots = 20  // values
)

// Explain judges like Judge, and says of each condition what it saw. The mail is Whole.
func (m *Matcher) Explain(mail *Mail) (Judgement, []Verdict) {
	s := newSight(mail)
	said := m.judge(s)
	list := m.conditions.members(s)
	if m.expression != nil {
		list = append(list, m.expression.explain(s))
	}
	return said, list
}

func (g *group) explain(s *sight) Verdict {
	members := g.members(s)
	holding := 0
	for _, v := range members {
		if v.OK {
			holding++
		}
	}
	return Verdict{
		Field: g.word, Operator: "group", Want: []string{fmt.Sprintf("%s of %d", g.word, len(members))}, Got: []string{strconv.Itoa(holding)},
		OK: g.judge(s) == Yes, Conditions: members,
	}
}

// members explains the conditions of a group, as written. Those that are about
// one attachment are explained by the one that fits best.
func (g *group) members(s *sight) []Verdict {
	var a *message.Attachment
	if g.same != nil {
		a, _ = g.same.best(s)
	}
	list := make([]Verdict, 0, len(g.nodes))
	for _, n := range g.nodes {
		if t, ok := n.(*test); ok && g.same != nil && a != nil && g.same.has(n) {
			list = append(list, t.explainFor(s, a))
			continue
		}
		list = append(list, n.explain(s))
	}
	return list
}

func (t *test) explain(s *sight) Verdict {
	v := Verdict{Field: t.name, Operator: t.operator, Want: t.want, Got: []string{}, OK: t.judge(s) == Yes}
	values := t.values(s)
	for i, got := range values {
		if i == maxGots {
			v.Got = append(v.Got, fmt.Sprintf("… and %d more", len(values)-maxGots))
			break
		}
		v.Got = append(v.Got, cut(got.show, maxGot))
		if got.why != "" {
			v.Why = cut(got.why, maxGot)
		}
	}
	return v
}

// explainFor explains a condition by one attachment.
func (t *test) explainFor(s *sight, a *message.Attachment) Verdict {
	got := t.field.attachment(a)
	v := Verdict{Field: t.name, Operator: t.operator, Want: t.want, Got: []string{cut(got.show, maxGot)}, OK: t.holdsFor(s, a)}
	if len(s.attachments()) > 1 {
		v.Why = cut(fmt.Sprintf("of %q, the attachment that fits best", a.Name), maxGot)
	}
	return v
}
