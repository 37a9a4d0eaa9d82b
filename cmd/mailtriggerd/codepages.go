package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"mailtrigger/codepage"
)

// printCodePages prints the table of code pages: for people with one name of each
// registry, as JSON with all of them.
func (c *call) printCodePages() int {
	all := codepage.All()
	if c.json {
		for _, p := range all {
			if code := c.printJSON(p); code != exitOK {
				return code
			}
		}
		return exitOK
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tNAME\tIANA\tTITLE")
	for _, p := range all {
		number, title := "-", p.Title
		if p.Number != 0 {
			number = fmt.Sprint(p.Number)
		}
		iana := ""
		if len(p.IANA) > 0 {
			iana = p.IANA[0]
		}
		switch {
		case p.Page == nil:
			title += "; not supported: " + p.Why
		case p.Why != "":
			title += "; " + p.Why
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", number, orDash(p.Name), orDash(iana), title)
	}
	w.Flush()
	fmt.Fprint(c.stdout, table.String())
	return exitOK
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
