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

// Path returns an address as MAIL and RCPT take it, its domain in ASCII (RFC 5891).
// utf8 says that what is before the @ needs SMTPUTF8 (RFC 6531).
func Path(address string) (path string, utf8 bool, err error) {
	local, domain, ok := cutLast(address, "@")
	if !ok || local == "" || domain == "" {
		return "", false, fmt.Errorf("%q is not an address; write name@example.com", setting.Printable(address, 100))
	}
	if strings.ContainsFunc(address, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return "", false, fmt.Errorf("%q has a control character", setting.Printable(address, 100))
	}
	if !strings.HasPrefix(domain, "[") {
		ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
		if err != nil {
			return "", false, fmt.Errorf("%q: %q is not a domain", setting.Printable(address, 100), setting.Printable(domain, 100))
		}
		domain = ascii
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

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
