package trigger

import (
	"fmt"
	"slices"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/journal"
)

// A rule is a trigger made ready to run: its conditions compiled, its actions by name.
type rule struct {
	cfg     *Config
	matcher *condition.Matcher
	actions map[string]action.Definition
}

func newRule(cfg *Config) (*rule, error) {
	m, err := condition.Compile(cfg.conditions())
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", cfg.Name, err)
	}
	r := &rule{cfg: cfg, matcher: m, actions: make(map[string]action.Definition)}
	for _, d := range cfg.Actions {
		r.actions[d.Base().Name] = d
		if d.Base().Type == "exec" {
			action.PrepareExec()
		}
	}
	return r, nil
}

// plan returns the actions to run on a message, in order, all waiting; nil if none.
func (r *rule) plan(matched bool) []journal.ActionState {
	if matched {
		return r.planAt(action.OnMatch, action.Always)
	}
	return r.planAt(action.OnNoMatch, action.Always)
}

// planAt returns the actions that run at any of these events.
func (r *rule) planAt(events ...action.When) (plan []journal.ActionState) {
	for _, d := range r.cfg.Actions {
		if slices.Contains(events, d.Base().When) {
			plan = append(plan, journal.ActionState{Name: d.Base().Name, Attempt: 1})
		}
	}
	return plan
}

// mayPlan reports whether a mail of which the conditions say this could have a
// plan, or be the mail that is expected, for all that is known.
func (r *rule) mayPlan(t condition.Truth) bool {
	return t == condition.Unknown && r.cfg.Expect.Enabled() || t != condition.No && r.plan(true) != nil || t != condition.Yes && r.plan(false) != nil
}

// planOfDoubt is the plan for a mail that could not be judged: it is told to a
// person, with what would have been done.
func (r *rule) planOfDoubt() []journal.ActionState {
	if plan := r.plan(true); plan != nil {
		return plan
	}
	return r.plan(false)
}

// ordered reports whether first attempts that overlap start in the order they are picked.
func (r *rule) ordered() bool {
	return (r.cfg.Ordered == nil || *r.cfg.Ordered) && r.cfg.Concurrency > 1
}
