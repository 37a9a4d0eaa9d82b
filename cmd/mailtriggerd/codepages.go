package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"mailtrigger/codepage"
)

func (c *call) printCodePages() int {
	all := codepage.All()
	if c.json {
		for _, p := range all {
			row := struct {
				*codepage.Info
				Supported bool `json:"supported"`
			}{p, p.Page != nil}
			if code := c.printJSON(row); code != exitOK {
				return code
			}
		}
		return exitOK
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tNAME\tIANA\tTITLE\tNOTE")
	for _, p := range all {
		number, note := "-", p.Why
		if p.Number != 0 {
			number = fmt.Sprint(p.Number)
		}
		if p.Page == nil {
			note = "not supported: " + note
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", number, orDash(p.DotNet), orDash(strings.Join(p.IANA, " ")), p.Title, note)
	}
	w.Flush()
	return exitOK
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
