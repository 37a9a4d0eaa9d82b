package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A node is one value of the configuration with its place: a table, an array or
// a scalar. Tables merged by extends and include have keys of several origins,
// so each node knows its own file, line and path.
type node struct {
	file string
	line int
	path string // as it would be written: trigger.invoices.condition[0].is

	kind  kind
	value any              // of a scalar: string, int64, float64, bool or time.Time
	raw   string           // of a scalar that is no string: its text
	keys  map[string]*node // of a table
	order []string         // the keys as they come
	items []*node          // of an array
}

// kind is what a node is.
type kind uint8

const (
	aTable kind = iota
	anArray
	aString
	anInteger
	aFloat
	aBoolean
	aDate
)

// String returns the kind with its article, for people.
func (k kind) String() string {
	return [...]string{"a table", "an array", "a string", "an integer", "a decimal number", "a boolean", "a date or time"}[k]
}

// build makes nodes of a decoded value and its place.
func build(file, path string, value any, at *place) *node {
	n := &node{file: file, line: at.line, path: path, raw: at.raw, value: value}
	switch v := value.(type) {
	case map[string]any:
		n.kind, n.value, n.keys = aTable, nil, make(map[string]*node, len(v))
		for _, k := range at.order {
			if child, found := v[k]; found {
				n.set(k, build(file, below(path, k), child, at.keys[k]))
			}
		}
		for _, k := range slices.Sorted(maps.Keys(v)) { // nothing is lost, should the scanner not know it
			if n.keys[k] == nil {
				n.set(k, build(file, below(path, k), v[k], &place{line: at.line}))
			}
		}
	case []map[string]any:
		n.kind, n.value = anArray, nil
		for i, item := range v {
			n.items = append(n.items, build(file, indexed(path, i), item, at.item(i)))
		}
	case []any:
		n.kind, n.value = anArray, nil
		for i, item := range v {
			n.items = append(n.items, build(file, indexed(path, i), item, at.item(i)))
		}
	case string:
		n.kind = aString
	case int64:
		n.kind = anInteger
	case float64:
		n.kind = aFloat
	case bool:
		n.kind = aBoolean
	case time.Time:
		n.kind = aDate
	}
	return n
}

// item returns the place of an array's item.
func (p *place) item(i int) *place {
	if i < len(p.items) {
		return p.items[i]
	}
	return p
}

// set puts child under key, after the keys there are.
func (n *node) set(key string, child *node) {
	if _, found := n.keys[key]; !found {
		n.order = append(n.order, key)
	}
	n.keys[key] = child
}

// remove takes key away.
func (n *node) remove(key string) {
	if _, found := n.keys[key]; !found {
		return
	}
	delete(n.keys, key)
	kept := n.order[:0:0]
	for _, k := range n.order {
		if k != key {
			kept = append(kept, k)
		}
	}
	n.order = kept
}

// get returns the node below n at a path of keys, nil if there is none.
func (n *node) get(keys ...string) *node {
	for _, k := range keys {
		if n == nil {
			return nil
		}
		n = n.keys[k]
	}
	return n
}

// text returns the string that n is, "" if it is none.
func (n *node) text() string {
	if n == nil {
		return ""
	}
	s, _ := n.value.(string)
	return s
}

// find follows a relative path ("encryption.ca_file", "condition[1].is") and
// returns the node there; or, where the path ends early, the deepest on the way,
// and what of the path is left.
func (n *node) find(path string) (*node, string) {
	for path != "" {
		if path[0] == '[' {
			i := 0
			end := strings.IndexByte(path, ']')
			if _, err := fmt.Sscanf(path, "[%d]", &i); err != nil || end < 0 || i < 0 || i >= len(n.items) {
				return n, path
			}
			n, path = n.items[i], strings.TrimPrefix(path[end+1:], ".")
			continue
		}
		key := ""
		for k := range n.keys { // the longest that fits: keys may have dots in them
			rest, ok := strings.CutPrefix(path, k)
			if ok && len(k) > len(key) && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				key = k
			}
		}
		if key == "" {
			return n, path
		}
		n, path = n.keys[key], strings.TrimPrefix(path[len(key):], ".")
	}
	return n, ""
}

// below returns the path of a key in the table at path.
func below(path, key string) string {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r > 126 || !isBare(byte(r)) }) {
		key = fmt.Sprintf("%q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// indexed returns the path of an item in the array at path.
func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// join returns the path of what is left of a relative path below path.
func join(path, rest string) string {
	if rest == "" || path == "" || rest[0] == '[' {
		return path + rest
	}
	return path + "." + rest
}
