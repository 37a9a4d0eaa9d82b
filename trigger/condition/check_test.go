package condition

import (
	"strings"
	"testing"

	"mailtrigger/connection/setting"
)

// check compares what was said with the one beginning wanted.
func check(t *testing.T, found []setting.Problem, want string) {
	t.Helper()
	switch {
	case want == "" && found != nil:
		t.Errorf("found %v, want nothing", found)
	case want != "" && len(found) != 1, want != "" && !strings.HasPrefix(found[0].Error(), want):
		t.Errorf("found %v, want %s", found, want)
	}
}

func TestValidateCondition(t *testing.T) {
	one := func(s ...string) []string { return s }
	for _, test := range []struct {
		c    Condition
		want string
	}{
		{Condition{Field: "from", Is: one("a")}, ""},
		{Condition{Field: "header:List-Id", Glob: one("*.example.com", "a?[b-c]")}, ""},
		{Condition{Field: "size", Above: "1MB"}, ""},
		{Condition{Field: "age", Below: "2d"}, ""},
		{Condition{Field: "date", Above: "2027-01-31"}, ""},
		{Condition{Field: "has-attachment", Is: one("true")}, ""},
		{Condition{Any: []Condition{{Field: "from", Is: one("a")}, {All: []Condition{{Field: "to", Is: one("b")}}}}}, ""},
		{Condition{Field: "subject", Contains: one("a"), CaseSensitive: true}, ""},
		{Condition{Field: "size", Is: one("0")}, ""},
		{Condition{Field: "date", Is: one("2027-01-31", "2027-01-31 12:00 Europe/Berlin", "2027-01-31T12:00:00+01:00", "2027-01-31 12:00")}, ""},
		{Condition{Field: "auto-submitted", Is: one("true", "false", "no", "auto-replied", "auto-generated", "auto-notified")}, ""},
		{Condition{Field: "flag", Is: one(`\\Seen`, "$Junk")}, ""},
		{Condition{Field: "size", Contains: one("a", "b")}, "contains[0]: does not go with size; write above, below, is or is_not"},
		{Condition{Field: "age", Is: one("2h")}, "is: does not go with age; write above or below"},
		{Condition{Field: "authenticated", Glob: one("t*")}, "glob: does not go with authenticated; write is or is_not"},
		{Condition{Field: "date", Matches: one("2027")}, "matches: does not go with date"},
		{Condition{Field: "attachment-name", Above: "1"}, "above: attachment-name has no order"},
		{Condition{Field: "auto-submitted", Is: one("yes")}, "is: auto-submitted is true, false, no, auto-generated, auto-replied or auto-notified, never"},
		{Condition{Field: "flag", Is: one("seen")}, "is: the flag's name begins with a backslash; write '\\Seen'"},
		{Condition{Field: "size", Above: "1", CaseSensitive: true}, "case_sensitive: size has no upper and lower case"},
		{Condition{Field: "date", Above: "2027-01-31 Europe/Nowhere"}, "above: unknown time zone"},
		{Condition{Field: "date", Above: "2027-02-30"}, "above: \"2027-02-30\" is not a date"},
		{Condition{Field: "attachment-size", Above: "-1"}, "above: \"-1\" is not a size"},
		{Condition{Field: "subject", Matches: one("a)(b")}, "matches: \"a)(b\" is no regular expression"},
		{Condition{Field: "subject", Glob: one("[z-a]")}, "glob: "},
		{Condition{Is: one("a")}, "field: is missing"},
		{Condition{Field: "form", Is: one("a")}, "field: unknown field \"form\"; did you mean \"from\"?"},
		{Condition{Field: "from:x", Is: one("a")}, "field: unknown field \"from:x\""},
		{Condition{Field: "header", Is: one("a")}, "field: \"header\" lacks the name"},
		{Condition{Field: "header:a b", Is: one("a")}, "field: \"header:a b\" lacks the name"},
		{Condition{Field: "from"}, "says not what"},
		{Condition{Field: "from", Is: one("a"), Glob: one("b")}, "glob: a condition has one operator"},
		{Condition{Field: "from", Is: []string{}}, "is: is empty"},
		{Condition{Field: "from", Matches: one("a", "(")}, "matches[1]: \"(\" is no regular expression"},
		{Condition{Field: "from", NotMatches: one("(?=a)")}, "not_matches: "},
		{Condition{Field: "from", Glob: one("[")}, "glob: "},
		{Condition{Field: "from", Contains: one("")}, "contains: is empty"},
		{Condition{Field: "subject", Above: "1"}, "above: subject has no order"},
		{Condition{Field: "size", Above: "big"}, "above: \"big\" is not a size"},
		{Condition{Field: "age", Below: "old"}, "below: \"old\" is not a length"},
		{Condition{Field: "date", Below: "soon"}, "below: \"soon\" is not a date"},
		{Condition{Field: "authenticated", Is: one("maybe")}, "is: authenticated is true or false"},
		{Condition{Any: []Condition{}}, "any: is empty"},
		{Condition{Any: []Condition{{Field: "from", Is: one("a")}}, Field: "to"}, "give either field"},
		{Condition{Any: []Condition{{Field: "from", Is: one("a")}}, All: []Condition{{Field: "from", Is: one("a")}}}, "give one of any"},
		{Condition{None: []Condition{{Field: "from", Is: one("a")}, {Field: "to", Matches: one("(")}}}, "none[1].matches: "},
		{nest(maxDepth - 1), ""},
		{nest(maxDepth), strings.Repeat("any[0].", maxDepth-1) + "any: groups are nested"},
	} {
		check(t, test.c.validate(1), test.want)
	}
}

// nest returns a condition in n groups.
func nest(n int) Condition {
	c := Condition{Field: "from", Is: []string{"a"}}
	for range n {
		c = Condition{Any: []Condition{c}}
	}
	return c
}

func TestValidateRule(t *testing.T) {
	sound := []Condition{{Field: "from", Is: []string{"a"}}}
	check(t, Rule{Match: "all"}.Validate(), "")
	check(t, Rule{Match: "some", Conditions: sound}.Validate(), "match: unknown")
	check(t, Rule{Match: "any", Conditions: append(sound, Condition{Field: "form", Is: []string{"a"}})}.Validate(), "condition[1].field: unknown")
	check(t, Rule{Match: "any", Expression: "message.size"}.Validate(), "expression: ")
}

// What is sound can be compiled, and only that.
func TestCompile(t *testing.T) {
	if _, err := Compile(Rule{Match: "all", Conditions: []Condition{nest(3)}, Expression: "true"}); err != nil {
		t.Error(err)
	}
	for _, r := range []Rule{
		{Match: "all", Conditions: []Condition{{Field: "from"}}},
		{Match: "all", Conditions: []Condition{{Field: "form", Is: []string{"a"}}}},
		{Match: "all", Conditions: []Condition{{Any: []Condition{{Field: "from", Matches: []string{"("}}}}}},
		{Match: "all", Expression: "1"},
	} {
		if _, err := Compile(r); err == nil {
			t.Errorf("%+v was compiled", r)
		}
	}
}
