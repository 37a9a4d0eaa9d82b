package event

import (
	"strings"
	"time"

	"mailtrigger/trigger/message"
)

const sampleMail = `From: "Billing Example" <billing@example.com>
To: "Ops Example" <ops@example.com>
Cc: copy@example.com
Reply-To: answers@example.com
Subject: Invoice 2026-001
Date: Mon, 05 Jan 2026 09:30:00 +0000
Message-ID: <sample@example.com>
List-Id: <sample.example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="sample"

--sample
Content-Type: text/plain; charset=utf-8

The invoice is attached.

--sample
Content-Type: application/pdf; name="invoice.pdf"
Content-Disposition: attachment; filename="invoice.pdf"
Content-Transfer-Encoding: base64

JVBERi0xLjQKJSVFT0YK

--sample--
`

// Sample returns an event of the kind given that stands for any such event when
// a template is checked: every field that such an event may have is set.
func Sample(kind Kind) *Event {
	e := &Event{
		Version: Version,
		ID:      strings.Repeat("0123456789abcdef", 4),
		Kind:    kind,
		Trigger: "sample", Action: "sample", Connection: "sample", Mailbox: "INBOX",
		UIDValidity: 1, UID: 1, Attempt: 1,
		Received: time.Date(2026, time.January, 5, 9, 30, 1, 0, time.UTC),
		Match:    map[string]string{},
	}
	if kind == KindSilence {
		e.Reason, e.Deadline = "not_arrived", time.Date(2026, time.January, 5, 6, 30, 0, 0, time.UTC)
		return e
	}
	e.Raw = []byte(strings.ReplaceAll(sampleMail, "\n", "\r\n"))
	e.Message = message.Parse(e.Raw, message.Options{})
	if kind == KindDead {
		e.Reason = "action book: it exited with 65"
		e.DeadLetter = &DeadLetter{ID: "1", EventID: strings.Repeat("fedcba9876543210", 4), Kind: KindMessage, Action: "book"}
	}
	e.Saved = []string{"/var/lib/example/invoice.pdf", "/var/lib/example/sample.eml"}
	return e
}
