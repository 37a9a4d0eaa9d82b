package condition

import "fmt"

// A node is a condition or a group of them.
type node interface {
	judge(*sight) Truth
	explain(*sight) Verdict
}

// A group is several conditions that must hold: all, any or none of them.
type group struct {
	word  string
	nodes []node // as written
	same  *joint // those of nodes that are about one attachment; nil: none
}

func compileGroup(word string, conditions []Condition) (*group, error) {
	g := &group{word: word}
	for i := range conditions {
		n, err := compileNode(&conditions[i])
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", word, i, err)
		}
		g.nodes = append(g.nodes, n)
	}
	if word == "all" {
		g.same = newJoint(g.nodes)
	}
	return g, nil
}

func compileNode(c *Condition) (node, error) {
	for _, m := range c.groups() {
		return compileGroup(m.word, m.list)
	}
	return compileTest(c)
}

// judge implements node. A group without conditions holds.
func (g *group) judge(s *sight) Truth {
	before := len(s.found)
	truth := g.combine(s)
	if truth != Yes || g.word == "none" {
		s.found = s.found[:before] // what failed captured nothing
	}
	return truth
}

func (g *group) combine(s *sight) Truth {
	if len(g.nodes) == 0 {
		return Yes
	}
	// All hold if none fails; none holds if no one holds: what decides at once is
	// No for all, Yes for the others.
	decisive, truth := Yes, No
	if g.word == "all" {
		decisive, truth = No, Yes
	}
	judge := func(t Truth) bool {
		if t == decisive || t == Unknown {
			truth = t
		}
		return t == decisive
	}
	decided := g.same != nil && judge(g.same.judge(s))
	for i := 0; i < len(g.nodes) && !decided; i++ {
		if g.same == nil || !g.same.has(g.nodes[i]) {
			decided = judge(g.nodes[i].judge(s))
		}
	}
	if g.word == "none" {
		return truth.not()
	}
	return truth
}
