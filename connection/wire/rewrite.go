package wire

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// rewrite appends the untagged response piece, which is neither a FETCH nor a
// SEARCH, in the one form that go-imap surely takes. go-imap closes the
// connection on anything it does not understand, so nothing is passed on as it
// came: what does not have the right shape is dropped, which !ok says.
func rewrite(dst []byte, h head, p *parser) (out []byte, ok bool) {
	start := len(dst)
	dst = append(dst, "* "...)
	switch h.kind {
	case kindCapability, kindEnabled:
		dst = append(dst, bytes.ToUpper(h.typ)...)
		dst, ok = append(appendAtoms(dst, p.b[p.i:]), "\r\n"...), true
	case kindFlags:
		dst, ok = appendFlags(append(dst, "FLAGS "...), p)
		dst = append(dst, "\r\n"...)
	case kindExists, kindRecent, kindExpunge:
		dst = append(strconv.AppendUint(dst, uint64(h.number), 10), ' ')
		dst = append(append(dst, bytes.ToUpper(h.typ)...), "\r\n"...)
		ok = h.kind != kindExpunge || h.number != 0
	case kindList:
		dst, ok = appendList(append(dst, "LIST "...), p)
	case kindStatus:
		dst, ok = appendMailboxStatus(append(dst, "STATUS "...), p)
	case kindID:
		dst, ok = appendID(append(dst, "ID "...), p)
	case kindESearch:
		dst, ok = appendESearch(append(dst, "ESEARCH"...), p)
	case kindNamespace:
		dst, ok = appendNamespace(append(dst, "NAMESPACE"...), p)
	}
	if !ok {
		return dst[:start], false
	}
	return dst, true
}

// appendList rewrites a LIST response (RFC 9051, section 7.3.1), its extended
// data left out.
func appendList(dst []byte, p *parser) (out []byte, ok bool) {
	if dst, ok = appendFlags(dst, p); !ok {
		return dst, false
	}
	p.blanks()
	if dst, ok = appendDelimiter(append(dst, ' '), p); !ok {
		return dst, false
	}
	p.blanks()
	if dst, ok = appendMailbox(append(dst, ' '), p); !ok {
		return dst, false
	}
	return append(dst, "\r\n"...), true
}

func appendDelimiter(dst []byte, p *parser) (out []byte, ok bool) {
	s, null, ok := p.nstring()
	if !ok {
		return dst, false
	}
	r, size := utf8.DecodeRune(s)
	if null || size == 0 || size != len(s) || r == utf8.RuneError || r < ' ' {
		return append(dst, "NIL"...), true
	}
	return appendQuoted(dst, s), true
}

// appendMailbox rewrites a mailbox name if it is one that can be decoded, and so
// be selected: UTF-8 or modified UTF-7 (RFC 3501, section 5.1.3).
func appendMailbox(dst []byte, p *parser) (out []byte, ok bool) {
	name, ok := p.astring()
	if !ok || !validMailbox(name) {
		return dst, false
	}
	return appendQuoted(dst, name), true
}

var base64Mailbox = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// validMailbox reports whether name decodes from modified UTF-7.
func validMailbox(name []byte) bool {
	if !utf8.Valid(name) {
		return false
	}
	shifted := false // the last thing was a base64 run
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c < ' ' || c == 0x7f {
			return false
		}
		if c != '&' {
			shifted = false
			continue
		}
		n := bytes.IndexByte(name[i+1:], '-')
		if n < 0 {
			return false
		}
		run := name[i+1 : i+1+n]
		i += n + 1
		if n == 0 {
			shifted = false
			continue
		}
		if shifted || !validUTF16(run) {
			return false
		}
		shifted = true
	}
	return true
}

// validUTF16 reports whether the base64 run is UTF-16 without printable ASCII.
func validUTF16(run []byte) bool {
	b, err := base64Mailbox.AppendDecode(nil, run)
	if err != nil || len(b) == 0 || len(b)%2 != 0 {
		return false
	}
	for i := 0; i < len(b); i += 2 {
		r := rune(b[i])<<8 | rune(b[i+1])
		switch {
		case r >= ' ' && r <= '~' || r >= 0xdc00 && r <= 0xdfff:
			return false
		case r >= 0xd800 && r <= 0xdbff:
			if i += 2; i == len(b) || b[i] < 0xdc || b[i] > 0xdf {
				return false
			}
		}
	}
	return true
}

