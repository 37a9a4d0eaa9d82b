package message

import (
	"strings"
)

// unflow joins the lines of a format=flowed text (RFC 3676, section 4): a line
// that ends in a blank goes on in the next one of the same quote depth. With
// delSp that blank is not part of the text. The signature's line never flows.
func unflow(s string, delSp bool) string {
	var b strings.Builder
	b.Grow(len(s))
	depth, flowing := 0, false // of the paragraph being written
	for s != "" {
		line, rest, hadEnd := strings.Cut(s, "\n")
		s = rest
		quoted := strings.TrimLeft(line, ">")
		d := len(line) - len(quoted)
		text := strings.TrimPrefix(quoted, " ") // space-stuffing
		signature := text == "-- "
		if flowing && (d != depth || signature) {
			b.WriteByte('\n') // a paragraph that ends on a flowed line
			flowing = false
		}
		if !flowing && d > 0 {
			b.WriteString(line[:d])
			b.WriteByte(' ')
		}
		flows := strings.HasSuffix(text, " ") && !signature
		if flows && delSp {
			text = text[:len(text)-1]
		}
		b.WriteString(text)
		if flows && hadEnd {
			depth, flowing = d, true
			continue
		}
		flowing = false
		if hadEnd {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
