package condition

import (
	"regexp"
	"strings"
	"time"

	"mailtrigger/trigger/message"
)

// maxGroup is how many bytes of a named group are kept: it goes into the journal.
const maxGroup = 32 << 10

// A sight is one look at one mail: what was found in it so far.
type sight struct {
	*Mail
	known map[look][]value
	files []*message.Attachment // those that conditions see, once asked for
	found []namedGroup

	deadline time.Time
	late     int // how often time was up in the middle of a text
}

// A look is a question for a field's values.
type look struct {
	field, name string
	alone       bool // of addresses, without their names
}

type namedGroup struct{ name, text string }

func newSight(m *Mail) *sight { return &sight{Mail: m, deadline: time.Now().Add(maxTime)} }

// values returns the values of a field, made comparable only once for a mail.
func (s *sight) values(f *field, name string, alone bool) []value {
	key := look{f.name, name, alone && f.addresses != nil}
	if values, known := s.known[key]; known {
		return values
	}
	var values []value
	switch {
	case f.addresses != nil:
		values = valuesOf(f.addresses(s.Message), alone)
	case f.attachment != nil:
		for _, a := range s.attachments() {
			values = append(values, f.attachment(a))
		}
	default:
		values = f.values(s.Mail, name)
	}
	if s.known == nil {
		s.known = make(map[look][]value)
	}
	s.known[key] = values
	return values
}

// attachments returns those that conditions see.
func (s *sight) attachments() []*message.Attachment {
	if s.files == nil {
		for i := range s.Message.Attachments {
			if a := &s.Message.Attachments[i]; isFile(*a) {
				s.files = append(s.files, a)
			}
		}
	}
	return s.files
}

// capture keeps the named groups of an expression that matches a value.
func (s *sight) capture(re *regexp.Regexp, v *value) {
	names := re.SubexpNames()
	for _, text := range v.spellings(true) {
		found := s.submatch(re, text)
		if found == nil {
			continue
		}
		for i, name := range names {
			if name != "" {
				s.found = append(s.found, namedGroup{name, cut(found[i], maxGroup)})
			}
		}
		return
	}
}

// named returns the groups captured. Where two conditions give one name, the later counts.
func (s *sight) named() map[string]string {
	if len(s.found) == 0 {
		return nil
	}
	groups := make(map[string]string, len(s.found))
	for _, g := range s.found {
		groups[g.name] = g.text
	}
	return groups
}

// cut shortens s to at most n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
