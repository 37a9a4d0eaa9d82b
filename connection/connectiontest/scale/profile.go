package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// cpuProfile keeps a profile of where the daemon spends its processor time from now on,
// if wanted. It returns what waits for its end.
func (h *harness) cpuProfile(d *daemon, name string, length time.Duration) (wait func() error) {
	done := make(chan error, 1)
	go func() {
		done <- h.keepProfile(d, fmt.Sprintf("pprof/profile?seconds=%d", max(1, int(length.Seconds()))), name+".cpu")
	}()
	return func() error { return <-done }
}

// profile keeps the daemon's heap and goroutine profiles, if wanted. The daemon must
// have been built with -tags pprof.
func (h *harness) profile(d *daemon, name string) error {
	for _, kind := range []string{"heap", "goroutine"} {
		if err := h.keepProfile(d, "pprof/"+kind, name+"."+kind); err != nil {
			return err
		}
	}
	return nil
}

// profileStart keeps the CPU profile from the daemon's start until now, and what it has
// allocated, if wanted.
func (h *harness) profileStart(d *daemon) error {
	if err := h.keepProfile(d, "start", "start.cpu"); err != nil {
		return err
	}
	return h.keepProfile(d, "pprof/allocs", "start.allocs")
}

// keepProfile writes what the daemon serves below /debug/ to a file.
func (h *harness) keepProfile(d *daemon, page, name string) error {
	if h.profiles == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(h.profiles, name))
	if err != nil {
		return err
	}
	_, err = d.get("pprof.sock", "/debug/"+page, f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
