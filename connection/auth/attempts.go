package auth

import (
	"strings"
	"sync"
	"time"
)

// The limits of Attempts.
const (
	maxWrong    = 3               // wrong logins ...
	wrongWindow = time.Hour       // ... in this time
	openAttempt = 5 * time.Minute // after this a login that nobody ended is forgotten
	busyWait    = 500 * time.Millisecond
)

// Attempts is the ledger that keeps a wrong password from locking an account: at
// most 3 wrong logins an hour for a server and login user, whatever the number
// of connections. The zero value is ready to use, by many goroutines at once.
//
// A login that is under way counts as wrong until it has ended, so that thirty
// connections that start at once try a wrong password three times, not thirty;
// with a good password they log in three at a time.
type Attempts struct {
	mu sync.Mutex
	m  map[account]*ledger
}

type account struct{ host, user string }

type ledger struct {
	wrong []time.Time // when a wrong login ended
	open  []time.Time // when a login began that is under way
}

// Allow asks whether a login may begin at now. If so, wait is 0, and exactly one
// of Failed, Succeeded and Abandoned must follow when it has ended. Else ask
// again after wait.
func (a *Attempts) Allow(host, user string, now time.Time) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.m == nil {
		a.m = make(map[account]*ledger)
	}
	k := key(host, user)
	l := a.m[k]
	if l == nil {
		l = &ledger{}
		a.m[k] = l
	}
	l.prune(now)
	if len(l.wrong) >= maxWrong {
		return max(l.wrong[0].Add(wrongWindow).Sub(now), busyWait)
	}
	if len(l.wrong)+len(l.open) >= maxWrong {
		return busyWait
	}
	l.open = append(l.open, now)
	return 0
}

// Blocked returns how long no login may begin because of wrong ones, 0 if one may:
// for who would rather not connect first.
func (a *Attempts) Blocked(host, user string, now time.Time) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.m[key(host, user)]
	if l == nil {
		return 0
	}
	l.prune(now)
	if len(l.wrong) < maxWrong {
		return 0
	}
	return l.wrong[0].Add(wrongWindow).Sub(now)
}

// Locked returns how long no login may begin because of the wrong ones; 0 if it may.
// It is for logins that are not counted while they are under way, as a proxy's: it is
// known to be good only once the server behind it has answered, and one that does not
// answer must hold up no other. Failed follows if it was wrong, and nothing else.
func (a *Attempts) Locked(host, user string, now time.Time) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.m[key(host, user)]
	if l == nil {
		return 0
	}
	if l.prune(now); len(l.wrong) < maxWrong {
		return 0
	}
	return max(l.wrong[0].Add(wrongWindow).Sub(now), busyWait)
}

// Failed ends a login that the server has refused (Error.Refused).
func (a *Attempts) Failed(host, user string, now time.Time) {
	a.end(host, user, now, func(l *ledger) { l.wrong = append(l.wrong, now) })
}

// Succeeded ends a login that the server has accepted. The wrong ones before it
// still count: they may be those of another connection to the same account.
func (a *Attempts) Succeeded(host, user string, now time.Time) {
	a.end(host, user, now, func(*ledger) {})
}

// Abandoned ends a login that came to no verdict: the connection failed, say.
func (a *Attempts) Abandoned(host, user string, now time.Time) {
	a.end(host, user, now, func(*ledger) {})
}

// Forgive forgets the wrong logins, because a person has changed the password.
func (a *Attempts) Forgive(host, user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.m[key(host, user)]; l != nil {
		l.wrong = nil
	}
}

func (a *Attempts) end(host, user string, now time.Time, f func(*ledger)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := key(host, user)
	l := a.m[k]
	if l == nil { // it took so long that it was forgotten
		l = &ledger{}
		if a.m == nil {
			a.m = make(map[account]*ledger)
		}
		a.m[k] = l
	}
	if len(l.open) > 0 {
		l.open = l.open[1:]
	}
	f(l)
	l.prune(now)
	if len(l.open) == 0 && len(l.wrong) == 0 {
		delete(a.m, k)
	}
}

func (l *ledger) prune(now time.Time) {
	for len(l.wrong) > 0 && now.Sub(l.wrong[0]) >= wrongWindow {
		l.wrong = l.wrong[1:]
	}
	for len(l.open) > 0 && now.Sub(l.open[0]) >= openAttempt {
		l.open = l.open[1:]
	}
}

func key(host, user string) account {
	return account{strings.ToLower(strings.TrimSuffix(host, ".")), user}
}
