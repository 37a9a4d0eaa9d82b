package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"mailtrigger/trigger"
	"mailtrigger/trigger/condition"
)

// kindsOfField are the kinds of fields in the README, with a value for each and
// the column of the operators' table that is about it.
var kindsOfField = map[string]struct {
	value  string
	column int
}{
	"text": {`"x"`, 1}, "address": {`"x"`, 2}, "size": {`"1MB"`, 3}, "date": {`2027-01-31`, 4}, "age": {`"2h"`, 5}, "yes or no": {"true", 6},
}

// What the README says of a field and an operator is what the config takes.
func TestReadmeConditions(t *testing.T) {
	operators := table(t, "Operator", "Of text", "Of an address", "Of a size", "Of a date", "Of an age", "Of yes or no")
	var fields, keys, known []string
	for _, row := range table(t, "Field", "What is compared", "As", "Needs the body") {
		name := strings.TrimSuffix(strings.Trim(row[0], "`"), ":NAME")
		fields = append(fields, name)
		if body := row[3] == "yes"; body != condition.NeedsBody(name) {
			t.Errorf("README.md says that %s needs the body: %v", name, body)
		}
		kind, ok := kindsOfField[row[2]]
		if !ok {
			t.Fatalf("README.md compares %s as %q", name, row[2])
		}
		if name == "header" {
			name = "header:X"
		}
		for _, op := range operators {
			operator := strings.Trim(op[0], "`")
			problems := load(t, "[connection.x]\naddress = \"a.example\"\nauthentication = {username = \"u\", password_file = \"p\"}\n"+
				"[trigger.x]\nconnection = \"x\"\naction = [{type = \"delete\"}]\n[[trigger.x.condition]]\nfield = \""+name+"\"\n"+operator+" = "+kind.value+"\n")
			if says := op[kind.column] != ""; says != (len(problems) == 0) {
				t.Errorf("README.md has the condition %s %s: %v; the config says %v", name, operator, says, problems)
			}
		}
	}
	if want := condition.FieldNames(); !slices.Equal(fields, want) {
		t.Errorf("README.md has the fields %s; want %s", fields, want)
	}
	for _, row := range operators {
		keys = append(keys, strings.Trim(row[0], "`"))
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[trigger.Condition]()) {
		if key, options, _ := strings.Cut(f.Tag.Get("toml"), ","); options != "" {
			known = append(known, key)
		}
	}
	if !slices.Equal(keys, known) {
		t.Errorf("README.md has the operators %s; want %s", keys, known)
	}
}

// paragraph returns the text of the README from where it begins so, up to an empty line.
func paragraph(t *testing.T, begins string) string {
	t.Helper()
	lines := readme(t)
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, begins) })
	if i < 0 {
		t.Fatalf("README.md has no paragraph that begins with %q", begins)
	}
	rest := lines[i:]
	if end := slices.Index(rest, ""); end >= 0 {
		rest = rest[:end]
	}
	return strings.Join(rest, " ")
}

func TestReadmeRecipient(t *testing.T) {
	text := paragraph(t, "**recipient**")
	for _, name := range condition.RecipientFields {
		if !strings.Contains(text, " "+name) {
			t.Errorf("README.md does not say that %s is a recipient", name)
		}
	}
}

func TestReadmeExpressionFunctions(t *testing.T) {
	text := paragraph(t, "It sees the event")
	_, list, found := strings.Cut(text, "Functions: `")
	list, _, ended := strings.Cut(list, "`")
	if !found || !ended || !slices.Equal(strings.Fields(list), condition.Functions()) {
		t.Errorf("README.md has the functions %s; want %s", list, condition.Functions())
	}
}
