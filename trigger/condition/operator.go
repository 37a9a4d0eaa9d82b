package condition

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"mailtrigger/trigger/message"
)

// A comparison tests one value. One by regular expression gives named groups, too.
type comparison struct {
	holds  func(*sight, *value) bool
	groups *regexp.Regexp
}

// isNegative reports whether an operator holds where its positive does not.
func isNegative(operator string) bool {
	return operator == "is_not" || strings.HasPrefix(operator, "not_")
}

// seesAddressAlone reports whether an operator compares an address without its name.
func seesAddressAlone(operator string) bool {
	return operator == "is" || operator == "is_not" || operator == "glob"
}

// compare compiles an operator with one of its values for a field of a kind. The
// comparison is the positive one. The error says what would be right.
func compare(f *field, operator, want string, caseSensitive bool) (comparison, error) {
	if allowed := operatorsOf[f.kind]; !slices.Contains(allowed, operator) {
		if operator == "above" || operator == "below" {
			return comparison{}, fmt.Errorf("%s has no order; above and below go with size, age, date and attachment-size", f.name)
		}
		return comparison{}, fmt.Errorf("does not go with %s; write %s", f.name, orList(allowed))
	}
	switch f.kind {
	case yesNo, keyword:
		return compareWord(f, want)
	case size:
		return compareNumber(operator, want, parseSize)
	case age:
		return compareNumber(operator, want, parseAge)
	case date:
		return compareDate(operator, want)
	}
	if f.name == "flag" {
		if text := badFlag(operator, want); text != "" {
			return comparison{}, fmt.Errorf("%s", text)
		}
	}
	return compareText(operator, want, caseSensitive)
}

func compareText(operator, want string, caseSensitive bool) (comparison, error) {
	want = normalize(want)
	prepared := want
	if !caseSensitive {
		prepared = fold(want)
	}
	anySpelling := func(holds func(string) bool) comparison {
		return comparison{holds: func(_ *sight, v *value) bool { return slices.ContainsFunc(v.spellings(caseSensitive), holds) }}
	}
	switch operator {
	case "is", "is_not":
		prepared = strings.TrimSpace(prepared)
		return anySpelling(func(s string) bool { return strings.TrimSpace(s) == prepared }), nil
	case "contains", "not_contains":
		if want == "" {
			return comparison{}, fmt.Errorf("is empty, which every text contains")
		}
		return anySpelling(func(s string) bool { return strings.Contains(s, prepared) }), nil
	case "glob":
		re, err := compileGlob(want, caseSensitive)
		if err != nil {
			return comparison{}, err
		}
		return comparison{holds: func(s *sight, v *value) bool {
			return slices.ContainsFunc(v.spellings(true), func(text string) bool { return s.match(re, strings.TrimSpace(text)) })
		}}, nil
	}
	re, err := compileRegexp(want, caseSensitive)
	if err != nil {
		return comparison{}, err
	}
	return comparison{groups: re, holds: func(s *sight, v *value) bool {
		return slices.ContainsFunc(v.spellings(true), func(text string) bool { return s.match(re, text) })
	}}, nil
}

func compileRegexp(want string, caseSensitive bool) (*regexp.Regexp, error) {
	flags := syntax.Perl
	if !caseSensitive {
		flags |= syntax.FoldCase
	}
	// Parsed by itself first: wrapped in (?i:...), a lone ")" would look sound.
	if _, err := syntax.Parse(want, flags); err != nil {
		return nil, fmt.Errorf("%q is no regular expression (RE2): %s", want, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if !caseSensitive {
		want = "(?i:" + want + ")"
	}
	return regexp.Compile(want)
}

// compileGlob makes a regular expression of a pattern with the syntax of
// path.Match, but for the slash, which is a character like any other. Its time
// is in proportion to the text, whatever the pattern.
func compileGlob(pattern string, caseSensitive bool) (*regexp.Regexp, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf(`%q is no pattern: a [ without ], or a \ at the end`, pattern)
	}
	var b strings.Builder
	if b.WriteString(`(?s`); !caseSensitive {
		b.WriteByte('i')
	}
	b.WriteString(`)\A`)
	class := 0 // characters into a class; 0: outside
	negated, escaped := false, false
	for _, r := range pattern {
		switch {
		case escaped:
			fmt.Fprintf(&b, `\x{%X}`, r)
			escaped = false
		case r == '\\':
			escaped = true
			continue
		case class == 0 && r == '*':
			b.WriteString(`.*`)
		case class == 0 && r == '?':
			b.WriteByte('.')
		case class == 0 && r == '[':
			b.WriteByte('[')
			class, negated = 1, false
			continue
		case class == 1 && r == '^' && !negated:
			b.WriteByte('^')
			negated = true
			continue
		case class > 1 && r == ']':
			b.WriteByte(']')
			class = 0
			continue
		case class > 1 && r == '-':
			b.WriteByte('-')
		default:
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
		if class > 0 {
			class++
		}
	}
	b.WriteString(`\z`)
	return regexp.Compile(b.String())
}

// compareWord compares true, false and keywords.
func compareWord(f *field, want string) (comparison, error) {
	known := []string{"true", "false"}
	if f.kind == keyword {
		known = append(known, message.NotAutomatic, message.AutoGenerated, message.AutoReplied, "auto-notified")
	}
	if !slices.Contains(known, want) {
		hint := ""
		if f.kind == keyword {
			hint = "; for the field's own text write header:Auto-Submitted"
		}
		return comparison{}, fmt.Errorf("%s is %s, never %q%s", f.name, orList(known), want, hint)
	}
	return comparison{holds: func(_ *sight, v *value) bool { return v.show == want || slices.Contains(v.also, want) }}, nil
}

func compareNumber(operator, want string, parse func(string) (int64, error)) (comparison, error) {
	n, err := parse(want)
	if err != nil {
		return comparison{}, err
	}
	return comparison{holds: func(_ *sight, v *value) bool { return ordered(operator, cmp.Compare(v.number, n)) }}, nil
}

func compareDate(operator, want string) (comparison, error) {
	m, err := parseMoment(want)
	if err != nil {
		return comparison{}, err
	}
	if operator == "is" || operator == "is_not" {
		return comparison{holds: func(_ *sight, v *value) bool { return m.has(v.at) }}, nil
	}
	return comparison{holds: func(_ *sight, v *value) bool { return ordered(operator, v.at.Compare(m.at)) }}, nil
}

// ordered reports whether an operator holds where the value compares so with what is wanted.
func ordered(operator string, compared int) bool {
	switch operator {
	case "above":
		return compared > 0
	case "below":
		return compared < 0
	}
	return compared == 0
}

// badFlag says what is wrong with a flag that no message can have as it is written.
func badFlag(operator, want string) string {
	if operator != "is" && operator != "is_not" {
		return ""
	}
	for _, f := range []string{"Seen", "Answered", "Flagged", "Deleted", "Draft", "Recent"} {
		if strings.EqualFold(want, f) {
			return fmt.Sprintf(`the flag's name begins with a backslash; write '\%s'`, f)
		}
	}
	return ""
}

func orList(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}
