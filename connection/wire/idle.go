package wire

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// Known is what was last seen of a mailbox.
type Known struct{ UIDValidity, UIDNext, Exists uint32 }

// differs reports whether seen tells of a change. A server that does not say
// UIDVALIDITY or UIDNEXT is compared by the rest.
func (k Known) differs(seen Known) bool {
	return seen.Exists != k.Exists ||
		seen.UIDNext != 0 && seen.UIDNext != k.UIDNext ||
		seen.UIDValidity != 0 && seen.UIDValidity != k.UIDValidity
}

// Reason is why a parked link was woken.
type Reason uint8

const (
	Pushed      Reason = iota // the server told of something, or had told of it before
	Rechecked                 // nothing was told, but the mailbox differs from Known, or cannot be selected any more
	Interrupted               // Interrupt was called
	Ended                     // the link has died: Wake.Err says why
	Elsewhere                 // there is news of mailboxes on the link's Roll, none of the selected one
)

// String returns the reason's name in lower case.
func (r Reason) String() string {
	return [...]string{"pushed", "rechecked", "interrupted", "ended", "elsewhere"}[r]
}

// Wake says why a link was woken, and when the server spoke.
type Wake struct {
	Reason Reason
	At     time.Time // when the server's push arrived, or when the link was woken
	Seen   Known     // Rechecked: what the mailbox is like now; zero if it could not be selected
	Err    error     // Ended: the link's Err
}

// phase is what a parked link waits for.
type phase uint8

const (
	phasePause  phase = iota // nothing outstanding: until the next poll, or the next try of IDLE
	phaseEnter               // IDLE was sent: for the "+"
	phaseIdle                // for news
	phaseDone                // DONE was sent: for IDLE's tagged reply
	phaseNoop                // for the reply to NOOP
	phaseSelect              // for the reply to SELECT
	phaseStatus              // for the replies to a batch of STATUS
	phaseOver                // for nothing: woken
)

// early are the times after work when IDLE is renewed: servers lose news that
// comes between a command and IDLE, and tell of it only when asked again.
var early = [...]time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second}

// exchangeMax is how many timeouts an exchange may take that makes progress.
const exchangeMax = 10

// idler is what a parked link does: IDLE, its renewal, the recheck, polling
// (RFC 2177; RFC 9051, section 6.3.13). It is a machine that is fed bytes and
// the time, by whichever loop runs it, in one goroutine at a time. It reads
// nothing itself and never waits. Times are durations on the parker's clock.
type idler struct {
	link *Link
	o    *ParkOptions

	due       time.Duration // when timeout is to be called
	parkedAt  time.Duration
	began     time.Duration // the link was parked, or rechecked
	sentAt    time.Duration // the exchange began
	refreshAt time.Duration // the line is to be proven alive
	recheckAt time.Duration
	pushed    time.Time // when the first news came
	tag       string    // of the command outstanding
	chatter   int64     // bytes of small talk since the last exchange
	seen      Known     // by the SELECT under way
	result    Wake
	interrupt bool
	urgent    bool // there was an EXISTS among the news
	elsewhere bool // the roll has news
	mail      bool // and it is mail
	phase     phase
	step      uint8 // of early
	hasty     uint8 // IDLEs in a row that the server ended at once
}

// begin starts waiting, or ends at once if there is news already.
func (d *idler) begin(now time.Duration) {
	d.parkedAt, d.began, d.refreshAt, d.recheckAt = now, now, now+d.o.Refresh, now+d.o.Recheck
	d.phase = phasePause
	d.consult(now)
	if at := d.link.newsAt.Load(); at != 0 {
		d.pushed, d.urgent = time.Unix(0, at), d.link.urgent.Load()
	}
	d.feed(nil, now) // what was read but not understood
	if d.phase == phasePause {
		d.next(now)
	}
}

