package main

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailtrigger/metrics"
)

// The table of /api/status names each field that it has, and no other.
func TestReadmeStatus(t *testing.T) {
	var documented []string
	for _, row := range table(t, "Field", "Means") {
		prefix := ""
		for _, name := range regexp.MustCompile("`[^`]+`").FindAllString(row[0], -1) {
			name = strings.Trim(name, "`")
			if item, field, nested := strings.Cut(name, "[]."); nested {
				prefix, name = item+"[].", field
			}
			documented = append(documented, prefix+strings.TrimPrefix(name, "."))
		}
	}
	var want []string
	for f := range fields(reflect.TypeFor[metrics.Status]()) {
		if f.Type.Kind() != reflect.Slice {
			want = append(want, jsonName(f))
			continue
		}
		for item := range fields(f.Type.Elem()) {
			want = append(want, jsonName(f)+"[]."+jsonName(item))
		}
	}
	slices.Sort(documented)
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("README.md documents of /api/status\n%s\nit has\n%s", strings.Join(documented, " "), strings.Join(want, " "))
	}
}

// fields yields a struct's fields that JSON has, those of embedded ones too.
func fields(s reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(s) {
			if f.IsExported() && !f.Anonymous && !yield(f) {
				return
			}
		}
	}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
