package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// sections are the tables at the top whose keys are names.
var sections = []string{"connection", "proxy", "smtp", "trigger"}

// A reader puts the configuration's files together.
type reader struct {
	*problems
	files []string // in the order read
}

// read returns the tables of the file at path and of all that it includes, nil
// if one of them cannot be read: what refers to it would only confuse.
func (r *reader) read(path string) *node {
	top := r.file(path)
	if top == nil {
		return nil
	}
	whole := true
	for _, name := range r.included(path, top) {
		if part := r.file(name); part == nil {
			whole = false
		} else {
			r.merge(top, part)
		}
	}
	top.remove("include")
	if !whole {
		return nil
	}
	return top
}

// file reads one file.
func (r *reader) file(path string) *node {
	r.files = append(r.files, path)
	text, err := readFile(path)
	if err != nil {
		r.report(Problem{File: path, Text: err.Error()})
		return nil
	}
	top, mistake := parse(path, text)
	if mistake != nil {
		r.report(*mistake)
		return nil
	}
	return top
}

// included returns the files that the key include names, sorted within each pattern.
func (r *reader) included(path string, top *node) []string {
	include := top.get("include")
	if include == nil {
		return nil
	}
	if include.kind != anArray {
		r.problem(include, `must be an array of strings, not %s: include = ["conf.d/*.toml"]`, include.kind)
		return nil
	}
	var files []string
	for _, item := range include.items {
		pattern := item.text()
		if pattern == "" {
			r.problem(item, "must be the name of a file, or a pattern")
			continue
		}
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(path), pattern)
		}
		found, err := filepath.Glob(pattern)
		switch {
		case err != nil:
			r.problem(item, "%q is not a pattern of file names: %v", item.text(), err)
		case len(found) == 0 && !hasWildcard(pattern):
			r.problem(item, "there is no file %s", pattern)
		}
		for _, f := range found {
			if !slices.Contains(files, f) && !sameFile(f, path) {
				files = append(files, f)
			}
		}
	}
	return files
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// merge adds the tables of an included file. A table that is there already is a
// mistake: which of the two is meant would depend on the order of files.
func (r *reader) merge(top, part *node) {
	for _, key := range part.order {
		child, there := part.keys[key], top.keys[key]
		switch {
		case key == "include":
			r.problem(child, "an included file cannot include others; add them to include in %s", top.file)
		case there == nil:
			top.set(key, child)
		case slices.Contains(sections, key) && child.kind == aTable && there.kind == aTable:
			for _, name := range child.order {
				if first := there.keys[name]; first != nil {
					r.again(child.keys[name], first)
					continue
				}
				there.set(name, child.keys[name])
			}
		default:
			r.again(child, there)
		}
	}
}

// again reports that second is defined already.
func (r *reader) again(second, first *node) {
	r.add(Problem{second.file, second.line, second.path,
		fmt.Sprintf("is defined already in %s:%d; write it once", first.file, first.line)})
}