// feed takes bytes from the server. What follows a wake stays in the link.
func (d *idler) feed(b []byte, now time.Duration) {
	l := d.link
	if len(l.in) > 0 {
		b = append(l.in, b...)
		l.in = nil
	}
	if d.phase != phasePause && d.phase != phaseIdle && len(b) > 0 {
		d.due = min(now+d.o.Timeout, d.sentAt+exchangeMax*d.o.Timeout) // progress
	}
	for len(b) > 0 && d.phase != phaseOver {
		rest, ev, err := l.scan.next(b)
		b = rest
		if err != nil {
			d.die(err)
			return
		}
		switch {
		case ev == line && !l.scan.tail:
			d.response(l.scan.head(), now)
		case ev == body && !l.scan.tail:
			d.response(head{kind: kindFetch}, now)
		}
		l.scan.numbers = l.scan.numbers[:0]
	}
	if len(b) > 0 {
		l.in = append([]byte(nil), b...)
	}
	l.scan.data = nil
}

// response looks at one response.
func (d *idler) response(h head, now time.Duration) {
	l := d.link
	if d.chatter += l.scan.size + headMax; d.chatter > l.lim.Chatter/16 {
		d.die(&LimitError{"small talk without end while idle", l.lim.Chatter / 16})
		return
	}
	l.count(h)
	switch {
	case h.kind == kindTagged:
		if string(h.tag) == d.tag {
			d.tag = ""
			d.reply(parseStatus(h.typ, l.scan.piece[h.rest:]), now)
		} else if rest, found := bytes.CutPrefix(h.tag, []byte(d.tag)); found && d.phase == phaseStatus {
			d.told(rest, parseStatus(h.typ, l.scan.piece[h.rest:]), now)
		} // else the reply to a DONE that crossed the end of IDLE, or a forgery
	case h.kind == kindContinue:
		if d.phase == phaseEnter {
			d.entered(now)
		}
	case h.kind.isState():
		st := parseStatus(h.typ, l.scan.piece[h.rest:])
		l.report(st)
		d.state(h.kind, st, now)
	case h.kind == kindExists && d.phase == phaseSelect:
		d.seen.Exists = h.number
	case isNews(h.kind):
		d.news(h.kind, now)
	case l.roll != nil && !l.scan.over && (h.kind == kindStatus || h.kind == kindList):
		l.roll.hear(h, l.scan.piece, time.Now(), d.hearing(now))
		if d.consult(now); d.elsewhere {
			d.hurry(now)
		}
	}
}

// hearing says what the link is about, for the roll.
func (d *idler) hearing(now time.Duration) hearing {
	switch {
	case d.phase != phaseNoop && d.phase != phaseStatus:
		return waiting
	case now-d.parkedAt < lateAfter:
		return working
	}
	return asking
}

// consult looks what the roll has heard.
func (d *idler) consult(now time.Duration) {
	r := d.link.roll
	if r == nil {
		return
	}
	t := time.Now()
	d.recheckAt = min(d.recheckAt, now+r.due(t, d.o.Recheck).Sub(t))
	if d.elsewhere, d.mail = r.news(); !d.elsewhere && d.phase == phaseIdle {
		d.due = min(d.due, max(now, d.recheckAt))
	}
}

// state looks at an untagged state response.
func (d *idler) state(k kind, st Status, now time.Duration) {
	switch {
	case k == kindBYE:
		d.die(&ByeError{st})
	case d.phase == phaseSelect:
		switch n, _ := number32([]byte(st.Args)); st.Code {
		case "UIDVALIDITY":
			d.seen.UIDValidity = n
		case "UIDNEXT":
			d.seen.UIDNext = n
		}
	case k == kindNO, // Dovecot says no more than this after a mailbox was recreated
		st.Code == "UIDVALIDITY", st.Code == "UIDNEXT", st.Code == "CLOSED", st.Code == "NOTIFICATIONOVERFLOW":
		d.news(k, now)
	}
}

// minorGap is how often news that is not EXISTS may wake a link: changes of
// flags, or remarks that some server makes each time it is spoken to, must not
// keep it busy.
const minorGap = time.Second

// news notes that a look is due.
func (d *idler) news(k kind, now time.Duration) {
	if d.pushed.IsZero() {
		d.pushed = time.Now()
	}
	d.urgent = d.urgent || k == kindExists
	d.hurry(now)
}

// gap returns how long the news has to wait.
func (d *idler) gap() time.Duration {
	since := time.Since(time.Unix(0, d.link.minorAt))
	if d.urgent || d.mail || d.interrupt || since < 0 {
		return 0
	}
	return max(0, minorGap-since)
}

