package manual

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
)

// Settings returns the manual page mailtriggerd.toml(5): the comments of
// config.example.toml, with the type and the default of each key as the program
// has them.
func Settings(example, version string, date time.Time) string {
	s := &settings{
		page: newPage("mailtriggerd.toml", "5", version, date, "mailtriggerd.toml - connections and triggers of mailtriggerd"),
		keys: map[[2]string]config.Key{},
	}
	for _, k := range config.Keys() {
		s.keys[[2]string{k.Table, k.Name}] = k
	}
	s.section("DESCRIPTION")
	lines := strings.Split(example, "\n")
	for i, line := range lines {
		next := ""
		if i+1 < len(lines) {
			next = lines[i+1]
		}
		s.line(line, next)
	}
	s.flush()
	s.section("SEE ALSO")
	s.raw(".BR mailtriggerd (8)")
	return s.page.String()
}

// settings is the page as it is written, line by line of the example.
type settings struct {
	*page
	keys    map[[2]string]config.Key // by table and name
	pending []string                 // a comment that belongs to what comes next
	ruled   bool                     // it began below a rule: it is about the section that comes
	root    string                   // the section: connection, trigger ...
	table   string                   // as the config package names it
	title   string                   // of the subsection
	open    string                   // the quotes that end the text of several lines that we are in
}

var (
	settingKey   = regexp.MustCompile(`^#?([a-z0-9_]+) = (.*)$`)
	settingTable = regexp.MustCompile(`^#?(\[+)([a-z0-9_.]+)(\]+)(.*)$`)
	settingType  = regexp.MustCompile(`^#?type = "(.*?)"`)
)

func (s *settings) line(line, next string) {
	if s.open != "" {
		s.more(strings.TrimPrefix(line, "#"))
		return
	}
	if m := settingTable.FindStringSubmatch(line); m != nil {
		s.header(m[1], m[2], m[3], m[4], next)
		return
	}
	if m := settingKey.FindStringSubmatch(line); m != nil {
		s.setting(m[1], m[2])
		return
	}
	text, isComment := strings.CutPrefix(line, "#")
	switch {
	case strings.HasPrefix(text, " ----"):
		s.flush()
		s.ruled = true
	case isComment:
		s.pending = append(s.pending, strings.TrimPrefix(text, " "))
	case s.ruled && len(s.pending) > 0:
		s.pending = append(s.pending, "") // it goes with the table that follows
	default:
		s.flush()
	}
}

// header begins a table. Tables of one kind in a row are one subsection.
func (s *settings) header(open, name, end, rest, next string) {
	parts := strings.Split(name, ".")
	if len(parts) > 1 {
		parts[1] = "NAME"
	}
	s.table = strings.Join(parts, ".")
	title := open + s.table + end
	if open == "[[" {
		s.table += "[]"
	}
	if m := settingType.FindStringSubmatch(next); m != nil && open == "[[" {
		s.table += " " + m[1]
		title += ` type = "` + m[1] + `"`
	}
	if parts[0] != s.root {
		s.root = parts[0]
		s.section(strings.ToUpper(s.root))
		if s.ruled {
			s.flush()
		}
	}
	if title != s.title {
		s.title = title
		s.subsection(title)
	}
	s.flush()
	if comment := trailing(rest); comment != "" {
		s.paragraph(ended(comment))
	}
}

// setting adds a key, with the comment above it and the one beside it.
func (s *settings) setting(key, rest string) {
	if s.root == "" {
		s.root = "top of the file"
		s.section("TOP OF THE FILE")
	}
	value, comment := split(rest)
	if value == `"""` || value == "'''" {
		s.open = value
		defer s.raw(".EX")
	}
	s.raw(".TP\n" + bold(key) + " = " + escape(value))
	said := strings.Contains(strings.ToLower(strings.Join(s.pending, " ")+comment), "default")
	s.write(s.text)
	if comment != "" {
		s.text(ended(comment))
	}
	k, known := s.keys[[2]string{s.table, key}]
	if !known {
		if comment == "" {
			s.raw(`\&`)
		}
		return
	}
	about := k.Type
	if k.Default != "" && !said {
		about += "; default " + strings.ReplaceAll(k.Default, "`", "")
	}
	s.text("(" + about + ")")
}

// more adds a line to a text of several lines.
func (s *settings) more(line string) {
	if line == "" {
		line = " "
	}
	s.text(line)
	if strings.HasSuffix(line, s.open) {
		s.open = ""
		s.raw(".EE")
	}
}

// flush writes the pending comment as paragraphs of its own.
func (s *settings) flush() { s.write(s.paragraph) }

// write writes the pending comment: lines that go together as one text, indented ones
// as they are.
func (s *settings) write(text func(string)) {
	s.ruled = false
	for len(s.pending) > 0 {
		indented := func(line string) bool { return strings.HasPrefix(line, "   ") || line == "" }
		if indented(s.pending[0]) {
			end := slices.IndexFunc(s.pending, func(line string) bool { return !indented(line) })
			block := s.take(end)
			for i := range block {
				block[i] = strings.TrimPrefix(block[i], "    ")
			}
			if block = trimEmpty(block); len(block) > 0 {
				s.example(block)
			}
			continue
		}
		text(strings.Join(s.take(slices.IndexFunc(s.pending, indented)), " "))
	}
}

// take returns the first n pending lines, all if n is negative.
func (s *settings) take(n int) []string {
	if n < 0 {
		n = len(s.pending)
	}
	taken := s.pending[:n]
	s.pending = s.pending[n:]
	return taken
}

func trimEmpty(lines []string) []string {
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// split parts a line's value from the comment behind it.
func split(s string) (value, comment string) {
	quote := byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case quote == 0 && c == '#':
			return strings.TrimSpace(s[:i]), trailing(s[i:])
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote && (i == 0 || s[i-1] != '\\' || quote == '\''):
			quote = 0
		}
	}
	return strings.TrimSpace(s), ""
}

func trailing(s string) string { return strings.TrimSpace(strings.TrimLeft(s, " #")) }
