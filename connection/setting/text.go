package setting

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// OneOf reports as a problem of key that value is none of want, with the
// nearest of them where one is near: `unknown type "sock5"; did you mean
// "socks5"?`. It returns nil if value is one of want.
func OneOf(key, value string, want []string) []Problem {
	for _, w := range want {
		if w == value {
			return nil
		}
	}
	text := fmt.Sprintf("unknown %s %q", key[strings.LastIndexByte(key, '.')+1:], Printable(value, 60))
	if near := DidYouMean(value, want); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	} else {
		text += "; give one of " + strings.Join(want, ", ")
	}
	return []Problem{{key, text}}
}

// DidYouMean returns the candidate that word was most likely meant to be, or ""
// if none is near. Case and the characters "-", "_", "." and space do not count.
func DidYouMean(word string, candidates []string) string {
	best, bestDistance := "", 3
	w := foldName(word)
	if w == "" || len(w) > 64 {
		return ""
	}
	for _, c := range candidates {
		f := foldName(c)
		if f == "" {
			continue
		}
		d := distance(w, f)
		if d*3 > max(len(w), len(f)) { // at most a third may differ
			continue
		}
		if d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" && len(w) >= 3 {
		for _, c := range candidates {
			if f := foldName(c); strings.HasPrefix(f, w) || (len(f) >= 3 && strings.HasPrefix(w, f)) {
				return c
			}
		}
	}
	return best
}

func foldName(s string) string {
	return nameNoise.Replace(strings.ToLower(s))
}

var nameNoise = strings.NewReplacer("-", "", "_", "", ".", "", " ", "")

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours that make b of a (the optimal string alignment distance).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}

// Printable returns text from a stranger in a form that is fit for an error or
// a log: on one line, control and format characters replaced by spaces, and at
// most limit characters of it.
func Printable(text string, limit int) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range text {
		if !unicode.IsPrint(r) || r == ' ' {
			space = n > 0
			continue
		}
		if n >= limit {
			b.WriteString("...")
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
			n++
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// Redact replaces each of the secrets in text, as it is and in the forms in
// which it travels (base64, percent-encoded), by "<secret>". It is for what a
// server says: one that echoes what it got must not bring a password into a log.
// Values shorter than three bytes are left, as they would hit everything.
func Redact(text string, secrets ...Secret) string {
	for _, s := range secrets {
		if len(s.value) < 3 {
			continue
		}
		for _, form := range []string{
			s.value,
			base64.StdEncoding.EncodeToString([]byte(s.value)),
			base64.RawURLEncoding.EncodeToString([]byte(s.value)),
			url.QueryEscape(s.value),
			url.PathEscape(s.value),
		} {
			text = strings.ReplaceAll(text, form, hidden)
		}
	}
	return text
}
