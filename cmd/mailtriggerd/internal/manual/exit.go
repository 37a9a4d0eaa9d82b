package manual

import (
	"strconv"
	"strings"
)

// Exit codes, those of sysexits.h where there is one.
const (
	ExitOK      = 0
	ExitFailed  = 1  // the thing asked for failed
	ExitUsage   = 64 // EX_USAGE
	ExitState   = 73 // EX_CANTCREAT: state directory unusable, or journal of a newer version
	ExitRunning = 75 // EX_TEMPFAIL: another daemon has the state directory
	ExitConfig  = 78 // EX_CONFIG
)

// An ExitCode is one code with which the program ends.
type ExitCode struct {
	Code    int
	Short   string // in a few words
	Meaning string
}

// ExitCodes are all of them. A crash is none of these.
var ExitCodes = []ExitCode{
	{ExitOK, "done", "done"},
	{ExitFailed, "failed", "what was asked for failed: a connection test, say"},
	{ExitUsage, "usage", "mistake in the call"},
	{ExitState, "state directory unusable", "the state directory cannot be used, or its journal is of a newer version"},
	{ExitRunning, "another daemon runs", "another daemon has the state directory"},
	{ExitConfig, "mistake in the config", "mistake in the config"},
}

// shortCodes is the codes on one line.
func shortCodes() string {
	var all []string
	for _, c := range ExitCodes {
		all = append(all, strconv.Itoa(c.Code)+" "+c.Short)
	}
	return strings.Join(all, ", ")
}
