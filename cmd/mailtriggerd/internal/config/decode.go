package config

import (
	"encoding"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
)

// A decoder fills structs from nodes. It goes on after a mistake, and leaves
// what was wrong at its zero value. No value is ever quoted here: any of them
// may be a secret under a wrong key.
type decoder struct {
	*problems
	base    string // the directory of relative paths
	top     *node  // the whole configuration, for references
	secrets []secret
}

// table decodes the table n into the struct v.
func (d *decoder) table(n *node, v reflect.Value) {
	if n.kind != aTable {
		d.problem(n, "must be a table, not %s", n.kind)
		return
	}
	t := v.Type()
	for _, key := range n.order {
		child := n.keys[key]
		f, known := fieldOf(t, key)
		if !known {
			meant, hint := suggestKey(t, key)
			d.problem(child, "unknown key %q%s", key, hint)
			if meant != "" {
				d.settle(join(n.path, meant))
			}
			if strings.HasSuffix(n.path, "]") {
				d.settle(n.path) // a condition without operator, say
			}
			continue
		}
		if f.ref && child.kind == aString {
			if child = d.refer(child, f.key); child == nil {
				continue
			}
			n.keys[key] = child
		}
		d.field(child, f, v.FieldByIndex(f.index))
	}
}

// refer returns the table [what.NAME] that n names.
func (d *decoder) refer(n *node, what string) *node {
	tables := d.top.get(what)
	if target := tables.get(n.text()); target != nil {
		return target
	}
	var known []string
	if tables != nil {
		known = tables.order
	}
	d.problem(n, "unknown %s %q%s", what, n.text(), suggest(n.text(), known))
	return nil
}

// field decodes n into v, which is the field f.
func (d *decoder) field(n *node, f field, v reflect.Value) {
	switch {
	case f.typ == sourceType:
		d.source(n, f, v.Addr().Interface().(*setting.Source))
	case f.typ.Kind() == reflect.Slice && f.typ.Elem() == definitionType:
		d.actions(n, v)
	default:
		d.value(n, f, v)
	}
}

// value decodes n into v by v's type.
func (d *decoder) value(n *node, f field, v reflect.Value) {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.unmarshal(n, u)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, f, v.Elem())
	case reflect.Struct:
		d.table(n, v)
	case reflect.Slice:
		d.slice(n, f, v)
	case reflect.Map:
		d.free(n, f, v)
	case reflect.String:
		d.str(n, f, v)
	case reflect.Bool:
		if b, ok := n.value.(bool); ok {
			v.SetBool(b)
			return
		}
		d.problem(n, "must be true or false, not %s", n.kind)
	case reflect.Int, reflect.Int64, reflect.Uint32:
		d.integer(n, v)
	case reflect.Float64:
		switch x := n.value.(type) {
		case float64:
			v.SetFloat(x)
		case int64:
			v.SetFloat(float64(x))
		default:
			d.problem(n, "must be a number, not %s", n.kind)
		}
	default:
		panic(fmt.Sprintf("config: key %s has a type that cannot be decoded: %s", n.path, v.Type()))
	}
}

// integer decodes a whole number.
func (d *decoder) integer(n *node, v reflect.Value) {
	i, ok := n.value.(int64)
	switch {
	case n.kind == aString:
		d.problem(n, "must be a whole number, not a string; write it without quotes")
	case !ok:
		d.problem(n, "must be a whole number, not %s", n.kind)
	case v.CanInt() && !v.OverflowInt(i):
		v.SetInt(i)
	case v.CanUint() && i >= 0 && !v.OverflowUint(uint64(i)):
		v.SetUint(uint64(i))
	default:
		d.problem(n, "is out of range")
	}
}

// unmarshal decodes a type that reads text: from a string or a number.
func (d *decoder) unmarshal(n *node, u encoding.TextUnmarshaler) {
	text, ok := n.scalar()
	if !ok || n.kind == aBoolean || n.kind == aDate {
		d.problem(n, "must be a string or a number, not %s", n.kind)
		return
	}
	if err := u.UnmarshalText([]byte(text)); err != nil {
		d.problem(n, "%v", err)
	}
}

// scalar returns the text of a scalar.
func (n *node) scalar() (string, bool) {
	switch v := n.value.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strings.ReplaceAll(n.raw, "_", ""), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return n.raw, n.kind == aDate
}

