package config

import (
	"strings"
	"testing"
)

// TestSyntaxKeepsSecrets breaks a line with a password in every way that the
// toml package complains of, and looks for the password in what is said.
func TestSyntaxKeepsSecrets(t *testing.T) {
	const head = "[connection.office.authentication]\nusername = \"me\"\n"
	for _, line := range []string{
		`password = hunter2`, `password = 'hunter2`, `password = "hunter2`, `password = """hunter2`, `password = "hun\ter2\q"`,
		`password "hunter2"`, `password: hunter2`, `password = "a"hunter2`, `password = 1hunter2`, `password = 0xhunter2`, `password = 12__34567`,
		`password = 012345678`, `password = 99999999999999999999`, `password = 2026-13-41`, `password = +hunter2`, `password = .5hunter2`,
		`password = 1.hunter2`, `password = ["hunter2" "hunter2"]`, `password = {a = "hunter2" b}`, `password = "\uhunter2"`, `password = "\xhunter2"`,
		"password = \"hunter2\x01\"", "password = \"hunter2\xff\"", `password = truehunter2`, `password = -0xhunter2`, `password = 0b123hunter2`,
		`password = 1979-05-27 hunter2`, `password = 1e_hunter2`, `password = 1_hunter2`, `password = nanhunter2`, `password = infhunter2`,
		"password = '''hunter2''''''", `password = """hunter2""""""`, `password = "\U00110000hunter2"`, `password = hunter2 # x`, `password = $hunter2`,
		"password =\nhunter2", "password\nhunter2 = 1", `password = 1.5.hunter2`, `password = 0o89hunter2`,
	} {
		_, p := parse("f", head+line)
		if p == nil {
			t.Errorf("%q: no mistake found", line)
			continue
		}
		said := p.Error()
		for _, part := range []string{"unter2", "34567", "345678", "9999999", "13-41"} {
			if strings.Contains(line, part) && strings.Contains(said, part) {
				t.Errorf("%q: the value is shown: %s", line, said)
			}
		}
		if strings.HasSuffix(said, "is not valid TOML") || p.Line < 3 || p.Line > 5 {
			t.Errorf("%q: says too little: %s", line, said)
		}
	}
}

func TestParseLimits(t *testing.T) {
	for name, text := range map[string]string{
		"is longer than":   "a = \"" + strings.Repeat("x", maxLine) + "\"",
		"nested more than": "a = " + strings.Repeat("[\n", 1000) + strings.Repeat("]", 1000),
		"brackets":         strings.Repeat("a = [\n", maxOpen+1),
		"comma too many":   "a = [,",
		"not UTF-8":        "a\x00b\x00",
	} {
		if _, p := parse("f", text); p == nil || !strings.Contains(p.Text, name) {
			t.Errorf("want a mistake with %q, got %v", name, p)
		}
	}
	// As deep as can be: the toml package must come back, whatever it says.
	parse("f", "a = "+strings.Repeat("[\n", maxOpen-1))
	parse("f", "a = "+strings.Repeat("{a=\n", maxOpen-1))
}
