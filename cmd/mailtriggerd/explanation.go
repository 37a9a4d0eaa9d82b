package main

import (
	"fmt"
	"io"
	"strings"

	"mailtrigger/trigger"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/message"
)

// How wide an explanation's columns may get, in characters of a terminal.
const (
	maxConditionWidth = 60   // a longer condition has what was got on a line of its own
	maxTextWidth      = 120  // of any other text
	maxWould          = 1000 // bytes of a line of what an action would do
)

// printExplanation prints what a trigger makes of a mail, for people.
func (c *call) printExplanation(x *trigger.Explanation) {
	m := x.Event.Message
	from := make([]string, 0, len(m.From))
	for _, a := range m.From {
		from = append(from, strings.TrimSpace(a.Name+" <"+a.Address+">"))
	}
	var facts [][2]string
	if c.message == "" {
		facts = append(facts, [2]string{"message", fmt.Sprintf("UID %d of %s, received %s", x.Event.UID, x.Event.Mailbox, x.Event.Received.Format("2006-01-02 15:04:05 -0700"))})
	}
	facts = append(facts, [][2]string{
		{"from", strings.Join(from, ", ")},
		{"subject", m.Subject},
		{"code page", fmt.Sprintf("%s (%s)", m.CodePage.Used, m.CodePage.Why)},
	}...)
	for _, d := range m.Defects {
		facts = append(facts, [2]string{"defect", d + ": " + message.Defects[d]})
	}
	for _, f := range facts {
		fmt.Fprintln(c.stdout, strings.TrimRight(pad(f[0], 11)+shorten(printable(f[1]), maxTextWidth), " "))
	}
	fmt.Fprintln(c.stdout)
	if rows := explainConditions(nil, x.Conditions, ""); len(rows) > 0 {
		printConditions(c.stdout, rows)
		fmt.Fprintln(c.stdout)
	}
	verdict := "does not match"
	if x.Matched {
		verdict = "matches"
	}
	switch {
	case x.Problem != "":
		fmt.Fprintf(c.stdout, "trigger %s would make a dead letter of it: %s\n", x.Trigger, printable(x.Problem))
	case len(x.Actions) == 0:
		fmt.Fprintf(c.stdout, "trigger %s %s: nothing would run\n", x.Trigger, verdict)
	default:
		fmt.Fprintf(c.stdout, "trigger %s %s; it would:\n", x.Trigger, verdict)
	}
	for _, a := range x.Actions {
		c.printAction(a)
	}
	if len(x.Gates) > 0 && len(x.Actions) > 0 {
		fmt.Fprintln(c.stdout, "unless it is held back by:")
		for _, g := range x.Gates {
			fmt.Fprintf(c.stdout, "  %s\n", printable(g))
		}
	}
}

// printAction prints what an action would do. A request has lines.
func (c *call) printAction(a trigger.Would) {
	first, rest, _ := strings.Cut(strings.TrimSpace(a.Would), "\n")
	fmt.Fprintf(c.stdout, "  %s (%s): %s\n", a.Name, a.Type, brieflyOf(first))
	if rest == "" {
		return
	}
	for line := range strings.Lines(rest) {
		fmt.Fprintln(c.stdout, strings.TrimRight("    "+brieflyOf(line), " "))
	}
}

// brieflyOf is one line of what an action would do; of a long one, its beginning.
func brieflyOf(line string) string {
	if len(line) <= maxWould {
		return printable(strings.TrimRight(line, "\n"))
	}
	return fmt.Sprintf("%s… (%d bytes; --json has all of them)", printable(strings.ToValidUTF8(line[:maxWould], "")), len(line))
}

// A conditionRow is one condition of an explanation.
type conditionRow struct{ verdict, condition, got string }

// explainConditions adds a row for each condition, those of groups below them and indented.
func explainConditions(rows []conditionRow, list []condition.Verdict, indent string) []conditionRow {
	for _, v := range list {
		r := conditionRow{verdict: "no", condition: indent}
		if v.OK {
			r.verdict = "yes"
		}
		got := "has " + quoteAll(v.Got)
		switch {
		case v.Operator == "group":
			r.condition += v.Want[0]
			got = v.Got[0] + " hold"
			if v.Got[0] == "1" {
				got = "1 holds"
			}
		case v.Field == "expression":
			r.condition += "expression " + strings.Join(strings.Fields(v.Want[0]), " ")
			got = "is " + v.Got[0]
		default:
			r.condition += v.Field + " " + v.Operator + " " + quoteAll(v.Want)
		}
		r.condition = shorten(printable(r.condition), maxTextWidth)
		if r.got = shorten(printable(got), maxTextWidth); v.Why != "" {
			r.got += " (" + shorten(printable(v.Why), maxTextWidth) + ")"
		}
		rows = explainConditions(append(rows, r), v.Conditions, indent+"  ")
	}
	return rows
}

// printConditions prints the rows in columns.
func printConditions(w io.Writer, rows []conditionRow) {
	column := 0
	for _, r := range rows {
		if n := displayWidth(r.condition); n <= maxConditionWidth {
			column = max(column, n)
		}
	}
	for _, r := range rows {
		line := pad(r.verdict, 5) + r.condition
		if displayWidth(r.condition) > column {
			fmt.Fprintln(w, line)
			line = pad("", 5)
		}
		fmt.Fprintln(w, pad(line, 5+column+2)+r.got)
	}
}

func quoteAll(values []string) string {
	quoted := make([]string, 0, len(values))
	for _, v := range values {
		quoted = append(quoted, quote(v))
	}
	if len(quoted) == 0 {
		return "nothing"
	}
	return strings.Join(quoted, ", ")
}

// quote quotes a value as TOML does: without escapes where that is possible.
func quote(s string) string {
	if strings.Contains(s, `\`) && printable(s) == s && !strings.Contains(s, "'") {
		return "'" + s + "'"
	}
	return fmt.Sprintf("%q", s)
}
