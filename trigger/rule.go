package trigger

import (
	"fmt"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/journal"
)

// A rule is a trigger made ready to run: its conditions compiled, its actions by name.
type rule struct {
	cfg     *Config
	order   int // place in the file: the first trigger wins where two would move a message
	matcher *condition.Matcher
	actions map[string]action.Definition
}

func newRule(cfg *Config, order int) (*rule, error) {
	m, err := condition.Compile(cfg.conditions())
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", cfg.Name, err)
	}
	r := &rule{cfg: cfg, order: order, matcher: m, actions: make(map[string]action.Definition)}
	for _, d := range cfg.Actions {
		r.actions[d.Base().Name] = d
	}
	return r, nil
}

// plan returns the actions to run on a message, in order, all waiting; nil if none.
func (r *rule) plan(matched bool) []journal.ActionState {
	var plan []journal.ActionState
	for _, d := range r.cfg.Actions {
		switch when := d.Base().When; {
		case when == action.Always, when == action.OnMatch && matched, when == action.OnNoMatch && !matched:
			plan = append(plan, journal.ActionState{Name: d.Base().Name, Attempt: 1})
		}
	}
	return plan
}

// mayPlan reports whether a mail of which the conditions say this could have a plan.
func (r *rule) mayPlan(t condition.Truth) bool {
	return t != condition.No && r.plan(true) != nil || t != condition.Yes && r.plan(false) != nil
}

// planOfDoubt is the plan for a mail that could not be judged: it is told to a
// person, with what would have been done.
func (r *rule) planOfDoubt() []journal.ActionState {
	if plan := r.plan(true); plan != nil {
		return plan
	}
	return r.plan(false)
}

func (r *rule) enabled() bool { return r.cfg.Enabled == nil || *r.cfg.Enabled }
