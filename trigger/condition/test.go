package condition

import "fmt"

// A test is one compiled condition that is no group.
type test struct {
	field    *field
	name     string // of the condition: header:List-Id
	argument string // List-Id
	operator string
	want     []string
	negative bool
	compare  []comparison // positive where any of them holds
}

func compileTest(c *Condition) (*test, error) {
	f, argument, ok := lookup(c.Field)
	if !ok {
		return nil, fmt.Errorf("unknown field %q", c.Field)
	}
	operators := c.operators()
	if len(operators) != 1 {
		return nil, fmt.Errorf("field %q has %d operators, not one", c.Field, len(operators))
	}
	o := operators[0]
	t := &test{field: f, name: c.Field, argument: argument, operator: o.operator, want: o.values, negative: isNegative(o.operator)}
	for _, w := range o.values {
		cmp, err := compare(f, o.operator, w, c.CaseSensitive)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.operator, err)
		}
		t.compare = append(t.compare, cmp)
	}
	return t, nil
}

// judge implements node: any value is enough, or with a negative operator none may fit.
func (t *test) judge(s *sight) Truth {
	if t.field.body && !s.Whole {
		return Unknown
	}
	values, late := t.values(s), s.late
	for i := range values {
		if t.fits(s, &values[i]) {
			return truthOf(!t.negative)
		}
	}
	if s.late > late {
		return Unknown // some value was not looked at to its end
	}
	return truthOf(t.negative)
}

func (t *test) values(s *sight) []value {
	return s.values(t.field, t.argument, seesAddressAlone(t.operator))
}

// fits reports whether the positive of the operator holds for a value.
func (t *test) fits(s *sight, v *value) bool {
	for _, c := range t.compare {
		if c.holds(s, v) {
			if c.groups != nil && !t.negative {
				s.capture(c.groups, v)
			}
			return true
		}
	}
	return false
}
