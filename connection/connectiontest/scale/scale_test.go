package main

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if playRole() {
		return
	}
	os.Exit(m.Run())
}

// A tiny form of the whole, so that it does not rot. Its figures mean nothing.
func TestScale(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the daemon")
	}
	if !canMeasure() {
		t.Skip("no /proc here")
	}
	binary, err := build(t.Context(), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	h, err := newHarness(tiny, binary, &out)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if err := h.all("action", "backlog", "sessions"); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Log(&out)
	for _, what := range []string{"Push to process start, p50", "Backlog of", "Peak memory", "Memory a parked session", "A scrape", "CPU of", "to all", "a mail of"} {
		if !strings.Contains(out.String(), what) {
			t.Errorf("there is no row %q", what)
		}
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	tab := &table{w: &out}
	tab.add(row{what: "too slow", value: 1.3, unit: "x", bar: 1.2})
	tab.add(row{what: "fast enough", value: 0.8, unit: "x", bar: 0.7, least: true})
	tab.add(row{what: "too slow again", value: 0.6, unit: "x", bar: 0.7, least: true})
	tab.add(row{what: "just so", value: 5, unit: "s"})
	for i, want := range []string{"| **short** |", "| holds |", "| **short** |", "| measured |  |"} {
		line := strings.Split(out.String(), "\n")[2+i]
		if !strings.HasSuffix(line, want) {
			t.Errorf("%s\nwant the end %s", line, want)
		}
	}
	if tab.short != 2 {
		t.Errorf("%d rows fall short; want 2", tab.short)
	}
}
