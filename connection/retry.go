package connection

import (
	"math/rand/v2"
	"time"
)

// retry decides how long to wait before the next connect: exponential with full
// jitter (anything from 0 to the bound), from 1 s on, up to longest. What is
// permanent is tried from 5 minutes on, up to an hour, and a refused login every
// 20 minutes or more, so that no account is locked. Where somebody has to consent
// first, the file is looked at every 10 s, and no server asked. What a server asks for is a
// lower bound. Only a session that was healthy for a minute starts it afresh: a
// server that greets and hangs up, again and again, is left alone ever longer.
type retry struct {
	longest time.Duration
	attempt int    // failures since the last healthy session
	text    string // what was last said
	saidAt  time.Time
}

const (
	firstBackoff     = time.Second
	permanentBackoff = 5 * time.Minute
	permanentLongest = time.Hour
	refusedBackoff   = 20 * time.Minute // three an hour
	consentBackoff   = 10 * time.Second // it costs no more than a look whether consent was given
	healthy          = time.Minute
	sayAgain         = 6 * time.Hour // a failure that stays the same is said again after this time
)

// next returns the wait after a failure of a session that was up that long.
func (r *retry) next(e *Error, up time.Duration) time.Duration {
	if up >= healthy {
		r.attempt, r.text = 0, ""
	}
	r.attempt++
	first, longest, least := firstBackoff, max(r.longest, firstBackoff), time.Duration(0)
	switch {
	case e.AuthRequired:
		first, longest, least = consentBackoff, consentBackoff, consentBackoff/2
	case e.refused:
		first, longest, least = refusedBackoff, permanentLongest, refusedBackoff
	case e.Permanent:
		first, longest, least = permanentBackoff, permanentLongest, permanentBackoff/2
	}
	bound := first
	for range min(r.attempt-1, 20) {
		bound = min(2*bound, longest)
	}
	wait := rand.N(bound) + 1
	if least > 0 { // half of it is certain
		wait = max(least, bound/2+wait/2)
	}
	if e.Retry > 0 && wait < e.Retry {
		wait = e.Retry + rand.N(e.Retry/10+time.Second)
	}
	return wait
}

// said reports whether this was said already since the last healthy session, and
// not long ago, and notes that it is said now if not.
func (r *retry) said(e *Error) bool {
	text := e.Stage + e.Text
	if e.AuthRequired { // it is found out in more than one stage
		text = e.Text
	}
	if text == r.text && time.Since(r.saidAt) < sayAgain {
		return true
	}
	r.text, r.saidAt = text, time.Now()
	return false
}
