package term

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// pty opens a pseudoterminal (pty(7)) of a width and returns the end that a
// program writes to.
func pty(t *testing.T, columns uint16) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no pseudoterminals here: ", err)
		}
		t.Skip("no pseudoterminals here: ", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return slave
}

// Colours are for terminals whose user has nothing against them.
func TestNew(t *testing.T) {
	terminal := pty(t, 132)
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		name          string
		file          *os.File
		env           map[string]string
		columns       int
		colours, live bool
	}{
		{"terminal", terminal, map[string]string{"TERM": "xterm-256color"}, 132, true, true},
		{"NO_COLOR", terminal, map[string]string{"TERM": "xterm-256color", "NO_COLOR": "1"}, 132, false, true},
		{"NO_COLOR, but empty", terminal, map[string]string{"TERM": "xterm-256color", "NO_COLOR": ""}, 132, true, true},
		{"dumb", terminal, map[string]string{"TERM": "dumb"}, 132, false, false},
		{"no TERM", terminal, nil, 132, false, false},
		{"no width", pty(t, 0), map[string]string{"TERM": "vt100"}, 80, true, true},
		{"file", file, map[string]string{"TERM": "xterm-256color"}, 0, false, false},
	} {
		out := New(c.file, func(name string) string { return c.env[name] })
		if out.columns != c.columns || out.colours != c.colours || out.live != c.live || out.Is() != (c.columns > 0) {
			t.Errorf("%s: %+v, want %+v", c.name, out, c)
		}
		if painted := out.Paint(Bad, "no") != "no"; painted != c.colours {
			t.Errorf("%s: painted %v", c.name, painted)
		}
	}
}
