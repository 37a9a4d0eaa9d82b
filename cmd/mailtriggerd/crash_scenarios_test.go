package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"mailtrigger/connection/connectiontest"
)

// scenarios returns all scenarios. What happens to mail on its way into the
// journal and through local actions is here, what happens on the server in
// serverScenarios.
func scenarios() []*scenario {
	return slices.Concat(deliveryScenarios(), gateScenarios(), serverScenarios())
}

// aTrigger is the config of a trigger whose actions are tried again soon.
func aTrigger(name, keys string, actions ...string) string {
	return fmt.Sprintf("[trigger.%s]\nconnection = \"test\"\nretry = {first = \"20ms\", max = \"60ms\"}\n%s\n", name, keys) +
		strings.ReplaceAll(strings.Join(actions, ""), "trigger.NAME", "trigger."+name)
}

// anAction is the config of an action.
func anAction(name, kind, keys string) string {
	return fmt.Sprintf("[[trigger.NAME.action]]\nname = %q\ntype = %q\n%s\n", name, kind, keys)
}

// aHook is a webhook, which tells the test of a message.
func aHook(name, keys string) string {
	return anAction(name, "webhook", "url_env = \"CRASH_URL\"\ntimeout = \"20s\"\n"+keys)
}

// anExec runs the test's command.
func anExec(name string) string {
	return anAction(name, "exec", `command = ["@SELF@"]
stdin = "raw"
env = {`+crashMode+` = "`+modeCommand+`"}
pass_env = ["CRASH_LIFE", "CRASH_LEDGER"]`)
}

// clearText is a server without TLS, for those scenarios that are not about it.
var clearText = connectiontest.Options{Mode: "none"}

// failFirst lets the first n executions of an action fail.
func failFirst(n func(h *hook) int) func(r *trial, h *hook) int {
	return func(_ *trial, h *hook) int {
		if h.before < n(h) {
			return 503
		}
		return 200
	}
}

// lengthOf is a number that a mail's name decides.
func lengthOf(name string, n int) (sum int) {
	for _, b := range []byte(name) {
		sum += int(b)
	}
	return sum % n
}

func tagged(m *mail, tag string) bool { return strings.HasPrefix(m.name, tag) }

