package trigger

import "time"

// SuppressedOwnMove is the reason of a match that does not fire as the daemon's
// own action has put the message there; the other reasons are the keys of its gates.
const SuppressedOwnMove = "own_move"

// Trace has functions that the engine calls as things happen; nil ones are not
// called. They must return quickly and be safe for concurrent use.
type Trace struct {
	Message      func(connection string)                                     // a message was read
	Defect       func(defect string)                                         // it had to be mended
	Match        func(trigger string, at time.Time)                          // a trigger matched
	Suppressed   func(trigger, reason string)                                // ... but did not fire
	Action       func(trigger, action, kind, result string, d time.Duration) // an attempt ended: result is ok, retry or dead
	PushToAction func(d time.Duration)                                       // from the server's push to the action's start, if nothing put it off
	MailboxReset func()                                                      // UIDVALIDITY changed, or the server went back in time
}

func (t *Trace) message(connection string) {
	if t != nil && t.Message != nil {
		t.Message(connection)
	}
}

func (t *Trace) defects(defects []string) {
	if t == nil || t.Defect == nil {
		return
	}
	for _, d := range defects {
		t.Defect(d)
	}
}

func (t *Trace) match(trigger string, at time.Time) {
	if t != nil && t.Match != nil {
		t.Match(trigger, at)
	}
}

func (t *Trace) suppressed(trigger, reason string) {
	if t != nil && t.Suppressed != nil {
		t.Suppressed(trigger, reason)
	}
}

func (t *Trace) action(trigger, action, kind, result string, d time.Duration) {
	if t != nil && t.Action != nil {
		t.Action(trigger, action, kind, result, d)
	}
}

func (t *Trace) pushToAction(d time.Duration) {
	if t != nil && t.PushToAction != nil {
		t.PushToAction(d)
	}
}

func (t *Trace) mailboxReset() {
	if t != nil && t.MailboxReset != nil {
		t.MailboxReset()
	}
}
