// Package term writes for people: tables that stand in line whatever script the
// names are in, notes that fit the terminal, colours where there is one to show
// them, and a line of progress for long work.
//
// Nothing that this package writes can move the cursor or turn the direction of
// writing, whoever chose the text: see Clean.
package term

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A Terminal is what a call writes to: a terminal, or a file or pipe, which gets
// the same text without colours and without cuts.
type Terminal struct {
	w       io.Writer
	columns int // 0: as wide as need be
	colours bool
	live    bool // what was written can be written over
}

// New looks at what w is. Colours need a terminal, and an environment (os.Getenv)
// in which neither NO_COLOR nor TERM=dumb speaks against them.
func New(w io.Writer, env func(string) string) *Terminal {
	t := &Terminal{w: w}
	f, ok := w.(*os.File)
	if !ok {
		return t
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return t // no terminal
	}
	t.columns = int(size.Col)
	if t.columns == 0 { // a serial line does not know
		t.columns = 80
	}
	t.live = env("TERM") != "dumb" && env("TERM") != ""
	t.colours = t.live && env("NO_COLOR") == ""
	return t
}

// Is reports whether it is a terminal, with a person before it.
func (t *Terminal) Is() bool { return t.columns > 0 }

// A Style is how a text is shown where there are colours.
type Style int

// The styles. They never say what the text does not say, too.
const (
	Plain Style = iota
	Good
	Warn
	Bad
	Soft
	Strong
)

// Paint returns a text in a style. The text is taken as it is: clean it first.
func (t *Terminal) Paint(s Style, text string) string {
	if !t.colours || s == Plain || text == "" {
		return text
	}
	return [...]string{Good: "\x1b[32m", Warn: "\x1b[33m", Bad: "\x1b[1;31m", Soft: "\x1b[2m", Strong: "\x1b[1m"}[s] + text + "\x1b[0m"
}
