package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad reads what is no configuration. It must come back with mistakes at
// lines that there are.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join(testdata, "*.toml"))
	for _, file := range append(files, example) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	file := filepath.Join(f.TempDir(), "c.toml")
	f.Fuzz(func(t *testing.T, text string) {
		for _, outside := range []string{"/", "include", ".."} { // no files of this machine
			if strings.Contains(text, outside) {
				return
			}
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, problems := Load(file, Options{CheckSecrets: true, Getenv: func(string) string { return "" }})
		if len(problems) == 0 && c == nil {
			t.Error("neither a configuration nor a mistake")
		}
		lines := strings.Count(text, "\n") + 1
		for _, p := range problems {
			if p.File == "" || p.Line < 0 || p.Line > lines || p.Text == "" {
				t.Errorf("an odd mistake of %d lines: %#v", lines, p)
			}
		}
	})
}

// FuzzLocate compares the scanner with the toml package: what that one accepts,
// this one must find all the keys of.
func FuzzLocate(f *testing.F) {
	f.Add(places)
	f.Add("a.b.c = {d = [1, {e = '''\n'''}]}\n[[x.y]]\n\"k\\u00e9y\" = 1979-05-27 07:32:00\n[x.y.z]")
	f.Fuzz(func(t *testing.T, text string) {
		var values map[string]any
		if len(text) > 1<<16 || tooLong(text) > 0 || decodeTOML("f", text, &values) != nil {
			return
		}
		root, err := locate(text)
		if err == errNested {
			return
		}
		if err != nil {
			t.Fatalf("the toml package reads it, the scanner says %v", err)
		}
		compare(t, "", values, root, strings.Count(text, "\n")+1)
	})
}

// compare checks that every value has a place.
func compare(t *testing.T, path string, value any, at *place, lines int) {
	if at == nil {
		t.Fatalf("%s has no place", path)
	}
	if at.line < 1 || at.line > lines {
		t.Errorf("%s is in line %d of %d", path, at.line, lines)
	}
	switch v := value.(type) {
	case map[string]any:
		for k, below := range v {
			if k == "" { // the toml package loses items of an array under an empty key, which is no key of ours
				continue
			}
			compare(t, path+"."+k, below, at.keys[k], lines)
		}
	case []map[string]any:
		if len(v) != len(at.items) {
			t.Fatalf("%s has %d items, found %d", path, len(v), len(at.items))
		}
		for i := range v {
			compare(t, indexed(path, i), v[i], at.items[i], lines)
		}
	case []any:
		if len(v) != len(at.items) {
			t.Fatalf("%s has %d items, found %d", path, len(v), len(at.items))
		}
		for i := range v {
			compare(t, indexed(path, i), v[i], at.items[i], lines)
		}
	}
}
