package smtp

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"mailtrigger/connection/setting"
)

// MaxPath is the longest address, in bytes (RFC 5321, section 4.5.3.1.3).
const MaxPath = 254

// Path returns an address as MAIL and RCPT take it, its domain in ASCII (RFC 5891). What
// is before the @ is put into quotes where it must be, and may be in quotes already. utf8 says that what is before the @ needs SMTPUTF8 (RFC 6531).
func Path(address string) (path string, utf8 bool, err error) {
	local, domain, ok := cutLast(address, "@")
	if !ok || local == "" || domain == "" {
		return "", false, fmt.Errorf("%q is not an address; write name@example.com", setting.Printable(address, 100))
	}
	if strings.ContainsFunc(address, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return "", false, fmt.Errorf("%q has a control character", setting.Printable(address, 100))
	}
	if !strings.HasPrefix(domain, "[") {
		ascii, err := asciiDomain(strings.TrimSuffix(domain, "."))
		if err != nil {
			return "", false, fmt.Errorf("%q: %q is not a domain", setting.Printable(address, 100), setting.Printable(domain, 100))
		}
		domain = ascii
	}
	if plain, ok := unquote(local); ok {
		local = plain
	}
	quoted := (&mail.Address{Address: local + "@" + domain}).String() // quotes what must be
	if _, err := mail.ParseAddress(quoted); err != nil {
		return "", false, fmt.Errorf("%q is not an address; write name@example.com", setting.Printable(address, 100))
	}
	path = strings.TrimSuffix(strings.TrimPrefix(quoted, "<"), ">")
	if len(path) > MaxPath {
		return "", false, errors.New("an address is longer than 254 bytes")
	}
	return path, strings.ContainsFunc(path, func(r rune) bool { return r >= 0x80 }), nil
}

// asciiDomain returns a domain in ASCII. One that is ASCII is left to the server: there are
// names that IDNA does not have, with an underscore or two hyphens, to which mail goes.
func asciiDomain(domain string) (string, error) {
	if strings.ContainsFunc(domain, func(r rune) bool { return r >= 0x80 }) {
		return idna.Lookup.ToASCII(domain)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label ||
			strings.ContainsFunc(label, func(r rune) bool { return r != '-' && r != '_' && !alphanumeric(r) }) {
			return "", errors.New("not a domain")
		}
	}
	return strings.ToLower(domain), nil
}

func alphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// unquote takes off the quotes of a quoted string (RFC 5322, section 3.2.4), if it is one.
func unquote(s string) (plain string, ok bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	var b strings.Builder
	escaped := false
	for _, c := range s[1 : len(s)-1] {
		switch {
		case c == '\\' && !escaped:
			escaped = true
			continue
		case c == '"' && !escaped:
			return "", false
		}
		escaped = false
		b.WriteRune(c)
	}
	return b.String(), !escaped
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
