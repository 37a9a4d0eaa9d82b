package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailtrigger/connection/connectiontest/rigtest"
)

// names is a config with names of each kind.
const names = `[connection.office]
[connection.office.authentication]
username = "x"
[connection."me@example.com"]
[trigger.invoices]
[[trigger.invoices.action]]
`

// completes are words of a call, and what the last of them is completed to.
var completes = []struct {
	words string
	want  []string
}{
	{"--test-c", []string{"--test-connection"}},
	{"--ver", []string{"--version"}},
	{"--config @ --test-connection ", []string{"all", "me@example.com", "office"}},
	{"--config @ --test-connection of", []string{"office"}},
	{"--config @ --test-trigger ", []string{"invoices"}},
	{"--config @ --authorize m", []string{"me@example.com"}},
	{"--retry ", []string{"all"}},
	{"--config @ --test-connection office --j", []string{"--json"}},
}

// complete completes with a shell's script: the last word of the call.
func testCompletion(t *testing.T, script string, complete func(t *testing.T, script string, words []string) string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "completion")
	config := filepath.Join(dir, "config.toml")
	for name, text := range map[string]string{file: script, config: names} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range completes {
		words := strings.Split(strings.ReplaceAll(c.words, "@", config), " ")
		got := strings.Fields(complete(t, file, append([]string{"mailtriggerd"}, words...)))
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.words, got, c.want)
		}
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestBash(t *testing.T) {
	bash := rigtest.Tool(t, "bash", "bash")
	testCompletion(t, Bash(), func(t *testing.T, script string, words []string) string {
		return output(t, bash, append([]string{"-c", `compopt() { :; }; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mailtriggerd; printf '%s\n' "${COMPREPLY[@]}"`, "bash", script}, words...)...)
	})
}

func TestFish(t *testing.T) {
	fish := rigtest.Tool(t, "fish", "fish")
	testCompletion(t, Fish(), func(t *testing.T, script string, words []string) string {
		out := output(t, fish, "--no-config", "-c", `source $argv[1]; complete -C (string join ' ' -- $argv[2..])`, script, strings.Join(words, " "))
		var values []string
		for line := range strings.Lines(out) {
			value, _, _ := strings.Cut(strings.TrimSpace(line), "\t") // and what it does
			values = append(values, value)
		}
		return strings.Join(values, " ")
	})
}

// Zsh completes only on a terminal: its script is parsed, and its names are looked at.
func TestZsh(t *testing.T) {
	zsh := rigtest.Tool(t, "zsh", "zsh")
	dir := t.TempDir()
	file := filepath.Join(dir, "_mailtriggerd")
	for name, text := range map[string]string{file: Zsh(), filepath.Join(dir, "c.toml"): names} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := output(t, zsh, "-f", "-c", `_arguments() { print -l -- "$@" }; source "$1"`, "zsh", file)
	for _, f := range Flags {
		if !strings.Contains(got, "--"+f.Name) {
			t.Errorf("--%s is not completed:\n%s", f.Name, got)
		}
	}
	got = output(t, zsh, "-f", "-c", `_arguments() { :; }; compadd() { print -l -- "$@" }; source "$1"; typeset -A opt_args; opt_args[--config]=$2; _mailtriggerd_complete connection all`, "zsh", file, filepath.Join(dir, "c.toml"))
	if want := "--\nall\noffice\nme@example.com\n"; got != want {
		t.Errorf("the names are %q, want %q", got, want)
	}
}
