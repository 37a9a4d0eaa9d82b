package message

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Beyond each limit the message is read as far as it goes, what follows is found, and
// a defect says which limit it was. Up to the limit nothing is said.
func TestLimits(t *testing.T) {
	deep := func(n int) string {
		var b strings.Builder
		b.WriteString("Content-Type: multipart/mixed; boundary=0\n\n")
		for i := range n - 1 {
			fmt.Fprintf(&b, "--%d\nContent-Type: multipart/mixed; boundary=%d\n\n", i, i+1)
		}
		fmt.Fprintf(&b, "--%d\n\nwords\n", n-1)
		for i := n - 1; i >= 0; i-- {
			fmt.Fprintf(&b, "--%d--\n", i)
		}
		return b.String()
	}
	parameters := func(n int) string {
		return "Content-Type: text/plain" + strings.Repeat("; a=b", n) + "\n\nwords"
	}
	for _, test := range []struct {
		defect string
		mail   func(over int) string // over: 0 at the limit, 1 beyond
		kept   func(m *Message) (got, want int)
	}{
		{DefectHeaderLimit, func(over int) string {
			return strings.Repeat("a: b\n", MaxHeaderFields+over) + "\nwords"
		}, func(m *Message) (int, int) { return len(m.Headers), MaxHeaderFields }},
		{DefectHeaderLimit, func(over int) string {
			return "Subject: " + strings.Repeat("x", MaxHeaderSize-20+over*100) + "\n\nwords"
		}, nil},
		{DefectHeaderLimit, func(over int) string {
			return "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + strings.Repeat("a: b\n", MaxPartHeaderFields+over) + "\nwords\n--b--\n"
		}, nil},
		{DefectAddressLimit, func(over int) string {
			return "To: " + strings.Repeat("a@b,", MaxAddresses+over) + "\n\nwords"
		}, func(m *Message) (int, int) { return len(m.To), MaxAddresses }},
		{DefectParameterLimit, func(over int) string { return parameters(MaxParameters + over) }, nil},
		{DefectPartLimit, func(over int) string {
			return "Content-Type: multipart/mixed; boundary=b\n\n" +
				strings.Repeat("--b\nContent-Type: image/png\n\nx\n", MaxParts-1) + "--b\n\nwords\n" + strings.Repeat("--b\nContent-Type: image/png\n\nx\n", over) + "--b--\n"
		}, func(m *Message) (int, int) { return len(m.Attachments), MaxParts - 1 }},
		{DefectDepthLimit, func(over int) string { return deep(MaxDepth + over) }, nil},
		{DefectNameLimit, func(over int) string {
			return "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nwords\n--b\nContent-Type: image/png; name=" + strings.Repeat("n", MaxName+over) + "\n\nx\n--b--\n"
		}, func(m *Message) (int, int) { return len(m.Attachments[0].Name), MaxName }},
		{DefectTextLimit, func(over int) string {
			return "\nwords" + strings.Repeat("x", MaxText-len("words")+over)
		}, func(m *Message) (int, int) { return len(m.Text), MaxText }},
	} {
		at, beyond := Parse([]byte(test.mail(0)), Options{}), Parse([]byte(test.mail(1)), Options{})
		if slices.Contains(at.Defects, test.defect) {
			t.Errorf("%s at the limit: %q", test.defect, at.Defects)
		}
		if !slices.Contains(beyond.Defects, test.defect) {
			t.Errorf("%s beyond the limit: %q", test.defect, beyond.Defects)
		}
		for _, m := range []*Message{at, beyond} {
			if test.kept != nil {
				if got, want := test.kept(m); got != want {
					t.Errorf("%s: kept %d, want %d", test.defect, got, want)
				}
			}
			if m == at && !strings.HasPrefix(m.Text, "words") {
				t.Errorf("%s: text %.20q", test.defect, m.Text)
			}
		}
		if test.defect != DefectDepthLimit && !strings.HasPrefix(beyond.Text, "words") {
			t.Errorf("%s: the text is lost: %.20q", test.defect, beyond.Text)
		}
		if test.defect == DefectDepthLimit && len(beyond.Attachments) != 1 {
			t.Errorf("%s: the innermost is lost: %+v", test.defect, beyond.Attachments)
		}
	}
}
