package main

import (
	"fmt"
	"io"
)

// A row is one line of the table.
type row struct {
	what     string
	measured string
	against  string  // what it is compared with; "": the bar is a figure by itself
	value    float64 // what the bar is held against
	unit     string  // of value and bar; "x" for a ratio
	bar      float64 // 0: only measured
	least    bool    // the bar is a lower bound
}

// holds reports whether the row keeps to its bar.
func (r *row) holds() bool {
	switch {
	case r.bar == 0:
		return true
	case r.least:
		return r.value >= r.bar
	}
	return r.value <= r.bar
}

// A table is printed as it fills, in Markdown.
type table struct {
	w     io.Writer
	rows  int
	short int // rows that fall short
}

func (t *table) add(r row) {
	if t.rows == 0 {
		fmt.Fprint(t.w, "| What | Measured | Compared with | Result | Bar | |\n|---|---|---|---|---|---|\n")
	}
	t.rows++
	bar, verdict := "measured", ""
	if r.bar != 0 {
		sign := "<="
		if r.least {
			sign = ">="
		}
		bar, verdict = fmt.Sprintf("%s %s", sign, figure(r.bar, r.unit)), "holds"
		if !r.holds() {
			verdict = "**short**"
			t.short++
		}
	}
	fmt.Fprintf(t.w, "| %s | %s | %s | %s | %s | %s |\n", r.what, r.measured, r.against, figure(r.value, r.unit), bar, verdict)
}

// figure writes a value with its unit.
func figure(v float64, unit string) string {
	if unit == "x" {
		return fmt.Sprintf("%.2fx", v)
	}
	return fmt.Sprintf("%.3g %s", v, unit)
}
