package condition

import (
	"fmt"
	"io"
	"regexp"
	"time"
	"unicode/utf8"
)

// maxTime is how long judging one message may take. Regular expressions take time
// in proportion to the text and to the size of the expression: a long text and a
// long expression together would hold up all other mail for minutes.
const maxTime = 10 * time.Second

// errTime is the defined end of judging that takes too long.
var errTime = fmt.Errorf("it takes longer than %s for this message", maxTime)

// shortText is how many bytes are matched without a look at the clock.
const shortText = 64 << 10

// match reports whether an expression matches a text. It reports false once time
// is up, and counts that.
func (s *sight) match(re *regexp.Regexp, text string) bool {
	if len(text) <= shortText {
		return re.MatchString(text)
	}
	r := &timedText{text: text, deadline: s.deadline}
	matched := re.MatchReader(r)
	if r.late {
		s.late++
		return false
	}
	return matched
}

// submatch returns the text of an expression's groups, nil if it does not match.
func (s *sight) submatch(re *regexp.Regexp, text string) []string {
	if len(text) <= shortText {
		return re.FindStringSubmatch(text)
	}
	r := &timedText{text: text, deadline: s.deadline}
	at := re.FindReaderSubmatchIndex(r)
	if r.late {
		s.late++
		return nil
	}
	var groups []string
	for i := 0; i+1 < len(at); i += 2 {
		group := ""
		if at[i] >= 0 {
			group = text[at[i]:at[i+1]]
		}
		groups = append(groups, group)
	}
	return groups
}

// A timedText gives a text's characters to a regular expression until time is up.
type timedText struct {
	text     string
	at       int
	deadline time.Time
	look     int // when the clock is looked at next
	late     bool
}

// ReadRune implements io.RuneReader.
func (t *timedText) ReadRune() (r rune, size int, err error) {
	if t.at >= t.look {
		t.look = t.at + 1000
		t.late = t.late || time.Now().After(t.deadline)
	}
	if t.late || t.at >= len(t.text) {
		return 0, 0, io.EOF
	}
	r, size = utf8.DecodeRuneInString(t.text[t.at:])
	t.at += size
	return r, size, nil
}
