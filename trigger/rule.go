package trigger

import (
	"fmt"

	"mailtrigger/codepage"
	"mailtrigger/connection"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// A rule is a trigger made ready to run: its conditions compiled, its actions by name.
type rule struct {
	cfg     *Config
	order   int // place in the file: the first trigger wins where two would move a message
	matcher *matcher
	actions map[string]action.Definition
}

func newRule(cfg *Config, order int) (*rule, error) {
	m, err := compileConditions(cfg.Conditions, cfg.Match)
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", cfg.Name, err)
	}
	r := &rule{cfg: cfg, order: order, matcher: m, actions: make(map[string]action.Definition)}
	for _, d := range cfg.Actions {
		r.actions[d.Base().Name] = d
	}
	return r, nil
}

// policy is the code page policy for mail of a connection: the trigger's page
// overrides the connection's.
func (r *rule) policy(conn *connection.Config) codepage.Policy {
	page := r.cfg.CodePage.Page
	if page == nil {
		page = conn.CodePage.Page
	}
	return codepage.Policy{Page: page, Mode: r.cfg.CodePageMode}
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

// decide matches a message and returns the plan for it.
func (r *rule) decide(msg *message.Message) (plan []journal.ActionState, matched bool, groups map[string]string) {
	matched, groups = r.matcher.match(msg)
	return r.plan(matched), matched, groups
}

// mayPlan reports whether a message with this header could have a plan.
func (r *rule) mayPlan(header *message.Message) bool {
	if r.matcher.matchHeader(header) {
		return r.plan(true) != nil || r.plan(false) != nil
	}
	return r.plan(false) != nil
}

func (r *rule) enabled() bool { return r.cfg.Enabled == nil || *r.cfg.Enabled }
