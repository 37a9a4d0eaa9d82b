package message

import (
	"bytes"
	"strings"
)

// addresses appends the addresses of a field (RFC 5322, section 3.4; RFC 6532)
// to list. Groups give their members. What is no address list is read as far as
// it makes sense: nobody who is named is lost.
func (r *reader) addresses(list []Address, value []byte) []Address {
	p := addressParser{reader: r, s: r.header(unfold(value, &r.defects)), list: list}
	p.parse()
	return p.list
}

// An addressParser takes an address list apart. Encoded words are decoded last:
// what they hide is never syntax.
type addressParser struct {
	*reader
	s    string
	i    int
	list []Address

	name     []byte // the phrase before the angle bracket, or all of the address
	comment  string // the first comment
	angle    string // what the angle brackets hold
	hasAngle bool
	quoted   bool // the phrase has a quoted string
	group    bool
	again    bool // a phrase was taken apart already
	half     bool // the last of list may be the first half of a name with a comma
}

func (p *addressParser) parse() {
	for p.i < len(p.s) {
		switch c := p.s[p.i]; c {
		case ',':
			p.i++
			p.end(true)
		case ';':
			p.i++
			if !p.group && p.pending() {
				p.defects.add(DefectAddress) // Outlook's separator
			}
			p.end(false)
			p.group = false
		case ':':
			p.i++
			if p.group || p.hasAngle || bytes.IndexByte(p.name, '@') >= 0 {
				p.defects.add(DefectAddress)
				p.name = append(p.name, c)
				continue
			}
			p.group = true
			p.settle()
			p.reset()
		case '"':
			p.quote()
		case '(':
			p.parenthesis()
		case '<':
			p.bracket()
		case '>':
			p.i++
			p.defects.add(DefectAddress)
		case '\\':
			p.i++
		case '[': // a domain literal has colons in it
			n := strings.IndexAny(p.s[p.i:min(len(p.s), p.i+100)], "],<")
			if n < 0 || p.s[p.i+n] != ']' {
				n = 0
			}
			p.name = append(p.name, p.s[p.i:p.i+n+1]...)
			p.i += n + 1
		default:
			if strings.HasPrefix(p.s[p.i:], "=?") {
				scan := wordScanner{s: p.s[p.i:min(len(p.s), p.i+2000)], tail: -1}
				if w, ok := scan.word(0); ok && !strings.ContainsAny(w.text, "<>") {
					p.name = append(p.name, p.s[p.i:p.i+w.end]...)
					p.i += w.end
					continue
				}
			}
			p.name = append(p.name, c)
			p.i++
		}
	}
	p.end(false)
	p.settle()
}

// quote reads a quoted string into the phrase.
func (p *addressParser) quote() {
	begin := p.i + 1
	for i := begin; i < len(p.s); i++ {
		switch p.s[i] {
		case '\\':
			i++
		case '"':
			text := p.s[begin:i]
			// An address may itself be quoted: "a b"@example.com.
			if i+1 < len(p.s) && p.s[i+1] == '@' {
				p.name = append(p.name, p.s[begin-1:i+1]...)
			} else {
				p.name = append(p.name, unquote(text)...)
			}
			p.quoted = true
			p.i = i + 1
			return
		}
	}
	p.defects.add(DefectAddress) // it never ends: no quote
	p.i = begin
	p.s = p.s[:begin] + strings.ReplaceAll(p.s[begin:], `"`, "")
}

// unquote undoes the backslashes of a quoted string.
func unquote(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parenthesis reads a comment; the first one is the name where there is no other.
func (p *addressParser) parenthesis() {
	depth := 0
	for i := p.i; i < len(p.s); i++ {
		switch p.s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				if p.comment == "" {
					p.comment = unquote(strings.TrimSpace(p.s[p.i+1 : i]))
				}
				p.i = i + 1
				p.name = append(p.name, ' ')
				return
			}
		}
	}
	p.defects.add(DefectAddress) // it never ends: no comment
	p.s = p.s[:p.i] + strings.ReplaceAll(p.s[p.i:], "(", " ")
}

// bracket reads an address in angle brackets.
func (p *addressParser) bracket() {
	rest := p.s[p.i+1:]
	n := strings.IndexByte(rest[:min(len(rest), 2000)], '>')
	next := n + 1
	if n < 0 || strings.IndexByte(rest[:n], '<') >= 0 {
		p.defects.add(DefectAddress)
		if n = strings.IndexAny(rest[:min(len(rest), 2000)], ",;<"); n < 0 {
			n = min(len(rest), 2000)
		}
		next = n
		// Two brackets in a row: Name <<a@b>>.
		if n == 0 && next < len(rest) && rest[0] == '<' {
			p.i++
			return
		}
	}
	if p.hasAngle { // a@b <c@d>: two addresses without a comma between
		p.defects.add(DefectAddress)
		p.end(false)
	}
	p.angle, p.hasAngle = strings.TrimSpace(rest[:n]), true
	p.i += 1 + next
}

