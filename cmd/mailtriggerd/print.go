package main

import (
	"fmt"
	"os"
	"strings"

	"mailtrigger/cmd/mailtriggerd/internal/term"
)

// out is what the call prints to, as a terminal if it is one.
func (c *call) out() *term.Terminal { return term.New(c.stdout, os.Getenv) }

// progress is a line for long work, beside what the call prints.
func (c *call) progress() *term.Progress { return term.New(c.stderr, os.Getenv).NewProgress() }

// problem prints what went wrong with the call. It may quote a server.
func (c *call) problem(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf("mailtriggerd: "+format, args...), "\n") {
		fmt.Fprintln(c.stderr, printable(line))
	}
}

// printable is a text of a server's or a sender's, fit for a terminal.
func printable(s string) string { return term.Clean(s) }
