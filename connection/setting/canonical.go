package setting

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Same reports whether two settings say the same: their exported fields are equal,
// through pointers, slices, maps and interfaces. What is made of them for running
// (unexported fields) does not count, so that settings read twice from one file are
// the same. What a setting takes over from another table must be in an exported
// field for that.
func Same(a, b any) bool { return canonical(a, Secret.Reveal) == canonical(b, Secret.Reveal) }

// Canonical writes settings down in a form that is equal for settings that are the
// Same, but for the values of secrets, which it leaves out. What has its zero value
// is left out too, so that a key that a later version adds changes nothing.
func Canonical(v any) string { return canonical(v, Secret.String) }

func canonical(v any, secret func(Secret) string) string {
	w := &canonicalWriter{secret: secret}
	w.write(reflect.ValueOf(v))
	return w.String()
}

var marshaler = reflect.TypeFor[encoding.TextMarshaler]()

type canonicalWriter struct {
	strings.Builder
	secret func(Secret) string
}

func (w *canonicalWriter) write(v reflect.Value) {
	// Nothing else is looked at as a whole: a setting may hold what changes as it runs.
	if v.Kind() == reflect.Struct && v.CanInterface() && v.Type().Implements(marshaler) {
		switch x := v.Interface().(type) {
		case Secret:
			fmt.Fprintf(w, "%q", w.secret(x))
		case encoding.TextMarshaler: // such as a time or a code page
			text, err := x.MarshalText()
			fmt.Fprintf(w, "%q%v", text, err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Invalid:
		w.WriteString("nil")
	case reflect.Pointer, reflect.Interface:
		if v.Kind() == reflect.Interface && !v.IsNil() {
			w.WriteString(v.Elem().Type().String())
		}
		w.write(v.Elem())
	case reflect.Struct:
		w.fields(v)
	case reflect.Slice, reflect.Array:
		w.WriteByte('[')
		for i := range v.Len() {
			w.write(v.Index(i))
			w.WriteByte(',')
		}
		w.WriteByte(']')
	case reflect.Map:
		w.entries(v)
	default:
		fmt.Fprintf(w, "%#v", v)
	}
}

// fields writes a struct's exported fields that are set; those of embedded structs too.
func (w *canonicalWriter) fields(v reflect.Value) {
	w.WriteByte('{')
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() && !f.Anonymous || v.Field(i).IsZero() {
			continue
		}
		w.WriteString(f.Name)
		w.WriteByte('=')
		w.write(v.Field(i))
		w.WriteByte(';')
	}
	w.WriteByte('}')
}

// entries writes a map's entries in the order of their keys.
func (w *canonicalWriter) entries(v reflect.Value) {
	lines := make([]string, 0, v.Len())
	for key, value := range v.Seq2() {
		e := &canonicalWriter{secret: w.secret}
		e.write(key)
		e.WriteByte('=')
		e.write(value)
		lines = append(lines, e.String())
	}
	slices.Sort(lines)
	fmt.Fprintf(w, "%q", lines)
}
