package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// sh returns an exec of a shell script; the script gets the further arguments as $1...
func sh(t testing.TB, script string, args ...string) *Exec {
	t.Helper()
	return ready(t, &Exec{Command: append([]string{"sh", "-c", script, "sh"}, args...)})
}

func TestExecOutcome(t *testing.T) {
	for _, c := range []struct {
		script  string
		outcome Outcome
		text    string
	}{
		{"exit 0", Done, ""},
		{"exit 65", Dead, "sh exited with 65 (EX_DATAERR)"},
		{"exit 1", Retry, "sh exited with 1"},
		{"echo first; echo it is broken >&2; exit 75", Retry, "exited with 75; it last said: it is broken"},
		{"kill -9 $$", Retry, "sh was ended: signal: killed"},
	} {
		r := sh(t, c.script).Run(t.Context(), newRun(t))
		if c.outcome == Done {
			wantDone(t, r)
		} else {
			wantFailure(t, r, c.outcome, c.text)
		}
	}
}

func TestExecNotStarted(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	long := strings.Repeat("x", 200<<10)
	for _, c := range []struct {
		name    string
		exec    Exec
		outcome Outcome
		text    string
	}{
		{"missing", Exec{Command: []string{"no-such-command"}}, Retry, "command no-such-command not found in PATH ("},
		{"missing path", Exec{Command: []string{"/nonexistent/x"}}, Retry, "command /nonexistent/x not found; install it"},
		{"directory", Exec{Command: []string{dir}}, Retry, "is a directory"},
		{"not executable", Exec{Command: []string{write("plain", "#!/bin/sh\n", 0o600)}}, Retry, "chmod +x"},
		{"no interpreter", Exec{Command: []string{write("orphan", "#!/nonexistent/sh\n", 0o700)}}, Retry, "the interpreter in its first line"},
		{"no format", Exec{Command: []string{write("text", "echo hello\n", 0o700)}}, Retry, `a first line like "#!/bin/sh"`},
		{"directory gone", Exec{Command: []string{"true"}, Directory: "/nonexistent"}, Retry, "directory /nonexistent cannot be entered"},
		{"too long", Exec{Command: []string{"true", "{{.Message.Subject}}" + long[:60<<10], long[:60<<10], "{{.Message.Subject}}"}}, Dead, "128 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRun(t, func(e *event.Event) {
				m := *e.Message
				m.Subject = long
				e.Message = &m
			})
			wantFailure(t, ready(t, &c.exec).Run(t.Context(), r), c.outcome, c.text)
			wantNoFiles(t, r.Env.TempDir)
		})
	}
}

