package main

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the calls of the program as a person would, and looks at what they print.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"unbase64": unbase64},
	})
}

// unbase64 decodes a file, for bytes that a script cannot hold.
func unbase64(ts *testscript.TestScript, _ bool, args []string) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), raw, 0o600))
}
