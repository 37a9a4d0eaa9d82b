package condition

import (
	"fmt"
	"regexp"
	"strings"

	"mailtrigger/connection/setting"
)

// maxDepth is how deep conditions may be nested, the trigger's own counted.
const maxDepth = 8

// A checker collects what is wrong.
type checker struct{ found []setting.Problem }

func (k *checker) add(key, format string, args ...any) {
	k.found = append(k.found, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
}

// Validate returns all that is wrong with a rule, with keys as a trigger's table
// has them: match, condition[2].is[0], expression.
func (r Rule) Validate() []setting.Problem {
	k := &checker{}
	k.found = setting.OneOf("match", r.Match, []string{"all", "any", "none"})
	for i := range r.Conditions {
		k.found = append(k.found, setting.Below(fmt.Sprintf("condition[%d]", i), r.Conditions[i].validate(1))...)
	}
	if r.Expression != "" {
		if _, err := compileExpression(r.Expression); err != nil {
			k.add("expression", "%v", err)
		}
	}
	return k.found
}

var headerName = regexp.MustCompile(`^[!-9;-~]+$`) // RFC 5322, section 3.6.8

// validate checks one condition, or a group of them. depth counts groups in groups.
func (c *Condition) validate(depth int) []setting.Problem {
	k := &checker{}
	groups := c.groups()
	for _, g := range groups {
		if len(g.list) == 0 {
			k.add(g.word, "is empty; write conditions: %s = [{field = \"from\", is = \"...\"}]", g.word)
		}
		if depth >= maxDepth {
			k.add(g.word, "groups are nested more than %d deep", maxDepth)
			continue
		}
		for i := range g.list {
			k.found = append(k.found, setting.Below(fmt.Sprintf("%s[%d]", g.word, i), g.list[i].validate(depth+1))...)
		}
	}
	switch operators := c.operators(); {
	case len(groups) == 0:
		c.checkTest(k, operators)
	case len(groups) > 1:
		k.add("", "give one of any, all and none; groups can be in groups")
	case c.Field != "" || len(operators) > 0 || c.CaseSensitive:
		k.add("", "give either field with an operator, or a group (any, all, none)")
	}
	return k.found
}

// checkTest checks a condition that is no group.
func (c *Condition) checkTest(k *checker, operators []given) {
	f, argument, known := lookup(c.Field)
	names := strings.Replace(strings.Join(FieldNames(), ", "), "header", "header:NAME", 1)
	switch {
	case c.Field == "":
		k.add("field", "is missing; write one of %s", names)
	case !known:
		hint := "; there is " + names
		if near := setting.DidYouMean(c.Field, FieldNames()); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		k.add("field", "unknown field %q%s", setting.Printable(c.Field, 60), hint)
	case f.name == "header" && !headerName.MatchString(argument):
		k.add("field", "%q lacks the name of a header field; write header:List-Id", setting.Printable(c.Field, 60))
	}
	switch {
	case len(operators) == 0:
		k.add("", "says not what the field is compared with; give one of is, is_not, contains, not_contains, matches, not_matches, glob, above, below")
	case len(operators) > 1:
		k.add(operators[1].operator, "a condition has one operator, and here are %s and %s; write a condition for each", operators[0].operator, operators[1].operator)
	}
	if !known {
		f = &fields[0] // a value can be wrong whatever the field
	}
	if known && c.CaseSensitive && f.kind != words && f.kind != addresses {
		k.add("case_sensitive", "%s has no upper and lower case; leave it out", f.name)
	}
	for _, o := range operators {
		if len(o.values) == 0 {
			k.add(o.operator, "is empty; an array means any of its values")
		}
		for i, v := range o.values {
			key := o.operator
			if len(o.values) > 1 {
				key = fmt.Sprintf("%s[%d]", o.operator, i)
			}
			if !known && (o.operator == "above" || o.operator == "below") {
				continue
			}
			if _, err := compare(f, o.operator, v, c.CaseSensitive); err != nil {
				k.add(key, "%v", err)
				if strings.HasPrefix(err.Error(), "does not go with") {
					break // once is enough
				}
			}
		}
	}
}
