package trigger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// A job is one message for one trigger: the journal's record and what the
// running daemon adds to it. One goroutine owns a job at a time: the collector
// that makes it, then the runner, then the collector again for the server's part.
type job struct {
	rec    *journal.Job
	runner *runner
	rule   *rule  // its trigger's definition, as its owner last looked
	group  *group // the jobs of the same message; nil for none

	startKey  string          // by which begun knows its message
	accepted  *journal.Commit // J1; nil: the job was in the journal at the start
	journaled func()          // to be called once that is done; nil: nothing
	changed   *journal.Commit // the last Update that must be durable before the next attempt; nil: none
	seat      *seat           // while it is at work
	turn      *startTurn      // when its first attempt may start; nil: at any time
	retryAt   time.Time       // when the runner looks at it again
	pushed    time.Time       // when the server told us; zero if it did not

	raw       []byte           // nil: to be read from the journal
	msg       *message.Message // decoded raw; nil with it
	budget    int64            // bytes counted in the engine's budget for raw
	live      bool             // not from a backlog
	asked     bool             // its mail has been asked for again
	readFails int              // sessions that ended while it was being read again
	waits     bool             // in the runner: for its time, not for a retry
	resumed   bool             // its actions on the server were begun in an earlier turn: some may be done
}

// whenJournaled calls f, if there is one, once the job's record is in the journal.
func (j *job) whenJournaled(f func()) {
	if f == nil {
		return
	}
	accepted := j.accepted
	go func() {
		<-accepted.Done()
		if accepted.Err() == nil {
			f()
		}
	}()
}

