package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
	lines := func(rows [][]string) (out []string) {
		for _, row := range rows {
			out = append(out, "| "+strings.Join(row, " | ")+" |")
		}
		return out
	}
	is, should := lines(got), lines(want)
	for _, line := range is {
		if !slices.Contains(should, line) {
			t.Errorf("README.md, %s: this row is not true any more:\n%s", where, line)
		}
	}
	for _, line := range should {
		if !slices.Contains(is, line) {
			t.Errorf("README.md, %s: this row is missing:\n%s", where, line)
		}
	}
	if !t.Failed() && !slices.Equal(is, should) {
		t.Errorf("README.md, %s: the order of the rows is another:\n%s", where, strings.Join(should, "\n"))
	}
}

func code(s string) string { return "`" + s + "`" }