func deliveryScenarios() []*scenario {
	one := aTrigger("one", "", aHook("hook", ""))
	two := one + aTrigger("two", "", aHook("a", ""), aHook("b", ""))
	wantOne := func(r *trial, m *mail) { r.want(m, "one", "hook") }
	wantTwo := func(r *trial, m *mail) { r.want(m, "one", "hook"); r.want(m, "two", "a", "b") }
	return []*scenario{
		{
			name: "burst", triggers: one, options: clearText, expect: wantOne, ordered: true,
			wave: func(r *trial) { r.burst("INBOX", "mail", 10) },
		},
		{name: "two-triggers", triggers: two, options: clearText, expect: wantTwo, ordered: true},
		{
			name: "one-failing", triggers: two, options: clearText, expect: wantTwo, ordered: true,
			answer: failFirst(func(h *hook) int {
				if h.trigger == "two" {
					return 2
				}
				return 0
			}),
		},
		{
			name: "retries", triggers: one, options: clearText, expect: wantOne,
			answer: failFirst(func(h *hook) int { return lengthOf(h.mail, 4) }),
		},
		{name: "dead-letters", also: []string{"engine.dead.sent"}, triggers: one + aTrigger("two", "", aHook("a", ""), aHook("b", "")), options: clearText,
			expect: func(r *trial, m *mail) {
				r.want(m, "one", "hook")
				if !tagged(m, "bad") {
					r.want(m, "two", "a", "b")
					return
				}
				r.allow(m, m.mailbox, "two", "a", "b")
				r.wantDead(m, true)
			},
			wave: func(r *trial) {
				r.burst("INBOX", "mail", 2)
				r.burst("INBOX", "bad", 2)
				if r.alive != nil && r.rng.IntN(2) == 0 {
					heal(r, 2)
				}
			},
			answer: func(r *trial, h *hook) int {
				if h.trigger == "two" && h.action == "a" && r.isBuried(h.mail) {
					return 400
				}
				return 200
			},
			finish: func(r *trial) { heal(r, 1000) },
		},
		{
			name: "slow-action", triggers: two, options: clearText, expect: wantTwo,
			answer: func(r *trial, h *hook) int {
				select {
				case <-h.stopped:
				case <-time.After(time.Duration(10+lengthOf(h.mail, 40)) * time.Millisecond):
				}
				return 200
			},
			wave: func(r *trial) { r.burst("INBOX", "mail", 2) },
		},
		{
			name: "continue-on-error", triggers: aTrigger("one", "", aHook("a", "continue_on_error = true"), aHook("b", "")), options: clearText,
			expect: func(r *trial, m *mail) {
				r.want(m, "one", "b")
				r.wantDead(m, tagged(m, "bad"))
				r.allow(m, m.mailbox, "one", "a")
				if !tagged(m, "bad") {
					r.want(m, "one", "a")
				}
			},
			wave: func(r *trial) { r.burst("INBOX", "mail", 2); r.burst("INBOX", "bad", 2) },
			answer: func(_ *trial, h *hook) int {
				if h.action == "a" && strings.HasPrefix(h.mail, "bad") {
					return 400
				}
				return 200
			},
		},
		{
			name: "no-match", options: clearText,
			triggers: aTrigger("one", "", "[[trigger.NAME.condition]]\nfield = \"subject\"\ncontains = \"yes\"\n",
				aHook("m", ""), aHook("n", `when = "no_match"`), aHook("w", `when = "always"`)),
			expect: func(r *trial, m *mail) {
				if tagged(m, "yes") {
					r.want(m, "one", "m", "w")
				} else {
					r.want(m, "one", "n", "w")
				}
			},
			wave: func(r *trial) { r.burst("INBOX", "yes", 2); r.burst("INBOX", "no", 2) },
		},
		{
			name: "concurrency", triggers: aTrigger("one", "concurrency = 4", aHook("hook", "")), options: clearText, expect: wantOne,
			parallel: map[string]int{"one": 4},
			wave:     func(r *trial) { r.burst("INBOX", "mail", 12) },
			answer:   failFirst(func(h *hook) int { return lengthOf(h.mail, 2) }),
		},
		{
			name: "large", also: []string{"journal.remove.unlinked", "journal.spool.written", "journal.spool.synced", "journal.spool.renamed"}, triggers: two, options: clearText, expect: wantTwo,
			wave: func(r *trial) {
				r.post("INBOX", "large", 66<<10+r.rng.IntN(200<<10))
				if r.rng.IntN(8) == 0 {
					r.post("INBOX", "huge", 1100<<10)
				}
				r.post("INBOX", "small", 0)
			},
		},
		{
			name: "exec", triggers: aTrigger("one", "", anExec("exec")), options: clearText,
			expect: func(r *trial, m *mail) { r.want(m, "one", "exec") },
			wave:   func(r *trial) { r.burst("INBOX", "mail", 2) },
		},
		{
			name: "exec-webhook-large", triggers: aTrigger("one", "", aHook("a", ""), anExec("exec"), aHook("b", "")), options: clearText,
			expect: func(r *trial, m *mail) { r.want(m, "one", "a", "exec", "b") },
			wave:   func(r *trial) { r.post("INBOX", "large", 80<<10) },
		},
		{
			name: "files", options: clearText, also: []string{"action.file.unsynced", "action.file.written", "action.file.linked", "action.append.written"},
			triggers: aTrigger("one", "", anAction("save", "save", "directory = \"@DIR@/saved\"\nsubdirectory = \"{{.Message.Subject}}\""),
				anAction("append", "append", `file = "@DIR@/lines"`), aHook("hook", "")),
			expect: wantOne, check: checkFiles,
		},
		{
			name: "files-at-once", options: clearText, twins: true, also: []string{"action.file.unsynced", "action.file.written", "action.file.linked"},
			triggers: aTrigger("one", "concurrency = 4", anAction("save", "save", "directory = \"@DIR@/saved\"\nsubdirectory = \"{{.Message.Subject}}\""),
				anAction("last", "save", "directory = \"@DIR@/last\"\nfile_name = \"{{.Message.Subject}}\"\non_conflict = \"overwrite\""),
				anAction("parts", "save_attachments", "directory = \"@DIR@/parts\"\nsubdirectory = \"{{.Message.Subject}}\""), aHook("hook", "")),
			expect: wantOne, parallel: map[string]int{"one": 4},
			wave:  func(r *trial) { r.burst("INBOX", "mail", 16) },
			check: checkTwins,
		},
		{
			name: "poison", triggers: two, options: clearText, expect: wantTwo,
			wave: func(r *trial) { r.burst("INBOX", "mail", 2) },
			points: func(r *trial) string {
				return []string{"engine.decode.marked:1", "engine.decode.marked:2", ""}[r.rng.IntN(3)]
			},
		},
		{
			name: "backlog", triggers: aTrigger("one", `start = "all"`, aHook("hook", "")) + aTrigger("two", "", aHook("hook", "")), options: clearText,
			setup: func(r *trial) {
				for range 250 {
					r.post("INBOX", "old", 0)
				}
			},
			expect: func(r *trial, m *mail) {
				r.want(m, "one", "hook")
				if !tagged(m, "old") {
					r.want(m, "two", "hook")
				}
			},
		},
		fullQueue(),
		sentMail(),
		{
			name: "stop-and-start", triggers: two, options: clearText, expect: wantTwo, orderly: true, ordered: true,
			wave: func(r *trial) { r.burst("INBOX", "mail", 10) },
		},
		{
			name: "reload", triggers: two, options: clearText, expect: wantTwo, ordered: true,
			wave: func(r *trial) {
				r.burst("INBOX", "mail", 6)
				if r.alive != nil {
					reload(r)
					r.burst("INBOX", "mail", 2)
				}
			},
		},
		fullDisk(),
	}
}