// durable waits until everything said of the job so far is in the journal.
func (j *job) durable(ctx context.Context) error {
	for _, c := range []*journal.Commit{j.accepted, j.changed} {
		if c == nil {
			continue
		}
		if err := c.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// committed reports whether the job's record is in the journal.
func (j *job) committed() bool {
	if j.accepted == nil {
		return true
	}
	select {
	case <-j.accepted.Done():
		return j.accepted.Err() == nil
	default:
		return false
	}
}

// nextLocal returns the index of the next waiting action that runs in the daemon, or -1.
func (j *job) nextLocal() int {
	return j.next(func(d action.Definition) bool { _, ok := d.(action.Local); return ok })
}

// nextServer returns the index of the next waiting action that runs on the server, or -1.
func (j *job) nextServer() int {
	return j.next(func(d action.Definition) bool { _, ok := d.(action.Server); return ok })
}

// unfinished reports whether any action is still to be done.
func (j *job) unfinished() bool { return j.next(func(action.Definition) bool { return true }) >= 0 }

func (j *job) next(wanted func(action.Definition) bool) int {
	for i, a := range j.rec.Actions {
		if a.State == journal.Waiting && wanted(j.rule.actions[a.Name]) {
			return i
		}
	}
	return -1
}

// dead returns the first action that failed for good, or nil.
func (j *job) dead() *journal.ActionState {
	for i := range j.rec.Actions {
		if j.rec.Actions[i].State == journal.Dead {
			return &j.rec.Actions[i]
		}
	}
	return nil
}

// fail marks action i as failed for good. Unless the action says to go on, it
// ends the job's later actions.
func (j *job) fail(i int, reason string, output []byte) {
	a := &j.rec.Actions[i]
	a.State, a.Err, a.Output = journal.Dead, reason, output
	if j.rule.actions[a.Name].Base().ContinueOnError {
		return
	}
	j.skipWaiting()
}

func (j *job) skipWaiting() {
	for i := range j.rec.Actions {
		if j.rec.Actions[i].State == journal.Waiting {
			j.rec.Actions[i].State = journal.Skipped
		}
	}
}

// load makes sure that the job has its message, from the journal if need be.
func (j *job) load(e *Engine) error {
	if j.rec.Kind != string(event.KindMessage) {
		j.loadNotice(e)
		return nil
	}
	if j.raw == nil {
		raw, err := e.store.Body(j.rec)
		if err != nil {
			return fmt.Errorf("the message cannot be read back from the journal: %w", err)
		}
		j.raw = raw
	}
	if j.msg == nil {
		msg, err := j.decode(e, j.raw)
		if err != nil {
			return err
		}
		j.msg = msg
	}
	return nil
}

// decode reads the message as it was read when it was accepted.
func (j *job) decode(e *Engine, raw []byte) (*message.Message, error) {
	msg, err := e.decode(j.rec.Mailbox, j.rec.UIDValidity, j.rec.UID, raw, j.rule.reading(e.connection(j.rec.Connection)))
	if err == nil {
		msg.Size, msg.Flags = j.rec.Size, strings.Fields(j.rec.Extra[extraFlags])
	}
	return msg, err
}

// setFlags keeps the flags that the message had: they are not part of its bytes. As
// many are kept as fit into maxFlags.
func (j *job) setFlags(flags []string) {
	kept := ""
	for _, flag := range flags {
		if len(kept)+len(flag) < maxFlags {
			kept = strings.TrimLeft(kept+" "+flag, " ")
		}
	}
	if kept != "" {
		j.setExtra(extraFlags, kept)
	}
}

// maxFlags is how many bytes of a message's flags a job keeps.
const maxFlags = 4 << 10

// unload lets go of the message, if load can get it again.
func (j *job) unload(e *Engine) {
	if j.committed() {
		j.drop(e)
	}
}

// drop lets go of the message.
func (j *job) drop(e *Engine) {
	j.raw, j.msg = nil, nil
	e.budget.release(j.budget)
	j.budget = 0
}

// event is what action i gets.
func (j *job) event(i int) *event.Event {
	a := &j.rec.Actions[i]
	ev := &event.Event{
		Version: event.Version, ID: j.rec.EventID, Kind: event.Kind(j.rec.Kind),
		Trigger: j.rec.Trigger, Action: a.Name, Connection: j.rec.Connection,
		Mailbox: j.rec.Mailbox.Mailbox, UIDValidity: j.rec.UIDValidity, UID: j.rec.UID,
		Attempt: a.Attempt, Received: j.rec.InternalDate,
		Message: j.withPaths(), Match: j.rec.Match, Raw: j.raw,
	}
	j.describe(ev)
	for k := range i {
		ev.Saved = append(ev.Saved, j.rec.Actions[k].Saved...)
	}
	return ev
}

// What Job.Extra remembers from one attempt, or one run of the daemon, to the next.
const (
	extraPath       = "path/"       // + index: where that attachment was saved
	extraProgress   = "progress/"   // + action: how many attachments it has dealt with
	extraNote       = "note/"       // + action: what else it wants to know
	extraMend       = "mend/"       // + action: a person must mend what its last attempt failed by
	extraDue        = "due"         // when it may begin (RFC 3339): a gate has put it off
	extraReason     = "reason"      // of a silence or a dead letter
	extraDeadline   = "deadline"    // of a silence (RFC 3339)
	extraLetter     = "letter"      // the dead letter's id
	extraFailed     = "failed"      // its event id
	extraFailedKind = "failed-kind" // and kind
	extraAction     = "action"      // its action that failed
	extraAsking     = "asking"      // the question about a held mailbox that is still to be put
	extraFlags      = "flags"       // of the message when it was read, with blanks between them
	extraBacklog    = "backlog"     // it was in the mailbox before the first look: live mail goes first
)

// remember keeps what an attempt has made for the attempts and actions after it.
// It reports whether there is anything new to keep.
func (j *job) remember(action string, paths map[int]string, progress int, note string) bool {
	if len(paths) == 0 && progress == j.progress(action) && note == j.note(action) {
		return false
	}
	for i, path := range paths {
		j.setExtra(extraPath+strconv.Itoa(i), path)
	}
	j.setExtra(extraProgress+action, strconv.Itoa(progress))
	j.setExtra(extraNote+action, note)
	return true
}

func (j *job) setExtra(key, value string) {
	if j.rec.Extra == nil {
		j.rec.Extra = make(map[string]string)
	}
	j.rec.Extra[key] = value
}

// touched reports whether any action of the job was begun, as far as that is known.
func (j *job) touched() bool {
	return slices.ContainsFunc(j.rec.Actions, func(a journal.ActionState) bool {
		return a.State != journal.Waiting || a.Attempt > 1 || !a.Since.IsZero()
	})
}

// due is when a gate lets the job begin; zero: at once.
func (j *job) due() time.Time { return j.time(extraDue) }

func (j *job) time(key string) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, j.rec.Extra[key])
	return at
}

func (j *job) progress(action string) int {
	n, _ := strconv.Atoi(j.rec.Extra[extraProgress+action])
	return n
}

func (j *job) note(action string) string { return j.rec.Extra[extraNote+action] }

// withPaths returns the message with the paths of the attachments saved by
// earlier actions. The decoded message itself is shared and stays as it is.
func (j *job) withPaths() *message.Message {
	msg := j.msg
	for key, path := range j.rec.Extra {
		index, ok := strings.CutPrefix(key, extraPath)
		i, err := strconv.Atoi(index)
		if !ok || err != nil || j.msg == nil || i < 0 || i >= len(j.msg.Attachments) {
			continue
		}
		if msg == j.msg {
			copied := *j.msg
			copied.Attachments = slices.Clone(j.msg.Attachments)
			msg = &copied
		}
		msg.Attachments[i].Path = path
	}
	return msg
}
