package action

import (
	"strings"
	"testing"
)

func TestCheckScript(t *testing.T) {
	const bad = "{{.Message.Subject}}"
	for _, c := range []struct {
		command string // arguments are parted by "|"; X is a template
		at      int    // 0: fine
	}{
		{"sh|-c|echo X", 2},
		{"/bin/bash|-c|X", 2},
		{"bash|-lc|X", 2},
		{"bash|-o|pipefail|-ec|X", 4},
		{"sh|-c|-e|X", 3},
		{"sh|-c|-o|errexit|X", 4},
		{"sh|-c|echo \"$1\"|sh|X", 0},
		{"sh|script.sh|-c|X", 0},
		{"sh|--|-c|X", 0},
		{"env|A=1|dash|-c|X", 4},
		{"/usr/bin/env|-i|python3.12|-c|X", 4},
		{"sudo|-u|x|sh|-c|X", 5},
		{"busybox|sh|-c|X", 3},
		{"timeout|5|zsh|-c|X", 4},
		{"python3|-c|print(X)", 2},
		{"python3|-W|ignore|-c|X", 4},
		{"python3|-c|import sys|X", 0},
		{"python3|tool.py|-c|X", 0},
		{"perl|-ne|X", 2},
		{"perl|-eX", 1},
		{"perl|-E|say|X", 0},
		{"ruby3.2|-e|X", 2},
		{"node|-e|X", 2},
		{"node|--eval=X", 1},
		{"node|-pe|X", 2},
		{"node|-r|mod|-p|X", 4},
		{"node|app.js|-e|X", 0},
		{"php8.2|-r|X", 2},
		{"lua5.4|-e|X", 2},
		{"awk|X", 1},
		{"awk|-f|prog.awk|X", 0},
		{"awk|{print}|X", 0},
		{"sed|-e|s/X//", 2},
		{"sed|s/X//", 1},
		{"ssh|host|run|X", 3},
		{"su|-|user|-c|X", 4},
		{"pwsh|-Command|X", 2},
		{"cmd.exe|/c|X", 2},
		{`C:\Windows\cmd.exe|/C|X`, 2},
		{"eval|X", 1},
		{"grep|-c|X", 0},
		{"gcc|-c|X", 0},
		{"/usr/local/bin/book|--|X", 0},
		{"curl|-e|X", 0},
	} {
		args := strings.Split(strings.ReplaceAll(c.command, "X", bad), "|")
		at, err := checkScript(args)
		if at != c.at || (err != nil) != (c.at > 0) {
			t.Errorf("%s: argument %d, %v; want %d", c.command, at, err, c.at)
		}
		if err != nil && !strings.Contains(err.Error(), "$MAILTRIGGER_SUBJECT") {
			t.Errorf("%s: no hint in %v", c.command, err)
		}
	}
}
