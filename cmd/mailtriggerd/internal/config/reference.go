package config

import (
	"fmt"
	"reflect"
	"strings"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
)

// A Key is one key that the configuration knows.
type Key struct {
	Table   string // "connection.NAME.encryption"; "" is the top; actions have their type: "trigger.NAME.action[] exec"
	Name    string
	Type    string // for people
	Default string // for people, in Markdown; "" if there is none
}

// Keys returns all keys, in the order of the structs that they fill.
func Keys() []Key {
	w := &walker{seen: map[reflect.Type]string{}}
	d := &document{ConnectRate: 200, Log: LogConfig{Format: "text"}, Metrics: MetricsConfig{Listen: "127.0.0.1:9847"}}
	w.table("", reflect.ValueOf(d).Elem())
	return w.keys
}

// Reference returns a table of all keys in Markdown, for manuals to be compared with.
func Reference() string {
	var b strings.Builder
	table := "-"
	for _, k := range Keys() {
		if k.Table != table {
			table = k.Table
			title := "Top of the file"
			if table != "" {
				title = "`[" + table + "]`"
			}
			fmt.Fprintf(&b, "\n### %s\n\n| key | type | default |\n|---|---|---|\n", title)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, k.Type, k.Default)
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// A walker follows structs and notes their keys.
type walker struct {
	keys []Key
	seen map[reflect.Type]string // tables noted, by where
}

// table notes the keys of the struct v, which has its defaults; tables below come after the keys.
func (w *walker) table(path string, v reflect.Value) {
	w.seen[v.Type()] = path
	if inherits(v.Type()) {
		w.keys = append(w.keys, Key{Table: path, Name: "extends", Type: "string"})
	}
	fields := fieldsOf(v.Type())
	for _, f := range fields {
		if f.table() == nil && !f.section() {
			w.keys = append(w.keys, Key{Table: path, Name: f.key, Type: f.describe(), Default: f.value(path+"."+f.key, v.FieldByIndex(f.index))})
		}
	}
	for _, f := range fields {
		at := below(path, f.key)
		switch {
		case f.typ == reflect.SliceOf(definitionType):
			w.actions(at + "[]")
		case f.section():
			w.section(at, f.typ.Elem().Elem())
		case f.table() == v.Type(): // conditions in conditions have the same keys
			w.keys = append(w.keys, Key{Table: path, Name: f.key, Type: "array of tables like this one"})
		case f.table() != nil && f.typ.Kind() == reflect.Slice:
			w.table(at+"[]", reflect.New(f.table()).Elem())
		case f.table() != nil && w.seen[f.table()] != "":
			w.keys = append(w.keys, Key{Table: path, Name: f.key, Type: "table like `[" + w.seen[f.table()] + "]`"})
		case f.table() != nil:
			w.table(at, v.FieldByIndex(f.index))
		}
	}
}

// section reports whether the field is tables with names, or of several types.
func (f field) section() bool {
	return f.typ.Kind() == reflect.Map && f.typ.Elem().Kind() == reflect.Pointer || f.typ == reflect.SliceOf(definitionType)
}

// section notes the keys of tables that have names.
func (w *walker) section(path string, t reflect.Type) {
	if like := w.seen[t]; like != "" {
		w.keys = append(w.keys, Key{Name: path + ".NAME", Type: "table like `[" + like + "]`"})
		return
	}
	table := reflect.New(t)
	if d, ok := table.Interface().(interface{ SetDefaults() }); ok {
		d.SetDefaults()
	}
	w.table(path+".NAME", table.Elem())
}

// actions notes the keys of each type of action.
func (w *walker) actions(path string) {
	for _, typ := range action.Types() {
		def, err := action.New(typ)
		if err != nil {
			continue
		}
		def.SetDefaults()
		w.table(path+" "+typ, reflect.ValueOf(def).Elem())
	}
}

// describe returns the field's type for people.
func (f field) describe() string {
	switch {
	case f.typ == sourceType && f.part == command:
		return "array of strings"
	case f.typ == sourceType && f.part == literal:
		return "string (secret)"
	case f.typ == sourceType:
		return "string"
	case f.typ == reflect.TypeFor[setting.Duration]():
		return "duration"
	case f.typ == reflect.TypeFor[setting.Size]():
		return "size"
	}
	t := f.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case reflect.PointerTo(t).Implements(textType) && t.Kind() == reflect.Struct:
		return "string or number"
	case reflect.PointerTo(t).Implements(textType):
		return "string"
	case f.scalar:
		return "string or array of strings"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "array of strings"
	case reflect.Map:
		return "table of strings"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Float64:
		return "number"
	}
	return "whole number"
}

// said are the defaults that depend on something, by the end of the key's path.
var said = []struct{ end, text string }{
	{".address", ""}, // a preset's
	{".port", "by the encryption, or the proxy's type"},
	{".encryption.mode", `"implicit"; on port 143 "explicit"`},
	{".use_credentials", "true if username is set"},
	{".recheck_interval", "idle_refresh"},
	{".enabled", "`true`"},
	{".ordered", "`true`"},
	{"trigger.NAME.code_page", "the connection's"},
	{".code_page", "`1252`"},
	{"state_dir", "`$STATE_DIRECTORY`, else `$XDG_STATE_HOME/mailtriggerd`, else `~/.local/state/mailtriggerd`"},
	{"control", "`$RUNTIME_DIRECTORY/control.sock`, else `control.sock` in state_dir"},
	{"log.level", "`\"info\"`"},
	{".code_page_mode", "`\"fallback\"`"},
	{" exec.name", "the type"},
}

// value returns a field's default for people, "" if it has none.
func (f field) value(path string, v reflect.Value) string {
	for _, s := range said {
		if strings.HasSuffix("."+path, s.end) {
			return s.text
		}
	}
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if f.typ == sourceType || v.Kind() != reflect.Bool && v.IsZero() || v.Kind() == reflect.Pointer {
		return ""
	}
	switch x := v.Interface().(type) {
	case setting.Duration:
		short := strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(x.String())
		return "`\"" + short + "\"`"
	case fmt.Stringer:
		return "`\"" + x.String() + "\"`"
	}
	switch v.Kind() {
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, fmt.Sprintf("%q", v.Index(i)))
		}
		return "`[" + strings.Join(items, ", ") + "]`"
	case reflect.String:
		return fmt.Sprintf("`%q`", v.String())
	case reflect.Struct, reflect.Map:
		return ""
	}
	return fmt.Sprintf("`%v`", v.Interface())
}