func TestExecRelative(t *testing.T) {
	r := newRun(t)
	if err := os.WriteFile(filepath.Join(r.Env.BaseDir, "hook"), []byte("#!/bin/sh\npwd\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir, _ := filepath.EvalSymlinks(t.TempDir())
	got := ready(t, &Exec{Command: []string{"./hook"}, Directory: dir}).Run(t.Context(), r)
	for errors.Is(got.Err, syscall.ETXTBSY) { // a test beside this one was forking
		got = ready(t, &Exec{Command: []string{"./hook"}, Directory: dir}).Run(t.Context(), r)
	}
	wantDone(t, got)
	if string(got.Output) != dir+"\n" {
		t.Errorf("ran in %q; want %q", got.Output, dir)
	}
}

func TestExecStdin(t *testing.T) {
	for _, mode := range []string{"json", "raw", "text", "none"} {
		t.Run(mode, func(t *testing.T) {
			r := newRun(t)
			a := ready(t, &Exec{Command: []string{"cat"}, Stdin: mode})
			got := a.Run(t.Context(), r)
			wantDone(t, got)
			wantNoFiles(t, r.Env.TempDir)
			var want string
			switch mode {
			case "json":
				b, err := r.Event.JSON()
				if err != nil {
					t.Fatal(err)
				}
				var back map[string]any
				if err := json.Unmarshal(got.Output, &back); err != nil || back["trigger"] != "invoices" {
					t.Errorf("not the event: %v, %s", err, got.Output)
				}
				want = string(b) + "\n"
			case "raw":
				want = string(r.Event.Raw)
			case "text":
				want = r.Event.Message.Text
			}
			if string(got.Output) != want {
				t.Errorf("got %q; want %q", got.Output, want)
			}
		})
	}
}

// TestExecStdinFile proves that standard input is a file without a name, that it
// is at its beginning, cannot be written, and need not be read; whether it is in memory
// or too large for that.
func TestExecStdinFile(t *testing.T) {
	for _, size := range []int{1 << 10, 1 << 20} {
		r := newRun(t, func(e *event.Event) { e.Raw = []byte(strings.Repeat("0123456789abcdef", size/16)) })
		a := sh(t, `readlink /proc/self/fd/0 && (echo x >&0) 2>/dev/null || echo read-only; wc -c`)
		a.Stdin = "raw"
		got := a.Run(t.Context(), r)
		wantDone(t, got)
		lines := strings.Fields(strings.ReplaceAll(string(got.Output), " (deleted)", "(deleted)"))
		if len(lines) != 3 || !strings.HasSuffix(lines[0], "(deleted)") || lines[1] != "read-only" || lines[2] != fmt.Sprint(size) {
			t.Errorf("%d bytes: got %q", size, got.Output)
		}
		ignores := ready(t, &Exec{Command: []string{"true"}, Stdin: "raw"})
		wantDone(t, ignores.Run(t.Context(), r))
	}
}

func TestExecEnvironment(t *testing.T) {
	t.Setenv("TOKEN_OF_THE_DAEMON", "do not hand on")
	t.Setenv("WANTED", "yes")
	t.Setenv("LANG", "")
	t.Setenv("TZ", "Europe/Berlin")
	t.Setenv("HOME", "/home/example")
	a := ready(t, &Exec{Command: []string{"env", "-0"}, PassEnv: []string{"WANTED", "NOT_SET"}, Env: map[string]string{"MODE": "fast", "TZ": "UTC"}})
	r := newRun(t, func(e *event.Event) {
		m := *e.Message
		m.Subject = "two\nlines\x00and \xff bytes"
		m.Text = strings.Repeat("x", 100)
		m.From = []message.Address{{Name: strings.Repeat("ä", 20<<10), Address: "a@example.com"}}
		e.Message = &m
	})
	got := a.Run(t.Context(), r)
	wantDone(t, got)
	var names []string
	vars := map[string]string{}
	for _, v := range strings.Split(strings.TrimSuffix(string(got.Output), "\x00"), "\x00") {
		name, value, _ := strings.Cut(v, "=")
		names = append(names, name)
		vars[name] = value
	}
	slices.Sort(names)
	want := "HOME LANG MAILTRIGGER_ACTION MAILTRIGGER_ATTACHMENTS MAILTRIGGER_ATTEMPT MAILTRIGGER_CONNECTION MAILTRIGGER_DATE " +
		"MAILTRIGGER_EVENT_ID MAILTRIGGER_FILE MAILTRIGGER_FROM MAILTRIGGER_FROM_NAME MAILTRIGGER_KIND MAILTRIGGER_MAILBOX " +
		"MAILTRIGGER_MESSAGE_ID MAILTRIGGER_SIZE MAILTRIGGER_SUBJECT MAILTRIGGER_TO MAILTRIGGER_TRIGGER MAILTRIGGER_UID " +
		"MAILTRIGGER_UIDVALIDITY MODE PATH TZ WANTED"
	if strings.Join(names, " ") != want {
		t.Errorf("variables\n%s\nwant\n%s", names, want)
	}
	for name, want := range map[string]string{
		"PATH": os.Getenv("PATH"), "LANG": "C.UTF-8", "TZ": "UTC", "HOME": "/home/example", "WANTED": "yes", "MODE": "fast",
		"MAILTRIGGER_SUBJECT": "two lines and \uFFFD bytes", "MAILTRIGGER_FROM_NAME": strings.Repeat("ä", 16<<10),
		"MAILTRIGGER_TRIGGER": "invoices", "MAILTRIGGER_UID": "1", "MAILTRIGGER_FILE": "",
	} {
		if vars[name] != want {
			t.Errorf("%s = %.80q; want %.80q", name, vars[name], want)
		}
	}
}

func TestExecArguments(t *testing.T) {
	a := ready(t, &Exec{Command: []string{"printf", "%s|", "--", "{{.Message.Subject}}", "{{truncate 3 .Message.Subject}}", "{{.Match.year}}"}})
	r := newRun(t, func(e *event.Event) {
		m := *e.Message
		m.Subject = "$(touch x) `y` \"; NUL \x00."
		e.Message, e.Match = &m, map[string]string{"year": "2026"}
	})
	got := a.Run(t.Context(), r)
	wantDone(t, got)
	if want := "--|$(touch x) `y` \"; NUL \uFFFD.|$(t|2026|"; string(got.Output) != want {
		t.Errorf("got %q; want %q", got.Output, want)
	}
	would, err := a.Describe(r)
	if want := `["printf","%s|","--","$(touch x) ` + "`y`" + ` \"; NUL ` + "\uFFFD" + `.","$(t","2026"]`; err != nil || would != want {
		t.Errorf("Describe: %s, %v; want %s", would, err, want)
	}
	delete(r.Event.Match, "year")
	wantFailure(t, a.Run(t.Context(), r), Dead, `command[5]: template: `)
}

// shortGrace makes what waits for a stubborn command short.
func shortGrace(t *testing.T) {
	saved := killGrace
	killGrace = 300 * time.Millisecond
	t.Cleanup(func() { killGrace = saved })
}

// whenReady returns a context whose time is up once the file is there.
func whenReady(t *testing.T, path string) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := os.Stat(path); err == nil || t.Context().Err() != nil {
				cancel(context.DeadlineExceeded)
				return
			}
		}
	}()
	return ctx
}

