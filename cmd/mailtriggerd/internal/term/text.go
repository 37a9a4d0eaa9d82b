package term

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Clean makes a text of somebody else's fit to be shown: every control character,
// line end and mark of direction becomes a space.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// Width is how many columns a clean text takes (UAX #11).
func Width(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Cut returns as much of a clean text as fits into n columns, with an ellipsis
// where something is missing.
func Cut(s string, n int) string {
	if len(s) <= n || Width(s) <= n {
		return s
	}
	at := 0 // columns before this rune
	for i, r := range s {
		if at+runeWidth(r) > n-1 {
			return s[:i] + "…"
		}
		at += runeWidth(r)
	}
	return s
}

// wrap breaks a clean text into lines of at most n columns, at spaces where it
// can; n <= 0 is no limit.
func wrap(s string, n int) (lines []string) {
	if n <= 0 {
		return []string{s}
	}
	line, at := "", 0
	for _, word := range strings.Fields(s) {
		w := Width(word)
		if at > 0 && at+1+w <= n {
			line, at = line+" "+word, at+1+w
			continue
		}
		if at > 0 {
			lines = append(lines, line)
		}
		for w > n { // a word that no line has room for
			head := prefix(word, n)
			lines = append(lines, head)
			word = word[len(head):]
			w = Width(word)
		}
		line, at = word, w
	}
	return append(lines, line)
}

// prefix is as much of a text as fits into n columns, and at least one rune.
func prefix(s string, n int) string {
	at := 0
	for i, r := range s {
		if at += runeWidth(r); at > n && i > 0 {
			return s[:i]
		}
	}
	return s
}
