package wire

import (
	"bytes"
	"strings"
)

// kind is what a response is, as far as the guard and the park loop tell them apart.
type kind uint8

const (
	kindUnknown kind = iota // untagged, of a type go-imap does not know or nobody asked for
	kindEmpty               // an empty line
	kindTagged
	kindContinue // "+"
	kindOK
	kindNO
	kindBAD
	kindBYE
	kindPREAUTH
	kindCapability
	kindEnabled
	kindID
	kindNamespace
	kindFlags
	kindExists
	kindRecent
	kindExpunge
	kindFetch
	kindList
	kindStatus
	kindSearch
	kindESearch
)

var kinds = map[string]kind{
	"OK": kindOK, "NO": kindNO, "BAD": kindBAD, "BYE": kindBYE, "PREAUTH": kindPREAUTH,
	"CAPABILITY": kindCapability, "ENABLED": kindEnabled, "ID": kindID, "NAMESPACE": kindNamespace,
	"FLAGS": kindFlags, "EXISTS": kindExists, "RECENT": kindRecent, "EXPUNGE": kindExpunge,
	"FETCH": kindFetch, "LIST": kindList, "STATUS": kindStatus, "SEARCH": kindSearch, "ESEARCH": kindESearch,
}

// isState reports whether the kind is an untagged OK, NO, BAD, BYE or PREAUTH.
func (k kind) isState() bool { return k >= kindOK && k <= kindPREAUTH }

// isText reports whether the response ends in free text, and so has no literals.
func (k kind) isText() bool { return k.isState() || k <= kindContinue && k != kindUnknown }

// numbered reports whether the response has a number before its type.
func (k kind) numbered() bool { return k >= kindExists && k <= kindFetch }

// headMax is the most bytes that head looks at. The longest head there is,
// "* 4294967295 CAPABILITY", fits twice.
const headMax = 64

// head is the beginning of a response: RFC 9051, section 7.
type head struct {
	kind   kind
	tag    []byte // of a tagged response
	typ    []byte // the word that names the type, as spelled
	number uint32 // of a numbered response
	rest   int    // where the rest begins, after the type's blanks
}

// parseHead reads the beginning of a line. Blanks are taken as they come,
// words in any case.
func parseHead(line []byte) (h head) {
	b := line[:min(len(line), headMax)]
	i := blanks(b, 0)
	word := func() []byte {
		from := i
		for i < len(b) && !isEnd(b[i]) {
			i++
		}
		w := b[from:i]
		i = blanks(b, i)
		return w
	}
	first := word()
	switch {
	case len(first) == 0 && (i == len(b) || b[i] == '\r' || b[i] == '\n'):
		h.kind = kindEmpty
		return h
	case len(first) > 0 && first[0] == '+':
		h.kind, h.rest = kindContinue, bytes.IndexByte(b, '+')+1
		return h
	case string(first) != "*":
		h.kind, h.tag = kindTagged, first
		h.typ, h.rest = word(), i
		return h
	}
	w := word()
	n, numbered := number32(w)
	if numbered {
		w = word()
	}
	h.typ, h.rest = w, i
	if len(w) > len("CAPABILITY") {
		return h
	}
	k := kinds[strings.ToUpper(string(w))]
	if k.numbered() != numbered {
		return h
	}
	h.kind, h.number = k, n
	return h
}

// isEnd reports whether c ends a word of a response's head.
func isEnd(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '(' || c == '[' || c == '"' || c == '{'
}

func blanks(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// number32 reads a whole word as a 32-bit number.
func number32(w []byte) (uint32, bool) {
	n, ok := number64(w)
	return uint32(n), ok && n <= 1<<32-1
}

// number64 reads a whole word as a number that fits an int64.
func number64(w []byte) (n int64, ok bool) {
	if len(w) == 0 || len(w) > 19 {
		return 0, false
	}
	for _, c := range w {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
		if n < 0 {
			return 0, false
		}
	}
	return n, true
}
