package setting

import (
	"strings"
	"testing"
	"time"
)

type table struct {
	Name string
	Wait Duration
	Pass Source
	Tags []string
	Env  map[string]string
	On   *bool
	Any  any
	inner
	made func()
}

type inner struct{ Deep int }

func TestSame(t *testing.T) {
	full := func() *table {
		on := true
		return &table{Name: "n", Wait: Duration(time.Second), Pass: Source{Literal: NewSecret("pw")}, Tags: []string{"a", "b"},
			Env: map[string]string{"A": "1", "B": "2"}, On: &on, Any: &inner{3}, inner: inner{1}, made: func() {}}
	}
	if !Same(full(), full()) {
		t.Error("what is read twice is not the same")
	}
	if text := Canonical(full()); strings.Contains(text, "pw") {
		t.Errorf("the secret is in %s", text)
	}
	for name, change := range map[string]func(*table){
		"string": func(x *table) { x.Name = "m" }, "number": func(x *table) { x.Wait++ },
		"secret": func(x *table) { x.Pass.Literal = NewSecret("other") }, "source": func(x *table) { x.Pass = Source{File: "pw"} },
		"order": func(x *table) { x.Tags = []string{"b", "a"} }, "shorter": func(x *table) { x.Tags = []string{"a"} },
		"joined": func(x *table) { x.Tags = []string{"a,b"} }, "value": func(x *table) { x.Env["B"] = "3" },
		"key": func(x *table) { delete(x.Env, "A") }, "pointer": func(x *table) { *x.On = false }, "absent": func(x *table) { x.On = nil },
		"interface": func(x *table) { x.Any = &inner{4} }, "type": func(x *table) { x.Any = &table{} }, "embedded": func(x *table) { x.Deep = 2 },
	} {
		changed := full()
		if change(changed); Same(full(), changed) {
			t.Errorf("a changed %s is the same", name)
		}
	}
}
