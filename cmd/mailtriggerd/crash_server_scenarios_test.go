package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mailtrigger/connection/connectiontest"
)

// whole is a placing of once at least: whatever is there more often was copied
// more than once, which the ledger judges.
func whole(mailbox string) placing   { return placing{mailbox, 1, 1 << 20} }
func nowhere(mailbox string) placing { return placing{mailbox, 0, 0} }

func serverScenarios() []*scenario {
	one := aTrigger("one", "", aHook("hook", ""))
	wantOne := func(r *trial, m *mail) { r.want(m, "one", "hook") }
	move := aTrigger("one", "", aHook("hook", ""), anAction("move", "move", `mailbox = "Archive"`))
	moved := func(_ *trial, m *mail) []placing { return []placing{nowhere("INBOX"), whole("Archive")} }
	resyncs := []string{"engine.resync.compared"}
	subject := "[[trigger.NAME.condition]]\nfield = \"subject\"\ncontains = \"-\"\n"
	return []*scenario{
		{name: "move", triggers: move, options: clearText, expect: wantOne, places: moved, copies: []string{"Archive"}},
		{
			name: "move-without-move", triggers: move, options: connectiontest.Options{Mode: "none", Hide: []string{"MOVE"}},
			expect: wantOne, places: moved, copies: []string{"Archive"},
		},
		{
			name: "move-and-retries", triggers: move + aTrigger("two", "", aHook("a", ""), aHook("b", "")), options: clearText, places: moved, copies: []string{"Archive"},
			expect: func(r *trial, m *mail) { r.want(m, "one", "hook"); r.want(m, "two", "a", "b") },
			answer: failFirst(func(h *hook) int { return lengthOf(h.mail+h.action, 3) }),
		},
		{
			name: "delete", triggers: aTrigger("one", "", aHook("hook", ""), anAction("delete", "delete", "")), options: clearText, expect: wantOne,
			places: func(*trial, *mail) []placing { return []placing{nowhere("INBOX")} },
		},
		{
			name: "flag-copy-move", options: clearText, expect: wantOne, copies: []string{"Copies", "Archive"},
			triggers: aTrigger("one", "", anAction("move", "move", `mailbox = "Archive"`), anAction("copy", "copy", "mailbox = \"Copies\"\ncreate = true"),
				anAction("flag", "flag", `flags = ["\\Flagged", "$Done"]`), aHook("hook", "")),
			places: func(*trial, *mail) []placing { return []placing{nowhere("INBOX"), whole("Archive"), whole("Copies")} },
			check: func(r *trial) (wrong []string) {
				for _, msg := range r.srv.Messages(crashUser, "Archive") {
					if !slices.Contains(msg.Flags, `\Flagged`) || !slices.Contains(msg.Flags, "$Done") || slices.Contains(msg.Flags, `\Seen`) {
						wrong = append(wrong, fmt.Sprintf("%s has the flags %q", mailName(msg.Raw), msg.Flags))
					}
				}
				return wrong
			},
		},
		{
			name: "two-movers", options: clearText, copies: []string{"Archive", "Trash"},
			triggers: aTrigger("one", "", subject, aHook("hook", ""), anAction("move", "move", `mailbox = "Archive"`)) +
				aTrigger("two", "", subject, aHook("hook", ""), anAction("move", "move", `mailbox = "Trash"`)),
			expect: func(r *trial, m *mail) { r.want(m, "one", "hook"); r.want(m, "two", "hook") },
			places: func(*trial, *mail) []placing {
				return []placing{nowhere("INBOX"), whole("Archive"), nowhere("Trash")}
			},
		},
		{
			name: "own-move", options: clearText, copies: []string{"Next"},
			triggers: aTrigger("one", "", aHook("hook", ""), anAction("move", "move", `mailbox = "Next"`)) +
				aTrigger("two", `mailboxes = ["INBOX", "Next"]`, aHook("hook", "")) + aTrigger("three", `mailboxes = ["Next"]`, aHook("hook", "")),
			setup: func(r *trial) { r.srv.CreateMailbox(crashUser, "Next") },
			expect: func(r *trial, m *mail) {
				r.want(m, "one", "hook")
				r.want(m, "two", "hook")
				r.wantIn(m, "Next", "three", "hook")
			},
			places: func(*trial, *mail) []placing { return []placing{nowhere("INBOX"), whole("Next")} },
		},
		{
			name: "move-chain", options: clearText, copies: []string{"Next"},
			triggers: aTrigger("one", "", aHook("hook", ""), anAction("move", "move", `mailbox = "Next"`)) +
				aTrigger("two", `mailboxes = ["Next"]`, aHook("hook", ""), anAction("move", "move", `mailbox = "Archive"`)),
			setup: func(r *trial) { r.srv.CreateMailbox(crashUser, "Next") },
			expect: func(r *trial, m *mail) {
				r.want(m, "one", "hook")
				r.wantIn(m, "Next", "two", "hook")
			},
			places: func(*trial, *mail) []placing {
				return []placing{nowhere("INBOX"), nowhere("Next"), whole("Archive")}
			},
		},
		{
			name: "mailboxes", options: clearText,
			triggers: aTrigger("one", `mailboxes = ["INBOX", "Archive", "Trash"]`, aHook("hook", "")), expect: wantOne,
			wave: func(r *trial) {
				for range 3 {
					r.burst([]string{"INBOX", "Archive", "Trash"}[r.rng.IntN(3)], "mail", 2)
				}
			},
		},
		{name: "tls", triggers: move, expect: wantOne, places: moved, copies: []string{"Archive"}},
		{name: "starttls", triggers: one, options: connectiontest.Options{Mode: "explicit"}, expect: wantOne},
		{
			name: "uidvalidity", also: resyncs, triggers: one + aTrigger("two", "", aHook("a", ""), aHook("b", "")), options: clearText,
			expect: func(r *trial, m *mail) { r.want(m, "one", "hook"); r.want(m, "two", "a", "b") },
			wave: func(r *trial) {
				r.burst("INBOX", "mail", 3)
				if r.mayShake() {
					r.srv.ResetUIDs(crashUser, "INBOX")
					r.burst("INBOX", "later", 2)
				}
			},
		},
		{
			name: "uidvalidity-move", also: resyncs, triggers: move, options: clearText, expect: wantOne, places: moved, copies: []string{"Archive"},
			wave: func(r *trial) {
				r.burst("INBOX", "mail", 3)
				if r.mayShake() {
					r.srv.ResetUIDs(crashUser, "INBOX")
				}
			},
		},
		{
			name: "rollback", also: resyncs, triggers: one, options: clearText, expect: wantOne,
			wave: func(r *trial) {
				r.burst("INBOX", "mail", 4)
				if r.mayShake() {
					rollBack(r, 3)
				}
			},
		},
		{
			name: "uid-reuse", also: resyncs, triggers: one, options: clearText, expect: wantOne,
			wave: func(r *trial) {
				r.burst("INBOX", "mail", 2)
				if r.mayShake() {
					for range rollBack(r, 2) + r.rng.IntN(2) {
						r.post("INBOX", "again", 0)
					}
				}
			},
		},
		{
			name: "expunge", triggers: move, options: clearText, expect: wantOne, places: moved, copies: []string{"Archive"},
			wave: func(r *trial) {
				for _, m := range r.burst("INBOX", "mail", 5) {
					if r.rng.IntN(3) == 0 {
						r.take(m)
						r.srv.Expunge(crashUser, "INBOX", m.uid)
					}
				}
			},
		},
		{
			name: "server-restarts", triggers: move, options: clearText, expect: wantOne, places: moved, copies: []string{"Archive"},
			wave: func(r *trial) {
				r.burst("INBOX", "mail", 3)
				if r.alive != nil && r.rng.IntN(3) == 0 {
					r.srv.Stop()
					r.burst("INBOX", "down", 2)
					r.startServer()
				}
			},
		},
	}
}

// startServer starts the server again after Stop. Its port may be taken for a
// moment, as the near end of somebody's connection.
func (r *trial) startServer() {
	end := time.Now().Add(patience)
	for r.srv.Start() != nil {
		if time.Now().After(end) {
			r.t.Error("the server's port is taken")
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// mayShake says whether the server may do now what it does behind the daemon's
// back: now and then, and while the daemon is away; or it is made to look again.
func (r *trial) mayShake() bool {
	if r.alive == nil {
		return r.rng.IntN(2) == 0
	}
	if r.rng.IntN(6) > 0 {
		return false
	}
	defer r.srv.Drop()
	return true
}

// rollBack makes the server forget up to n of its last messages, and returns how many.
func rollBack(r *trial, n int) int {
	list := r.srv.Messages(crashUser, "INBOX")
	n = min(1+r.rng.IntN(n), len(list))
	for _, msg := range list[len(list)-n:] {
		if m := r.mail(strings.TrimSpace(mailName(msg.Raw))); m != nil {
			r.take(m)
		}
	}
	if n > 0 {
		r.srv.Rewind(crashUser, "INBOX", list[len(list)-n].UID)
	}
	return n
}
