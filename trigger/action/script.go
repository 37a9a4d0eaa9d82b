package action

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// An interpreter is a program that takes code from its command line. A mail's
// text must never get there: no quoting makes it safe. As a further argument, or
// in the environment, it is only data.
type interpreter struct {
	names  *regexp.Regexp // of the program, without its version
	code   *regexp.Regexp // an option after which code comes, or that holds it
	values *regexp.Regexp // the options that take the next argument as their value
	// spread is whether options may come after other arguments, or between the
	// code's option and the code: sh -c -e 'script'.
	spread bool
	within bool // options end at the first other argument: what follows is a script's own
}

var interpreters = []interpreter{
	{names: words("r?bash|sh|dash|ash|[zy]sh|(m|pd)?ksh|fish|t?csh"), code: words(`-[A-Za-z]*c.*|--command(=.*)?|--init-command(=.*)?`),
		values: words(`[-+][A-Za-z]*[oO]|--rcfile|--init-file`), spread: true, within: true},
	{names: words("su|runuser|flock|script"), code: words(`-[A-Za-z]*c.*|--command(=.*)?|--session-command(=.*)?`), spread: true},
	{names: words("i?python|pypy"), code: words(`-[A-Za-z]*c.*`), values: words("-[WXQ]"), within: true},
	{names: words("perl|j?ruby|lua|luajit|osascript|rscript|guile|elixir"), code: words(`-[A-Za-z0-9]*[eE].*|--?eval(=.*)?`),
		values: words("-[IrCl]"), within: true},
	{names: words("g?sed"), code: words(`-[A-Za-z]*e.*|--expression(=.*)?`)},
	{names: words("node|nodejs|deno|bun"), code: words(`-[A-Za-z]*[ep].*|--eval(=.*)?|--print(=.*)?|eval`),
		values: words("-r|-C|--require|--import|--loader"), within: true},
	{names: words("php"), code: words(`-[A-Za-z]*[rBRE].*|--(run|process-begin|process-code|process-end)(=.*)?`),
		values: words("-[cdz]"), within: true},
	{names: words("pwsh|powershell|cmd"), code: words(`(?i:[-/](c|k|e).*)`)},
}

// Programs whose every argument, or whose first one, is or becomes code.
var (
	remoteShells  = words("ssh|rsh|eval|watch")
	programFirst  = words("[gmn]?awk|g?sed|jq")
	versionSuffix = regexp.MustCompile(`[-0-9.]+$`)
)

func words(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)$`) }

// checkScript refuses templates where they would be code: in the script that
// follows an interpreter's -c or -e, however the interpreter is called (through
// env, sudo or another wrapper). It returns the index of the argument.
func checkScript(command []string) (int, error) {
	for i, arg := range command {
		if isTemplateText(arg) {
			continue // the first argument has none, so this calls no program
		}
		name, rest := programName(arg), command[i+1:]
		for _, p := range interpreters {
			if p.names.MatchString(name) {
				if k := p.script(rest); k >= 0 {
					return i + 1 + k, scriptError(name)
				}
			}
		}
		for k, a := range rest {
			if isTemplateText(a) && (remoteShells.MatchString(name) || programFirst.MatchString(name)) {
				return i + 1 + k, scriptError(name)
			}
			if programFirst.MatchString(name) && !isOption(a) {
				break
			}
		}
	}
	return 0, nil
}

// script returns the index of the first argument that is code and has a template, or -1.
func (p interpreter) script(args []string) int {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return -1
		case p.code.MatchString(arg):
			if isTemplateText(arg) {
				return i
			}
			for k := i + 1; k < len(args); k++ {
				if isTemplateText(args[k]) {
					return k
				}
				if !p.spread || !isOption(args[k]) && !p.takesValue(args[k-1]) {
					break
				}
			}
		case p.takesValue(arg):
			i++
		case p.within && !isOption(arg):
			return -1
		}
	}
	return -1
}

func (p interpreter) takesValue(arg string) bool { return p.values != nil && p.values.MatchString(arg) }

func isOption(arg string) bool { return len(arg) > 1 && (arg[0] == '-' || arg[0] == '+') }

func isTemplateText(s string) bool { return strings.Contains(s, "{{") }

// programName is the program's name without directory, extension and version.
func programName(arg string) string {
	name := strings.ToLower(path.Base(strings.ReplaceAll(arg, `\`, "/")))
	name = strings.TrimSuffix(name, ".exe")
	return versionSuffix.ReplaceAllString(name, "")
}

func scriptError(name string) error {
	return fmt.Errorf("a template in %s's script would let a mail run code; "+
		`leave the script fixed and use the environment ("$MAILTRIGGER_SUBJECT", "$MAILTRIGGER_FROM", ...) or standard input`, name)
}
