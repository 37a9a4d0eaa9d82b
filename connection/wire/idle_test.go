package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// talk is a parked link on fake time, and what its server was told and when.
type talk struct {
	t     *testing.T
	c     net.Conn
	r     *bufio.Reader
	start time.Time
	tag   string // of the last tagged command
	log   []string
}

// hear reads a command, notes it, and returns its tag and the rest.
func (k *talk) hear() (tag, command string) {
	l, err := k.r.ReadString('\n')
	if err != nil {
		return "", ""
	}
	l = strings.TrimRight(l, "\r\n")
	tag, command, tagged := strings.Cut(l, " ")
	if !tagged {
		tag, command = "", l
	} else {
		k.tag = tag
	}
	k.log = append(k.log, fmt.Sprintf("%v %s", time.Since(k.start), command))
	return tag, command
}

func (k *talk) say(format string, args ...any) { fmt.Fprintf(k.c, format+"\r\n", args...) }

// serve answers as a server with a mailbox of four messages does, until the
// command that stop names, which it does not answer.
func (k *talk) serve(stop func(command string) bool) {
	idle := ""
	for {
		tag, command := k.hear()
		if command == "" || stop(command) {
			return
		}
		switch {
		case command == "IDLE":
			idle = tag
			k.say("+ idling")
		case command == "DONE":
			k.say("%s OK done", idle)
		case strings.HasPrefix(command, "SELECT"):
			k.say("* 4 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 5] .\r\n%s OK done", tag)
		default:
			k.say("%s OK done", tag)
		}
	}
}

// onFakeTime parks a link with the options, whose server runs the script, and
// returns how it was woken, after how long, and what the server was told.
func onFakeTime(t *testing.T, o ParkOptions, script func(k *talk)) (w Wake, after time.Duration, log []string) {
	t.Helper()
	return onFakeTimeWith(t, nil, o, script)
}

// onFakeTimeWith is onFakeTime with a roll, which is made in fake time; nil: none.
func onFakeTimeWith(t *testing.T, roll func() *Roll, o ParkOptions, script func(k *talk)) (w Wake, after time.Duration, log []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client, srv := net.Pipe()
		parker, err := NewParker(&ParkerOptions{Goroutines: true})
		if err != nil {
			t.Fatal(err)
		}
		defer parker.Close()
		k := &talk{t: t, c: srv, r: bufio.NewReader(srv), start: time.Now()}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			script(k)
			io.Copy(io.Discard, k.r)
		}()
		woken := make(chan Wake, 2)
		l := NewLink(client, nil)
		if roll != nil {
			l.SetRoll(roll())
		}
		parker.Park(l, o, func(w Wake) { woken <- w })
		w, after = <-woken, time.Since(k.start)
		synctest.Wait()
		if len(woken) > 0 {
			t.Error("woken twice")
		}
		l.Close()
		srv.Close()
		<-ended
		log = k.log
	})
	return w, after, log
}

