package action

import (
	"cmp"
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// ready sets a definition up as the config does, and fails the test on any problem.
func ready[D Definition](t testing.TB, d D) D {
	t.Helper()
	if problems := problemsOf(d); len(problems) > 0 {
		t.Fatalf("the definition has problems: %v", problems)
	}
	return d
}

// problemsOf sets a definition up and returns what is wrong, sorted by key.
func problemsOf(d Definition) []string {
	d.Base().Type = typeName(d)
	d.SetDefaults()
	problems := d.Validate()
	slices.SortStableFunc(problems, func(a, b setting.Problem) int { return cmp.Compare(a.Key, b.Key) })
	var list []string
	for _, p := range problems {
		list = append(list, p.Error())
	}
	return list
}

func typeName(d Definition) string {
	for _, known := range types {
		if reflect.TypeOf(known.make()) == reflect.TypeOf(d) {
			return known.name
		}
	}
	return ""
}

// newRun returns a run for the sample message, changed by change.
func newRun(t testing.TB, change ...func(*event.Event)) *Run {
	e := event.Sample(event.KindMessage)
	e.Trigger, e.Action, e.Connection = "invoices", "book", "office"
	for _, f := range change {
		f(e)
	}
	return &Run{Event: e, Key: e.ID + "-" + e.Action, Env: Env{BaseDir: t.TempDir(), TempDir: t.TempDir()}}
}

// mail returns a change of the event that gives it this message.
func mail(lines ...string) func(*event.Event) {
	return func(e *event.Event) {
		e.Raw = []byte(strings.Join(lines, "\r\n"))
		e.Message = message.Parse(e.Raw, message.Options{})
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func wantDone(t testing.TB, r Result) {
	t.Helper()
	if r.Outcome != Done || r.Err != nil {
		t.Fatalf("got %s (%v), output %q; want ok", r.Outcome, r.Err, r.Output)
	}
}

func wantFailure(t testing.TB, r Result, outcome Outcome, text string) {
	t.Helper()
	if r.Outcome != outcome || r.Err == nil || !strings.Contains(r.Err.Error(), text) {
		t.Fatalf("got %s (%v); want %s and an error with %q", r.Outcome, r.Err, outcome, text)
	}
}

func wantNoFiles(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s has %v (%v); want nothing left", dir, entries, err)
	}
}

func TestTypes(t *testing.T) {
	for _, name := range Types() {
		d, err := New(name)
		if err != nil || d.Base().Type != name {
			t.Errorf("New(%q) = %v, %v", name, d, err)
		}
		_, local := d.(Local)
		_, server := d.(Server)
		if local == server {
			t.Errorf("%s: Local %v, Server %v", name, local, server)
		}
	}
	if _, err := New("exce"); err == nil || !strings.Contains(err.Error(), `unknown type "exce"; there are exec, `) {
		t.Errorf("New of an unknown type: %v", err)
	}
}

func TestCommon(t *testing.T) {
	d := ready(t, &Delete{})
	if d.Name != "delete" || d.When != OnMatch || d.ForEach != "message" || time.Duration(d.Timeout) != time.Minute {
		t.Errorf("defaults: %+v", d.Common)
	}
	e := ready(t, &Exec{Command: []string{"true"}})
	if time.Duration(e.Timeout) != 5*time.Minute || e.Stdin != "json" {
		t.Errorf("defaults of exec: %+v", e)
	}
	bad := &Delete{Common{Type: "delete", Name: "a b", When: "sometimes", ForEach: "word", Timeout: setting.Duration(25 * time.Hour)}}
	got := strings.Join(problemsOf(bad), "\n")
	want := `for_each: unknown for_each "word"; give one of message, attachment
name: "a b" is not a name; use up to 100 letters, digits and . _ @ -
timeout: 25h0m0s is not between 1ms and 24h
when: unknown when "sometimes"; give one of match, no_match, always, silence, dead`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	silent := &Delete{Common{Type: "delete", When: OnSilence, ForEach: "attachment"}}
	if got := problemsOf(silent); len(got) != 2 {
		t.Errorf("delete at silence, for each attachment: %v", got)
	}
}
