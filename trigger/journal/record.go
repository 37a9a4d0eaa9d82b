package journal

import (
	"strings"
	"time"
	"unicode/utf8"
)

// The records: what each sealed value holds, in order.

// cut shortens a text for people to at most n bytes, not within a rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

func (e *encoder) job(j *Job, body bodyRef) {
	e.string(j.Trigger)
	e.string(j.Connection)
	e.mailbox(j.Mailbox)
	e.string(j.EventID)
	e.string(j.Kind)
	e.uint(uint64(j.UIDValidity))
	e.uint(uint64(j.UID))
	e.time(j.InternalDate)
	e.int(j.Size)
	e.string(j.MessageID)
	e.string(j.Subject)
	e.string(j.From)
	e.fixed64(j.IdentityHash)
	e.time(j.Accepted)
	e.byte(byte(j.Finish))
	e.uint(uint64(len(j.Actions)))
	for i := range j.Actions {
		e.action(&j.Actions[i])
	}
	e.dict(j.Match)
	e.dict(j.Extra)
	e.uint(body.id)
	if body.id != 0 {
		e.int(body.size)
		e.fixed32(body.crc)
		e.bool(body.spool)
	}
}

func (d *decoder) job(seq uint64) *Job {
	j := &Job{Seq: seq}
	j.Trigger = d.name()
	j.Connection = d.name()
	j.Mailbox = d.mailbox()
	j.EventID = d.string()
	j.Kind = d.name()
	j.UIDValidity = d.uint32()
	j.UID = d.uint32()
	j.InternalDate = d.time()
	j.Size = d.int()
	j.MessageID = d.string()
	j.Subject = d.string()
	j.From = d.string()
	j.IdentityHash = d.fixed64()
	j.Accepted = d.time()
	if j.Finish = FinishState(d.byte()); j.Finish >= numFinishState {
		d.fail("%d is no state of a finish", j.Finish)
	}
	if n := d.count(8); n > MaxActions {
		d.fail("%d actions", n)
	} else if n > 0 {
		j.Actions = make([]ActionState, 0, min(n, 64))
		for range n {
			j.Actions = append(j.Actions, d.action())
		}
	}
	j.Match = d.dict()
	j.Extra = d.dict()
	if j.body.id = d.uint(); j.body.id != 0 {
		j.body.size = d.int()
		j.body.crc = d.fixed32()
		j.body.spool = d.bool()
	}
	return j
}

func (e *encoder) action(a *ActionState) {
	e.string(a.Name)
	e.byte(byte(a.State))
	e.uint(uint64(max(a.Attempt, 0)))
	e.time(a.Next)
	e.time(a.Since)
	e.strings(a.Saved)
	e.string(cut(a.Err, MaxErr))
	e.bytes(a.Output[:min(len(a.Output), MaxOutput)])
}

func (d *decoder) action() ActionState {
	a := ActionState{Name: d.name()}
	if a.State = ActionStatus(d.byte()); a.State >= numActionStatus {
		d.fail("%d is no state of an action", a.State)
	}
	attempt := d.uint()
	if attempt > 1<<31-1 {
		d.fail("%d attempts", attempt)
	}
	a.Attempt = int(attempt)
	a.Next = d.time()
	a.Since = d.time()
	a.Saved = d.strings()
	a.Err = d.string()
	a.Output = d.bytes()
	return a
}

// jobSize estimates a record's size, to allocate once.
func jobSize(j *Job) int {
	n := 256 + len(j.EventID) + len(j.MessageID) + len(j.Subject) + len(j.From)
	for i := range j.Actions {
		n += 64 + len(j.Actions[i].Err) + min(len(j.Actions[i].Output), MaxOutput)
	}
	return n
}

func encodeJob(j *Job, body bodyRef) []byte {
	e := newEncoder(kindJob, jobSize(j))
	e.job(j, body)
	return e.seal()
}

func decodeJob(seq uint64, v []byte, intern map[string]string) (*Job, error) {
	d := unseal(kindJob, v)
	d.intern = intern
	j := d.job(seq)
	if err := d.end(); err != nil {
		return nil, err
	}
	return j, nil
}

func encodeDead(j *Job, body bodyRef, reason string, when time.Time) []byte {
	e := newEncoder(kindDead, jobSize(j)+len(reason))
	e.string(cut(reason, MaxErr))
	e.time(when)
	e.job(j, body)
	return e.seal()
}

func decodeDead(seq uint64, v []byte) (DeadLetter, error) {
	d := unseal(kindDead, v)
	l := DeadLetter{ID: letterID(seq), Reason: d.string(), When: d.time()}
	l.Job = d.job(seq)
	return l, d.end()
}

