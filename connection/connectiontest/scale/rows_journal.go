package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// journal runs the journal's own benchmark: it is the part of the daemon that could
// become slow with what was done before.
func (h *harness) journal(t *table) error {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^BenchmarkMillion$", "-benchtime", "1x", "-timeout", "10m", "mailtrigger/trigger/journal")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", cmd, err, out)
	}
	found := make(map[string]float64)
	words := strings.Fields(string(out))
	for i := 1; i < len(words); i++ {
		if v, err := strconv.ParseFloat(words[i-1], 64); err == nil {
			found[words[i]] = v
		}
	}
	a, b := found["syncs-at-1M"], found["syncs-at-0"]
	if a == 0 || b == 0 {
		return fmt.Errorf("%v: no figures in: %s", cmd, out)
	}
	t.add(row{what: "Growth: journal time of a message after 1,000,000 done jobs", measured: fmt.Sprintf("%.0f µs, %.1f bare syncs", found["p50-at-1M-µs"], a),
		against: fmt.Sprintf("%.0f µs, %.1f bare syncs, with none", found["p50-at-0-µs"], b), value: a / b, unit: "x", bar: 1.25})
	return nil
}
