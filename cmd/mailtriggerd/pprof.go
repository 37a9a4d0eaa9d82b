//go:build pprof

package main

import (
	"net"
	"net/http"
	_ "net/http/pprof" // registers its handlers
	"os"
)

// A daemon built with -tags pprof serves profiles on the Unix socket that the
// environment names:
//
//	curl --unix-socket $MAILTRIGGERD_PPROF http://localhost/debug/pprof/heap
func init() {
	path := os.Getenv("MAILTRIGGERD_PPROF")
	if path == "" {
		return
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	go func() { _ = http.Serve(ln, nil) }()
}
