package main

import (
	"bytes"
	"io"
)

// A priorityWriter puts sd-daemon(3)'s priority before each line, found by the
// level that slog wrote in it. slog writes one whole line a call.
type priorityWriter struct{ w io.Writer }

func (p *priorityWriter) Write(line []byte) (int, error) {
	prefix := "<6>"
	switch level := lineLevel(line); {
	case bytes.HasPrefix(level, []byte("ERROR")):
		prefix = "<3>"
	case bytes.HasPrefix(level, []byte("WARN")):
		prefix = "<4>"
	case bytes.HasPrefix(level, []byte("DEBUG")):
		prefix = "<7>"
	}
	if _, err := p.w.Write(append([]byte(prefix), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// lineLevel returns what follows the level's key. The level comes first in a line
// of either format, as journald needs no time.
func lineLevel(line []byte) []byte {
	for _, key := range []string{"level=", `{"level":"`} {
		if level, found := bytes.CutPrefix(line, []byte(key)); found {
			return level
		}
	}
	return nil
}
