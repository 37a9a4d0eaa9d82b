package trigger

import (
	"fmt"
	"testing"
	"time"

	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// What is stored under these names has to be found by every later version.
func TestIdentitiesAreForEver(t *testing.T) {
	box := journal.MailboxKey{Host: "imap.example.com", User: "Alice", Mailbox: "INBOX/Zwölf"}
	received := time.Date(2026, 1, 5, 9, 30, 0, 0, time.UTC)
	raw := []byte("Message-ID: <a@b>\r\nDate: Mon, 05 Jan 2026\r\n 09:30:00 +0000\r\nFrom: A <a@b>\r\nSubject: Order\r\n\r\ntext\r\n")
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"event id", eventID(box, 7, 4294967295, received, 1234567890123, "orders"), "b4080f98109bde1290dbb6a343f1b0d6b566e4a7e957bf392b9b0d9dbd8ae1ea"},
		{"identity", identityHash(raw, 1234), "9711479792322786001"},
		{"start key", startKey(box, 1<<63+5, "orders"), "3c757f8ca9d05c46e145efb5e2a46b5e"},
		{"dedupe id", dedupeID(message.Parse(raw, message.Options{}), raw), "7726552840776699929"},
		{"derived id", derivedID("silence", "orders", "é"), "069e0cfe3fa2153715da8455bc3f1a250ec34db9896fabb7e6b4067d6df90ac7"},
	} {
		if got := fmt.Sprint(c.got); got != c.want {
			t.Errorf("%s: %s, was %s", c.what, got, c.want)
		}
	}
}
