package main

import (
	"fmt"

	"mailtrigger/cmd/mailtriggerd/internal/config"
)

// load reads the configuration. If there is a mistake it prints all of them and
// returns nil.
func (c *call) load(o config.Options) *config.Config {
	cfg, problems := config.Load(c.config, o)
	for _, p := range problems {
		fmt.Fprintln(c.stderr, p.Error())
	}
	if len(problems) > 0 {
		c.problem("%s; nothing was started", count(len(problems), "mistake", "mistakes")+" in the config")
		return nil
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(c.stderr, "warning: "+w.Error())
	}
	return cfg
}

func (c *call) runCheckConfig() int {
	cfg, problems := config.Load(c.config, config.Options{CheckSecrets: !c.noSecrets})
	if len(problems) == 0 && idle(cfg) != nil { // good for --test-connection, so no mistake
		cfg.Warnings = append(cfg.Warnings, config.Problem{File: c.config, Text: "there is no trigger yet; the daemon does not start without one"})
	}
	if c.json {
		return c.checkConfigJSON(cfg, problems)
	}
	for _, p := range problems {
		fmt.Fprintln(c.stderr, p.Error())
	}
	if len(problems) > 0 {
		fmt.Fprintf(c.stderr, "%s: %s\n", c.config, count(len(problems), "mistake", "mistakes"))
		return exitConfig
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(c.stderr, "warning: "+w.Error())
	}
	fmt.Fprintf(c.stdout, "%s: good: %s, %s\n", c.config, count(len(cfg.Connections), "connection", "connections"), count(len(cfg.Triggers), "trigger", "triggers"))
	return exitOK
}

type problemJSON struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Key  string `json:"key"`
	Text string `json:"text"`
}

func (c *call) checkConfigJSON(cfg *config.Config, problems []config.Problem) int {
	answer := struct {
		OK       bool          `json:"ok"`
		Problems []problemJSON `json:"problems"`
		Warnings []problemJSON `json:"warnings"`
	}{OK: len(problems) == 0, Problems: problemsJSON(problems), Warnings: []problemJSON{}}
	if answer.OK {
		answer.Warnings = problemsJSON(cfg.Warnings)
	}
	if code := c.printJSON(answer); code != exitOK {
		return code
	}
	if !answer.OK {
		return exitConfig
	}
	return exitOK
}

func problemsJSON(problems []config.Problem) []problemJSON {
	out := make([]problemJSON, 0, len(problems))
	for _, p := range problems {
		out = append(out, problemJSON{p.File, p.Line, p.Key, p.Text})
	}
	return out
}

// count is "1 thing" or "2 things".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