// reload has the running daemon read a changed file: trigger "one" stays as it is,
// "two" changes, is disabled for a moment, or is defined anew beside a third one; or
// the connection changes; now and then the file has a mistake.
func reload(r *trial) {
	if r.control(func(*controlClient) error { return nil }) != nil {
		return // it has not read the file yet, and listens to no signal
	}
	hangUp := func() {
		_ = r.alive.cmd.Process.Signal(syscall.SIGHUP)
		select {
		case <-r.alive.ended:
		case <-time.After(time.Duration(r.rng.Int64N(int64(20 * time.Millisecond)))):
		}
	}
	n := r.count("changes")
	two := "[trigger.two]\n"
	switch r.rng.IntN(6) {
	case 0:
		r.writeConfig("this = is a mistake\n")
		hangUp()
		r.writeConfig()
	case 1:
		r.rewrite = strings.NewReplacer(two, two+"enabled = false\n")
		r.writeConfig()
		hangUp()
		r.rewrite = nil
		r.writeConfig()
	case 2:
		r.rewrite = strings.NewReplacer(two, "[trigger.third]\nconnection = \"test\"\nmailboxes = [\"Trash\"]\naction = [{type = \"delete\"}]\n"+two+fmt.Sprintf("max_size = %d\n", 2000000+n))
		r.writeConfig()
	case 3:
		r.rewrite = strings.NewReplacer("timeout = \"20s\"\n[connection.test.auth", fmt.Sprintf("timeout = \"%dms\"\n[connection.test.auth", 20000+n))
		r.writeConfig()
	case 4:
		r.writeConfig() // nothing changes
	default:
		r.rewrite = strings.NewReplacer(two, two+fmt.Sprintf("max_size = %d\n", 1000000+n))
		r.writeConfig()
	}
	hangUp()
}

