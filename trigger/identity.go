package trigger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"mailtrigger/trigger/journal"
)

// eventID names one firing of one trigger on one message for ever: it is made
// once, when the message is accepted, and stored. Every part that could make two
// messages differ is in it, so that a UID used again gives another id.
func eventID(box journal.MailboxKey, uidValidity, uid uint32, received time.Time, size int64, trigger string) string {
	b := make([]byte, 0, 256)
	for _, s := range []string{box.Host, box.User, box.Mailbox, trigger} {
		b = appendString(b, s)
	}
	for _, n := range []int64{int64(uidValidity), int64(uid), received.Unix(), size} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// appendString appends a string with its length before it.
func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// identityFields are the header fields by which a message is known again after
// its UID has changed.
var identityFields = []string{"Message-ID", "Date", "From", "Subject"}

// identityHash is what a message is known by when its UID is no longer good:
// after a UIDVALIDITY change, a restored backup, or a move of our own. It is
// taken from the raw header and RFC822.SIZE, so that it is the same from a whole
// message and from a fetch of identityFields alone.
func identityHash(header []byte, size int64) uint64 {
	b := make([]byte, 0, 512)
	for _, name := range identityFields {
		b = appendString(b, rawField(header, name))
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(size)))
	return binary.BigEndian.Uint64(sum[:])
}

// maxIdentityHeader is how much of a message rawField looks through.
const maxIdentityHeader = 256 << 10

// rawField returns the first field of that name in a raw header, unfolded,
// white space trimmed and single, nothing decoded; "" if there is none. The
// header ends at the first empty line.
func rawField(raw []byte, name string) string {
	header := raw[:min(len(raw), maxIdentityHeader)]
	var value []byte
	found := false
	for len(header) > 0 {
		var line []byte
		line, header, _ = bytes.Cut(header, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		switch {
		case len(line) == 0:
			header = nil
		case line[0] == ' ' || line[0] == '\t':
			if found {
				value = append(append(value, ' '), line...)
			}
		case found:
			header = nil
		default:
			key, rest, ok := bytes.Cut(line, []byte(":"))
			if ok && bytes.EqualFold(bytes.TrimSpace(key), []byte(name)) {
				found = true
				value = append(value, rest...)
			}
		}
	}
	return string(bytes.Join(bytes.Fields(value), []byte(" ")))
}
