//go:build unix

package connection_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
)

// What a hostile server may cost us, for one attack.
const (
	maxGrowth = 64 << 20 // bytes of heap
	maxCPU    = 2 * time.Second
)

// An attack is what a server sends in place of the answer it owes.
type attack struct {
	name    string
	head    string // is sent once
	forever string // then this, again and again
	hangUp  bool   // then it closes; else it says no more
	// survives: the answer follows, and the session is to go on
	survives bool
}

var attacks = []attack{
	{name: "silence"},
	{name: "half a line", head: "* OK hel"},
	{name: "half a line, then the end", head: "* OK hel", hangUp: true},
	{name: "the end", hangUp: true},
	{name: "endless line", head: "* OK ", forever: "x"},
	{name: "endless tag", forever: "x"},
	{name: "endless NULs", forever: "\x00"},
	{name: "endless 8-bit", head: "* OK ", forever: "\xff\xfe"},
	{name: "huge literal", head: "* LIST () \"/\" {9999999999}\r\n", forever: "x"},
	{name: "huge body", head: "* 1 FETCH (UID 7 BODY[] {9999999999}\r\n", forever: "x"},
	{name: "huge number", head: "* 99999999999999999999 EXISTS\r\n* 1 FETCH (UID 99999999999999999999 BODY[] {99999999999999999999}\r\n", forever: "x"},
	{name: "a million literals", head: "* LIST (", forever: "{1}\r\nx "},
	{name: "a million LISTs with literals", forever: "* LIST () \"/\" {1}\r\nx\r\n"},
	{name: "a million bodies", head: "* 1 FETCH (UID 7 ", forever: "BODY[] {1}\r\nx "},
	{name: "deep BODYSTRUCTURE", head: "* 1 FETCH (UID 7 BODYSTRUCTURE ", forever: "("},
	{name: "deep BODYSTRUCTURE, closed", head: "* 1 FETCH (UID 7 BODYSTRUCTURE " + strings.Repeat("(", 2e6) + strings.Repeat(")", 2e6) + ")\r\n"},
	{name: "deep THREAD", head: "* THREAD ", forever: "("},
	{name: "deep LIST", head: "* LIST ", forever: "("},
	{name: "endless CAPABILITY", head: "* CAPABILITY", forever: " AUTH=X"},
	{name: "endless CAPABILITYs", forever: "* CAPABILITY IMAP4rev1 IDLE\r\n"},
	{name: "endless empty lines", forever: "\r\n"},
	{name: "endless unknown responses", forever: "* XYZZY (1 2)\r\n"},
	{name: "endless continuations", forever: "+ go on\r\n"},
	{name: "endless EXISTS", forever: "* 9 EXISTS\r\n"},
	{name: "endless FETCHes", forever: "* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n"},
	{name: "endless ALERTs", forever: "* OK [ALERT] buy now\r\n"},
	{name: "literal cut short", head: "* LIST () \"/\" {10}\r\nabc", hangUp: true},
	{name: "body cut short", head: "* 1 FETCH (UID 7 BODY[] {100}\r\nabc", hangUp: true},
	{name: "BYE", head: "* BYE [UNAVAILABLE] go away\r\n", hangUp: true},
	{name: "unknown responses", head: "* XYZZY (1 2)\r\n* VANISHED 1:3\r\n* 9 MADEUP\r\n* \r\n* ENABLED X\r\n* OK [XCODE \"\\\"\" (1)] ok\r\n", survives: true},
	{name: "NUL and 8-bit", head: "* OK hall\xf6 \x00 \xff\r\n* XYZZY \x00\xff\r\n* FLAGS (\xff)\r\n", survives: true},
}

// Where a server attacks: the command whose answer it owes.
var places = []string{"greeting", "CAPABILITY", "AUTHENTICATE", "CAPABILITY again", "ID", "SELECT", "UID FETCH list", "UID FETCH body", "LIST", "IDLE", "DONE", "recheck",
	"explicit greeting", "explicit CAPABILITY", "explicit STARTTLS"}

