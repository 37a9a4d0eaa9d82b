package connection

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Mailbox names are UTF-8 here and on the wire modified UTF-7 (RFC 3501 section
// 5.1.3). go-imap encodes those of its own commands; the park loop's SELECT needs ours.

var utf7Encoding = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// encodeUTF7 returns name in modified UTF-7.
func encodeUTF7(name string) string {
	var out strings.Builder
	var run []rune // what waits to be encoded
	flush := func() {
		if len(run) == 0 {
			return
		}
		units := utf16.Encode(run)
		b := make([]byte, 0, 2*len(units))
		for _, u := range units {
			b = append(b, byte(u>>8), byte(u))
		}
		out.WriteByte('&')
		out.WriteString(utf7Encoding.EncodeToString(b))
		out.WriteByte('-')
		run = run[:0]
	}
	for _, r := range name {
		switch {
		case r == '&':
			flush()
			out.WriteString("&-")
		case r >= ' ' && r <= '~':
			flush()
			out.WriteRune(r)
		default:
			run = append(run, r)
		}
	}
	flush()
	return out.String()
}

// quote returns s as a quoted string (RFC 9051 section 4.3). s has no CR, LF or NUL.
func quote(s string) string {
	return `"` + quoteEscapes.Replace(s) + `"`
}

var quoteEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// selectArgument returns a mailbox name as the argument of SELECT.
func selectArgument(name string, utf8Names bool) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	if !utf8Names {
		name = encodeUTF7(name)
	}
	return quote(name)
}

// maxName is the longest mailbox name in bytes; servers end far below.
const maxName = 1000

// checkName refuses what must not come into a command: a line end would start
// another command.
func checkName(what, name string) *Error {
	switch {
	case name == "":
		return &Error{Stage: StageMailbox, Permanent: true, Refused: true, Text: what + " is empty"}
	case len(name) > maxName:
		return &Error{Stage: StageMailbox, Permanent: true, Refused: true, Text: what + " is longer than any server allows"}
	case !utf8.ValidString(name):
		return &Error{Stage: StageMailbox, Permanent: true, Refused: true, Text: what + " is not UTF-8"}
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7F }):
		return &Error{Stage: StageMailbox, Permanent: true, Refused: true, Text: what + " " + oneLineQuoted(name) + " contains a control character"}
	}
	return nil
}

// checkFlag refuses what is not a flag: an atom, with a backslash in front or not (RFC 9051 section 9, flag).
func checkFlag(flag string) *Error {
	atom := strings.TrimPrefix(flag, `\`)
	bad := func(r rune) bool { return r <= ' ' || r >= 0x7F || strings.ContainsRune(`(){%*"\]`, r) }
	if atom == "" || len(flag) > 100 || strings.ContainsFunc(atom, bad) {
		return &Error{Stage: StageMailbox, Permanent: true, Refused: true, Text: oneLineQuoted(flag) + " is not a flag",
			Hint: `use a system flag such as \Seen or \Flagged, or a word of ASCII letters and digits`}
	}
	return nil
}