// hurry ends the wait as soon as no command is outstanding.
func (d *idler) hurry(now time.Duration) {
	switch d.phase {
	case phasePause:
		d.next(now)
	case phaseIdle:
		if gap := d.gap(); gap > 0 {
			d.due = min(d.due, now+gap)
		} else {
			d.done(now)
		}
	}
}

// stop interrupts.
func (d *idler) stop(now time.Duration) {
	d.interrupt = true
	d.hurry(now)
}

// timeout is called at the time due.
func (d *idler) timeout(now time.Duration) {
	switch d.phase {
	case phasePause:
		if !d.pushed.IsZero() || d.o.Idle && !d.link.noIdle.Load() {
			d.recheck(now, true) // after a pause: see endedByServer
		} else {
			d.send("NOOP", phaseNoop, now)
		}
	case phaseIdle:
		d.done(now)
	case phaseEnter:
		d.late("IDLE")
	case phaseDone:
		d.late("DONE")
	case phaseNoop:
		d.late("NOOP")
	case phaseSelect:
		d.late("SELECT")
	case phaseStatus:
		d.late("STATUS")
	}
}

// next goes on with nothing outstanding: wakes if there is a reason, else waits.
func (d *idler) next(now time.Duration) {
	switch {
	case !d.pushed.IsZero() || d.elsewhere:
		if gap := d.gap(); gap > 0 {
			d.phase, d.due = phasePause, now+gap
			return
		}
		d.push()
	case d.interrupt:
		d.end(Wake{Reason: Interrupted, At: time.Now()})
	case d.o.Idle && !d.link.noIdle.Load():
		d.send("IDLE", phaseEnter, now)
	default:
		d.phase, d.due = phasePause, now+d.o.Poll
		d.chatter = 0
	}
}

// entered is called when the server has confirmed IDLE.
func (d *idler) entered(now time.Duration) {
	d.phase = phaseIdle
	d.chatter = 0
	d.sentAt = now
	d.refreshAt = now + d.o.Refresh
	d.due = d.refreshAt
	if d.o.Select != "" || d.link.roll != nil {
		d.due = min(d.due, max(d.recheckAt, now))
	}
	for ; int(d.step) < len(early); d.step++ {
		if at := d.began + early[d.step]; at > now {
			d.due = min(d.due, at)
			d.step++
			break
		}
	}
	if d.interrupt || d.elsewhere || !d.pushed.IsZero() {
		d.hurry(now)
	}
}

// done ends IDLE.
func (d *idler) done(now time.Duration) {
	tag := d.tag
	d.write("DONE\r\n", phaseDone, now)
	d.tag = tag
}

// reply takes the tagged reply to the outstanding command.
func (d *idler) reply(st Status, now time.Duration) {
	if st.Code == "ALERT" {
		st.Tagged = true
		d.link.report(st)
	}
	if d.phase != phaseIdle && d.o.OnProof != nil {
		d.o.OnProof(time.Now(), now-d.sentAt)
	}
	switch d.phase {
	case phaseEnter:
		if st.Type != "OK" {
			// No IDLE after all: polling finds everything, later.
			d.link.noIdle.Store(true)
			if d.link.opts.Log != nil {
				d.link.opts.Log.Warn("the server refused IDLE, polling instead", "code", st.Code, "text", st.Text)
			}
			d.next(now)
			return
		}
		d.endedByServer(now)
	case phaseIdle:
		d.endedByServer(now)
	case phaseDone:
		if d.link.roll != nil && d.pushed.IsZero() && !d.elsewhere && !d.interrupt {
			d.send("NOOP", phaseNoop, now) // see Roll.Late
			return
		}
		d.recheck(now, false)
	case phaseNoop:
		d.recheck(now, !d.o.Idle || d.link.noIdle.Load())
	case phaseSelect:
		d.selected(st, now)
	}
}

