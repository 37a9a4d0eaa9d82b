package main

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest/rigtest"
)

func TestVersion(t *testing.T) {
	at := time.Date(2026, 1, 5, 9, 30, 0, 0, time.UTC)
	for changelog, want := range map[string]string{
		"# Changelog\n\n## [Unreleased]\n\n- a\n":                         "0.0.0+20260105093000.abc",
		"## [Unreleased]\n\n## [1.2.3] - 2026-01-01\n\n## [1.2.2] - 2025": "1.2.3+20260105093000.abc",
		"## [1.2.3] - 2026-01-01\n\n## [1.2.2] - 2025-01-01\n":            "1.2.3",
	} {
		if got := versionOf(changelog, at, "abc"); got != want {
			t.Errorf("%q: %s, want %s", changelog, got, want)
		}
	}
}

// A build from between two releases is newer than the first and older than the second.
func TestVersionOrder(t *testing.T) {
	dpkg := rigtest.Tool(t, "dpkg", "dpkg")
	at := time.Date(2026, 1, 5, 9, 30, 0, 0, time.UTC)
	ordered := []string{
		versionOf("## [Unreleased]", at, "fff"),
		"0.1.0",
		versionOf("## [Unreleased]\n## [0.1.0]", at, "fff"),
		versionOf("## [Unreleased]\n## [0.1.0]", at.Add(time.Second), "000"),
		"0.1.1",
	}
	for i, later := range ordered[1:] {
		if err := exec.Command(dpkg, "--compare-versions", ordered[i]+"-1", "lt", later+"-1").Run(); err != nil {
			t.Errorf("%s is not older than %s", ordered[i], later)
		}
	}
}

// The README names the architectures.
func TestReadmeArchitectures(t *testing.T) {
	b, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join(slices.Sorted(maps.Keys(architectures)), ", ")
	if !strings.Contains(strings.Join(strings.Fields(string(b)), " "), want+".") {
		t.Errorf("README.md does not name %s", want)
	}
}

func TestRelink(t *testing.T) {
	page := "[a](../../README.md#calls) [b](#here) [c](https://example.com/README.md) [d](../../go.mod) [e](../../systemd/actions.conf.example)"
	want := "[a](README.md#calls) [b](#here) [c](https://example.com/README.md) [d](../../go.mod) [e](examples/actions.conf)"
	if got := string(relink([]byte(page), "cmd/mailtriggerd/TROUBLESHOOTING.md")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
