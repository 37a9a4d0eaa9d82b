package config

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"sync"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
)

// A field is one key that a table knows, or the keys of one secret.
type field struct {
	key    string
	index  []int // of the struct's field, as reflect.Value.FieldByIndex takes it
	typ    reflect.Type
	scalar bool // a slice of strings that may be one scalar
	text   bool // a string that may be written as a number, boolean or date
	ref    bool // a table that may be the name of one at the top
	path   bool // relative paths are relative to the configuration file
	part   part // of a setting.Source: which way this key is
	blank  bool // a setting.Source where an empty string is as good as no key
}

// part is one of the ways of a setting.Source.
type part string

const (
	literal    part = ""
	fromFile   part = "_file"
	fromEnv    part = "_env"
	credential part = "_credential"
	command    part = "_command"
)

var parts = []part{literal, fromFile, fromEnv, credential, command}

var (
	sourceType     = reflect.TypeFor[setting.Source]()
	definitionType = reflect.TypeFor[action.Definition]()
	textType       = reflect.TypeFor[encoding.TextUnmarshaler]()
)

var fieldCache sync.Map // reflect.Type -> []field

// fieldsOf returns the keys of a table by the toml tags of its struct, in the
// struct's order. Embedded structs are part of the table; a setting.Source is
// one key for each way to give the secret. The options of a tag:
//
//	scalar     a slice of strings may be given as one scalar
//	text       a string may be given as a number, boolean or date
//	ref        a table may be given as the name of a table [KEY.NAME]
//	path       a relative path is relative to the configuration file
//	nocommand  a setting.Source without NAME_command
//	noliteral  a setting.Source without NAME itself
//	optional   a setting.Source that works without: an empty string leaves it out
func fieldsOf(t reflect.Type) []field {
	if f, found := fieldCache.Load(t); found {
		return f.([]field)
	}
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		key, options, _ := strings.Cut(sf.Tag.Get("toml"), ",")
		if sf.Anonymous && key == "" && sf.Type.Kind() == reflect.Struct {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				fields = append(fields, f)
			}
			continue
		}
		if key == "" || key == "-" || !sf.IsExported() {
			continue
		}
		has := func(o string) bool { return slices.Contains(strings.Split(options, ","), o) }
		f := field{key: key, index: []int{i}, typ: sf.Type, scalar: has("scalar"), text: has("text"), ref: has("ref"), path: has("path")}
		if sf.Type != sourceType {
			fields = append(fields, f)
			continue
		}
		for _, p := range parts {
			if p == command && has("nocommand") || p == literal && has("noliteral") {
				continue
			}
			f.key, f.part, f.path, f.blank = key+string(p), p, p == fromFile, has("optional")
			fields = append(fields, f)
		}
	}
	fieldCache.Store(t, fields)
	return fields
}

// fieldOf returns the field of a key.
func fieldOf(t reflect.Type, key string) (field, bool) {
	for _, f := range fieldsOf(t) {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

// table returns the struct of the table that a field is, or each item of it; nil if it is none.
func (f field) table() reflect.Type {
	t := f.typ
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == sourceType || reflect.PointerTo(t).Implements(textType) {
		return nil
	}
	return t
}
