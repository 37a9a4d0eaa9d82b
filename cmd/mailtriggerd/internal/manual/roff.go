package manual

import (
	"fmt"
	"strings"
	"time"
)

// A page is a manual page in the man(7) language.
type page struct {
	strings.Builder
	begins bool // nothing stands below the last heading yet
}

func newPage(title, section, version string, date time.Time, name string) *page {
	p := &page{}
	fmt.Fprintf(p, ".TH %s %s %s %q %q\n", strings.ToUpper(title), section, date.UTC().Format(time.DateOnly), "mailtriggerd "+version, "mailtriggerd")
	p.section("NAME")
	p.text(name)
	return p
}

// escape makes text of what groff would take for more: backslashes, a dot or a quote
// at the beginning of a line, and hyphens that are to be copied as minus signs.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

func bold(s string) string { return `\fB` + escape(s) + `\fR` }

func (p *page) section(title string)    { p.heading(".SH", title) }
func (p *page) subsection(title string) { p.heading(".SS", title) }

func (p *page) heading(macro, title string) {
	p.raw(macro + " " + quote(title))
	p.begins = true
}

// quote makes one argument of a macro.
func quote(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }

// text adds a paragraph's text.
func (p *page) text(s string) { p.raw(escape(s)) }

// raw adds a line that is roff already.
func (p *page) raw(s string) {
	p.WriteString(s + "\n")
	p.begins = false
}

// paragraph adds a text with room above it.
func (p *page) paragraph(s string) {
	p.room()
	p.text(s)
}

// room leaves some, where no heading has left it.
func (p *page) room() {
	if !p.begins {
		p.raw(".PP")
	}
}

// entry adds a term with its description; the term is roff already.
func (p *page) entry(term, description string) {
	p.raw(".TP\n" + term)
	p.text(description)
}

// example adds lines that stay as they are.
func (p *page) example(lines []string) {
	p.room()
	p.raw(".RS 4\n.EX")
	for _, line := range lines {
		if line == "" {
			p.raw(`\&`)
			continue
		}
		p.text(line)
	}
	p.raw(".EE\n.RE")
}
