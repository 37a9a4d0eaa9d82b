// Scale measures the daemon at its work against minimal programs in the same run, and
// prints the figures as a table in Markdown:
//
//	go run ./connection/connectiontest/scale
//
// takes 15 to 20 minutes on two idle cores. Parts of it, by name, take less:
//
//	go run ./connection/connectiontest/scale action backlog
//
// # What runs
//
// The daemon is the real program, with journal, log and metrics, built from this module
// and started with a new state directory each time. The mail comes from a server of our
// own (server.go) over TLS on the loopback. What the daemon is compared with are the
// least programs that do the same (minimal.go). Each is a process of its own, so that
// what the system says of a process is the program's alone.
//
// A ratio is taken of figures of one run, measured in turn: what else the machine
// does at that time meets both sides. It takes Linux, as memory and CPU time are read
// from /proc.
//
// # How to look closer
//
// With -profiles DIR the daemon is built with -tags pprof, and its profiles are kept: of the
// processor in a backlog, of the heap and the goroutines of many sessions.
// In that directory, go tool pprof reads them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
)

func main() {
	if playRole() {
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run() error {
	scale := full
	flag.IntVar(&scale.sessions, "n", scale.sessions, "parked sessions")
	flag.IntVar(&scale.large, "large", scale.large, "sessions of them that read one large mail each")
	flag.IntVar(&scale.rounds, "rounds", scale.rounds, "interleaved rounds of which the median counts")
	flag.IntVar(&scale.starts, "starts", scale.starts, "starts with all sessions of which the median counts")
	profiles := flag.String("profiles", "", "build the daemon with -tags pprof and keep its profiles in this `directory`")
	flag.Parse()
	scale.large = min(scale.large, scale.sessions)
	if !canMeasure() {
		return fmt.Errorf("this needs Linux: it reads /proc")
	}
	dir, err := os.MkdirTemp("", "scale-build")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tags := ""
	if *profiles != "" {
		tags = "pprof"
	}
	binary, err := build(context.Background(), dir, tags)
	if err != nil {
		return err
	}
	h, err := newHarness(scale, binary, os.Stdout)
	if err != nil {
		return err
	}
	defer h.close()
	h.profiles = *profiles
	return h.all(flag.Args()...)
}
