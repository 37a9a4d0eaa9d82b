package wire

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Roll is the list of mailboxes that one link watches, where it watches more
// than one. The selected mailbox is heard of as ever. Of the others the server
// tells by STATUS responses if it was asked to (NotifyCommands; RFC 5465), and they
// are compared by STATUS at each recheck in any case: servers lose notifications,
// and some have none.
//
// What is heard of a mailbox is news if its UIDVALIDITY or UIDNEXT is not the one
// known, or where neither is told its number of messages. News wakes the parked link
// with Elsewhere. Names that are not on the roll are ignored: they are those of
// other mailboxes of the account, or a server's invention.
//
// Set it by Link.SetRoll. Its methods may be called from any goroutine.
type Roll struct {
	mu      sync.Mutex
	boxes   []rollBox
	index   map[string]int // by name, as servers may spell it
	fresh   bool           // some box has news that has not been taken
	urgent  bool           // and it is mail
	dropped bool           // the server has said that it notifies no more
	late    bool           // some of the news came only when the server was asked
	lates   int            // how often that was so in a row

	askAt time.Time // when the next round of STATUS is due; zero: not set
	done  time.Time // the last round ended
	next  int       // where in boxes the round goes on
	asked []int     // the STATUS commands outstanding
	owed  int       // how many of them have no reply yet
}

type rollBox struct {
	argument string // of STATUS
	known    Known  // as last looked at
	taken    Known  // what was told when the news was last taken: not news again until the next round
	told     Known  // since then
	at       time.Time
	news     bool
	away     bool // cannot be selected: not asked for
	heard    bool // since it was asked for
	covered  bool // the server notifies of it
}

// News is what a Roll has heard of a mailbox.
type News struct {
	Index  int       // in the order of Add
	At     time.Time // when it was heard
	Pushed bool      // the server told it by itself; else a recheck found it
}

// NewRoll makes an empty Roll.
func NewRoll() *Roll { return &Roll{index: make(map[string]int)} }

// Add puts a mailbox on the roll and returns its index, from 0 on. name is UTF-8,
// argument the same quoted and encoded for a command.
func (r *Roll) Add(name, argument string, known Known) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := len(r.boxes)
	r.boxes = append(r.boxes, rollBox{argument: argument, known: known})
	// Dovecot 2.3 spells names in the STATUS responses of NOTIFY in UTF-8, and in
	// all others in modified UTF-7.
	r.index[foldInbox(name)] = i
	p := parser{b: []byte(argument)}
	if spelled, ok := p.astring(); ok {
		r.index[foldInbox(string(spelled))] = i
	}
	return i
}

func foldInbox(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return name
}

// Know notes what a mailbox is like after a look at it. What was heard meanwhile
// and says no more than this is no news any more.
func (r *Roll) Know(i int, k Known) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &r.boxes[i]
	if b.known != k {
		b.taken = Known{}
	}
	b.known, b.away = k, false
	if b.news && b.told != (Known{}) && !k.differsBySTATUS(b.told) {
		b.news = false
	}
}

// Away notes that a mailbox cannot be selected. It is not asked for until Know,
// but heard of if the server tells of it.
func (r *Roll) Away(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.boxes[i].away, r.boxes[i].news = true, false
}

// Take returns the news since it was last called.
func (r *Roll) Take() (news []News) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.fresh {
		return nil
	}
	if r.late {
		r.lates++
	}
	r.fresh, r.urgent, r.late = false, false, false
	for i := range r.boxes {
		if b := &r.boxes[i]; b.news {
			news = append(news, News{i, b.at, !b.at.IsZero()})
			b.taken, b.told, b.news, b.at = b.told, Known{}, false, time.Time{}
		}
	}
	return news
}

// Dropped reports whether the server has said that it notifies no more
// (NOTIFICATIONOVERFLOW; RFC 5465, section 5.8), since it was last called.
func (r *Roll) Dropped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	dropped := r.dropped
	r.dropped = false
	return dropped
}

