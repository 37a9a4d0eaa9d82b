package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// Exec runs a command: an argument vector, never a shell.
type Exec struct {
	Common
	Command   []string          `toml:"command"`
	Stdin     string            `toml:"stdin"` // json, raw, text or none
	Directory string            `toml:"directory,path"`
	Env       map[string]string `toml:"env"`
	PassEnv   []string          `toml:"pass_env,scalar"`
	Include   []string          `toml:"include,scalar"` // of for_each: masks of names
	Types     []string          `toml:"types,scalar"`   // of for_each: masks of content types

	args []*text // of Command
	selection
}

// What is on a command's standard input.
const (
	stdinJSON = "json" // the event
	stdinRaw  = "raw"  // the message as the server has it
	stdinText = "text" // the decoded body
	stdinNone = "none"
)

// exitDead is the exit code of a command that fails for good: EX_DATAERR of sysexits.h.
const exitDead = 65

// SetDefaults implements Definition.
func (a *Exec) SetDefaults() {
	setDefault(&a.Timeout, setting.Duration(5*time.Minute))
	a.Common.SetDefaults()
	setDefault(&a.Stdin, stdinJSON)
}

// Validate implements Definition.
func (a *Exec) Validate() []setting.Problem {
	problems := a.check(needs{forEach: true})
	problem := func(key, format string, args ...any) {
		problems = append(problems, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
	problems = append(problems, a.validateCommand()...)
	problems = append(problems, setting.OneOf("stdin", a.Stdin, []string{stdinJSON, stdinRaw, stdinText, stdinNone})...)
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		if err := checkVariable(name); err != nil {
			problem("env."+name, "%v", err)
		} else if strings.ContainsRune(a.Env[name], 0) {
			problem("env."+name, "a variable cannot hold a NUL character")
		}
	}
	for i, name := range a.PassEnv {
		if err := checkVariable(name); err != nil {
			problem(fmt.Sprintf("pass_env[%d]", i), "%v", err)
		}
	}
	problems = append(problems, a.onlyForEach("include", a.Include)...)
	problems = append(problems, a.onlyForEach("types", a.Types)...)
	var found []setting.Problem
	a.include, found = newMasks("include", a.Include)
	problems = append(problems, found...)
	a.types, found = newMasks("types", a.Types)
	return append(problems, found...)
}

func (a *Exec) validateCommand() (problems []setting.Problem) {
	if len(a.Command) == 0 || a.Command[0] == "" {
		return []setting.Problem{{Key: "command", Text: `say what to run, program and arguments apart: ["/usr/local/bin/book", "--fast"]`}}
	}
	if isTemplateText(a.Command[0]) {
		return []setting.Problem{{Key: "command[0]", Text: "the program must be fixed: a template here would let a mail choose what runs"}}
	}
	if len(a.Command) == 1 && strings.ContainsAny(a.Command[0], " \t") {
		if _, err := os.Stat(a.Command[0]); err != nil {
			problems = append(problems, setting.Problem{Key: "command[0]",
				Text: fmt.Sprintf("there is no program named %q, and no shell takes it apart; write the program and each argument as a string of its own", a.Command[0])})
		}
	}
	if i, err := checkScript(a.Command); err != nil {
		problems = append(problems, setting.Problem{Key: fmt.Sprintf("command[%d]", i), Text: err.Error()})
	}
	a.args = nil
	for i, arg := range a.Command {
		t, err := newText(arg, maxText, "")
		if err == nil && i > 0 {
			err = t.check(a.sample())
		}
		if err == nil && strings.ContainsRune(arg, 0) {
			err = errors.New("an argument cannot hold a NUL character")
		}
		if err != nil {
			problems = append(problems, setting.Problem{Key: fmt.Sprintf("command[%d]", i), Text: err.Error()})
			continue
		}
		a.args = append(a.args, t)
	}
	return problems
}

func checkVariable(name string) error {
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00"):
		return fmt.Errorf("%q is not the name of an environment variable", name)
	case strings.HasPrefix(name, "MAILTRIGGER_"):
		return errors.New("names that begin with MAILTRIGGER_ are the daemon's own")
	}
	return nil
}

