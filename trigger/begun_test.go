package trigger

import (
	"strings"
	"testing"
)

// An action that was started before its job was in the journal is started again
// under the same event id, whatever UID its message has by then.
func TestStartedBeforeUIDsChanged(t *testing.T) {
	rec := newRecorder("rec")
	w := newWorld(t, newTrigger("t", rec))
	w.start()
	w.stop()
	id := strings.Repeat("e", 64)
	w.append("started")
	raw := w.srv.Messages(alice, "INBOX")[0].Raw
	b, err := openBegun(w.dir+"/starting", func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	b.begin(startKey(mailboxKey(w.conn, "INBOX"), identityHash(raw, int64(len(raw))), "t"), id)
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	w.srv.ResetUIDs(alice, "INBOX")
	w.start()
	rec.wait(t, 1)
	w.append("started") // alike in all, and another message
	rec.wait(t, 1)
	if got := rec.runs[0].Event.ID; got != id {
		t.Errorf("started again as %s", got)
	}
	if got := rec.runs[1].Event.ID; got == id {
		t.Errorf("another message has the same id")
	}
	w.quiet()
	w.stop()
	again, err := openBegun(w.dir+"/starting", func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if len(again.old) > 0 {
		t.Errorf("%d marks are left", len(again.old))
	}
}
