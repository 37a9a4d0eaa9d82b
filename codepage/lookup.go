package codepage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// maxName is the length of the longest name worth looking at, in bytes.
const maxName = 80

// ErrUnsupported is wrapped by the error of Lookup for a page that is known, but
// that cannot be read because no table of it could be checked.
var ErrUnsupported = errors.New("this code page cannot be read")

// Lookup finds a page by Windows number, .NET name, IANA name or common alias.
// Case and punctuation do not matter: "ISO_8859-1" is "iso88591".
// The error says what is wrong and what would be right.
//
// A .NET name goes before the same name at IANA, since the numbers are Windows':
// "gb2312" is 936 (GBK), "ks_c_5601-1987" is 949, "iso-2022-jp" is 50220.
func Lookup(name string) (*Page, error) {
	e, err := find(name)
	if err != nil {
		return nil, err
	}
	if e.Encoding == nil {
		return nil, fmt.Errorf("code page %s, %s: %w: %s", &e.Page, e.Title, ErrUnsupported, e.why())
	}
	return &e.Page, nil
}

// find is Lookup for the pages without a table too.
func find(name string) (*entry, error) {
	if len(name) > maxName {
		return nil, fmt.Errorf("unknown code page %q...: names have at most %d characters", name[:16], maxName)
	}
	if e := known(name); e != nil {
		return e, nil
	}
	key := squeeze(name)
	if key == "" {
		return nil, fmt.Errorf("%q names no code page; use a Windows number (1252), a .NET name or an IANA name (windows-1252)", name)
	}
	if e, alias := index().nearest(key); e != nil {
		as := ""
		if alias != squeeze(e.Name) && alias != strconv.Itoa(e.Number) {
			as = fmt.Sprintf(", also called %s", alias)
		}
		return nil, fmt.Errorf("unknown code page %q; did you mean %s%s?", name, &e.Page, as)
	}
	return nil, fmt.Errorf("unknown code page %q; use a Windows number (1252), a .NET name or an IANA name (windows-1252)", name)
}

// known is find for the many names in mail, whoever is wrong: nil without a hint.
func known(name string) *entry {
	if len(name) > maxName {
		return nil
	}
	ix, key := index(), squeeze(name)
	if n, err := strconv.Atoi(key); err == nil {
		key = strconv.Itoa(n) // 0037 is 37
	}
	if e := ix[key]; e != nil {
		return e
	}
	if e := ix[strings.TrimPrefix(key, "x")]; e != nil { // x-koi8-r
		return e
	}
	// cp1250, windows-28605, "code page 932": any prefix that says no more than "number".
	digits := strings.TrimLeft(key, "abcdefghijklmnopqrstuvwxyz")
	if n, err := strconv.Atoi(digits); err == nil && vendors[strings.TrimSuffix(key, digits)] {
		return ix[strconv.Itoa(n)]
	}
	return nil
}

// vendors are the prefixes that may stand before any page's number.
var vendors = map[string]bool{
	"cp": true, "codepage": true, "ccsid": true, "ms": true, "win": true, "windows": true, "ibm": true, "dos": true, "oem": true, "ansi": true,
	"xcp": true, "xwindows": true, "xibm": true, "xms": true,
}

// squeeze is the form in which names are compared: letters, small, and digits.
func squeeze(name string) string {
	b := make([]byte, 0, len(name))
	for _, c := range []byte(name) {
		switch {
		case 'A' <= c && c <= 'Z':
			b = append(b, c|0x20)
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c >= 0x80:
			b = append(b, c)
		}
	}
	return string(b)
}

// names finds entries by squeezed name.
type names map[string]*entry

// index is made when the first name is looked up: about 900 names.
var index = sync.OnceValue(func() names {
	ix := make(names, 1024)
	add := func(name string, e *entry) {
		if key := squeeze(name); key != "" && ix[key] == nil {
			ix[key] = e
		}
	}
	for i := range entries {
		if e := &entries[i]; e.Number != 0 {
			ix[strconv.Itoa(e.Number)] = e
		}
	}
	// .NET has euc-jp for 20932 and 51932, which are one encoding, and uses the latter.
	add("euc-jp", ix["51932"])
	for i := range entries {
		add(entries[i].Name, &entries[i])
	}
	for _, list := range []func(*entry) string{func(e *entry) string { return e.iana }, func(e *entry) string { return e.also }} {
		for i := range entries {
			for name := range strings.FieldsSeq(list(&entries[i])) {
				add(name, &entries[i])
			}
		}
	}
	return ix
})

// nearest finds the supported page with the name most like key, if one is near
// enough for a slip of the fingers.
func (ix names) nearest(key string) (found *entry, alias string) {
	limit := 1
	if len(key) > 5 {
		limit = 2
	}
	best := limit + 1
	for name, e := range ix {
		if e.Encoding == nil || max(len(name), len(key))-min(len(name), len(key)) >= best+1 {
			continue
		}
		d := distance(name, key)
		// Equally near names are taken in order, canonical ones first: the answer must not change from call to call.
		if d < best || d == best && found != nil && d <= limit && before(name, e, alias, found) {
			best, found, alias = d, e, name
		}
	}
	return found, alias
}

// before orders two equally near names.
func before(a string, ea *entry, b string, eb *entry) bool {
	if ca, cb := a == squeeze(ea.Name), b == squeeze(eb.Name); ca != cb {
		return ca
	}
	return a < b
}

// distance is the number of letters inserted, dropped, replaced or swapped with
// their neighbour that makes a out of b.
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
