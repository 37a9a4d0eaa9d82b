package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the package's build: -ldflags "-X main.version=1.2.3".
var version = ""

type versionInfo struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Commit  string `json:"commit"`
}

func buildVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), Commit: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v.Version == "" {
			v.Version = info.Main.Version
		}
		modified := ""
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.modified":
				if s.Value == "true" {
					modified = "+changes"
				}
			}
		}
		v.Commit += modified
	}
	if v.Version == "" || v.Version == "(devel)" {
		v.Version = "devel"
	}
	return v
}

func (c *call) printVersion() int {
	v := buildVersion()
	if c.json {
		return c.printJSON(v)
	}
	fmt.Fprintf(c.stdout, "mailtriggerd %s (%s, commit %s)\n", v.Version, v.Go, v.Commit)
	return exitOK
}

// printJSON prints v on one line.
func (c *call) printJSON(v any) int {
	enc := json.NewEncoder(c.stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		c.problem("write the answer: %v", err)
		return exitFailed
	}
	return exitOK
}
