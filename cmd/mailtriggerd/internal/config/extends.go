package config

import (
	"reflect"
	"slices"
	"strings"

	"mailtrigger/connection"
	"mailtrigger/trigger"
)

// inherits reports whether the table of t knows the key extends.
func inherits(t reflect.Type) bool {
	return t == reflect.TypeFor[connection.Config]() || t == reflect.TypeFor[trigger.Config]()
}

// extend gives each table of a section the keys of the table it extends, before
// anything is decoded, so that a key given twice is no clash. It returns the
// names that others extend, and those that could not be completed: their lack of
// keys need not be a mistake.
func (ps *problems) extend(section *node) (bases map[string]bool) {
	bases = map[string]bool{}
	if section == nil || section.kind != aTable {
		return bases
	}
	done := map[string]bool{}
	for _, name := range section.order {
		ps.extendOne(section, name, nil, done, bases)
	}
	return bases
}

// extendOne completes the table name after the tables that it extends. way holds the names
// on the way here.
func (ps *problems) extendOne(section *node, name string, way []string, done, bases map[string]bool) {
	table := section.keys[name]
	if done[name] || table.kind != aTable {
		return
	}
	done[name] = true
	extends := table.get("extends")
	if extends == nil {
		return
	}
	table.remove("extends")
	base := extends.text()
	if base == "" {
		bases[name] = true
		if extends.kind != aString {
			ps.problem(extends, "must be the name of a %s, not %s", section.path, extends.kind)
		}
		return
	}
	way = append(way, name)
	switch target := section.keys[base]; {
	case slices.Contains(way, base):
		bases[name] = true
		ps.problem(extends, "goes in a circle: %s", strings.Join(append(way, base), " -> "))
	case target == nil:
		bases[name] = true
		ps.problem(extends, "unknown %s %q%s", section.path, base, suggest(base, without(section.order, name)))
	default:
		ps.extendOne(section, base, way, done, bases)
		bases[base] = true
		inherit(table, section.keys[base])
	}
}

// inherit gives the table to the keys of the table from that it lacks. Tables are
// merged, all else is taken whole. The keys keep the place where they are written.
func inherit(to, from *node) {
	if from.kind != aTable {
		return
	}
	for _, key := range from.order {
		theirs, own := from.keys[key], to.keys[key]
		switch {
		case own == nil && givenOtherwise(to, key):
		case own == nil && theirs.kind == aTable:
			own = &node{file: to.file, line: to.line, path: below(to.path, key), kind: aTable, keys: map[string]*node{}}
			to.set(key, own)
			inherit(own, theirs)
		case own == nil:
			to.set(key, theirs.clone())
		case own.kind == aTable && theirs.kind == aTable:
			inherit(own, theirs)
		}
	}
}

// clone copies n and what is below it.
func (n *node) clone() *node {
	c := *n
	c.order, c.items, c.keys = slices.Clone(n.order), nil, nil
	if n.keys != nil {
		c.keys = make(map[string]*node, len(n.keys))
	}
	for k, child := range n.keys {
		c.keys[k] = child.clone()
	}
	for _, item := range n.items {
		c.items = append(c.items, item.clone())
	}
	return &c
}

// givenOtherwise reports whether key is one way to give a secret and the table
// gives the secret another way: password over an inherited password_file.
func givenOtherwise(table *node, key string) bool {
	for _, secret := range []string{"password", "client_secret"} {
		rest, found := strings.CutPrefix(key, secret)
		if !found || !slices.Contains(parts, part(rest)) {
			continue
		}
		for _, p := range parts {
			if table.keys[secret+string(p)] != nil {
				return true
			}
		}
	}
	return false
}

// without returns names without one.
func without(names []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == one })
}
