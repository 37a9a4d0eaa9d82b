package compose

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWord is the longest word of a header field that is left as it is: lines are
// folded between words.
const maxWord = 70

// oneLine makes any text fit for a header field: valid UTF-8 without control
// characters or line separators.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// encodeText returns text as an unstructured header field has it: as encoded words
// unless it is short words of ASCII that none could take for encoded ones.
func encodeText(s string) string {
	s = oneLine(s)
	plain := isASCII(s) && !strings.Contains(s, "=?") && s == strings.TrimSpace(s)
	for _, word := range strings.Split(s, " ") {
		plain = plain && len(word) <= maxWord
	}
	if plain {
		return s
	}
	return encodeWords(s)
}

// encodeWords returns all of s as encoded words (RFC 2047), none longer than 75
// bytes, none with a part of a character.
func encodeWords(s string) string {
	const most = 45 // bytes: 60 in base64
	var words []string
	for s != "" {
		n := min(most, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, " ")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// cut keeps the first n characters, with a mark where more was.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	for i := range s {
		if n--; n <= 0 {
			return s[:i] + "…"
		}
	}
	return s
}
