package config

import (
	"fmt"
	"slices"
	"strings"
)

// A feature is something that the configuration can already name and this
// version cannot do. Saying so is better than calling the key unknown, and far
// better than ignoring it.
type feature struct {
	path string           // where: "*" is any key, "[]" any item of an array
	when func(*node) bool // which values; nil: all
	what string
}

// later is all that this version cannot do. A line goes when its feature comes.
var later = []feature{
	{"trigger.*.action[].when", oneOf("silence", "dead"), "actions at silence and dead letters"},
	{"trigger.*.expect", nil, "expected mail"},
}

func oneOf(values ...string) func(*node) bool {
	return func(n *node) bool {
		for _, v := range values {
			if n.text() == v {
				return true
			}
		}
		return false
	}
}

// postpone reports what this version cannot do, and takes it out of top, so that
// nothing else is said of it.
func (ps *problems) postpone(top *node) {
	for _, f := range later {
		ps.strike(top, f.path, f)
	}
}

// essential are the keys without which an action says nothing.
var essential = []string{"type"}

// strike follows path from n and reports whether n itself goes.
func (ps *problems) strike(n *node, path string, f feature) bool {
	if path == "" {
		if f.when != nil && !f.when(n) {
			return false
		}
		value := ""
		if n.kind == aString && f.when != nil {
			value = fmt.Sprintf("%q is ", n.text())
		}
		ps.problem(n, "%snot available in this version (%s)", value, f.what)
		return true
	}
	if rest, found := strings.CutPrefix(path, "[]"); found {
		kept := n.items[:0:0]
		for _, item := range n.items {
			if !ps.strike(item, strings.TrimPrefix(rest, "."), f) {
				kept = append(kept, item)
			}
		}
		gone := len(kept) < len(n.items) && len(kept) == 0
		n.items = kept
		return gone && rest == "" // the default of an array is not meant where all its items go
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	key, rest := path[:end], strings.TrimPrefix(path[end:], ".")
	for _, k := range slices.Clone(n.order) {
		if key != "*" && key != k || !ps.strike(n.keys[k], rest, f) {
			continue
		}
		n.remove(k)
		if slices.Contains(essential, k) {
			return true
		}
	}
	return false
}
