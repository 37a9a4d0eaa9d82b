package manual

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// sentence makes one of a table's cell.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return ended(string(unicode.ToUpper(first)) + s[size:])
}

// ended puts the full stop where there is none.
func ended(s string) string { return strings.TrimSuffix(s, ".") + "." }
