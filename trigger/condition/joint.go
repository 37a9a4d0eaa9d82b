package condition

import (
	"slices"

	"mailtrigger/trigger/message"
)

// A joint is the conditions on attachments that stand together in one list of
// which all must hold: they are about one and the same attachment. There must be
// one for which all of them hold. Where the list has but negative ones, they say
// each for itself that no attachment fits, and are no joint.
type joint struct{ tests []*test }

// newJoint returns the joint of a list of conditions, nil if it has none.
func newJoint(nodes []node) *joint {
	j := &joint{}
	positive := false
	for _, n := range nodes {
		if t, ok := n.(*test); ok && t.field.attachment != nil {
			j.tests = append(j.tests, t)
			positive = positive || !t.negative
		}
	}
	if len(j.tests) < 2 || !positive {
		return nil
	}
	return j
}

func (j *joint) has(n node) bool {
	t, ok := n.(*test)
	return ok && slices.Contains(j.tests, t)
}

func (j *joint) judge(s *sight) Truth {
	if !s.Whole {
		return Unknown
	}
	late := s.late
	_, most := j.best(s)
	if s.late > late {
		return Unknown
	}
	return truthOf(most == len(j.tests))
}

// best returns the first of the attachments for which most conditions hold, and
// how many; nil if there is no attachment. It captures the groups of one that fits.
func (j *joint) best(s *sight) (best *message.Attachment, most int) {
	for _, a := range s.attachments() {
		before, n := len(s.found), 0
		for _, t := range j.tests {
			if t.holdsFor(s, a) {
				n++
			}
		}
		if n == len(j.tests) {
			return a, n
		}
		s.found = s.found[:before]
		if best == nil || n > most {
			best, most = a, n
		}
	}
	return best, most
}

// holdsFor reports whether a condition holds for one attachment.
func (t *test) holdsFor(s *sight, a *message.Attachment) bool {
	v := t.field.attachment(a)
	return t.fits(s, &v) != t.negative
}
