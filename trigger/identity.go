package trigger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"time"

	"mailtrigger/trigger/journal"
)

// eventID names one firing of one trigger on one message for ever: it is made
// once, when the message is accepted, and stored. Every part that could make two
// messages differ is in it, so that a UID used again gives another id.
func eventID(box journal.MailboxKey, uidValidity, uid uint32, received time.Time, size int64, trigger string) string {
	h := sha256.New()
	for _, s := range []string{box.Host, box.User, box.Mailbox, trigger} {
		writeString(h, s)
	}
	for _, n := range []int64{int64(uidValidity), int64(uid), received.Unix(), size} {
		_ = binary.Write(h, binary.BigEndian, n)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func writeString(w io.Writer, s string) {
	_ = binary.Write(w, binary.BigEndian, uint32(len(s)))
	_, _ = io.WriteString(w, s)
}

// identityFields are the header fields by which a message is known again after
// its UID has changed.
var identityFields = []string{"Message-ID", "Date", "From", "Subject"}

// identityHash is what a message is known by when its UID is no longer good:
// after a UIDVALIDITY change, a restored backup, or a move of our own. It is
// taken from the raw header and RFC822.SIZE, so that it is the same from a whole
// message and from a fetch of identityFields alone.
func identityHash(header []byte, size int64) uint64 {
	h := sha256.New()
	for _, name := range identityFields {
		writeString(h, rawField(header, name))
	}
	_ = binary.Write(h, binary.BigEndian, size)
	return binary.BigEndian.Uint64(h.Sum(nil))
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