// gone fails the test unless the process whose number is in the file has ended.
func gone(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return // ended; who inherited it may not have reaped it yet
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d lives on: %s", pid, stat)
		}
	}
}

func TestExecTimeout(t *testing.T) {
	for _, c := range []struct{ name, script, text string }{
		{"heeds", `sleep 600 & echo $! >"$1/child"; echo started; touch "$1/ready"; wait`, "was ended with SIGTERM: its time was up"},
		{"ignores", `trap "" TERM; sleep 600 & echo $! >"$1/child"; echo started; touch "$1/ready"; while :; do wait; done`, "was ended with SIGKILL"},
		{"child ignores", `(trap "" TERM; while [ ! -e "$1/child" ]; do sleep 0.01; done; touch "$1/ready"; exec sleep 600) & echo $! >"$1/part"; mv "$1/part" "$1/child"; wait`, "was ended with SIGKILL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(c.text, "SIGKILL") {
				shortGrace(t)
			}
			dir := t.TempDir()
			got := sh(t, c.script, dir).Run(whenReady(t, dir+"/ready"), newRun(t))
			wantFailure(t, got, Retry, c.text)
			if !errors.Is(got.Err, context.DeadlineExceeded) {
				t.Errorf("the error does not wrap the context's: %v", got.Err)
			}
			if c.name != "child ignores" && string(got.Output) != "started\n" {
				t.Errorf("output %q", got.Output)
			}
			gone(t, dir+"/child")
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantFailure(t, sh(t, "exit 0").Run(ctx, newRun(t)), Retry, "sh was not started: context canceled")
}

// TestExecBackground proves that what a command leaves running does not hold the
// action up, and lives on.
func TestExecBackground(t *testing.T) {
	dir := t.TempDir()
	a := sh(t, `(while [ ! -e "$1/go" ]; do sleep 0.02; done; echo done >"$1/made") & echo $! >"$1/child"; echo parent`, dir)
	got := a.Run(within(t, 10*time.Second), newRun(t))
	wantDone(t, got)
	if string(got.Output) != "parent\n" {
		t.Errorf("output %q", got.Output)
	}
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	gone(t, dir+"/child")
	if _, err := os.Stat(dir + "/made"); err != nil {
		t.Errorf("the child in the background did not finish: %v", err)
	}
}

func TestExecHugeOutput(t *testing.T) {
	got := sh(t, `printf BEGIN; head -c 20000000 /dev/zero; printf END`).Run(within(t, 30*time.Second), newRun(t))
	wantDone(t, got)
	s := string(got.Output)
	if len(s) > 66<<10 || !strings.HasPrefix(s, "BEGIN\x00") || !strings.HasSuffix(s, "\x00END") ||
		!strings.Contains(s, fmt.Sprintf("[... %d bytes left out ...]", 20_000_008-64<<10)) {
		t.Errorf("%d bytes kept: %.20q ... %q", len(s), s, s[len(s)-20:])
	}
}

// A command has a group of its own and no terminal: where the daemon has one, because it
// has a session of its own.
func TestExecOwnGroup(t *testing.T) {
	got := sh(t, `read -r line </proc/$$/stat; echo "$$ ${line#*) }"`).Run(t.Context(), newRun(t))
	wantDone(t, got)
	var pid, ppid, group, session, tty int
	var state string
	if _, err := fmt.Sscan(string(got.Output), &pid, &state, &ppid, &group, &session, &tty); err != nil {
		t.Fatal(err)
	}
	if group != pid || hasTerminal() != (session == pid) || tty != 0 {
		t.Errorf("pid %d, group %d, session %d, terminal %d", pid, group, session, tty)
	}
}

func TestExecSecretsInOutput(t *testing.T) {
	a := sh(t, `echo "key is $API_KEY"; exit 1`)
	a.Env = map[string]string{"API_KEY": "s3cr3t-value"}
	got := a.Run(t.Context(), newRun(t))
	wantFailure(t, got, Retry, "key is <secret>")
	if strings.Contains(string(got.Output)+got.Err.Error(), "s3cr3t") {
		t.Errorf("the secret shows: %s, %v", got.Output, got.Err)
	}
}

func TestExecValidate(t *testing.T) {
	for _, c := range []struct {
		exec Exec
		want string
	}{
		{Exec{}, `command: say what to run`},
		{Exec{Command: []string{"{{.Message.Subject}}"}}, `command[0]: the program must be fixed`},
		{Exec{Command: []string{"/bin/echo hello"}}, `command[0]: there is no program named "/bin/echo hello", and no shell`},
		{Exec{Command: []string{"echo", "{{.Subject}}"}}, `command[1]: template: `},
		{Exec{Command: []string{"echo", "{{.Attachment.Name}}"}}, `.Attachment is there only with for_each = "attachment"`},
		{Exec{Command: []string{"echo", "{{"}}, `command[1]: template: `},
		{Exec{Command: []string{"sh", "-c", "echo {{.Message.Subject}}"}}, `command[2]: a template in sh's script`},
		{Exec{Command: []string{"true"}, Stdin: "xml"}, `stdin: unknown stdin "xml"; give one of json, raw, text, none`},
		{Exec{Command: []string{"true"}, Env: map[string]string{"MAILTRIGGER_UID": "1"}}, `env.MAILTRIGGER_UID: names that begin with MAILTRIGGER_ are the daemon's own`},
		{Exec{Command: []string{"true"}, PassEnv: []string{"A=B"}}, `pass_env[0]: "A=B" is not the name`},
		{Exec{Command: []string{"true"}, Include: []string{"*.pdf"}}, `include: chooses attachments; it needs for_each = "attachment"`},
		{Exec{Command: []string{"true"}, Include: []string{"["}, Common: Common{ForEach: "attachment"}}, ``},
		{Exec{Command: []string{"true"}, Types: []string{"[z-a]"}, Common: Common{ForEach: "attachment"}}, `types[0]: "[z-a]" is not a mask`},
		{Exec{Common: Common{When: OnSilence}, Command: []string{"echo", "{{.Message.Subject}}"}}, "silence has no .Message"},
	} {
		got := strings.Join(problemsOf(&c.exec), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%v: got %q; want %q", c.exec.Command, got, c.want)
		}
	}
}

// TestExecForEach proves that each attachment chosen is a file of its own, that it
// is gone afterwards, and that a retry repeats none that succeeded.
func TestExecForEach(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	a := ready(t, &Exec{Common: Common{ForEach: "attachment"}, Types: []string{"text/*"}, Command: []string{"sh", "-c",
		`echo "$1: $(cat "$MAILTRIGGER_FILE") in ${MAILTRIGGER_FILE##*/}" >>"$2"; echo "$MAILTRIGGER_FILE"
grep -q "\"path\":\"$MAILTRIGGER_FILE\"" || exit 65
[ "$1" != b.csv ] || [ "$MAILTRIGGER_ATTEMPT" -gt 1 ] || exit 3`, "sh", "{{.Attachment.Name}}", log}})
	r := newRun(t, threeAttachments)
	first := a.Run(t.Context(), r)
	wantFailure(t, first, Retry, "attachment 3 (b.csv): sh exited with 3")
	wantNoFiles(t, r.Env.TempDir)
	r.Event.Attempt, r.Progress = 2, first.Progress
	second := a.Run(t.Context(), r)
	wantDone(t, second)
	b, err := os.ReadFile(log)
	if want := "a.csv: 1;2 in a.csv\nb.csv: 3;4 in b.csv\nb.csv: 3;4 in b.csv\n"; err != nil || string(b) != want {
		t.Errorf("runs\n%s%v\nwant\n%s", b, err, want)
	}
	if lines := strings.Fields(string(first.Output)); len(lines) != 2 || !strings.HasPrefix(lines[0], r.Env.TempDir+"/") {
		t.Errorf("output %q", first.Output)
	}
	for _, m := range r.Event.Message.Attachments {
		if m.Path != "" {
			t.Errorf("the event was changed: %+v", m)
		}
	}
	would, err := a.Describe(r)
	if err != nil || strings.Count(would, "\n") != 1 || !strings.HasSuffix(would, `"sh","b.csv","`+log+`"]`) {
		t.Errorf("Describe: %s, %v", would, err)
	}
	none := ready(t, &Exec{Common: Common{ForEach: "attachment"}, Include: []string{"*.docx"}, Command: []string{"false"}})
	wantDone(t, none.Run(t.Context(), r))
	if would, err := none.Describe(r); err != nil || would != "nothing: no attachment is chosen" {
		t.Errorf("Describe: %s, %v", would, err)
	}
}