// heal tries up to n dead letters again: their actions work from now on.
func heal(r *trial, n int) {
	for _, l := range r.letters() {
		m := r.mail(l.Subject)
		if n == 0 || m == nil || !r.isBuried(m.name) {
			continue
		}
		n--
		r.wantDead(m, false)
		r.want(m, "two", "a", "b")
		_ = r.control(func(c *controlClient) error { return c.Retry(l.ID) }) // a daemon that dies of it is asked again
	}
}

// fullQueue is more mail than a trigger's queue holds, while its action hangs.
func fullQueue() *scenario {
	open := func(r *trial) bool { return r.v.crashes >= r.crashes/2 }
	return &scenario{
		name: "full-queue", triggers: aTrigger("one", `start = "all"`, aHook("hook", "")), options: clearText, patient: true,
		setup: func(r *trial) {
			for range 1100 {
				r.post("INBOX", "old", 0)
			}
		},
		expect: func(r *trial, m *mail) { r.want(m, "one", "hook") },
		wave:   func(r *trial) { r.burst("INBOX", "mail", 2) },
		points: func(r *trial) string {
			if !open(r) {
				return atRandom
			}
			return ""
		},
		answer: func(r *trial, h *hook) int {
			if !open(r) && r.count("answered") > 10 {
				<-h.stopped
			}
			return 200
		},
	}
}

// checkFiles looks at what save and append have made: each mail once, whole, and
// nothing else.
func checkFiles(r *trial) (wrong []string) {
	wrong = checkSaved(r)
	lines, _ := os.ReadFile(filepath.Join(r.dir, "lines"))
	for _, m := range r.mailsSoFar() {
		if n := strings.Count(string(lines), `"subject":"`+m.name+`"`); n != 1 {
			wrong = append(wrong, fmt.Sprintf("%s has %d lines", m.name, n))
		}
	}
	return wrong
}

// checkSaved looks at the mails that are saved each in a directory of its own.
func checkSaved(r *trial) (wrong []string) {
	for _, m := range r.mailsSoFar() {
		dir := filepath.Join(r.dir, "saved", m.name)
		if files := namesIn(dir); len(files) != 1 {
			wrong = append(wrong, fmt.Sprintf("%s is saved as %q", m.name, files))
		} else if b, err := os.ReadFile(filepath.Join(dir, files[0])); err != nil || sum(b) != r.sums[m.name] {
			wrong = append(wrong, m.name+" is not saved whole")
		}
	}
	return wrong
}

// checkTwins looks at that and at mails that are saved all in one directory, and at both
// their attachments.
func checkTwins(r *trial) (wrong []string) {
	wrong = checkSaved(r)
	mails := r.mailsSoFar()
	if files := namesIn(filepath.Join(r.dir, "last")); len(files) != len(mails) {
		wrong = append(wrong, fmt.Sprintf("%d mails are saved as %q", len(mails), files))
	}
	for _, m := range mails {
		if b, err := os.ReadFile(filepath.Join(r.dir, "last", m.name)); err != nil || sum(b) != r.sums[m.name] {
			wrong = append(wrong, m.name+" is not saved whole by its name")
		}
		dir := filepath.Join(r.dir, "parts", m.name)
		if files := namesIn(dir); !slices.Equal(files, []string{"a-1.pdf", "a.pdf"}) {
			wrong = append(wrong, fmt.Sprintf("the attachments of %s are saved as %q", m.name, files))
		}
		for _, name := range namesIn(dir) {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != twin {
				wrong = append(wrong, fmt.Sprintf("%s of %s is not saved whole", name, m.name))
			}
		}
	}
	return wrong
}

// namesIn returns what is in a directory, sorted.
func namesIn(dir string) (names []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
