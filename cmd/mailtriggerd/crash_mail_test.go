package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// post puts a new mail of about that size into a mailbox, and notes what is to be
// done with it.
func (r *trial) post(mailbox, tag string, size int) *mail {
	r.mu.Lock()
	name := fmt.Sprintf("%s-%03d", tag, len(r.order))
	r.mu.Unlock()
	var text strings.Builder
	fmt.Fprintf(&text, "This is %s.", name)
	for i := 0; text.Len() < size; i++ {
		fmt.Fprintf(&text, "\r\nLine %d of %s, and nothing may be missing.", i, name)
	}
	m := &mail{name: name, mailbox: mailbox, text: strings.ReplaceAll(text.String(), "\r\n", "\n")}
	m.raw = fmt.Appendf(nil, "Subject: %s\r\nFrom: Bob <bob@example.com>\r\nTo: alice@example.com\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s.%s@example.com>\r\n\r\n%s\r\n",
		name, name, r.name, &text)
	if r.scenario.twins {
		m.raw = withTwins(m.raw)
	}
	r.mu.Lock()
	r.mails[name], r.sums[name] = m, sum(m.raw)
	r.order = append(r.order, m)
	r.mu.Unlock()
	if f := r.scenario.expect; f != nil {
		f(r, m)
	}
	m.uid = r.srv.Append(crashUser, mailbox, m.raw, nil, time.Now())
	return m
}

// withTwins puts two attachments into a mail.
func withTwins(raw []byte) []byte {
	header, text, _ := strings.Cut(string(raw), "\r\n\r\n")
	part := "--twins\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n" + twin + "\r\n"
	return []byte(header + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=twins\r\n\r\n--twins\r\n\r\n" + text + part + part + "--twins--\r\n")
}

const twin = "%PDF-1.4 of any mail"

// burst posts from 1 to n mails.
func (r *trial) burst(mailbox, tag string, n int) (mails []*mail) {
	for range 1 + r.rng.IntN(n) {
		mails = append(mails, r.post(mailbox, tag, 0))
	}
	return mails
}

func (r *trial) doWave() {
	if w := r.scenario.wave; w != nil {
		w(r)
		return
	}
	r.burst("INBOX", "mail", 4)
}

func (r *trial) mail(name string) *mail {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mails[name]
}

// want notes that a trigger's actions are to be done with a mail where it is.
func (r *trial) want(m *mail, trigger string, actions ...string) {
	r.wantIn(m, m.mailbox, trigger, actions...)
}

func (r *trial) wantIn(m *mail, mailbox, trigger string, actions ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range actions {
		r.must = append(r.must, firing{m.name, mailbox, trigger, a})
	}
}

// allow notes that an action may be run, well or not.
func (r *trial) allow(m *mail, mailbox, trigger string, actions ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range actions {
		r.may[firing{m.name, mailbox, trigger, a}] = true
	}
}

// wantDead notes that the mail is to become a dead letter, or is none any more.
func (r *trial) wantDead(m *mail, dead bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buried[m.name] = dead
}

// take notes that the test takes the mail away: what is done with it from now on is not certain.
func (r *trial) take(mails ...*mail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range mails {
		m.gone = true
	}
}

// count counts, for a scenario's own purposes.
func (r *trial) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values[what]++
	return r.values[what]
}

// openFirings returns what is to be done and has not been.
func (r *trial) openFirings() (open []firing) {
	r.ledger.readCommands(filepath.Join(r.dir, "commands"), r.sums)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.must {
		if m := r.mails[f.mail]; !m.gone && !r.ledger.done(f) {
			open = append(open, f)
		}
	}
	return open
}

// satisfied reports whether all is done that is to be done.
func (r *trial) satisfied() bool {
	return len(r.openFirings()) == 0 && len(r.misplaced()) == 0 && len(r.unburied()) == 0
}

// unburied returns the mails that are to be dead letters and are not, or the other way round.
func (r *trial) unburied() (wrong []string) {
	r.mu.Lock()
	want := make(map[string]bool)
	for name, dead := range r.buried {
		want[name] = dead
	}
	r.mu.Unlock()
	if len(want) == 0 {
		return nil
	}
	have := make(map[string]bool)
	for _, l := range r.letters() {
		have[l.Subject] = true
	}
	for name, dead := range want {
		if dead != have[name] {
			wrong = append(wrong, name)
		}
	}
	return wrong
}

// places returns how often each mail is in each mailbox of the server.
func (r *trial) places() map[string]map[string]int {
	at := make(map[string]map[string]int)
	for _, box := range r.srv.Mailboxes(crashUser) {
		for _, msg := range r.srv.Messages(crashUser, box) {
			name := mailName(msg.Raw)
			if at[name] == nil {
				at[name] = make(map[string]int)
			}
			at[name][box]++
		}
	}
	return at
}

