package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`^#+ (.*)$`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Relative links lead to files of the repository, and to headings that are there.
func TestReadmeLinks(t *testing.T) {
	for _, name := range []string{"README.md", "CHANGELOG.md", "cmd/mailtriggerd/TROUBLESHOOTING.md", "metrics/operations.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to, anchor, hasAnchor := strings.Cut(m[1], "#")
			file := path.Join(path.Dir(name), to)
			if to == "" {
				file = name
			}
			target, err := fs.ReadFile(os.DirFS(root), file)
			if err != nil {
				if info, e := fs.Stat(os.DirFS(root), strings.TrimSuffix(file, "/")); e != nil || !info.IsDir() {
					t.Errorf("%s: the link %s leads nowhere: %v", name, m[1], err)
				}
			}
			if hasAnchor && !slices.Contains(anchors(string(target)), anchor) {
				t.Errorf("%s: %s has no heading for the link %s", name, file, m[1])
			}
		}
	}
}

// anchors returns the names by which a Markdown file's headings are linked.
func anchors(text string) (names []string) {
	for line := range strings.Lines(text) {
		if m := heading.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			names = append(names, strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
		}
	}
	return names
}