// Late reports whether news of mailboxes that are covered comes only when the server is
// asked: twice in a row, as once may be chance. It may have gone deaf. Dovecot 2.3 does,
// for good, when it begins a new file of the log that its notifications come from; asked
// by NOOP, it tells, and asked by NOTIFY once more, it notifies again.
func (r *Roll) Late() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lates >= 2
}

// Unheard forgets which mailboxes the server has told of.
func (r *Roll) Unheard() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.boxes {
		r.boxes[i].heard = false
	}
}

// Covered reports whether the server has told of all mailboxes since Unheard, but for
// those that are away and the selected one, whose index is given; -1: none.
func (r *Roll) Covered(selected int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := true
	for i := range r.boxes {
		b := &r.boxes[i]
		b.covered = b.heard
		all = all && (b.heard || b.away || i == selected)
	}
	return all
}

// differsBySTATUS reports whether a STATUS response tells of something new. A
// deleted message is nothing new, if UIDNEXT says that no other has come.
func (k Known) differsBySTATUS(told Known) bool {
	switch {
	case told.UIDValidity != 0 && told.UIDValidity != k.UIDValidity:
		return true
	case told.UIDNext != 0:
		return told.UIDNext != k.UIDNext
	}
	return told.Exists != k.Exists
}

// What follows is for the guard and the park loop.

// hearing is what the link was about when it heard something.
type hearing uint8

const (
	working hearing = iota // lent, or just before
	waiting                // parked: the server has told by itself
	asking                 // parked for lateAfter: the server was asked
)

// lateAfter is how long a server may take to tell by itself: Dovecot waits half a
// second.
const lateAfter = 2 * time.Second

// hear takes a STATUS or LIST response that the server has sent.
func (r *Roll) hear(h head, piece []byte, now time.Time, when hearing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.kind == kindList {
		// A mailbox was created, deleted or renamed: one on the roll, as nothing else
		// was asked for. STATUS tells.
		r.ask(now)
		return
	}
	p := parser{b: piece, i: h.rest, depth: 1}
	name, ok := p.astring()
	if !ok {
		return
	}
	i, ok := r.index[string(name)]
	if !ok {
		if i, ok = r.index[foldInbox(string(name))]; !ok {
			return
		}
	}
	b := &r.boxes[i]
	told, ok := parseSTATUS(&p)
	b.heard = true
	switch {
	case !ok: // it may mean anything
		b.told = Known{}
	case !b.known.differsBySTATUS(told) || b.taken == told:
		return
	default:
		b.told = told
	}
	switch when {
	case waiting:
		r.lates = 0
	case asking:
		r.late, now = r.late || b.covered, time.Time{}
	}
	r.tell(b, now, ok && told.UIDNext > b.known.UIDNext)
}

// tell notes news. at is zero where the server has not told it by itself. r.mu is held.
func (r *Roll) tell(b *rollBox, at time.Time, urgent bool) {
	if b.at.IsZero() {
		b.at = at
	}
	b.news, r.fresh, r.urgent = true, true, r.urgent || urgent
}

// parseSTATUS reads the list of a STATUS response (RFC 9051, section 7.3.4).
func parseSTATUS(p *parser) (told Known, ok bool) {
	p.blanks()
	if !p.take('(') {
		return told, false
	}
	some := false
	for {
		p.blanks()
		if p.take(')') {
			return told, some
		}
		name := bytes.ToUpper(p.word())
		if len(name) == 0 {
			return told, false
		}
		p.blanks()
		from := p.i
		n, isNumber := number32(p.word())
		if !isNumber {
			if p.i = from; !p.skip() {
				return told, false
			}
			continue
		}
		switch string(name) {
		case "MESSAGES":
			told.Exists = n
		case "UIDNEXT":
			told.UIDNext = n
		case "UIDVALIDITY":
			told.UIDValidity = n
		default:
			continue
		}
		some = true
	}
}

// overflow notes that the server notifies no more.
func (r *Roll) overflow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped = true
}

// news reports whether there is some, and whether it is mail.
func (r *Roll) news() (some, urgent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fresh, r.urgent
}

