package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"mailtrigger/connection/setting"
)

// A Problem is one mistake in the configuration.
type Problem struct {
	File string
	Line int    // 0: the file as a whole
	Key  string // full path, "connection.office.encryption.ca_file"; "" where no key is meant
	Text string // what is wrong, and what would be right; never a secret
}

// Error returns FILE:LINE: KEY: TEXT.
func (p Problem) Error() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
	}
	if p.Key != "" {
		s += ": " + p.Key
	}
	return s + ": " + p.Text
}

// problems collects mistakes.
type problems struct {
	list    []Problem
	said    map[Problem]bool
	settled map[string]bool // keys that could not be read or resolved: what follows from it need not be said
}

// add adds p, unless it was said, or something else was that makes it pointless.
func (ps *problems) add(p Problem) {
	if ps.said[p] || ps.settled[p.Key] {
		return
	}
	if ps.said == nil {
		ps.said = map[Problem]bool{}
	}
	ps.said[p] = true
	ps.list = append(ps.list, p)
}

// report adds p, the last word on its key.
func (ps *problems) report(p Problem) {
	ps.add(p)
	if p.Key != "" {
		ps.settle(p.Key)
	}
}

// settle marks a key as spoken of.
func (ps *problems) settle(path string) {
	if ps.settled == nil {
		ps.settled = map[string]bool{}
	}
	ps.settled[path] = true
}

// problem reports a mistake at n.
func (ps *problems) problem(n *node, format string, args ...any) {
	ps.report(Problem{n.file, n.line, n.path, fmt.Sprintf(format, args...)})
}

// missing reports that the table n lacks a key.
func (ps *problems) missing(n *node, key, hint string) {
	ps.report(Problem{n.file, n.line, below(n.path, key), "is missing; " + hint})
}

// relative reports what a table's own check found, at the key's place. Where a
// secret is given in another way, that way's key is meant.
func (ps *problems) relative(n *node, found []setting.Problem) {
	for _, p := range found {
		at, rest := n.find(p.Key)
		for _, way := range parts {
			if other := at.keys[rest+string(way)]; rest != "" && other != nil {
				at, rest = other, ""
			}
		}
		ps.add(Problem{at.file, at.line, join(at.path, rest), userinfo.ReplaceAllString(p.Text, "://<secret>@")})
	}
}

// userinfo is the part of a URL that may hold a password. A check that quotes a
// URL written in the wrong place, address = "imaps://me:password@example.com",
// must not show it.
var userinfo = regexp.MustCompile(`://[^/\s"]*@`)

// sorted returns the mistakes in the order of files and lines.
func (ps *problems) sorted(files []string) []Problem {
	slices.SortStableFunc(ps.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)), cmp.Compare(a.Line, b.Line))
	})
	return ps.list
}
