package trigger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
)

const idleCapabilities = "IMAP4rev1 IDLE SASL-IR AUTH=PLAIN"

// pushedTo has an engine with the trigger watch a scripted mailbox, which is empty. When
// it idles for the first time one message is pushed, and then speak answers the FETCH
// commands. again is told when it idles after that.
func pushedTo(t *testing.T, cfg *Config, again chan<- struct{}, speak func(tag, args string, p *connectiontest.Player)) *world {
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
				if pushed {
					select {
					case again <- struct{}{}:
					default:
					}
				} else {
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

// For a message that was pushed there is one command to the server.
func TestPushedMailTakesTheShortWay(t *testing.T) {
	rec := newRecorder("rec")
	asked, again := make(chan string, 10), make(chan struct{}, 1)
	w := pushedTo(t, newTrigger("t", rec), again, func(tag, args string, p *connectiontest.Player) {
		asked <- args
		p.Send(fetched(8, "pushed"), tag+" OK")
	})
	w.start()
	rec.wait(t, 1)
	select {
	case <-again:
	case <-time.After(patience):
		t.Fatal("it does not wait again")
	}
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"pushed"})
	if first := <-asked; !strings.HasPrefix(first, "8:* ") || !strings.Contains(first, "BODY.PEEK[]<0.65536>") || len(asked) > 0 {
		t.Errorf("asked for %q, and %d times more", first, len(asked))
	}
}

// If the server has told of more than it gives then, all is listed.
func TestShortWayIsNotBelievedAlone(t *testing.T) {
	rec := newRecorder("rec")
	w := pushedTo(t, newTrigger("t", rec), nil, func(tag, args string, p *connectiontest.Player) {
		text := fetched(9, "second")
		before, _, _ := strings.Cut(text, " BODY")
		switch {
		case strings.HasPrefix(args, "8:"):
			p.Send(fetched(8, "first"), "* 2 EXISTS", tag+" OK")
		case strings.Contains(args, "BODY.PEEK[]"):
			p.Send(text, tag+" OK")
		case strings.HasPrefix(args, "9:*"):
			p.Send(before+")", tag+" OK")
		default:
			p.Send(tag + " OK")
		}
	})
	w.start()
	rec.wait(t, 2)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"first", "second"})
}

// Whatever the short way leaves is found by the long one, once.
func TestShortWayLeavesNothingOut(t *testing.T) {
	rec := newRecorder("rec")
	large := strings.Repeat("0123456789abcdef\r\n", nextSize/18+1)
	w := newWorld(t, newTrigger("t", rec))
	w.append("before")
	w.start()
	var want []string
	fired := func() bool { return len(rec.subjects()) == len(want) }
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
			w.until("all have fired so far", fired)
		}
	}
	w.until("all have fired", fired)
	w.quiet()
	equal(t, "fired", rec.subjects(), want)
}

// A server that ends the session whenever it is asked by the short way is not asked so
// for ever.
func TestShortWayIsLeftAfterLosses(t *testing.T) {
	rec := newRecorder("rec")
	short := make(chan string, 100)
	w := pushedTo(t, newTrigger("t", rec), nil, func(tag, args string, p *connectiontest.Player) {
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
