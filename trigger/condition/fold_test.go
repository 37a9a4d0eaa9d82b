package condition

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// strange returns texts of characters that have to do with case or composition, of
// invalid UTF-8, and of anything.
func strange(r *rand.Rand) string {
	pieces := []string{"A", "z", " ", "É", "ß", "ẞ", "ſ", "K", "İ", "ı", "Σ", "ς", "σ", "ǅ", "ɐ", "Ɐ", "e\u0301", "\u0300", "\u0340", "\u0344", "\u1100\u1161", "한", "漢",
		"\u0374", "\u212B", "\u0958", "\xff", "\xcc", "\xc3", "\xe2\x84", "\x80", "\u02ff", "ˇ", "𐐀", "𐐨", "\uFFFD", "\r\n"}
	var b strings.Builder
	for range r.IntN(12) {
		if r.IntN(4) == 0 {
			b.WriteRune(rune(r.IntN(utf8.MaxRune + 1)))
		} else {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
	}
	return b.String()
}

// The short cuts change nothing.
func TestFoldAndNormalize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		s := strange(r)
		if got, want := fold(s), strings.Map(foldRune, s); got != want {
			t.Fatalf("fold(%q) = %q, want %q", s, got, want)
		}
		if got, want := normalize(s), norm.NFC.String(s); got != want {
			t.Fatalf("normalize(%q) = %q, want %q", s, got, want)
		}
	}
	for c := rune(0); c < 0x300; c++ { // each next to each: nothing composes
		for d := rune(0); d < 0x300; d++ {
			if s := string([]rune{c, d}); norm.NFC.String(s) != s {
				t.Fatalf("%q is not NFC", s)
			}
		}
	}
}

func BenchmarkFold(b *testing.B) {
	text := strings.Repeat("Zwölf Boxkämpfer jagen Viktor quer über den großen Deich, jeden Tag.\r\n", 25)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		fold(normalize(text))
	}
}
