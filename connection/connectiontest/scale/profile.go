package main

import (
	"os"
	"path/filepath"
)

// profile keeps the daemon's heap and goroutine profiles, if wanted. The daemon must
// have been built with -tags pprof.
func (h *harness) profile(d *daemon, name string) error {
	if h.profiles == "" {
		return nil
	}
	for _, kind := range []string{"heap", "goroutine"} {
		f, err := os.Create(filepath.Join(h.profiles, name+"."+kind))
		if err != nil {
			return err
		}
		_, err = d.get("pprof.sock", "/debug/pprof/"+kind, f)
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
	}
	return nil
}