func (p *addressParser) pending() bool {
	return p.hasAngle || p.comment != "" || len(bytes.TrimSpace(p.name)) > 0
}

// oneBlank makes each run of blanks in b one, in place, and none at its ends.
func oneBlank(b []byte) []byte {
	b = bytes.TrimSpace(b)
	out := b[:0]
	for _, c := range b {
		if c != ' ' && (c < '\t' || c > '\r') {
			out = append(out, c)
		} else if out[len(out)-1] != ' ' {
			out = append(out, ' ')
		}
	}
	return out
}

func (p *addressParser) reset() {
	p.name = p.name[:0]
	p.comment, p.angle, p.hasAngle, p.quoted = "", "", false, false
}

// end takes what was gathered as one address. comma says that a comma ended it.
func (p *addressParser) end(comma bool) {
	defer p.reset()
	if !p.pending() {
		return
	}
	if len(p.list) >= MaxAddresses {
		p.defects.add(DefectAddressLimit)
		return
	}
	phrase := string(oneBlank(p.name))
	a, half := Address{}, false
	switch {
	case p.hasAngle:
		a.Address = p.route(p.angle)
		if a.Name = p.decode(phrase); a.Name == "" {
			a.Name = p.decode(p.comment)
		}
		if last := len(p.list) - 1; p.half && !p.quoted { // Doe, John <a@b>
			p.defects.add(DefectAddress)
			a.Name = p.list[last].Name + ", " + a.Name
			p.list, p.half = p.list[:last], false
		}
	case strings.Contains(phrase, "@") && !strings.Contains(phrase, " "):
		a.Address, a.Name = p.route(phrase), p.decode(p.comment)
	case strings.Contains(phrase, "@"):
		a = p.loose(phrase)
	case strings.Contains(phrase, "=?"):
		a.Name = p.decode(phrase)
		if strings.Contains(a.Name, "@") && !p.again { // all of "Name <a@b>" in an encoded word
			p.defects.add(DefectEncodedWord)
			q := addressParser{reader: p.reader, s: a.Name, list: p.list, again: true}
			q.parse()
			p.list = q.list
			return
		}
	default:
		a.Name, half = p.decode(phrase), !p.quoted
		if a.Name == "" {
			a.Name, half = p.decode(p.comment), false
		}
	}
	p.settle()
	p.list = append(p.list, a)
	if p.half = half; !comma {
		p.settle()
	}
}

// settle decides what a phrase without an address is, once it is no half of a
// name with a comma in it: a local user, if it is one word.
func (p *addressParser) settle() {
	if !p.half {
		return
	}
	p.half = false
	if a := &p.list[len(p.list)-1]; strings.Contains(a.Name, " ") {
		p.defects.add(DefectAddress)
	} else {
		a.Address, a.Name = a.Name, ""
	}
}

// route takes the address out of an angle bracket: without a source route
// (RFC 5322, section 4.4), blanks, or a scheme.
func (p *addressParser) route(s string) string {
	if strings.HasPrefix(s, "@") {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			s = s[i+1:]
		}
	}
	if len(s) > 7 && strings.EqualFold(s[:7], "mailto:") {
		s = s[7:]
	}
	if strings.Contains(s, "=?") {
		p.defects.add(DefectEncodedWord)
		s = p.words(s)
	}
	if !strings.Contains(s, `"`) {
		s = strings.Join(strings.Fields(s), "")
	}
	return quoteLocal(tame(s))
}

// quoteLocal puts what stands before the @ into quotes where it would else be syntax:
// what a sender hides in one address never makes two of it in a list.
func quoteLocal(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || !strings.ContainsAny(s[:at], `,;:<>\"@`) {
		return s
	}
	local := s[:at]
	if n := len(local); n > 1 && local[0] == '"' && local[n-1] == '"' {
		local = unquote(local[1 : n-1])
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"` + s[at:]
}

// loose finds the address in words without angle brackets.
func (p *addressParser) loose(phrase string) Address {
	if at := strings.LastIndex(phrase, `"@`); at > 0 && phrase[0] == '"' {
		return Address{Address: quoteLocal(phrase), Name: p.decode(p.comment)}
	}
	p.defects.add(DefectAddress)
	words := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(phrase, " @", "@"), "@ ", "@"))
	for i, w := range words {
		if strings.Contains(w, "@") {
			rest := append(append([]string{}, words[:i]...), words[i+1:]...)
			name := p.decode(strings.Join(rest, " "))
			if name == "" {
				name = p.decode(p.comment)
			}
			return Address{Address: p.route(w), Name: name}
		}
	}
	return Address{Name: p.decode(phrase)}
}

// decode decodes the encoded words of a name.
func (p *addressParser) decode(s string) string {
	if s == "" {
		return ""
	}
	return strings.TrimSpace(tame(p.words(s)))
}

// ParseAddresses reads an address list that is already decoded: the value of one
// of a Message's Headers.
func ParseAddresses(value string) []Address {
	return newReader(Options{}).addresses(nil, []byte(value))
}
