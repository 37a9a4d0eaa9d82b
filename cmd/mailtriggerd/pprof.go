//go:build pprof

package main

import (
	"bytes"
	"net"
	"net/http"
	_ "net/http/pprof" // registers its handlers
	"os"
	"runtime/pprof"
)

// A daemon built with -tags pprof serves profiles on the Unix socket that the
// environment names:
//
//	curl --unix-socket $MAILTRIGGERD_PPROF http://localhost/debug/pprof/heap
//
// With MAILTRIGGERD_PPROF_START=1 its CPU profile begins with the process, and
// /debug/start ends it and returns it: net/http/pprof's own would miss the start.
func init() {
	path := os.Getenv("MAILTRIGGERD_PPROF")
	if path == "" {
		return
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	if os.Getenv("MAILTRIGGERD_PPROF_START") != "" {
		var start bytes.Buffer
		if err := pprof.StartCPUProfile(&start); err != nil {
			panic(err)
		}
		http.HandleFunc("/debug/start", func(w http.ResponseWriter, _ *http.Request) {
			pprof.StopCPUProfile() // waits until all is written
			_, _ = w.Write(start.Bytes())
		})
	}
	go func() { _ = http.Serve(ln, nil) }()
}
