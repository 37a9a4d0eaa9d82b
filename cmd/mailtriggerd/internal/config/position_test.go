package config

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const places = `# 1
top = 1
[a] # 3
b.c = "x # no comment"
"quoted \"key\"" = '''
one ' two '' three
'''
d = [ # 8
  1, # 9

  {e = 1, f.g = [2]}, # 11
  """
  \"""] # 13 """,
] # 14
'literal' = '''''' # 15
[[a.list]] # 16
n = 1
[a.list.sub] # 18
n = 2
[[a.list]] # 20
n = 3
[[a.list.sub]] # 22
n = 4
[x.y.z] # 24
on = true
[x] # 26
"ends in quotes" = """a""""" # 27
date = 2027-01-01 10:00:00 # 28
last = 0x1F
fold = """a \
  b"""
after = 1 # 32`

func TestLocate(t *testing.T) {
	for _, end := range []string{"\n", "\r\n"} {
		testLocate(t, strings.ReplaceAll(places, "\n", end))
	}
}

func testLocate(t *testing.T, text string) {
	root, err := locate(text)
	if err != nil {
		t.Fatal(err)
	}
	n := build("f", "", decodeMap(t, places), root)
	for path, line := range map[string]int{
		"top": 2, "a": 3, "a.b.c": 4, `a.quoted "key"`: 5, "a.d": 8, "a.d[0]": 9, "a.d[1].e": 11, "a.d[1].f.g[0]": 11, "a.d[2]": 12,
		"a.literal": 15, "a.list[0]": 16, "a.list[0].n": 17, "a.list[0].sub": 18, "a.list[0].sub.n": 19, "a.list[1].n": 21,
		"a.list[1].sub[0].n": 23, "x.y.z.on": 25, "x": 26, "x.ends in quotes": 27, "x.date": 28, "x.last": 29, "x.fold": 30, "x.after": 32,
	} {
		at, rest := n.find(path)
		if rest != "" || at.line != line {
			t.Errorf("%s: line %d, rest %q; want line %d", path, at.line, rest, line)
		}
	}
	if at, _ := n.find("x.date"); at.raw != "2027-01-01 10:00:00" {
		t.Errorf("the date's text is %q", at.raw)
	}
	if at, _ := n.find("a.d[1].f.g[0]"); at.path != "a.d[1].f.g[0]" {
		t.Errorf("the path is %q", at.path)
	}
}

func TestLocateEnds(t *testing.T) {
	for _, text := range []string{"[", "[[", "[[a]", "a", "a=", "a=[", "a={", "a={b", `a="`, `a="""`, `a="\`, `"\u12`, "a=[1", "a={b=1 c=2}", "=", "a.", "[a.]"} {
		if _, err := locate(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	for _, deep := range []string{"a=" + strings.Repeat("[", 40), "a=" + strings.Repeat("{b=", 40), strings.Repeat("a.", 40) + "a=1"} {
		if _, err := locate(deep); err != errNested {
			t.Errorf("%.20q...: %v, want %v", deep, err, errNested)
		}
	}
}

func decodeMap(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if _, err := toml.Decode(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}
