package trigger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"strconv"
	"strings"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// Jobs that no message makes: those that tell of a silence (see vigil) and those
// that tell of a dead letter.

// derivedID names an event that follows from something else.
func derivedID(parts ...string) string {
	var b []byte
	for _, s := range parts {
		b = appendString(b, s)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// hashOf stands for the identity that such a job's event has instead of a message:
// it shares its group with no other.
func hashOf(id string) uint64 {
	b, _ := hex.DecodeString(id)
	return binary.BigEndian.Uint64(b)
}

// inter makes a dead letter of a job and, in the same transaction, a job of what its
// trigger does at dead letters. r is nil if the trigger is gone.
func (e *Engine) inter(r *runner, rec *journal.Job, reason string) *journal.Commit {
	e.letters.add(rec, 1)
	notice := noticeOf(r, rec, reason)
	if notice == nil {
		return e.store.Bury(rec, reason)
	}
	notice.Accepted = e.now()
	commit := e.store.Accept(&journal.Batch{Jobs: []*journal.Job{notice}, Buries: []journal.Burial{{Job: rec, Reason: reason}}})
	if err := commit.Err(); err != nil {
		r.log.Error("nothing is told of a dead letter", "event", rec.EventID, "err", err)
		return e.store.Bury(rec, reason)
	}
	e.takeNotice(notice, r, commit)
	return commit
}

// noticeOf makes the job that tells of a dead letter; nil if nothing is to be told.
// What fails while it tells of one is a dead letter that nobody is told of: there is no loop.
func noticeOf(r *runner, rec *journal.Job, reason string) *journal.Job {
	if r == nil || rec.Kind == string(event.KindDead) {
		return nil
	}
	rule := r.rule()
	if rule == nil {
		return nil
	}
	plan := rule.planAt(action.OnDead)
	if len(plan) == 0 {
		return nil
	}
	letter := strconv.FormatUint(rec.Seq, 10)
	n := &journal.Job{
		Trigger: rec.Trigger, Connection: rec.Connection, Mailbox: rec.Mailbox, Kind: string(event.KindDead),
		EventID:     derivedID(rec.EventID, string(event.KindDead), letter),
		UIDValidity: rec.UIDValidity, UID: rec.UID, InternalDate: rec.InternalDate, Size: rec.Size,
		MessageID: rec.MessageID, Subject: rec.Subject, From: rec.From, Match: maps.Clone(rec.Match),
		Actions: plan,
		Extra:   map[string]string{extraReason: reason, extraLetter: letter, extraFailed: rec.EventID, extraFailedKind: rec.Kind},
	}
	n.IdentityHash = hashOf(n.EventID)
	for _, a := range rec.Actions {
		if a.State == journal.Dead {
			n.Extra[extraAction] = a.Name
			break
		}
	}
	for key, value := range rec.Extra {
		if key == extraFlags || strings.HasPrefix(key, extraPath) {
			n.Extra[key] = value
		}
	}
	if rec.HasBody() {
		n.SameMessage(rec)
	}
	return n
}

// takeNotice lets a runner have such a job, which was just given to the journal.
func (e *Engine) takeNotice(rec *journal.Job, r *runner, accepted *journal.Commit) {
	c := e.adopt(rec, r, accepted)
	if e.started.Load() { // else Run does
		c.resume()
	}
}

// loadNotice makes sure that a job of that kind has what there is of its message. What
// cannot be read is told of all the same, with what is known of it.
func (j *job) loadNotice(e *Engine) {
	if j.msg != nil || j.rec.Kind == string(event.KindSilence) || j.rec.Extra[extraFailedKind] != string(event.KindMessage) {
		return
	}
	if raw, err := e.store.Body(j.rec); err == nil && raw != nil {
		if msg, err := j.decode(e, raw); err == nil {
			j.raw, j.msg = raw, msg
			return
		}
	}
	j.msg = &message.Message{MessageID: j.rec.MessageID, Subject: j.rec.Subject, Size: j.rec.Size}
	if j.rec.From != "" {
		j.msg.From = []message.Address{{Address: j.rec.From}}
	}
}

// describe says in the event what the job tells of.
func (j *job) describe(ev *event.Event) {
	ev.Reason = j.rec.Extra[extraReason]
	switch ev.Kind {
	case event.KindSilence:
		ev.Deadline = j.time(extraDeadline)
	case event.KindDead:
		ev.DeadLetter = &event.DeadLetter{ID: j.rec.Extra[extraLetter], EventID: j.rec.Extra[extraFailed], Kind: event.Kind(j.rec.Extra[extraFailedKind]), Action: j.rec.Extra[extraAction]}
	}
}
