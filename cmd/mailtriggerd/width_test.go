package main

import "testing"

func TestWidth(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "Grüße": 5, "u\u0308": 1, "請求書": 6, "ｱｲｳ": 3, "ＡＢ": 4, "한국": 4, "👍": 2, "a\u200bb": 2} {
		if got := displayWidth(text); got != want {
			t.Errorf("%q has %d columns; want %d", text, got, want)
		}
	}
	for _, c := range []struct {
		text string
		to   int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"請求書", 6, "請求書"}, {"請求書", 5, "請求…"}, {"請求書", 4, "請…"}, {"u\u0308u\u0308u\u0308", 2, "u\u0308…"}, {"abc", 1, "…"}} {
		got := shorten(c.text, c.to)
		if got != c.want || displayWidth(got) > c.to {
			t.Errorf("shorten(%q, %d) = %q; want %q", c.text, c.to, got, c.want)
		}
	}
	if got := pad("請", 4) + "|"; got != "請  |" {
		t.Errorf("padded %q", got)
	}
}
