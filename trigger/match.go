package trigger

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"mailtrigger/trigger/message"
)

// A Verdict is what one condition said about one message.
type Verdict struct {
	Field    string   `json:"field"`
	Operator string   `json:"operator"`
	Want     []string `json:"want"`
	Got      []string `json:"got"` // cut to maxGot bytes each
	OK       bool     `json:"ok"`
}

const maxGot = 200

// maxGroup is how many bytes of a named group are kept: it goes into the journal.
const maxGroup = 32 << 10

// A matcher is the compiled conditions of a trigger. It is safe for concurrent use.
type matcher struct {
	combine string // all, any or none
	tests   []test
}

// A test is one compiled condition.
type test struct {
	field    string
	operator string
	want     []string
	negative bool
	compare  []comparison // positive when any of them holds for any value
}

// A comparison tests one value; a comparison by expression also gives its named groups.
type comparison struct {
	holds  func(value string) bool
	groups *regexp.Regexp
}

// compileConditions turns a trigger's conditions into a matcher. It reports the
// first mistake; Config.Validate has reported them all before.
func compileConditions(conditions []Condition, combine string) (*matcher, error) {
	m := &matcher{combine: combine}
	for i, c := range conditions {
		t, err := compileCondition(c)
		if err != nil {
			return nil, fmt.Errorf("condition %d: %w", i+1, err)
		}
		m.tests = append(m.tests, t)
	}
	return m, nil
}

func compileCondition(c Condition) (test, error) {
	for _, op := range []struct {
		name     string
		want     []string
		negative bool
		compile  func(want string, caseSensitive bool) (comparison, error)
	}{
		{"is", c.Is, false, compileIs},
		{"is_not", c.IsNot, true, compileIs},
		{"contains", c.Contains, false, compileContains},
		{"not_contains", c.NotContains, true, compileContains},
		{"matches", c.Matches, false, compileMatches},
		{"not_matches", c.NotMatches, true, compileMatches},
		{"glob", c.Glob, false, compileGlob},
	} {
		if op.want == nil {
			continue
		}
		t := test{field: c.Field, operator: op.name, want: op.want, negative: op.negative}
		for _, w := range op.want {
			cmp, err := op.compile(w, c.CaseSensitive)
			if err != nil {
				return test{}, fmt.Errorf("%s: %w", op.name, err)
			}
			t.compare = append(t.compare, cmp)
		}
		return t, nil
	}
	return test{}, fmt.Errorf("field %q has no operator", c.Field)
}

func fold(s string, caseSensitive bool) string {
	if caseSensitive {
		return s
	}
	return strings.ToLower(s)
}

func compileIs(want string, caseSensitive bool) (comparison, error) {
	want = fold(want, caseSensitive)
	return comparison{holds: func(v string) bool { return fold(v, caseSensitive) == want }}, nil
}

func compileContains(want string, caseSensitive bool) (comparison, error) {
	want = fold(want, caseSensitive)
	return comparison{holds: func(v string) bool { return strings.Contains(fold(v, caseSensitive), want) }}, nil
}

func compileMatches(want string, caseSensitive bool) (comparison, error) {
	if !caseSensitive {
		want = "(?i:" + want + ")"
	}
	re, err := regexp.Compile(want)
	if err != nil {
		return comparison{}, err
	}
	return comparison{holds: re.MatchString, groups: re}, nil
}

func compileGlob(want string, caseSensitive bool) (comparison, error) {
	want = fold(want, caseSensitive)
	if _, err := path.Match(want, ""); err != nil {
		return comparison{}, fmt.Errorf("%q is not a pattern: %w", want, err)
	}
	return comparison{holds: func(v string) bool {
		// A slash is no separator here: * matches it like any other character.
		ok, _ := path.Match(strings.ReplaceAll(want, "/", "\x00"), strings.ReplaceAll(fold(v, caseSensitive), "/", "\x00"))
		return ok
	}}, nil
}

// match decides about a message. groups are the named groups of the conditions
// by expression that held.
func (m *matcher) match(msg *message.Message) (matched bool, groups map[string]string) {
	for i := range m.tests {
		ok := m.tests[i].eval(msg, &groups)
		switch {
		case m.combine == "any" && ok:
			return true, groups
		case m.combine == "none" && ok, m.combine == "all" && !ok:
			return false, nil
		}
	}
	return m.combine != "any" || len(m.tests) == 0, groups
}

// explain decides like match, and says what each condition saw.
func (m *matcher) explain(msg *message.Message) (matched bool, verdicts []Verdict) {
	matched, _ = m.match(msg)
	for i := range m.tests {
		t := &m.tests[i]
		v := Verdict{Field: t.field, Operator: t.operator, Want: t.want, OK: t.eval(msg, nil)}
		for _, got := range values(t.field, t.operator, msg) {
			v.Got = append(v.Got, cut(got, maxGot))
		}
		verdicts = append(verdicts, v)
	}
	return matched, verdicts
}

// needsBody reports whether any condition can only be judged with the body.
func (m *matcher) needsBody() bool {
	for i := range m.tests {
		if m.tests[i].field == "body" {
			return true
		}
	}
	return false
}

// matchHeader judges what the header alone can: it reports false only if the
// message cannot match, whatever its body holds.
func (m *matcher) matchHeader(header *message.Message) bool {
	if !m.needsBody() {
		ok, _ := m.match(header)
		return ok
	}
	for i := range m.tests {
		if m.tests[i].field == "body" {
			continue
		}
		ok := m.tests[i].eval(header, nil)
		switch {
		case m.combine == "all" && !ok, m.combine == "none" && ok:
			return false
		}
	}
	return true
}

// eval decides one condition. A field with several values (addresses) holds if
// any value does; a negative operator if none does.
func (t *test) eval(msg *message.Message, groups *map[string]string) bool {
	for _, v := range values(t.field, t.operator, msg) {
		for _, c := range t.compare {
			if !c.holds(v) {
				continue
			}
			if c.groups != nil && groups != nil && !t.negative {
				collectGroups(c.groups, v, groups)
			}
			return !t.negative
		}
	}
	return t.negative
}

func collectGroups(re *regexp.Regexp, value string, groups *map[string]string) {
	found := re.FindStringSubmatch(value)
	for i, name := range re.SubexpNames() {
		if name == "" || i >= len(found) {
			continue
		}
		if *groups == nil {
			*groups = make(map[string]string)
		}
		(*groups)[name] = cut(found[i], maxGroup)
	}
}

// values returns what a field's operators compare. Of an address, "is", "is_not"
// and "glob" see the address alone; the other operators see "Name <address>".
func values(field, operator string, msg *message.Message) []string {
	switch field {
	case "from":
		return addresses(msg.From, operator)
	case "to":
		return addresses(msg.To, operator)
	case "subject":
		return []string{msg.Subject}
	case "body":
		return []string{msg.Text}
	}
	return nil
}

func addresses(list []message.Address, operator string) []string {
	out := make([]string, 0, len(list))
	for _, a := range list {
		switch operator {
		case "is", "is_not", "glob":
			out = append(out, a.Address)
		default:
			if a.Name == "" {
				out = append(out, a.Address)
			} else {
				out = append(out, a.Name+" <"+a.Address+">")
			}
		}
	}
	return out
}

// cut shortens s to at most n bytes on a rune's border.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
