package condition

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalize makes one spelling of those that Unicode holds to be the same: NFC. What has
// no character from U+0300 on is in it already (Unicode Standard Annex #15, quick check).
func normalize(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= firstComposing {
			return norm.NFC.String(s)
		}
	}
	return s
}

// firstComposing is the first byte of U+0300 in UTF-8: no character below begins with
// it or a higher one.
const firstComposing = 0xCC

// fold makes one spelling of those that differ in upper and lower case: Unicode's
// simple case folding, as strings.EqualFold and the (?i) of regular expressions
// have it. So ẞ is ß but not ss, Σ is σ and ς, and the Turkish İ and ı are letters
// of their own: who reads a mail's subject cannot know its language.
//
// It goes over the whole text of each message that is looked into, so that it is to be
// quick: a third of the time in which mail was judged went into it.
func fold(s string) string {
	b := make([]byte, 0, len(s)+len(s)/16)
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if r < rune(len(foldedLatin)) {
			r = foldedLatin[r]
		} else {
			r = foldRune(r)
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}

// foldedLatin is what foldRune says of the Latin letters, up to U+024F.
var foldedLatin = func() (table [0x250]rune) {
	for r := range table {
		table[r] = foldRune(rune(r))
	}
	return table
}()

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
