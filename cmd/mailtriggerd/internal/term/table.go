package term

import (
	"fmt"
	"strings"
)

// A Table is rows of cells in line below their heads. Print writes it.
type Table struct {
	t       *Terminal
	columns []Column
	rows    []row
}

// A Column is a column of a Table.
type Column struct {
	Head   string
	Right  bool // numbers stand to the right
	Shrink bool // may be cut where the terminal has no room
}

// A Cell is a text and how it is shown.
type Cell struct {
	Text  string
	Style Style
}

type row struct {
	cells []Cell
	notes []Cell // lines of their own below the row
}

const (
	gap       = 2  // between columns
	narrowest = 10 // to which a column may shrink
	indent    = 4  // of notes
)

// NewTable begins a table.
func (t *Terminal) NewTable(columns ...Column) *Table { return &Table{t: t, columns: columns} }

// Row adds a row: a string or a Cell for each column. An empty one becomes "-".
func (tb *Table) Row(cells ...any) {
	r := row{}
	for _, c := range cells {
		cell, ok := c.(Cell)
		if !ok {
			cell.Text = fmt.Sprint(c)
		}
		if cell.Text = strings.TrimSpace(Clean(cell.Text)); cell.Text == "" {
			cell.Text = "-"
		}
		r.cells = append(r.cells, cell)
	}
	tb.rows = append(tb.rows, r)
}

// Note adds a text below the last row, indented and wrapped to the terminal.
func (tb *Table) Note(s Style, text string) {
	last := &tb.rows[len(tb.rows)-1]
	last.notes = append(last.notes, Cell{strings.TrimSpace(Clean(text)), s})
}

// Print writes the table.
func (tb *Table) Print() {
	widths := tb.widths()
	heads := row{}
	for _, c := range tb.columns {
		heads.cells = append(heads.cells, Cell{c.Head, Soft})
	}
	tb.print(heads, widths)
	for _, r := range tb.rows {
		tb.print(r, widths)
		for _, note := range r.notes {
			tb.t.Indented(indent, note.Style, note.Text)
		}
	}
}

// widths gives each column what it needs, and takes from the widest of those that
// shrink what the terminal has not.
func (tb *Table) widths() []int {
	widths := make([]int, len(tb.columns))
	total := -gap
	for i, c := range tb.columns {
		widths[i] = Width(c.Head)
		for _, r := range tb.rows {
			widths[i] = max(widths[i], Width(r.cells[i].Text))
		}
		total += widths[i] + gap
	}
	for ; tb.t.columns > 0 && total > tb.t.columns; total-- {
		widest := -1
		for i, c := range tb.columns {
			if c.Shrink && widths[i] > max(narrowest, Width(c.Head)) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break // the terminal breaks the lines
		}
		widths[widest]--
	}
	return widths
}

func (tb *Table) print(r row, widths []int) {
	var b strings.Builder
	blank := 0 // spaces due before the next text
	for i, c := range r.cells {
		text := c.Text
		if tb.columns[i].Shrink {
			text = Cut(text, widths[i])
		}
		pad := max(widths[i]-Width(text), 0)
		if tb.columns[i].Right {
			blank, pad = blank+pad, 0
		}
		b.WriteString(strings.Repeat(" ", blank))
		b.WriteString(tb.t.Paint(c.Style, text))
		blank = pad + gap
	}
	b.WriteByte('\n')
	_, _ = fmt.Fprint(tb.t.w, b.String())
}

// Indented writes a clean text with an indent, wrapped to the terminal.
func (t *Terminal) Indented(by int, s Style, text string) {
	for _, line := range wrap(text, t.columns-by) {
		_, _ = fmt.Fprintf(t.w, "%*s%s\n", by, "", t.Paint(s, line))
	}
}

// Hanging writes a clean text after a head that is as wide as the indent, wrapped
// to the terminal below itself.
func (t *Terminal) Hanging(head string, indent int, text string) {
	for i, line := range wrap(strings.TrimSpace(text), t.columns-indent) {
		if i == 0 {
			_, _ = fmt.Fprintln(t.w, strings.TrimRight(head+line, " "))
			continue
		}
		_, _ = fmt.Fprintf(t.w, "%*s%s\n", indent, "", line)
	}
}