// endedByServer goes on after the server ended IDLE by itself, as some do after
// a time; the mailbox is looked at before the next. One that does it all the
// time gets longer and longer pauses.
func (d *idler) endedByServer(now time.Duration) {
	if d.phase == phaseIdle && now-d.sentAt >= 30*time.Second {
		d.hasty = 0
	} else if d.hasty < 6 {
		d.hasty++
	}
	if d.hasty > 1 && d.pushed.IsZero() && !d.interrupt {
		d.phase, d.due = phasePause, now+time.Second<<(d.hasty-2)
		return
	}
	d.recheck(now, true)
}

// recheck selects the mailbox again if it is time, or at once, and goes on.
func (d *idler) recheck(now time.Duration, atOnce bool) {
	if d.o.Select == "" && d.link.roll == nil || !d.pushed.IsZero() || d.elsewhere || d.interrupt || !atOnce && now < d.recheckAt {
		d.next(now)
		return
	}
	if d.o.Select == "" {
		d.ask(now)
		return
	}
	d.seen = Known{}
	d.send("SELECT "+d.o.Select, phaseSelect, now)
}

// selected compares what SELECT has told.
func (d *idler) selected(st Status, now time.Duration) {
	switch {
	case !d.pushed.IsZero():
		d.next(now)
	case st.Type != "OK":
		d.end(Wake{Reason: Rechecked, At: time.Now()})
	case d.o.Known.differs(d.seen):
		d.end(Wake{Reason: Rechecked, At: time.Now(), Seen: d.seen})
	case d.link.roll != nil:
		d.ask(now)
	default:
		d.rechecked(now)
	}
}

// ask sends the next STATUS commands of a round, or goes on if that is over.
func (d *idler) ask(now time.Duration) {
	tag := newTag()
	commands := d.link.roll.batch(tag, d.o.Select, time.Now(), d.o.Recheck)
	if commands == "" {
		d.rechecked(now)
		return
	}
	d.write(commands, phaseStatus, now)
	d.tag = tag
}

// told takes the reply to one of the STATUS commands. After the last one of a batch
// news goes first; the round goes on in its next turn.
func (d *idler) told(rest []byte, st Status, now time.Duration) {
	last := d.link.roll.replied(rest, st.Type == "OK")
	if !last {
		return
	}
	d.tag = ""
	if d.o.OnProof != nil {
		d.o.OnProof(time.Now(), now-d.sentAt)
	}
	if d.elsewhere, d.mail = d.link.roll.news(); d.elsewhere || !d.pushed.IsZero() || d.interrupt {
		d.next(now)
		return
	}
	d.ask(now)
}

// rechecked goes on after nothing was found.
func (d *idler) rechecked(now time.Duration) {
	d.recheckAt = now + d.o.Recheck
	d.consult(now)
	d.began, d.step = now, 0
	d.next(now)
}

// send sends a command under a fresh tag that nobody can guess: text of a
// message that a server gives away must not end a command.
func (d *idler) send(command string, p phase, now time.Duration) {
	tag := newTag()
	d.write(tag+" "+command+"\r\n", p, now)
	d.tag = tag
}

func (d *idler) write(s string, p phase, now time.Duration) {
	d.phase, d.sentAt, d.due = p, now, now+d.o.Timeout
	d.chatter = 0
	if _, err := d.link.conn.Write([]byte(s)); err != nil {
		d.die(fmt.Errorf("cannot send to the server: %w", err))
	}
}

// newTag is replaced by tests that compare what is sent.
var newTag = func() string { return "W" + strings.ToLower(rand.Text()[:12]) }

// late ends a link whose server does not answer.
func (d *idler) late(what string) {
	d.die(&TimeoutError{"the reply to " + what, d.o.Timeout})
}

// die ends the link.
func (d *idler) die(err error) {
	d.end(Wake{Reason: Ended, At: time.Now(), Err: d.link.fail(err)})
}

// push wakes for news.
func (d *idler) push() {
	if !d.urgent && !d.mail {
		d.link.minorAt = time.Now().UnixNano()
	}
	if d.pushed.IsZero() {
		d.end(Wake{Reason: Elsewhere, At: time.Now()})
		return
	}
	d.link.looked()
	d.end(Wake{Reason: Pushed, At: d.pushed})
}

func (d *idler) end(w Wake) {
	if d.phase != phaseOver {
		d.phase, d.result = phaseOver, w
	}
}
