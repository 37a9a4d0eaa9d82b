package trigger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
	"mailtrigger/trigger/action"
)

const idleCapabilities = "IMAP4rev1 IDLE SASL-IR AUTH=PLAIN"

// pushedTo has an engine with the trigger watch a scripted mailbox, which is empty. When
// it idles for the first time one message is pushed, and then speaks answers the FETCH
// commands.
func pushedTo(t *testing.T, cfg *Config, speak func(tag, args string, p *connectiontest.Player)) *world {
	t.Helper()
	s, err := connectiontest.NewScript(false, func(_ int, p *connectiontest.Player) {
		p.Send("* OK hello")
		pushed := false
		for {
			tag, name, args, ok := p.Command()
			switch {
			case !ok:
				return
			case name == "CAPABILITY":
				p.Send("* CAPABILITY "+idleCapabilities, tag+" OK")
			case name == "SELECT":
				p.Send("* 0 EXISTS", "* OK [UIDVALIDITY 1] ok", "* OK [UIDNEXT 8] ok", tag+" OK")
			case name == "IDLE":
				p.Send("+ idling")
				if !pushed {
					p.Send("* 1 EXISTS")
				}
				pushed = true
				if _, ok := p.Line(); !ok {
					return
				}
				p.Send(tag + " OK")
			case name == "UID FETCH" && pushed:
				speak(tag, args, p)
			default:
				p.Send(tag + " OK")
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := newWorld(t, cfg)
	w.conn = s.Config()
	w.conn.Name = "test"
	return w
}

// fetched is a whole message as FETCH gives it.
func fetched(uid int, subject string) string {
	text := fmt.Sprintf("Subject: %s\r\nMessage-ID: <%s@test>\r\n\r\ntext\r\n", subject, subject)
	return fmt.Sprintf("* 1 FETCH (UID %d FLAGS () INTERNALDATE \"05-Jan-2026 09:30:00 +0000\" RFC822.SIZE %d BODY[]<0> {%d}\r\n%s)", uid, len(text), len(text), text)
}

// A message that was pushed is acted on after one command; what else there is to know of
// the mailbox is asked for afterwards.
func TestPushedMailTakesTheShortWay(t *testing.T) {
	rec := newRecorder("rec")
	ran := make(chan struct{})
	rec.do = func(*action.Run) action.Result { close(ran); return action.Result{} }
	asked := make(chan string, 10)
	w := pushedTo(t, newTrigger("t", rec), func(tag, args string, p *connectiontest.Player) {
		asked <- args
		if strings.HasPrefix(args, "8:11 ") && strings.Contains(args, "BODY.PEEK[]<0.65536>") {
			p.Send(fetched(8, "pushed"), tag+" OK")
			return
		}
		select {
		case <-ran:
		case <-time.After(patience):
			t.Error("the action waits for more than the message")
		}
		p.Send(tag + " OK")
	})
	w.start()
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"pushed"})
	if first, second := <-asked, <-asked; !strings.HasPrefix(first, "8:11 ") || !strings.HasPrefix(second, "9:* ") {
		t.Errorf("asked for %q, then %q", first, second)
	}
}

// Whatever the short way leaves is found by the long one, once.
func TestShortWayLeavesNothingOut(t *testing.T) {
	rec := newRecorder("rec")
	large := strings.Repeat("0123456789abcdef\r\n", nextSize/18+1)
	w := newWorld(t, newTrigger("t", rec))
	w.append("before")
	w.start()
	var want []string
	for i := range 40 {
		name := fmt.Sprint("mail", i)
		text := mailText(name)
		switch {
		case i%5 == 1: // not so short
			text = append(text, large...)
		case i%7 == 3: // a gap before the next
			w.srv.Expunge(alice, "INBOX", w.srv.Append(alice, "INBOX", mailText("gone"), nil, time.Now()))
		}
		want = append(want, name)
		w.srv.Append(alice, "INBOX", text, nil, time.Now())
		if i%3 > 0 {
			rec.waitFor(t, len(want))
		}
	}
	rec.waitFor(t, len(want))
	w.quiet()
	equal(t, "fired", rec.subjects(), want)
}

// A server that ends the session whenever it is asked by the short way is not asked so
// for ever.
func TestShortWayIsLeftAfterLosses(t *testing.T) {
	rec := newRecorder("rec")
	short := make(chan string, 100)
	w := pushedTo(t, newTrigger("t", rec), func(tag, args string, p *connectiontest.Player) {
		switch {
		case strings.Contains(args, "<0."):
			short <- args
			p.Close()
		case strings.Contains(args, "BODY.PEEK[]"):
			p.Send(fetched(8, "found"), tag+" OK")
		case strings.HasPrefix(args, "8:"):
			before, _, _ := strings.Cut(fetched(8, "found"), " BODY")
			p.Send(before+")", tag+" OK")
		default:
			p.Send(tag + " OK")
		}
	})
	w.start()
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"found"})
	if len(short) != nextLosses {
		t.Errorf("it was tried %d times", len(short))
	}
}