// statusItems are the items of a STATUS response that are passed on.
var statusItems = map[string]bool{
	"MESSAGES": true, "UIDNEXT": true, "UIDVALIDITY": true, "UNSEEN": true, "DELETED": true,
	"SIZE": false, "DELETED-STORAGE": false, "HIGHESTMODSEQ": false, // these have 64 bits
}

// appendMailboxStatus rewrites a STATUS response (RFC 9051, section 7.3.4).
func appendMailboxStatus(dst []byte, p *parser) (out []byte, ok bool) {
	if dst, ok = appendMailbox(dst, p); !ok {
		return dst, false
	}
	p.blanks()
	if !p.take('(') {
		return dst, false
	}
	dst = append(dst, " ("...)
	for n := 0; ; {
		p.blanks()
		if p.take(')') {
			return append(dst, ")\r\n"...), true
		}
		name := bytes.ToUpper(p.word())
		if len(name) == 0 {
			return dst, false
		}
		p.blanks()
		from := p.i
		value, good := number64(p.word())
		small, known := statusItems[string(name)]
		if !good || !known || small && value > 1<<32-1 {
			if p.i = from; !p.skip() {
				return dst, false
			}
			continue
		}
		if n++; n > 1 {
			dst = append(dst, ' ')
		}
		dst = append(append(dst, name...), ' ')
		dst = strconv.AppendInt(dst, value, 10)
	}
}

// appendID rewrites an ID response (RFC 2971).
func appendID(dst []byte, p *parser) (out []byte, ok bool) {
	if !p.take('(') {
		return append(dst, "NIL\r\n"...), true
	}
	dst = append(dst, '(')
	n := 0
	for ; ; n++ {
		p.blanks()
		if p.take(')') {
			break
		}
		s, _, ok := p.nstring()
		if !ok {
			return dst, false
		}
		if n > 0 {
			dst = append(dst, ' ')
		}
		dst = appendQuoted(dst, s)
	}
	return append(dst, ")\r\n"...), n%2 == 0
}

// appendESearch rewrites an ESEARCH response (RFC 9051, section 7.3.4).
func appendESearch(dst []byte, p *parser) (out []byte, ok bool) {
	start := len(dst)
	if p.take('(') {
		p.blanks()
		name := p.word()
		p.blanks()
		tag, ok := p.astring()
		p.blanks()
		if !ok || !bytes.EqualFold(name, []byte("TAG")) || !p.take(')') {
			return dst, false
		}
		dst = append(appendQuoted(append(dst, " (TAG "...), tag), ')')
	}
	for n := 0; ; n++ {
		p.blanks()
		name := bytes.ToUpper(p.word())
		if len(name) == 0 {
			return append(dst, "\r\n"...), p.peek() == 0 && len(dst) > start
		}
		if n == 0 && string(name) == "UID" {
			dst = append(dst, " UID"...)
			continue
		}
		p.blanks()
		from := p.i
		value := p.word()
		switch string(name) {
		case "MIN", "MAX", "COUNT":
			ok = isNumber32(value)
		case "ALL":
			ok = isUIDSet(value)
		case "MODSEQ":
			_, ok = number64(value)
		default:
			ok = false
		}
		if !ok {
			if p.i = from; !p.skip() {
				return dst, false
			}
			continue
		}
		dst = append(append(append(append(dst, ' '), name...), ' '), value...)
	}
}

// appendNamespace rewrites a NAMESPACE response (RFC 9051, section 7.3.7), its
// extensions left out.
func appendNamespace(dst []byte, p *parser) (out []byte, ok bool) {
	for range 3 {
		dst = append(dst, ' ')
		p.blanks()
		if !p.take('(') {
			if !bytes.EqualFold(p.word(), []byte("NIL")) {
				return dst, false
			}
			dst = append(dst, "NIL"...)
			continue
		}
		dst = append(dst, '(')
		for n := 0; ; n++ {
			p.blanks()
			if p.take(')') {
				break
			}
			if !p.take('(') {
				return dst, false
			}
			if n > 0 {
				dst = append(dst, ' ')
			}
			p.blanks()
			prefix, ok := p.str()
			if !ok {
				return dst, false
			}
			dst = append(appendQuoted(append(dst, '('), prefix), ' ')
			p.blanks()
			if dst, ok = appendDelimiter(dst, p); !ok {
				return dst, false
			}
			for p.blanks(); !p.take(')'); p.blanks() {
				if !p.skip() {
					return dst, false
				}
			}
			dst = append(dst, ')')
		}
		dst = append(dst, ')')
	}
	return append(dst, "\r\n"...), true
}