// play is a good server but at one place. begun is called when the attack begins.
func (a attack) play(place string, begun func()) func(int, *connectiontest.Player) {
	return func(_ int, p *connectiontest.Player) {
		strike := func(here string) (goOn bool) {
			if here != strings.TrimPrefix(place, "explicit ") {
				return true
			}
			begun()
			if _, err := p.Write([]byte(a.head)); err != nil || a.hangUp {
				return false
			}
			if a.forever != "" {
				chunk := []byte(strings.Repeat(a.forever, 1+32<<10/len(a.forever)))
				for {
					if _, err := p.Write(chunk); err != nil {
						return false
					}
				}
			}
			if !a.survives {
				p.Line() // until it hangs up
				for {
					if _, ok := p.Line(); !ok {
						return false
					}
				}
			}
			return true
		}
		if !strike("greeting") {
			return
		}
		p.Send("* OK hello")
		loggedIn, selected := false, 0
		for {
			tag, name, args, ok := p.Command()
			if !ok {
				return
			}
			here := name
			switch name {
			case "CAPABILITY":
				if loggedIn {
					here = "CAPABILITY again"
				}
			case "UID FETCH":
				here = "UID FETCH list"
				if strings.Contains(args, "BODY") {
					here = "UID FETCH body"
				}
			case "SELECT":
				if selected++; selected > 1 {
					here = "recheck"
				}
			}
			if name == "IDLE" {
				p.Send("+ idling")
			}
			if !strike(here) {
				return
			}
			switch name {
			case "CAPABILITY":
				p.Send("* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR ID IDLE UIDPLUS MOVE", tag+" OK")
			case "AUTHENTICATE":
				loggedIn = true
				p.Send(tag + " OK")
			case "SELECT":
				p.Send("* 1 EXISTS", "* OK [UIDVALIDITY 1] ok", "* OK [UIDNEXT 8] ok", tag+" OK")
			case "UID FETCH":
				if here == "UID FETCH list" {
					p.Send("* 1 FETCH (UID 7 FLAGS () " + date + " RFC822.SIZE 3)")
				} else {
					p.Send(literal(7, 3, "abc"))
				}
				p.Send(tag + " OK")
			case "LIST":
				p.Send(`* LIST () "/" INBOX`, tag+" OK")
			case "IDLE":
				if _, ok := p.Line(); !ok || !strike("DONE") {
					return
				}
				p.Send(tag + " OK")
			default:
				p.Send(tag + " OK")
			}
		}
	}
}

// A hostile server, wherever it attacks, costs little and ends in an error and a
// backoff that says why; what is only odd is survived. Other sessions of the same
// Dialer notice nothing.
func TestHostileServers(t *testing.T) {
	d := newDialer(t, connection.DialerOptions{Log: slog.New(slog.DiscardHandler)})
	other := newServer(t, connectiontest.Options{})
	w := newWatcher()
	untouched := watch(t, d, other.Config("alice"), w)
	waitState(t, untouched, connection.StateParked)
	for _, a := range attacks {
		for _, place := range places {
			explicit := strings.HasPrefix(place, "explicit")
			if a.survives && (place == "greeting" || explicit) {
				continue // what does not greet is no IMAP server, and this one has no TLS
			}
			t.Run(a.name+"/"+place, func(t *testing.T) {
				begun := make(chan struct{}, 1000)
				s := newScript(t, a.play(place, func() { begun <- struct{}{} }))
				cfg := s.Config()
				cfg.Timeout = setting.Duration(250 * time.Millisecond)
				cfg.Session.RecheckInterval = setting.Duration(20 * time.Millisecond)
				if explicit {
					cfg.Encryption = connection.Encryption{Mode: connection.ModeExplicit}
					cfg.Encryption.SetDefaults()
				}
				if place == "DONE" || place == "recheck" {
					cfg.Session.IdleRefresh = setting.Duration(30 * time.Millisecond)
				}
				cost := measure()
				looked := make(chan struct{}, 100)
				wt := d.Watch(cfg, "INBOX", func(ctx context.Context, mb *connection.Mailbox, _ wire.Wake) error {
					if _, err := mb.List(ctx, 0); err != nil {
						return err
					}
					if err := mb.Fetch(ctx, []uint32{7}, func(connection.Body) error { return nil }); err != nil {
						return err
					}
					_, err := mb.ListMailboxes(ctx, "*")
					if err == nil {
						looked <- struct{}{}
					}
					return err
				})
				arrive(t, begun, "the attack")
				if a.survives {
					arrive(t, looked, "the look")
					if s := wt.Status(); s.Connects != 1 || s.LastError != nil {
						t.Errorf("%+v", s.LastError)
					}
				} else {
					waitState(t, wt, connection.StateBackoff)
					s := wt.Status()
					if s.LastError == nil || s.LastError.Text == "" || s.NextRetry.IsZero() {
						t.Errorf("%+v", s)
					}
					t.Log(s.LastError)
				}
				growth, cpu := cost()
				if growth > maxGrowth {
					t.Errorf("%d MiB", growth>>20)
				}
				if cpu > maxCPU && !raceEnabled {
					t.Errorf("%s of CPU", cpu)
				}
				t.Logf("%d KiB, %s", growth>>10, cpu)
				if err := wt.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		w.expect(t, other.Append("alice", "INBOX", mail(1), nil, time.Time{}))
	}
	if s := untouched.Status(); s.Connects != 1 {
		t.Errorf("the other session was touched: %+v", s)
	}
}

func arrive(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal(what, "did not come")
	}
}

// measure returns a function that tells by how much the heap has grown at most
// since, and the CPU time used.
func measure() func() (growth uint64, cpu time.Duration) {
	runtime.GC()
	heap := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64() + s[1].Value.Uint64()
	}
	before, began := heap(), used()
	peak := before
	stop := make(chan struct{})
	var sampler sync.WaitGroup
	sampler.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				peak = max(peak, heap())
			}
		}
	})
	return func() (uint64, time.Duration) {
		close(stop)
		sampler.Wait()
		return max(peak, heap()) - before, used() - began
	}
}

// used is the CPU time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprint("getrusage: ", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