// str decodes a string.
func (d *decoder) str(n *node, f field, v reflect.Value) {
	text, ok := n.scalar()
	if !ok || n.kind != aString && !f.text && !f.scalar {
		hint := ""
		if ok {
			hint = "; write it in quotes"
		}
		d.problem(n, "must be a string, not %s%s", n.kind, hint)
		return
	}
	if f.path {
		text = d.absolute(text)
	}
	if f.key == "url" {
		d.secrets = append(d.secrets, secret{n, f})
	}
	v.SetString(text)
}

// absolute returns path, relative to the configuration file's directory if it is relative.
func (d *decoder) absolute(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(d.base, path)
}

// slice decodes an array, or with the option scalar one item that stands for it.
func (d *decoder) slice(n *node, f field, v reflect.Value) {
	items := n.items
	element := v.Type().Elem()
	if n.kind != anArray {
		switch _, ok := n.scalar(); {
		case f.scalar && ok:
			items = []*node{n}
		case f.table() != nil:
			d.problem(n, "must be an array of tables, not %s; write [[%s]]", n.kind, n.path)
			return
		case f.scalar:
			d.problem(n, "must be a string or an array of strings, not %s", n.kind)
			return
		default:
			d.problem(n, `must be an array of strings, not %s: %s = ["...", "..."]`, n.kind, f.key)
			return
		}
	}
	s := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if element.Kind() == reflect.Struct && !reflect.PointerTo(element).Implements(textType) {
			d.table(item, s.Index(i))
			continue
		}
		d.value(item, f, s.Index(i))
	}
	v.Set(s)
}

// free decodes a table whose keys are the user's.
func (d *decoder) free(n *node, f field, v reflect.Value) {
	if n.kind != aTable {
		d.problem(n, "must be a table, not %s", n.kind)
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.order))
	for _, key := range n.order {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(n.keys[key], f, e)
		m.SetMapIndex(reflect.ValueOf(key), e)
		if f.key == "headers" {
			d.secrets = append(d.secrets, secret{n.keys[key], f})
		}
	}
	v.Set(m)
}

// source decodes one of the keys of a secret.
func (d *decoder) source(n *node, f field, s *setting.Source) {
	if f.part == command {
		d.value(n, field{key: f.key, typ: reflect.TypeFor[[]string]()}, reflect.ValueOf(&s.Command).Elem())
		return
	}
	if n.kind != aString {
		d.problem(n, "must be a string, not %s", n.kind)
		return
	}
	text := n.text()
	switch {
	case text == "" && f.blank:
		return
	case text == "":
		d.problem(n, "is empty; leave the key out, or give the value")
		return
	}
	d.secrets = append(d.secrets, secret{n, f})
	switch f.part {
	case literal:
		s.Literal = setting.NewSecret(text)
	case fromFile:
		s.File = d.absolute(text)
	case fromEnv:
		s.Env = text
	case credential:
		s.Credential = text
	}
}

// actions decodes an array of tables whose struct is chosen by the key "type".
func (d *decoder) actions(n *node, v reflect.Value) {
	if n.kind != anArray {
		d.problem(n, "must be an array of tables, not %s; write [[%s]]", n.kind, n.path)
		return
	}
	var good []*node // those that stay have the same index in both
	for _, item := range n.items {
		if def := d.action(item); def != nil {
			v.Set(reflect.Append(v, reflect.ValueOf(def)))
			good = append(good, item)
		}
	}
	if len(good) < len(n.items) {
		d.settle(n.path)
	}
	n.items = good
}

// action decodes one action, and returns nil where its type is not known.
func (d *decoder) action(n *node) action.Definition {
	if n.kind != aTable {
		d.problem(n, "must be a table, not %s", n.kind)
		return nil
	}
	typ := n.get("type")
	switch {
	case typ == nil:
		d.missing(n, "type", `it says what the action does: type = "exec"`)
		return nil
	case typ.kind != aString:
		d.problem(typ, "must be a string, not %s", typ.kind)
		return nil
	}
	def, err := action.New(typ.text())
	if err != nil {
		d.problem(typ, "unknown action type %q%s", typ.text(), suggest(typ.text(), action.Types()))
		return nil
	}
	d.table(n, reflect.ValueOf(def).Elem())
	return def
}
