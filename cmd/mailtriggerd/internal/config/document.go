package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// The limits of a configuration file.
const (
	maxFile = 16 << 20 // bytes; 10,000 connections take about 4 MB
	maxLine = 64 << 10 // bytes; the toml package takes quadratic time over the parts of a key
	maxOpen = 500_000  // brackets; each may take about a kilobyte of the toml package's stack
)

// readFile returns the text of a configuration file.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w; check the path and that the daemon's user may read it", errors.Unwrap(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	if len(b) > maxFile {
		return "", fmt.Errorf("is larger than %d MiB; is it the right file? (parts of a configuration can be in files of their own: include)", maxFile>>20)
	}
	return string(b), nil
}

// parse makes nodes of a file's text. A mistake in the syntax ends it.
func parse(file, text string) (root *node, mistake *Problem) {
	if line := tooLong(text); line > 0 {
		return nil, &Problem{File: file, Line: line, Text: fmt.Sprintf("this line is longer than %d KiB; break it (\"\"\" begins a string of several lines)", maxLine>>10)}
	}
	if strings.Count(text, "[")+strings.Count(text, "{") > maxOpen {
		return nil, &Problem{File: file, Text: fmt.Sprintf("more than %d brackets; divide it into several files: include", maxOpen)}
	}
	var values map[string]any
	if mistake := decodeTOML(file, text, &values); mistake != nil {
		return nil, mistake
	}
	places, err := locate(text)
	if errors.Is(err, errNested) {
		return nil, &Problem{File: file, Line: places.last(), Text: fmt.Sprintf("arrays, tables or keys are nested more than %d deep", maxNesting)}
	}
	return build(file, "", values, places), nil
}

// tooLong returns the number of the first line that is too long, else 0.
func tooLong(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		if n++; len(line) > maxLine {
			return n
		}
	}
	return 0
}

// last returns the last line of what was found.
func (p *place) last() int {
	for {
		switch {
		case len(p.items) > 0:
			p = p.items[len(p.items)-1]
		case len(p.order) > 0:
			p = p.keys[p.order[len(p.order)-1]]
		default:
			return p.line
		}
	}
}

// decodeTOML runs the toml package. A panic of it (it has some for what it
// thinks cannot happen) is a mistake in the file too.
func decodeTOML(file, text string, values *map[string]any) (mistake *Problem) {
	defer func() {
		if recover() != nil {
			mistake = &Problem{File: file, Text: "is not valid TOML"}
		}
	}()
	_, err := toml.Decode(text, values)
	if err == nil {
		return nil
	}
	p := Problem{File: file, Text: "is not valid TOML"}
	var e toml.ParseError
	if errors.As(err, &e) {
		p.Line, p.Key, p.Text = e.Position.Line, e.LastKey, syntaxText(e.Message)
		if again := definedKey.FindStringSubmatch(e.Message); again != nil {
			p.Key = again[1]
		}
		if strings.Contains(e.Message, "table") && strings.Contains(e.Message, `'\n'`) {
			p.Line-- // it stopped at the end of the line before, and is corrected in other messages
		}
	}
	return &p
}

var definedKey = regexp.MustCompile(`^Key '(.*)' (?:has|was) already `)

// syntaxText says in own words what the toml package found. Its own messages
// quote the text where it stopped, which may be a password that lacks its quotes.
func syntaxText(message string) string {
	for _, m := range syntax {
		if strings.Contains(message, m.has) {
			return m.say
		}
	}
	return "is not valid TOML"
}

const needsQuotes = `the value is not valid TOML; text needs quotes: key = "text"`

var syntax = []struct{ has, say string }{
	{"has already been defined", "is defined a second time; write it once"},
	{"was already created", "is defined a second time, in another form; write it once"},
	{"is not a table", "is a value above and a table here; write one of them"},
	{"strings cannot contain newlines", `the string has no end on its line; close the quotes (""" begins a string of several lines)`},
	{"unexpected EOF; expected value", "the value is missing"},
	{"unexpected EOF; expected key", `"=" and the value are missing`},
	{"unexpected EOF; expected", "the string has no end; close the quotes"},
	{"unexpected EOF", "the file ends in the middle of a key or table"},
	{"expected a top-level item to end", "something follows the value; one line holds one key, and a string one pair of quotes"},
	{"table names cannot be empty", "the table's name is empty"},
	{"to end table name", `"]" is missing after the table's name; names with other characters than A-Z a-z 0-9 _ - need quotes: [connection."a.b"]`},
	{"expected end of table array name", `"]]" is missing after the table's name`},
	{`unexpected '"`, "too many quotes end the string"},
	{`unexpected "'`, "too many quotes end the string"},
	{"unexpected '='", "a part of the key is missing"},
	{"unexpected '.'", "a part of the key is missing"},
	{"key name appears blank", `the key before "=" is missing`},
	{"keys cannot start with", "a key cannot start with a dot"},
	{"expected '.' or '='", `"=" is missing after the key`},
	{"expected a comma", `"," or the closing bracket is missing`},
	{"unexpected comma", "a comma too many"},
	{"newlines not allowed within inline tables", "an inline table {...} must be on one line"},
	{"invalid escape", `the string has an escape sequence that TOML does not know; write a backslash as \\, or the string in single quotes`},
	{"hexadecimal digits after", "the string has an incomplete escape sequence"},
	{"Escaped character", "the string has an escape sequence for a character that does not exist"},
	{"control characters", "the file has a control character here; write it as \\uXXXX in a string"},
	{"invalid UTF-8", "the file is not UTF-8 here; save it as UTF-8"},
	{"NULL bytes", "the file is not UTF-8 (UTF-16?); save it as UTF-8"},
	{"leading zeroes", `a number cannot begin with 0; text needs quotes: key = "007", a file mode too: "0640"`},
	{"out of range", "the number is too large"},
	{"invalid datetime", `the date or time is not valid; write 2006-01-02, 15:04:05 or 2006-01-02T15:04:05Z, and text in quotes`},
	{"expected value but found", needsQuotes},
	{"nvalid integer", needsQuotes},
	{"nvalid float", needsQuotes},
	{"expected a digit", needsQuotes},
	{"floats must start", needsQuotes},
	{"not a ", needsQuotes},
	{"not an ", needsQuotes},
	{"sign with", needsQuotes},
}
