package main

import (
	"fmt"
	"time"
)

// The gates of triggers count in the transaction that takes a message over: no crash
// makes them count twice or forget, and what was started before one fires under its id.

// gateScenarios are crashes of a daemon whose triggers have gates.
func gateScenarios() []*scenario {
	return []*scenario{
		{
			name: "gates", options: clearText, points: atGates,
			triggers: aTrigger("third", "every = 3", aHook("hook", "")) +
				aTrigger("few", `limit = {count = 5, per = "24h"}`, aHook("hook", "")) +
				aTrigger("expiring", `expires = "7 firings"`, anExec("exec")),
			expect: func(r *trial, m *mail) {
				n := r.count("posted")
				if n%3 == 0 {
					r.want(m, "third", "hook")
				}
				if n <= 5 {
					r.want(m, "few", "hook")
				}
				if n <= 7 {
					r.want(m, "expiring", "exec")
				}
			},
		},
		{
			name: "duplicates", options: clearText, points: atGates,
			triggers: aTrigger("once", "mailboxes = [\"INBOX\", \"Copies\"]\ndedupe = {window = \"30d\"}", aHook("hook", "")),
			setup:    func(r *trial) { r.srv.CreateMailbox(crashUser, "Copies") },
			expect: func(r *trial, m *mail) {
				r.allow(m, "INBOX", "once", "hook")
				r.allow(m, "Copies", "once", "hook")
			},
			wave: func(r *trial) {
				for _, m := range r.burst("INBOX", "mail", 3) {
					for range r.rng.IntN(3) {
						r.srv.Append(crashUser, []string{"INBOX", "Copies"}[r.rng.IntN(2)], m.raw, nil, time.Now())
					}
				}
			},
			check: eachOnce,
		},
	}
}

// atGates are the crash points around the journal and the actions. Where a message is
// decoded is none of them: one that the daemon has died of three times is a dead
// letter, and goes round the gates.
func atGates(r *trial) string {
	points := []string{
		"engine.accept.ready", "engine.action.before", "engine.action.after", "engine.job.ended", "journal.group.begin", "journal.group.applied",
		"journal.group.committed", "journal.group.reported", "journal.result.before", "journal.result.written", "journal.open.committed",
	}
	if r.rng.IntN(6) == 0 {
		return atRandom
	}
	return fmt.Sprintf("%s:%d", points[r.rng.IntN(len(points))], r.rng.IntN(3)+1)
}

// eachOnce says which messages have not fired, in whatever mailbox, or under several
// event ids.
func eachOnce(r *trial) (wrong []string) {
	ids := make(map[string]map[string]bool)
	done := make(map[string]bool)
	r.ledger.mu.Lock()
	for _, e := range r.ledger.list {
		if ids[e.mail] == nil {
			ids[e.mail] = make(map[string]bool)
		}
		ids[e.mail][e.event] = true
		done[e.mail] = done[e.mail] || e.ok && e.whole
	}
	r.ledger.mu.Unlock()
	for _, m := range r.mailsSoFar() {
		switch {
		case !done[m.name]:
			wrong = append(wrong, m.name+" has not fired")
		case len(ids[m.name]) > 1:
			wrong = append(wrong, fmt.Sprintf("%s has fired under %d event ids", m.name, len(ids[m.name])))
		}
	}
	return wrong
}