func encodeMailbox(k MailboxKey, s MailboxState) []byte {
	e := newEncoder(kindMailbox, 128)
	e.mailbox(k)
	e.uint(uint64(s.UIDValidity))
	e.uint(uint64(s.UIDNext))
	e.time(s.Horizon)
	e.string(cut(s.Held, MaxErr))
	return e.seal()
}

func decodeMailbox(v []byte) (MailboxKey, MailboxState, error) {
	d := unseal(kindMailbox, v)
	k := d.mailbox()
	s := MailboxState{UIDValidity: d.uint32(), UIDNext: d.uint32(), Horizon: d.time(), Held: d.string()}
	return k, s, d.end()
}

func encodeCursor(c Cursor) []byte {
	e := newEncoder(kindCursor, 32+10*len(c.Backfill))
	e.uint(uint64(c.UIDValidity))
	e.uint(uint64(c.UID))
	e.uint(uint64(c.BackfillPos))
	e.uint(uint64(len(c.Backfill)))
	for _, r := range c.Backfill {
		e.uint(uint64(r.First))
		e.uint(uint64(r.Last))
	}
	return e.seal()
}

func decodeCursor(v []byte) (Cursor, error) {
	d := unseal(kindCursor, v)
	c := Cursor{UIDValidity: d.uint32(), UID: d.uint32(), BackfillPos: d.uint32()}
	if n := d.count(2); n > 0 {
		c.Backfill = make([]Range, 0, min(n, 1024))
		for range n {
			c.Backfill = append(c.Backfill, Range{First: d.uint32(), Last: d.uint32()})
		}
	}
	return c, d.end()
}

// history has the number of its line, as the ring's slots are used again.
func encodeHistory(n uint64, h *HistoryEntry) []byte {
	e := newEncoder(kindHistory, 384)
	e.uint(n)
	e.uint(h.Seq)
	e.string(h.Trigger)
	e.string(h.Connection)
	e.mailbox(h.Mailbox)
	e.string(h.EventID)
	e.string(h.Kind)
	e.uint(uint64(h.UID))
	e.string(cut(h.MessageID, 256))
	e.string(cut(h.Subject, 256))
	e.string(cut(h.From, 256))
	e.time(h.Accepted)
	e.time(h.Ended)
	e.string(h.Outcome)
	e.uint(uint64(len(h.Actions)))
	for _, a := range h.Actions {
		e.string(a.Name)
		e.byte(byte(a.State))
		e.uint(uint64(max(a.Attempt, 0)))
	}
	return e.seal()
}

func decodeHistory(v []byte) (uint64, HistoryEntry, error) {
	d := unseal(kindHistory, v)
	n := d.uint()
	h := HistoryEntry{Seq: d.uint(), Trigger: d.string(), Connection: d.string(), Mailbox: d.mailbox(), EventID: d.string(),
		Kind: d.string(), UID: d.uint32(), MessageID: d.string(), Subject: d.string(), From: d.string(),
		Accepted: d.time(), Ended: d.time(), Outcome: d.string()}
	if c := d.count(3); c > 0 {
		h.Actions = make([]HistoryAction, 0, min(c, 64))
		for range c {
			a := HistoryAction{Name: d.string(), State: ActionStatus(d.byte())}
			attempt := d.uint()
			if a.State >= numActionStatus || attempt > 1<<31-1 {
				d.fail("no state of an action")
			}
			a.Attempt = int(attempt)
			h.Actions = append(h.Actions, a)
		}
	}
	return n, h, d.end()
}

func encodeState(p []byte) []byte {
	e := newEncoder(kindState, len(p))
	e.b = append(e.b, p...)
	return e.seal()
}

// decodeState returns a copy.
func decodeState(v []byte) ([]byte, error) {
	d := unseal(kindState, v)
	if d.err != nil {
		return nil, d.err
	}
	return append(make([]byte, 0, len(d.b)), d.b...), nil
}

func encodeNumber(n uint64) []byte {
	e := newEncoder(kindNumber, 8)
	e.fixed64(n)
	return e.seal()
}

func decodeNumber(v []byte) (uint64, error) {
	d := unseal(kindNumber, v)
	n := d.fixed64()
	return n, d.end()
}

// seenEntry is the size of an entry of a chunk.
const seenEntry = 12

// encodeSeen and decodeSeen: one chunk of a list.
func encodeSeen(entries []Seen) []byte {
	e := newEncoder(kindSeen, seenEntry*len(entries))
	for _, s := range entries {
		e.fixed32(s.UID)
		e.fixed64(s.Hash)
	}
	return e.seal()
}

func decodeSeen(v []byte) ([]Seen, error) {
	d := unseal(kindSeen, v)
	entries := make([]Seen, 0, chunkLen)
	for d.err == nil && len(d.b) > 0 {
		if len(entries) == chunkLen {
			d.fail("a chunk has too many entries")
		}
		entries = append(entries, Seen{UID: d.fixed32(), Hash: d.fixed64()})
	}
	return entries, d.end()
}
