// Mailtriggerd runs commands when mail arrives.
//
// It keeps IMAP IDLE sessions with the accounts that its TOML file names, reads
// each new message, and fires the actions of the triggers that match it: every
// message once, whatever crashes. See README.md.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones by name on machines that have no list of them

	"mailtrigger/cmd/mailtriggerd/internal/manual"
)

const (
	exitOK      = manual.ExitOK
	exitFailed  = manual.ExitFailed
	exitUsage   = manual.ExitUsage
	exitState   = manual.ExitState
	exitRunning = manual.ExitRunning
	exitConfig  = manual.ExitConfig
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one call of the program and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args)
	if err != nil {
		fmt.Fprintf(stderr, "mailtriggerd: %v\n", err)
		return exitUsage
	}
	c.stdout, c.stderr = stdout, stderr
	switch {
	case c.help:
		manual.Help(stdout)
		return exitOK
	case c.version:
		return c.printVersion()
	case c.codePages:
		return c.printCodePages()
	case c.demo:
		return c.runDemo(ctx)
	case c.checkConfig:
		return c.runCheckConfig()
	case len(c.testConnections) > 0:
		return c.runTestConnections(ctx)
	case c.testTrigger != "":
		return c.runTestTrigger(ctx)
	case c.authorize != "":
		return c.runAuthorize(ctx)
	case c.status:
		return c.runStatus(ctx)
	case c.deadLetters, c.retry != "", c.discard != "":
		return c.runDeadLetters(ctx)
	}
	return c.runDaemon(ctx)
}
