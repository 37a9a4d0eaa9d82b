package action

import (
	"fmt"
	"regexp"
	"strings"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/message"
)

// masks match names as a shell does (*, ?, [a-z], [!a-z]), whatever the case.
type masks []*regexp.Regexp

func newMasks(key string, patterns []string) (m masks, problems []setting.Problem) {
	for i, p := range patterns {
		re, err := newMask(p)
		if err != nil {
			problems = append(problems, setting.Problem{Key: fmt.Sprintf("%s[%d]", key, i), Text: err.Error()})
			continue
		}
		m = append(m, re)
	}
	return m, problems
}

func newMask(pattern string) (*regexp.Regexp, error) {
	if pattern == "" || len(pattern) > 1000 {
		return nil, fmt.Errorf("%q is not a mask; write e.g. *.pdf", pattern)
	}
	var b strings.Builder
	b.WriteString(`(?is)\A`)
	for rest := pattern; rest != ""; {
		c := rest[0]
		end := strings.IndexByte(rest, ']')
		switch {
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteByte('.')
		case c == '[' && end > 1:
			set := rest[1:end]
			negate := ""
			if set[0] == '!' || set[0] == '^' {
				negate, set = "^", set[1:]
			}
			b.WriteString("[" + negate + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`).Replace(set) + "]")
			rest = rest[end+1:]
			continue
		default:
			n := strings.IndexAny(rest[1:], "*?[") + 1
			if n == 0 {
				n = len(rest)
			}
			b.WriteString(regexp.QuoteMeta(rest[:n]))
			rest = rest[n:]
			continue
		}
		rest = rest[1:]
	}
	re, err := regexp.Compile(b.String() + `\z`)
	if err != nil {
		return nil, fmt.Errorf("%q is not a mask; write e.g. *.pdf or report-[0-9]*.csv", pattern)
	}
	return re, nil
}

func (m masks) match(s string) bool {
	for _, re := range m {
		if re.MatchString(s) {
			return true
		}
	}
	return false
}

// A selection says which attachments an action takes; the zero value takes all.
type selection struct {
	include, exclude, types masks
	regex                   *regexp.Regexp
	min, max                int64 // bytes; max 0 is no limit
	noInline                bool
}

func (s *selection) takes(a *message.Attachment) bool {
	switch {
	case len(s.include) > 0 && !s.include.match(a.Name),
		s.exclude.match(a.Name),
		s.regex != nil && !s.regex.MatchString(a.Name),
		len(s.types) > 0 && !s.types.match(a.ContentType),
		a.Size < s.min,
		s.max > 0 && a.Size > s.max,
		s.noInline && a.Inline():
		return false
	}
	return true
}
