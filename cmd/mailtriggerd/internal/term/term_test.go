package term

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	if got := Clean("a\x1b[31m\r\n\u202eb\u009b\u200bc\x00é漢"); got != "a [31m   b  c é漢" {
		t.Errorf("%q", got)
	}
}

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "INBOX": 5, "Größe": 5, "e\u0301": 1, "漢字": 4, "ｶﾅ": 2, "カナ": 4, "한국": 4, "Ａ": 2, "📬": 2, "…": 1, "עברית": 5,
	} {
		if got := Width(s); got != want {
			t.Errorf("%q takes %d columns, want %d", s, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"INBOX", 5, "INBOX"}, {"INBOX", 4, "INB…"}, {"漢字漢字", 8, "漢字漢字"}, {"漢字漢字", 7, "漢字漢…"}, {"漢字漢字", 6, "漢字…"}, {"ääää", 3, "ää…"}, {"ab", 1, "…"},
	} {
		if got := Cut(c.text, c.n); got != c.want || Width(got) > c.n {
			t.Errorf("%q in %d columns is %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

// table is a table whose names and notes are as bad as they come.
func table(out *Terminal) {
	tb := out.NewTable(Column{Head: "CONNECTION", Shrink: true}, Column{Head: "MAILBOX", Shrink: true}, Column{Head: "STATE"}, Column{Head: "N", Right: true}, Column{Head: "TLS"})
	tb.Row("office", "INBOX", Cell{"parked", Good}, 7, "TLS1.3")
	tb.Row("a-customer-with-a-very-long-name.of-a-company@mail.customer.example", "顧客/请求/"+strings.Repeat("漢字", 30), Cell{"backoff", Bad}, 1234567, "")
	tb.Note(Bad, "login: the server said \x1b]0;owned\x07 no, "+strings.Repeat("again and ", 20)+strings.Repeat("漢", 100))
	tb.Row("évil\x1b[2J\r\u202e", "a\nb", "connecting", 0, "TLS1.2")
	tb.Print()
}

// Every line fits, and every column stands where its head does.
func TestTable(t *testing.T) {
	for _, columns := range []int{0, 60, 80, 120} {
		var b bytes.Buffer
		table(&Terminal{w: &b, columns: columns})
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		state := Width(lines[0][:strings.Index(lines[0], "STATE")])
		for _, line := range lines {
			if line != strings.TrimRight(line, " ") || strings.ContainsAny(line, "\x1b\r\a\u202e") || !utf8.ValidString(line) {
				t.Errorf("%d columns: %q", columns, line)
			}
			if columns > 0 && Width(line) > columns {
				t.Errorf("%d columns: a line of %d:\n%s", columns, Width(line), b.String())
			}
			if at := regexp.MustCompile(`STATE|parked|backoff|connecting`).FindStringIndex(line); at != nil && Width(line[:at[0]]) != state {
				t.Errorf("%d columns: not in line:\n%s", columns, b.String())
			}
		}
		if columns == 0 && !strings.Contains(b.String(), "mail.customer.example") {
			t.Errorf("cut without a terminal:\n%s", b.String())
		}
		t.Logf("%d columns\n%s", columns, b.String())
	}
}

func TestHanging(t *testing.T) {
	var b bytes.Buffer
	out := &Terminal{w: &b, columns: 20}
	out.Hanging("  ok  ", 6, "one two three four five")
	if got, want := b.String(), "  ok  one two three\n      four five\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A line of progress is written over at most ten times a second, fits, and goes.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := (&Terminal{w: &b, columns: 20, live: true}).NewProgress()
		for i := range 1000 {
			p.Say("%d of 1000 connections tested", i)
			time.Sleep(time.Millisecond)
		}
		p.Clear()
		p.Clear()
		lines := strings.Split(b.String(), "\r")
		if len(lines) < 10 || len(lines) > 12 || lines[1] != "0 of 1000 connecti…\x1b[K" || !strings.HasSuffix(b.String(), "\r\x1b[K") {
			t.Errorf("%q", lines)
		}
	})
	var b bytes.Buffer
	p := (&Terminal{w: &b}).NewProgress()
	p.Say("1 of 2")
	p.Clear()
	if b.Len() > 0 {
		t.Errorf("without a terminal: %q", b.String())
	}
}
