package wire

import (
	"bytes"
	"strconv"
)

// Status is what a server says about its state or the last command: OK, NO,
// BAD, BYE or PREAUTH, with the response code if there is one (RFC 9051, section 7.1).
type Status struct {
	Type   string // upper case
	Code   string // upper case, without brackets: "ALERT", "UIDVALIDITY"
	Args   string // what follows the code inside the brackets: "1234"
	Text   string // for people; control characters removed, at most 1000 bytes
	Tagged bool   // the end of a command, not a remark; only those with the code ALERT are reported
}

// textMax is the most bytes of a human-readable text that are passed on.
const textMax = 1000

// parseStatus reads what follows the type of a state response.
func parseStatus(typ, rest []byte) Status {
	st := Status{Type: string(bytes.ToUpper(typ))}
	rest = bytes.TrimSpace(rest)
	if len(rest) > 0 && rest[0] == '[' {
		if end := bytes.IndexByte(rest, ']'); end > 0 {
			code, args, _ := bytes.Cut(bytes.TrimSpace(rest[1:end]), []byte(" "))
			st.Code = string(appendAtom(nil, bytes.ToUpper(code)))
			st.Args = clean(args, len(args))
			rest = bytes.TrimSpace(rest[end+1:])
		}
	}
	st.Text = clean(rest, textMax)
	return st
}

// clean removes control characters and caps the length.
func clean(b []byte, most int) string {
	b = bytes.TrimSpace(b)
	out := make([]byte, 0, min(len(b), most))
	for _, c := range b {
		if len(out) >= most {
			break
		}
		if c >= ' ' && c != 0x7f {
			out = append(out, c)
		}
	}
	return string(out)
}

// appendText appends a status response's end for go-imap: the code if its form
// is one that go-imap survives, the text, and CRLF.
func (st *Status) appendText(dst []byte) []byte {
	if st.Code != "" {
		n := len(dst)
		dst = append(dst, " ["...)
		dst = append(dst, st.Code...)
		if out, ok := st.appendArgs(dst); ok {
			dst = append(out, ']')
		} else {
			dst = dst[:n]
		}
	}
	text := []byte(st.Text)
	if len(text) > 0 {
		if text[0] == '[' {
			text[0] = '(' // or it would be taken for a code
		}
		dst = append(dst, ' ')
		dst = append(dst, text...)
	}
	return append(dst, "\r\n"...)
}

// appendArgs appends the arguments of the codes that go-imap parses, in the one
// form that it parses, and those of all others as they are.
func (st *Status) appendArgs(dst []byte) (out []byte, ok bool) {
	args := []byte(st.Args)
	switch st.Code {
	case "CAPABILITY":
		return appendAtoms(dst, args), true
	case "PERMANENTFLAGS":
		p := parser{b: args}
		dst = append(dst, ' ')
		return appendFlags(dst, &p)
	case "UIDNEXT", "UIDVALIDITY":
		n, ok := number32(bytes.TrimSpace(args))
		return strconv.AppendUint(append(dst, ' '), uint64(n), 10), ok
	case "HIGHESTMODSEQ":
		n, ok := number64(bytes.TrimSpace(args))
		return strconv.AppendUint(append(dst, ' '), uint64(n), 10), ok
	case "APPENDUID":
		f := bytes.Fields(args)
		if len(f) != 2 || !isNumber32(f[0]) || !isNumber32(f[1]) {
			return dst, false
		}
	case "COPYUID":
		f := bytes.Fields(args)
		if len(f) != 3 || !isNumber32(f[0]) || !isUIDSet(f[1]) || !isUIDSet(f[2]) {
			return dst, false
		}
	case "":
		return dst, false
	}
	if len(args) > 0 {
		dst = append(dst, ' ')
		for _, f := range bytes.Fields(args) {
			dst = append(append(dst, f...), ' ')
		}
		dst = bytes.TrimRight(dst, " ")
	}
	return dst, true
}

func isNumber32(w []byte) bool {
	_, ok := number32(w)
	return ok
}

// setMax is the most numbers in a set that is passed on: somebody may list them
// one by one, and 1:4294967295 is written quickly.
const setMax = 2 << 20

// isUIDSet reports whether w is a set of UIDs without "*": 1:3,7.
func isUIDSet(w []byte) bool {
	count := int64(0)
	for r := range bytes.SplitSeq(w, []byte(",")) {
		from, to, isRange := bytes.Cut(r, []byte(":"))
		if !isRange {
			to = from
		}
		a, okA := number32(from)
		b, okB := number32(to)
		if !okA || !okB || a == 0 || b == 0 {
			return false
		}
		count += max(int64(b)-int64(a), int64(a)-int64(b)) + 1
	}
	return count <= setMax
}

// appendAtoms appends the words of b that are atoms, each after a blank, as in a
// list of capabilities.
func appendAtoms(dst, b []byte) []byte {
	for w := range bytes.FieldsSeq(b) {
		if !bytes.ContainsFunc(w, func(r rune) bool { return r > 126 || !isAtomChar(byte(r)) }) {
			dst = append(append(dst, ' '), w...)
		}
	}
	return dst
}

// appendFlags appends a list of flags, each made an atom.
func appendFlags(dst []byte, p *parser) (out []byte, ok bool) {
	p.blanks()
	if !p.take('(') {
		return dst, false
	}
	dst = append(dst, '(')
	for n := 0; ; {
		p.blanks()
		if p.take(')') {
			return append(dst, ')'), true
		}
		if p.peek() == '(' {
			return dst, false
		}
		w, ok := p.astring()
		if !ok {
			return dst, false
		}
		system := len(w) > 0 && w[0] == '\\'
		if system {
			w = w[1:]
		}
		if len(w) == 0 {
			continue
		}
		if n++; n > 1 {
			dst = append(dst, ' ')
		}
		if system {
			dst = append(dst, '\\')
		}
		if system && string(w) == "*" {
			dst = append(dst, '*')
		} else {
			dst = appendAtom(dst, w)
		}
	}
}
