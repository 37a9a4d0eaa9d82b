package config

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailtrigger/trigger/action"
)

const example = "../../../../config.example.toml"

func TestExampleLoads(t *testing.T) {
	c, problems := Load(example, Options{Getenv: func(string) string { return "" }})
	for _, p := range problems {
		t.Error(p.Error())
	}
	if len(problems) == 0 && (len(c.Connections) != 1 || len(c.Triggers) != 1) {
		t.Errorf("%d connections and %d triggers, want one of each", len(c.Connections), len(c.Triggers))
	}
}

var (
	settingKey = regexp.MustCompile(`^#?([a-z0-9_]+) = `)
	header     = regexp.MustCompile(`^#?\[+([a-z0-9_.]+)\]+`)
	typeKey    = regexp.MustCompile(`^#?type = "(.*?)"`)
)

// exampleKeys returns the lines of the keys that the example shows, set or not, by
// table and name as in Key.
func exampleKeys(t *testing.T, text string) map[[2]string]int {
	keys := map[[2]string]int{}
	table := ""
	for i, line := range strings.Split(text, "\n") {
		if m := header.FindStringSubmatch(line); m != nil {
			parts := strings.Split(m[1], ".")
			if len(parts) > 1 && slices.Contains(sections, parts[0]) {
				parts[1] = "NAME"
			}
			table = strings.Join(parts, ".")
			if strings.HasPrefix(strings.TrimPrefix(line, "#"), "[[") {
				table += "[]"
			}
			keys[[2]string{table, ""}] = i + 1
			continue
		}
		m := settingKey.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if kind := typeKey.FindStringSubmatch(line); kind != nil && strings.HasPrefix(table, "trigger.NAME.action[]") {
			table = "trigger.NAME.action[] " + kind[1]
		}
		at := [2]string{table, m[1]}
		if before, twice := keys[at]; twice && !strings.Contains(table, "condition") {
			t.Errorf("line %d: %s is shown already in line %d", i+1, m[1], before)
		}
		keys[at] = i + 1
	}
	return keys
}

// TestExampleIsComplete holds the example to the structs: it shows every key, and no other.
func TestExampleIsComplete(t *testing.T) {
	b, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	found := exampleKeys(t, string(b))
	known := map[[2]string]bool{}
	for _, k := range Keys() {
		at := [2]string{k.Table, k.Name}
		if _, inline := found[at]; !inline && strings.HasPrefix(k.Type, "table like") {
			at = [2]string{strings.TrimPrefix(k.Table+"."+k.Name, "."), ""}
		}
		known[at] = true
		if _, there := found[at]; !there {
			t.Errorf("[%s] %s is not shown", k.Table, k.Name)
		}
	}
	for at, line := range found {
		_, typ, isAction := strings.Cut(at[0], "[] ")
		copied := strings.HasPrefix(at[0], "smtp.NAME.") || strings.HasPrefix(at[0], "proxy.NAME")
		if at[1] != "" && !known[at] && !copied && (!isAction || slices.Contains(action.Types(), typ)) {
			t.Errorf("line %d: [%s] %s is not a key", line, at[0], at[1])
		}
	}
}

// TestExampleUncommented takes the "#" from every setting. What is then said must
// be about ways that exclude each other, not about keys, types or values.
func TestExampleUncommented(t *testing.T) {
	b, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^#([a-z0-9_]+ = |\[)`).ReplaceAllString(string(b), "$1")
	text = strings.ReplaceAll(text, `"conf.d/*.toml"`, "")
	file := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, problems := Load(file, Options{})
	expected := map[string]string{ // how what is said begins, and why that is right
		"give exactly one of":           "all the ways to give a secret",
		"open /etc/":                    "files that are not there",
		`is for `:                       "proxy keys of other types",
		`is of no use`:                  "proxy keys of other types",
		"clashes with the table oauth2": "a password and OAuth 2.0",
		"a condition has one operator":  "all operators",
		"give one of any, all and none": "all groups",
		"unknown action type":           "a type that comes",
		"another action has the name":   "types that repeat",
		"oauth2":                        "grants that exclude each other",
		"only":                          "keys of other grants",
		"provider":                      "a provider and URLs",
		"grant":                         "keys of other grants",
		"certificate":                   "a secret and a certificate",
		"no such file":                  "files that are not there",
		"has taken the message away":    "move and delete",
		"give either by or every":       "two ways to expect mail",
		`unknown trigger "reminder"`:    "a trigger that is not there",
		"it needs for_each":             "keys of for_each, which is off",
	}
	for _, p := range problems {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(expected)), func(s string) bool { return strings.Contains(p.Text, s) }) {
			t.Error(p.Error())
		}
	}
}

func TestReference(t *testing.T) {
	text := Reference()
	for _, want := range []string{
		"| `connect_rate` | number | `200` |",
		"| `listen` | string | `\"127.0.0.1:9847\"` |",
		"| `timeout` | duration | `\"1m\"` |",
		"| `password_command` | array of strings |  |",
		"| `mailboxes` | array of strings | `[\"INBOX\"]` |",
		"### `[trigger.NAME.action[] exec]`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the reference", want)
		}
	}
}