// ask has the next round of STATUS begin soon, but not at once after the last: it
// may be the server's own doing. r.mu is held.
func (r *Roll) ask(now time.Time) {
	at := r.done.Add(minorGap)
	if at.Before(now) {
		at = now
	}
	if r.askAt.IsZero() || at.Before(r.askAt) {
		r.askAt = at
	}
}

// due returns when the next round is due, every from now if that was never said.
// It does not move when the link is woken meanwhile: on a busy link each round must
// come to its end, too.
func (r *Roll) due(now time.Time, every time.Duration) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.askAt.IsZero() {
		r.askAt = now.Add(every)
	}
	return r.askAt
}

// askMax is how many STATUS commands are sent at once.
const askMax = 32

// batch returns the next commands of a round, under tags that begin with tag, and
// "" when the round is over; the next one is then due after every. selected is the
// argument of the mailbox that is not to be asked for (RFC 9051, section 6.3.11).
func (r *Roll) batch(tag, selected string, now time.Time, every time.Duration) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	r.asked, r.owed = r.asked[:0], 0
	for ; r.next < len(r.boxes) && len(r.asked) < askMax; r.next++ {
		box := &r.boxes[r.next]
		if box.away || box.argument == selected || strings.ContainsAny(box.argument, "\r\n\x00") {
			continue
		}
		b.WriteString(tag + strconv.Itoa(len(r.asked)) + " STATUS " + box.argument + " (MESSAGES UIDNEXT UIDVALIDITY)\r\n")
		box.heard, box.taken = false, Known{} // what was told may not have been there to be seen yet
		r.asked = append(r.asked, r.next)
	}
	if r.owed = len(r.asked); r.owed == 0 {
		r.asked = nil
		r.next, r.done, r.askAt = 0, now, now.Add(every)
	}
	return b.String()
}

// replied takes the reply to a command of the batch; rest is what follows its tag's
// beginning. last says that none is owed any more.
func (r *Roll) replied(rest []byte, ok bool) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, isNumber := number32(rest); isNumber && int64(n) < int64(len(r.asked)) && r.asked[n] >= 0 {
		b := &r.boxes[r.asked[n]]
		r.asked[n] = -1
		if !ok || !b.heard { // it has gone, or the reply is one that we do not understand
			b.told = Known{}
			r.tell(b, time.Time{}, false)
		}
		r.owed--
	}
	return r.owed == 0
}

// SetRoll has the link watch the mailboxes of a roll besides the selected one; nil
// ends that. The link is neither lent nor parked.
func (l *Link) SetRoll(r *Roll) { l.roll = r }

// notifyMax is how many mailboxes are named one by one: Dovecot takes no more than
// 100 names.
const notifyMax = 100

// notifyLine is the longest command, in bytes, that servers surely take (RFC 7162, section 4).
const notifyLine = 8000

// NotifyCommands returns the commands that have a server tell of the mailboxes
// (RFC 5465), the best one first, to be tried until one is answered OK and covers
// them all. The arguments are as those of SELECT. The server tells at once what the
// mailboxes are like that it will notify of, by a STATUS response each, but for the
// selected one.
//
// EXPUNGE waits for a command that allows it (SELECTED-DELAYED), as without NOTIFY,
// so that numbers of messages do not change between two commands. Where mailboxes
// cannot be named, all that are the user's own are asked for: there may be too many,
// and Dovecot 2.3 takes a name that is not ASCII, but then does not know it.
func NotifyCommands(arguments []string) []string {
	const prefix = "NOTIFY SET STATUS (SELECTED-DELAYED (MessageNew MessageExpunge))"
	const all = " (PERSONAL (MessageNew MessageExpunge))"
	named := prefix + " (MAILBOXES (" + strings.Join(arguments, " ") + ") (MessageNew MessageExpunge MailboxName))"
	if len(arguments) > notifyMax || len(named)+len(all) > notifyLine {
		return []string{prefix + all}
	}
	return []string{named, named + all}
}
