package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailtrigger/cmd/mailtriggerd/internal/config"
)

// The README is held to the code: what it shows is what the program does.

// root is the repository, as the tests see it.
const root = "../.."

// readme returns the README's lines.
func readme(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}

// fenced returns the README's blocks of a language, in order.
func fenced(t *testing.T, language string) (blocks []string) {
	t.Helper()
	var block []string
	inside := ""
	for _, line := range readme(t) {
		fence, is := strings.CutPrefix(line, "```")
		switch {
		case is && inside == "":
			inside, block = "```"+fence, nil
		case is:
			if inside == "```"+language {
				blocks = append(blocks, strings.Join(block, "\n")+"\n")
			}
			inside = ""
		case inside != "":
			block = append(block, line)
		}
	}
	if inside != "" {
		t.Errorf("the block %s has no end", inside)
	}
	return blocks
}

// console returns the block that shows a call, without the line of the call.
func console(t *testing.T, call string) string {
	t.Helper()
	for _, block := range fenced(t, "console") {
		if output, found := strings.CutPrefix(block, "$ "+call+"\n"); found {
			return output
		}
	}
	t.Fatalf("README.md shows no output of %q", call)
	return ""
}

// table returns the rows of the table that begins with this head.
func table(t *testing.T, head ...string) (rows [][]string) {
	t.Helper()
	lines := readme(t)
	at := slices.Index(lines, "| "+strings.Join(head, " | ")+" |")
	if at < 0 {
		t.Fatalf("README.md has no table with the head %q", head)
	}
	for _, line := range lines[at+2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00"), "|")
		for i, c := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(c, "\x00", "|"))
		}
		if len(cells) != len(head) {
			t.Errorf("%d cells in a table of %d: %s", len(cells), len(head), line)
			continue
		}
		rows = append(rows, cells)
	}
	return rows
}

// same compares a table's rows with what the code says, in order.
func same(t *testing.T, where string, got, want [][]string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("README.md, %s: missing row\n| %s |", where, strings.Join(want[i], " | "))
		case i >= len(want):
			t.Errorf("README.md, %s: the code has no\n| %s |", where, strings.Join(got[i], " | "))
		case !slices.Equal(got[i], want[i]):
			t.Errorf("README.md, %s: row\n| %s |\nshould be\n| %s |", where, strings.Join(got[i], " | "), strings.Join(want[i], " | "))
		}
	}
}

func code(s string) string { return "`" + s + "`" }

// Every TOML block is a config that loads, or goes with the first one's connection.
func TestReadmeConfigs(t *testing.T) {
	blocks := fenced(t, "toml")
	if len(blocks) < 2 {
		t.Fatalf("%d TOML blocks", len(blocks))
	}
	connection, _, _ := strings.Cut(blocks[0], "[trigger.")
	for i, block := range blocks {
		if !strings.Contains(block, "[connection.") {
			block = connection + block
		}
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, problems := config.Load(path, config.Options{}); len(problems) > 0 {
			t.Errorf("README.md, TOML block %d: %v\n%s", i+1, problems, block)
		}
	}
}

func TestReadmeCalls(t *testing.T) {
	var want [][]string
	for _, d := range flagDocs {
		want = append(want, []string{code(d.call), d.does})
	}
	same(t, "calls", table(t, "Call", "Does"), want)
}

func TestReadmeExitCodes(t *testing.T) {
	var got, want []string
	for _, row := range table(t, "Code", "Meaning") {
		got = append(got, row[0])
	}
	for _, c := range []int{exitOK, exitFailed, exitUsage, exitState, exitRunning, exitConfig} {
		want = append(want, strconv.Itoa(c))
	}
	if !slices.Equal(got, want) {
		t.Errorf("README.md has the exit codes %s; want %s", got, want)
	}
}

// What is not available is what the config package refuses.
func TestReadmeLater(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "internal/config/later.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want [][]string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "later" {
			return true
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			feature := e.(*ast.CompositeLit).Elts
			var row []string
			for _, i := range []int{0, 2} {
				s, err := strconv.Unquote(feature[i].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				row = append(row, s)
			}
			want = append(want, []string{code(row[0]), row[1]})
		}
		return false
	})
	if len(want) == 0 {
		t.Fatal("no table of features in later.go")
	}
	same(t, "not available", table(t, "Key", "What is missing"), want)
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`^#+ (.*)$`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Relative links lead to files of the repository, and to headings that are there.
func TestReadmeLinks(t *testing.T) {
	for _, name := range []string{"README.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, hasAnchor := strings.Cut(m[1], "#")
			if path == "" {
				path = name
			}
			target, err := fs.ReadFile(os.DirFS(root), path)
			if err != nil {
				if info, e := fs.Stat(os.DirFS(root), strings.TrimSuffix(path, "/")); e != nil || !info.IsDir() {
					t.Errorf("%s: the link %s leads nowhere: %v", name, m[1], err)
				}
			}
			if hasAnchor && !slices.Contains(anchors(string(target)), anchor) {
				t.Errorf("%s: %s has no heading for the link %s", name, path, m[1])
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
