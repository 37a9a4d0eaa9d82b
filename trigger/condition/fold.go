package condition

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold makes one spelling of those that differ in upper and lower case: Unicode's
// simple case folding, as strings.EqualFold and the (?i) of regular expressions
// have it. So ẞ is ß but not ss, Σ is σ and ς, and the Turkish İ and ı are letters
// of their own: who reads a mail's subject cannot know its language.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, s)
		}
	}
	return strings.ToLower(s)
}

// foldRune returns the smallest character of those that are the same but for
// case; of those with an ASCII letter, its lower case.
func foldRune(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	case 0x2E80 <= r && r < 0xA640: // East Asian scripts have no case
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}