func check(t *testing.T, log []string, want ...string) {
	t.Helper()
	if !slices.Equal(log, want) {
		t.Errorf("the server was told\n%s\nwant\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
}

func TestSchedule(t *testing.T) {
	n := 0
	var proofs int
	o := ParkOptions{Idle: true, Select: "INBOX", Recheck: 20 * time.Minute, Known: Known{1, 5, 4}, OnProof: func(time.Time, time.Duration) { proofs++ }}
	w, after, log := onFakeTime(t, o, func(k *talk) {
		k.serve(func(command string) bool {
			n++
			return n == 18 // an IDLE: the server has frozen
		})
	})
	expect(t, w, Ended)
	if e := (*TimeoutError)(nil); !errors.As(w.Err, &e) || e.After != time.Minute {
		t.Errorf("error %v", w.Err)
	}
	check(t, log,
		"0s IDLE", "200ms DONE", "200ms IDLE", "1s DONE", "1s IDLE", "5s DONE", "5s IDLE", "30s DONE", "30s IDLE",
		"9m30s DONE", "9m30s IDLE", "18m30s DONE", "18m30s IDLE",
		"20m0s DONE", "20m0s SELECT INBOX", "20m0s IDLE", "20m0.2s DONE", "20m0.2s IDLE")
	if after != 20*time.Minute+200*time.Millisecond+time.Minute {
		t.Errorf("ended after %v", after)
	}
	if proofs != 9 { // eight DONEs and the SELECT
		t.Errorf("%d proofs of life, want 9", proofs)
	}
}

func TestRecheckFindsWhatWasNotTold(t *testing.T) {
	for _, test := range []struct {
		name, reply string
		seen        Known
	}{
		{"mail", "* 5 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 6] .\r\n", Known{1, 6, 5}},
		{"one gone, one come", "* 4 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 6] .\r\n", Known{1, 6, 4}},
		{"recreated", "* 4 EXISTS\r\n* OK [UIDVALIDITY 2] .\r\n* OK [UIDNEXT 5] .\r\n", Known{2, 5, 4}},
		{"no UIDNEXT", "* 5 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n", Known{1, 0, 5}},
		{"gone", "", Known{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := ParkOptions{Idle: true, Select: `"a b"`, Known: Known{1, 5, 4}}
			w, after, _ := onFakeTime(t, o, func(k *talk) {
				k.serve(func(c string) bool { return strings.HasPrefix(c, "SELECT") })
				k.say("%s%s %s", test.reply, k.tag, map[bool]string{true: "NO gone", false: "OK done"}[test.seen == Known{}])
			})
			expect(t, w, Rechecked)
			if w.Seen != test.seen || after != 9*time.Minute {
				t.Errorf("seen %v after %v", w.Seen, after)
			}
		})
	}
}

func TestPoll(t *testing.T) {
	polls := 0
	o := ParkOptions{Select: "INBOX", Known: Known{1, 5, 4}, Poll: time.Minute}
	w, after, log := onFakeTime(t, o, func(k *talk) {
		k.serve(func(c string) bool {
			if c == "NOOP" {
				polls++
			}
			return polls == 3
		})
		k.say("* 5 EXISTS\r\n%s OK done", k.tag)
	})
	expect(t, w, Pushed)
	if after != 3*time.Minute {
		t.Errorf("after %v", after)
	}
	check(t, log, "1m0s NOOP", "1m0s SELECT INBOX", "2m0s NOOP", "2m0s SELECT INBOX", "3m0s NOOP")
}

// A server that offers IDLE and then refuses it is polled.
func TestIdleRefused(t *testing.T) {
	o := ParkOptions{Idle: true, Select: "INBOX", Known: Known{1, 5, 3}}
	w, after, log := onFakeTime(t, o, func(k *talk) {
		tag, _ := k.hear()
		k.say("%s BAD what", tag)
		k.serve(func(string) bool { return false })
	})
	expect(t, w, Rechecked)
	if after != time.Minute {
		t.Errorf("after %v", after)
	}
	check(t, log, "0s IDLE", "1m0s NOOP", "1m0s SELECT INBOX")
}

// A server that ends IDLE at once, again and again, gets pauses.
func TestServerEndsIdleAgainAndAgain(t *testing.T) {
	o := ParkOptions{Idle: true}
	w, after, log := onFakeTime(t, o, func(k *talk) {
		for range 9 {
			tag, _ := k.hear()
			k.say("+ idling\r\n%s OK enough", tag)
		}
	})
	expect(t, w, Ended) // the tenth IDLE is not confirmed
	check(t, log, "0s IDLE", "0s IDLE", "1s IDLE", "3s IDLE", "7s IDLE", "15s IDLE", "31s IDLE", "47s IDLE", "1m3s IDLE")
	if after != 79*time.Second+time.Minute {
		t.Errorf("after %v", after)
	}
}

// An exchange that makes a little progress all the time ends nevertheless.
func TestTrickle(t *testing.T) {
	w, after, _ := onFakeTime(t, ParkOptions{Idle: true}, func(k *talk) {
		k.hear()
		for {
			if _, err := io.WriteString(k.c, "* OK x\r\n"); err != nil {
				return
			}
			time.Sleep(50 * time.Second) // of fake time
		}
	})
	expect(t, w, Ended)
	if after != 10*time.Minute {
		t.Errorf("after %v", after)
	}
}

// Changes of flags wake at once, but not more often than once a second; mail
// always wakes at once.
func TestMinorNewsIsRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, srv := net.Pipe()
		parker, _ := NewParker(&ParkerOptions{Goroutines: true})
		defer parker.Close()
		k := &talk{t: t, c: srv, r: bufio.NewReader(srv), start: time.Now()}
		news := []string{"* 4 FETCH (FLAGS ())", "* NO quota", "* 3 EXPUNGE", "* 5 EXISTS", "* XFOO"}
		go func() {
			for _, x := range news {
				tag, _ := k.hear()
				k.say("+ idling\r\n%s", x)
				k.hear()
				k.say("%s OK", tag)
			}
		}()
		l := NewLink(client, nil)
		var at []time.Duration
		for range news {
			woken := make(chan Wake, 1)
			parker.Park(l, ParkOptions{Idle: true, Refresh: time.Hour}, func(w Wake) { woken <- w })
			if w := <-woken; w.Reason != Pushed {
				t.Fatal(w)
			}
			at = append(at, time.Since(k.start))
		}
		want := []time.Duration{0, time.Second, 2 * time.Second, 2 * time.Second, 3 * time.Second}
		if !slices.Equal(at, want) {
			t.Errorf("woken at %v, want %v", at, want)
		}
		l.Close()
		srv.Close()
	})
}

// Nobody reads at the other end.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, srv := net.Pipe()
		defer srv.Close()
		parker, _ := NewParker(&ParkerOptions{Goroutines: true})
		defer parker.Close()
		woken := make(chan Wake, 1)
		start := time.Now()
		parker.Park(NewLink(client, nil), ParkOptions{Idle: true}, func(w Wake) { woken <- w })
		expect(t, <-woken, Ended)
		if d := time.Since(start); d != time.Minute {
			t.Errorf("after %v", d)
		}
	})
}
