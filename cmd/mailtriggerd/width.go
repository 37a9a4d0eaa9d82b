package main

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// widthOf returns how many columns of a terminal a character takes (Unicode
// Standard Annex 11): East Asian ones and most emoji two, marks none.
func widthOf(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// displayWidth returns how many columns of a terminal a text takes.
func displayWidth(s string) (n int) {
	for _, r := range s {
		n += widthOf(r)
	}
	return n
}

// pad fills a text with blanks up to a width.
func pad(s string, to int) string {
	return s + strings.Repeat(" ", max(0, to-displayWidth(s)))
}

// shorten cuts a text to a width, with "…" where something is gone.
func shorten(s string, to int) string {
	if displayWidth(s) <= to {
		return s
	}
	n := 0
	for i, r := range s {
		if n += widthOf(r); n > to-1 {
			return s[:i] + "…"
		}
	}
	return s
}
