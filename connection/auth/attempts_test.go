package auth

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAttempts(t *testing.T) {
	var a Attempts
	now := time.Unix(1e9, 0)
	allow := func() time.Duration { t.Helper(); return a.Allow("Imap.Test.", "u", now) }
	for i := range 3 {
		if w := allow(); w != 0 {
			t.Fatalf("login %d has to wait %v", i, w)
		}
		a.Failed("imap.test", "u", now)
		now = now.Add(time.Minute)
	}
	if w := allow(); w != 57*time.Minute {
		t.Errorf("after three wrong ones: wait %v", w)
	}
	if w := a.Allow("imap.test", "other", now); w != 0 {
		t.Errorf("another user has to wait %v", w)
	}
	now = now.Add(57 * time.Minute)
	if w := allow(); w != 0 {
		t.Errorf("an hour after the first: wait %v", w)
	}
	a.Succeeded("imap.test", "u", now)
	if w := allow(); w != 0 {
		t.Errorf("after a good one: wait %v", w)
	}
	a.Failed("imap.test", "u", now)
	if w := allow(); w != time.Minute {
		t.Errorf("a good login has made the ledger forget: wait %v", w)
	}
	a.Forgive("imap.test", "u")
	if w := allow(); w != 0 {
		t.Errorf("forgiven: wait %v", w)
	}
	a.Abandoned("imap.test", "u", now)
	if len(a.m) != 1 { // "other" is still under way
		t.Errorf("%d accounts are kept", len(a.m))
	}
	now = now.Add(2 * time.Hour)
	a.Abandoned("imap.test", "other", now)
	if len(a.m) != 0 {
		t.Errorf("%d accounts are kept", len(a.m))
	}
	// Logins that nobody ends do not close the account for ever.
	for range 3 {
		allow()
	}
	if allow() == 0 {
		t.Error("a fourth at once")
	}
	now = now.Add(openAttempt)
	if w := allow(); w != 0 {
		t.Errorf("after logins that were never ended: wait %v", w)
	}
}

// TestAttemptsAtOnce: a hundred connections with a wrong password.
func TestAttemptsAtOnce(t *testing.T) {
	var a Attempts
	var tried atomic.Int32
	var wg sync.WaitGroup
	now := time.Unix(1e9, 0)
	for range 100 {
		wg.Go(func() {
			for range 10 {
				if a.Allow("h", "u", now) == 0 {
					tried.Add(1)
					a.Failed("h", "u", now)
				}
			}
		})
	}
	wg.Wait()
	if tried.Load() != 3 {
		t.Errorf("%d wrong logins", tried.Load())
	}
}

func TestAttemptsBlocked(t *testing.T) {
	var a Attempts
	now := time.Now()
	for i := range maxWrong {
		if wait := a.Blocked("h", "u", now); wait != 0 {
			t.Errorf("blocked for %s after %d wrong logins", wait, i)
		}
		if wait := a.Allow("H.", "u", now); wait != 0 {
			t.Fatalf("login %d waits %s", i, wait)
		}
		a.Failed("h", "u", now.Add(time.Duration(i)*time.Minute))
	}
	if wait := a.Blocked("h", "u", now.Add(10*time.Minute)); wait != 50*time.Minute {
		t.Errorf("blocked for %s; want until the first is an hour old", wait)
	}
	if a.Blocked("h", "other", now) != 0 || a.Blocked("h", "u", now.Add(time.Hour)) != 0 {
		t.Error("blocked for another, or for longer")
	}
}