// Run implements Local.
func (a *Exec) Run(ctx context.Context, r *Run) Result {
	return a.forEach(ctx, r, &a.selection, a.runOne)
}

// runOne runs the command once. An attachment it gets as a file under its own
// name, in a directory that goes away with the run.
func (a *Exec) runOne(ctx context.Context, r *Run) Result {
	if r.Event.Attachment == nil {
		return a.runOnce(ctx, r, "")
	}
	file, remove, err := attachmentFile(r.Env.TempDir, r.Event.Attachment)
	if err != nil {
		return retry(fmt.Errorf("write the attachment for the command: %w", err))
	}
	defer remove()
	r.Event.Attachment.Path = file // the event is this run's own copy
	return a.runOnce(ctx, r, file)
}

// runOnce runs the command once.
func (a *Exec) runOnce(ctx context.Context, r *Run, file string) Result {
	e := r.Event
	argv, err := a.argv(ctx, e)
	if err != nil {
		return unmade(ctx, err)
	}
	stdin, err := a.input(e)
	if err != nil {
		return dead(fmt.Errorf("write the event as JSON: %w", err))
	}
	env := a.environ(e, file)
	p := process{
		argv: argv, env: env, directory: a.Directory, stdin: stdin,
		baseDir: r.Env.BaseDir, tempDir: r.Env.TempDir, begun: r.begun,
	}
	result := p.run(ctx)
	var secrets []setting.Secret
	for name, value := range a.Env {
		if sensitive(name) {
			secrets = append(secrets, setting.NewSecret(value))
		}
	}
	result.Output = redact(result.Output, secrets)
	if result.Err != nil {
		if line := lastLine(result.Output); line != "" {
			result.Err = fmt.Errorf("%w; it last said: %s", result.Err, setting.Printable(line, 300))
		}
	}
	return result
}

// argv returns the command's argument vector. An argument cannot hold NUL, so what
// a mail smuggles in becomes U+FFFD.
func (a *Exec) argv(ctx context.Context, e *event.Event) ([]string, error) {
	argv := make([]string, len(a.args))
	for i, t := range a.args {
		s, err := t.run(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("command[%d]: %w", i, err)
		}
		argv[i] = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return argv, nil
}

// input returns the bytes of standard input; nil is none.
func (a *Exec) input(e *event.Event) ([]byte, error) {
	switch {
	case a.Stdin == stdinJSON:
		b, err := e.JSON()
		return append(b, '\n'), err
	case a.Stdin == stdinRaw:
		return e.Raw, nil
	case a.Stdin == stdinText && e.Message != nil:
		return []byte(e.Message.Text), nil
	}
	return nil, nil
}

// environ returns the whole environment of the command: nothing else of the daemon's.
// Where a name is there twice the last counts, as os/exec has it.
func (a *Exec) environ(e *event.Event, file string) []string {
	env := []string{"PATH=" + cmp.Or(os.Getenv("PATH"), "/usr/local/bin:/usr/bin:/bin")}
	pass := func(name string) {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	pass("HOME")
	env = append(env, "LANG="+cmp.Or(os.Getenv("LANG"), "C.UTF-8"))
	pass("TZ")
	for _, name := range a.PassEnv {
		pass(name)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		env = append(env, name+"="+a.Env[name])
	}
	return append(env, e.Environ(file)...)
}

// Describe implements Local: the argument vector as a JSON array, one line a run.
func (a *Exec) Describe(r *Run) (string, error) {
	return a.describeEach(r, &a.selection, func(r *Run) (string, error) {
		argv, err := a.argv(context.Background(), r.Event)
		if err != nil {
			return "", err
		}
		return jsonText(argv)
	})
}

// attachmentFile writes an attachment's bytes as a file under its own safe name,
// alone in a new private directory.
func attachmentFile(tempDir string, a *message.Attachment) (path string, remove func(), err error) {
	dir, err := os.MkdirTemp(tempDir, "attachment-*")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	path = filepath.Join(dir, a.FileName())
	if err := writeNew(path, a.Open()); err != nil {
		remove()
		return "", nil, err
	}
	return path, remove, nil
}
