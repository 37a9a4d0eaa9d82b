package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"sync"

	"mailtrigger/cmd/mailtriggerd/internal/manual"
)

// A call is one call of the program: its flags, and where it prints to.
type call struct {
	config    string
	noSecrets bool
	json      bool
	help      bool

	version, codePages, demo, checkConfig, status, deadLetters bool

	testConnections []string
	testTrigger     string
	message         string
	mailbox         string
	uid             uint
	authorize       string
	retry, discard  string

	stdout, stderr io.Writer
	otherConfig    sync.Once // of withoutDaemon
}

// flags returns the flags that fill the call; package manual describes them.
func (c *call) flags() *flag.FlagSet {
	f := flag.NewFlagSet("mailtriggerd", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	c.config = manual.DefaultConfig
	f.Func("config", "", text(&c.config))
	f.BoolVar(&c.noSecrets, "no-secrets", false, "")
	f.BoolVar(&c.json, "json", false, "")
	f.BoolVar(&c.version, "version", false, "")
	f.BoolVar(&c.codePages, "code-pages", false, "")
	f.BoolVar(&c.demo, "demo", false, "")
	f.BoolVar(&c.checkConfig, "check-config", false, "")
	f.BoolVar(&c.status, "status", false, "")
	f.BoolVar(&c.deadLetters, "dead-letters", false, "")
	f.Func("test-connection", "", func(s string) error {
		c.testConnections = append(c.testConnections, "")
		return text(&c.testConnections[len(c.testConnections)-1])(s)
	})
	f.Func("test-trigger", "", text(&c.testTrigger))
	f.Func("message", "", text(&c.message))
	f.Func("mailbox", "", text(&c.mailbox))
	f.UintVar(&c.uid, "uid", 0, "")
	f.Func("authorize", "", text(&c.authorize))
	f.Func("retry", "", text(&c.retry))
	f.Func("discard", "", text(&c.discard))
	return f
}

// text sets a flag that has a value. An empty one is a script's variable that is not
// set: --retry "" must not start a daemon.
func text(p *string) func(string) error {
	return func(s string) error {
		if s == "" {
			return errors.New("it is empty")
		}
		*p = s
		return nil
	}
}

func parseFlags(args []string) (*call, error) {
	c := &call{}
	f := c.flags()
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			c.help = true
			return c, nil
		}
		return nil, fmt.Errorf("%w; --help lists the flags", err)
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: every argument is a flag; --help lists them", f.Arg(0))
	}
	return c, c.check()
}

// check refuses flags that contradict each other or have no meaning together.
func (c *call) check() error {
	var modes []string
	for _, m := range []struct {
		set  bool
		name string
	}{
		{c.version, "--version"}, {c.codePages, "--code-pages"}, {c.demo, "--demo"}, {c.checkConfig, "--check-config"},
		{len(c.testConnections) > 0, "--test-connection"}, {c.testTrigger != "", "--test-trigger"}, {c.authorize != "", "--authorize"},
		{c.status, "--status"}, {c.deadLetters, "--dead-letters"}, {c.retry != "", "--retry"}, {c.discard != "", "--discard"},
	} {
		if m.set {
			modes = append(modes, m.name)
		}
	}
	switch {
	case len(modes) > 1:
		return fmt.Errorf("%s cannot be used together; make one call each", strings.Join(modes, " and "))
	case c.noSecrets && !c.checkConfig:
		return errors.New("--no-secrets goes with --check-config")
	case (c.message != "" || c.mailbox != "" || c.uid != 0) && c.testTrigger == "":
		return errors.New("--message, --mailbox and --uid go with --test-trigger")
	case c.message != "" && (c.mailbox != "" || c.uid != 0):
		return errors.New("--message reads a file; --mailbox and --uid fetch from the server: use one or the other")
	case c.uid > 1<<32-1:
		return fmt.Errorf("--uid %d is not a UID: those end at 4294967295", c.uid)
	}
	return nil
}
