package trigger

import (
	"testing"

	"mailtrigger/trigger/journal"
)

// A server that was restored from a backup, and has had new mail since, shows the
// same UIDVALIDITY and a UIDNEXT that is not lower.
func TestUIDsUsedAgain(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	w.append(numbered("old", 3)...)
	rec.wait(t, 3)
	w.quiet()
	for _, down := range []bool{true, false} {
		if down {
			w.stop()
		}
		list := w.srv.Messages(alice, "INBOX")
		w.srv.Rewind(alice, "INBOX", list[len(list)-2].UID)
		names := map[bool][]string{true: numbered("while down", 2), false: numbered("while parked", 3)}[down]
		w.append(names...)
		if down {
			w.start()
		}
		rec.wait(t, len(names))
	}
	w.quiet()
	equal(t, "fired", rec.subjects(), append(append(numbered("old", 3), numbered("while down", 2)...), numbered("while parked", 3)...))
}

func TestNewest(t *testing.T) {
	var n newest
	for uid := range uint32(30) {
		n.add(journal.Seen{UID: 100 - uid, Hash: uint64(uid)})
	}
	if len(n) != newestKept || n[0].UID != 90 || n[newestKept-1].UID != 99 {
		t.Errorf("got %v", n)
	}
}
