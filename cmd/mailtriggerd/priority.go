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

// lineLevel returns what follows the level's key, the first in a line of either format.
func lineLevel(line []byte) []byte {
	for _, key := range []string{"level=", `"level":"`} {
		if i := bytes.Index(line, []byte(key)); i >= 0 && i < 64 {
			return line[i+len(key):]
		}
	}
	return nil
}