func mailName(raw []byte) string {
	line, _, _ := bytes.Cut(raw, []byte("\r\n"))
	return strings.TrimPrefix(string(line), "Subject: ")
}

func (r *trial) mailsSoFar() []*mail {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.order)
}

// misplaced returns the mails that are not where they are to be.
func (r *trial) misplaced() (wrong []string) {
	if f := r.scenario.check; f != nil {
		wrong = f(r)
	}
	if r.scenario.places == nil {
		return wrong
	}
	at := r.places()
	for _, m := range r.mailsSoFar() {
		if m.gone {
			continue
		}
		for _, p := range r.scenario.places(r, m) {
			if n := at[m.name][p.mailbox]; n < p.least || n > p.most {
				wrong = append(wrong, fmt.Sprintf("%s is %d times in %s", m.name, n, p.mailbox))
			}
		}
	}
	return wrong
}

// lookAround notes, after a life, what it has copied on the server: the order of
// the copies' UIDs is that of the commands.
func (r *trial) lookAround() {
	for end := time.Now().Add(5 * time.Second); r.srv.Connections() > 0 && time.Now().Before(end); {
		select { // the server may still carry out what the daemon has sent
		case <-time.After(time.Millisecond):
		case <-r.signal:
		}
	}
	for _, box := range r.scenario.copies {
		if r.arrived[box] == nil {
			r.arrived[box] = make(map[uint32]bool)
		}
		for _, msg := range r.srv.Messages(crashUser, box) {
			if r.arrived[box][msg.UID] {
				continue
			}
			r.arrived[box][msg.UID] = true
			m := r.mail(mailName(msg.Raw))
			if m == nil || m.mailbox == box {
				continue
			}
			e := &execution{firing: firing{m.name, m.mailbox, "to " + box, "copied"}, life: len(r.lives), whole: bytes.Equal(msg.Raw, m.raw)}
			r.ledger.start(e)
			r.ledger.end(e, true)
			r.allow(m, m.mailbox, "to "+box, "copied")
		}
	}
}

// lettersLeft compares the dead letters with those that are to be.
func (r *trial) lettersLeft() {
	for _, l := range r.letters() {
		m := r.mail(l.Subject)
		if strings.Contains(l.Reason, "the daemon died") && r.v.crashes >= 3 {
			continue // what it says is true
		}
		if m == nil || !r.isBuried(l.Subject) && !m.gone {
			r.complain("a dead letter that is none: %s of %s: %s", l.Subject, l.Trigger, l.Reason)
			r.v.other++
		}
	}
	for _, name := range r.unburied() {
		if r.isBuried(name) {
			r.complain("a dead letter was lost: %s", name)
			r.v.lost++
		}
	}
}

// judge reads the ledger.
func (r *trial) judge() {
	if r.alive != nil {
		r.kill()
	}
	for _, f := range r.openFirings() {
		r.v.lost++
		r.complain("lost: %v (begun %d times)", f, r.ledger.times(f))
	}
	for _, s := range r.misplaced() {
		r.v.lost++
		r.complain("lost: %s", s)
	}
	wanted := make(map[firing]bool)
	for _, f := range r.must {
		wanted[f] = true
	}
	for _, f := range sortedFirings(r.ledger.byKey) {
		if !wanted[f] && !r.may[f] {
			r.v.other++
			r.complain("not asked for: %v, in life %d", f, r.ledger.byKey[f][0].life)
		}
	}
	r.judgeOrder()
	inWindow, outside, say := r.ledger.repeats(r.lives, r.died, func(trigger string) int { return max(r.scenario.parallel[trigger], 1) })
	r.v.inWindow, r.v.repeated = inWindow, outside
	r.complaints = append(r.complaints, say...)
	n, say := r.ledger.newIDs()
	r.v.newID = n
	r.complaints = append(r.complaints, say...)
	r.v.mails, r.v.actions = len(r.order), len(r.ledger.list)
}

// judgeOrder checks that the first attempts of each trigger were in the order of the UIDs.
func (r *trial) judgeOrder() {
	if !r.scenario.ordered || r.values["poisoned"] > 0 {
		return
	}
	begun, last := make(map[firing]bool), make(map[string]uint32)
	for _, e := range r.ledger.list {
		first := firing{mail: e.mail, trigger: e.trigger}
		m := r.mails[e.mail]
		if begun[first] || m == nil {
			continue
		}
		begun[first] = true
		if m.uid < last[e.trigger] {
			r.v.other++
			r.complain("out of order: %v (UID %d) began after UID %d, in life %d", e.firing, m.uid, last[e.trigger], e.life)
		}
		last[e.trigger] = max(last[e.trigger], m.uid)
	}
}
