package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A build is one package being built.
type build struct {
	root    string // of the repository
	arch    string // Debian's name
	version string // of the program, as --version prints it
	time    time.Time
	level   int // of compression
}

// prepare finds the repository, the version and the time.
func (b *build) prepare() error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	b.root = strings.TrimSpace(string(out))
	if _, known := architectures[b.arch]; !known {
		return fmt.Errorf("unknown architecture %q", b.arch)
	}
	commit := b.git("log", "-1", "--format=%ct %h", "--abbrev=12")
	seconds, id, _ := strings.Cut(commit, " ")
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds = epoch
	}
	b.time = time.Now()
	if seconds != "" {
		n, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return fmt.Errorf("the time of the commit, or SOURCE_DATE_EPOCH: %w", err)
		}
		b.time = time.Unix(n, 0)
	}
	b.time = b.time.UTC().Truncate(time.Second)
	if b.version != "" {
		return nil
	}
	changes, err := os.ReadFile(filepath.Join(b.root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	b.version = versionOf(string(changes), b.time, id)
	return nil
}

// git returns what git prints; nothing where this is no clone.
func (b *build) git(args ...string) string {
	cmd := exec.Command("git", args...)
	cmd.Dir = b.root
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(out))
}

var release = regexp.MustCompile(`(?m)^## \[?(Unreleased|\d+\.\d+\.\d+)\]?`)

// versionOf returns the version by the changelog: that of its first release, and what
// has come since if an unreleased part stands above it.
func versionOf(changelog string, at time.Time, commit string) string {
	version, unreleased := "0.0.0", false
	for _, m := range release.FindAllStringSubmatch(changelog, -1) {
		if m[1] != "Unreleased" {
			version = m[1]
			break
		}
		unreleased = true
	}
	if unreleased {
		version += "+" + at.Format("20060102150405")
		if commit != "" {
			version += "." + commit
		}
	}
	return version
}

// debVersion is the version of the package: the program's, and the package's own revision.
func (b *build) debVersion() string { return b.version + "-1" }
