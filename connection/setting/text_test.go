package setting

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	types := []string{"none", "http", "https", "socks4", "socks4a", "socks5", "environment"}
	for _, c := range []struct{ word, want string }{
		{"sock5", "socks5"}, {"SOCKS-5", "socks5"}, {"htpp", "http"}, {"htttps", "https"},
		{"env", "environment"}, {"zebra", ""}, {"", ""}, {strings.Repeat("s", 100), ""},
		{"socks5h", "socks5"}, {"non", "none"}, {"x", ""},
	} {
		if got := DidYouMean(c.word, types); got != c.want {
			t.Errorf("DidYouMean(%q) = %q, want %q", c.word, got, c.want)
		}
	}
}

func TestOneOf(t *testing.T) {
	if p := OneOf("type", "b", []string{"a", "b"}); p != nil {
		t.Errorf("a known value: %v", p)
	}
	p := OneOf("oauth2.grant", "device-code", []string{"device_code", "refresh_token"})
	if len(p) != 1 || p[0].Error() != `oauth2.grant: unknown grant "device-code"; did you mean "device_code"?` {
		t.Errorf("got %v", p)
	}
	p = OneOf("grant", "zzz\r\n", []string{"x", "y"})
	if len(p) != 1 || p[0].Text != `unknown grant "zzz"; give one of x, y` {
		t.Errorf("got %v", p)
	}
}

func TestPrintable(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"plain text", 20, "plain text"},
		{"a\r\nb\x00\x1b[31mc", 20, "a b [31mc"},
		{"  lead and trail \n", 20, "lead and trail"},
		{"abcdef", 3, "abc..."},
		{"right\u202eleft", 20, "right left"},
		{"bad \xff byte", 20, "bad \ufffd byte"},
		{"", 5, ""},
	} {
		if got := Printable(c.in, c.limit); got != c.want {
			t.Errorf("Printable(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func TestRedact(t *testing.T) {
	const canary = "c@nary pw/ü"
	text := "got " + canary + " " + base64.StdEncoding.EncodeToString([]byte(canary)) + " " + url.QueryEscape(canary) + " " + url.PathEscape(canary)
	if got := Redact(text, NewSecret(canary), NewSecret("")); got != "got <secret> <secret> <secret> <secret>" {
		t.Errorf("got %q", got)
	}
}
