package action

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mailtrigger/trigger/event"
)

// ids returns the ids of the file's whole lines, "?" for one that is no event.
func ids(t testing.TB, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e struct{ ID string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			e.ID = "?"
		}
		list = append(list, e.ID)
	}
	return list
}

func appendRun(t testing.TB, id string) *Run {
	return newRun(t, func(e *event.Event) { e.ID = id })
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	a := ready(t, &Append{File: path, FileMode: "0604"})
	run := func(id string) {
		t.Helper()
		r := appendRun(t, id)
		r.Event.Attempt = 7
		wantDone(t, a.Run(t.Context(), r))
	}
	run("a")
	run("b")
	run("a") // a retry: its line is there
	torn, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(torn, `{"version":1,"id":"c","kind":"mess`) // the machine died in the middle
	torn.Close()
	run("c")
	run("d")
	if got := strings.Join(ids(t, path), " "); got != "a b ? c d" {
		t.Errorf("lines %s", got)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o604 {
		t.Errorf("mode %v", info.Mode())
	}
	other := appendRun(t, "a")
	other.Event.Action = "second"
	wantDone(t, a.Run(t.Context(), other))
	if got := strings.Join(ids(t, path), " "); got != "a b ? c d a" {
		t.Errorf("another action's line of the same event: %s", got)
	}
	if would, err := a.Describe(other); err != nil || would != path {
		t.Errorf("Describe: %s, %v", would, err)
	}
}

func TestAppendAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	a, b := ready(t, &Append{File: path}), ready(t, &Append{File: path})
	var all sync.WaitGroup
	for i := range 40 {
		r := appendRun(t, fmt.Sprint(i/2)) // each id twice
		all.Go(func() {
			if got := []*Append{a, b}[i%2].Run(t.Context(), r); got.Outcome != Done {
				t.Error(got.Err)
			}
		})
	}
	all.Wait()
	if got := ids(t, path); len(got) != 20 {
		t.Errorf("%d lines; want 20: %v", len(got), got)
	}
	if len(appending.held) != 0 {
		t.Errorf("locks are left: %v", appending.held)
	}
}

func TestAppendTraps(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(outside, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := mkfifo(dir + "/fifo"); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		dir + "/link":    "a symbolic link leads out of the directory",
		dir + "/fifo":    "it is no regular file",
		dir:              "append to " + dir,
		dir + "/no/file": "no such file or directory",
	} {
		wantFailure(t, ready(t, &Append{File: file}).Run(t.Context(), appendRun(t, "a")), Retry, text)
	}
	wantTree(t, filepath.Dir(outside), "victim=untouched")
	if got := problemsOf(&Append{File: "{{.ID}}", FileMode: "0400"}); len(got) != 2 {
		t.Errorf("problems %v", got)
	}
}
