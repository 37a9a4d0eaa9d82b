package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// hear has a roll hear a line, as the guard does.
func (r *Roll) hearLine(line string) {
	b := []byte(line + "\r\n")
	r.hear(parseHead(b), b, time.Now(), waiting)
}

// What is news, and what is not.
func TestRollNews(t *testing.T) {
	known := Known{UIDValidity: 7, UIDNext: 5, Exists: 4}
	for _, c := range []struct {
		line string
		news bool
	}{
		{`* STATUS a (MESSAGES 5 UIDNEXT 6 UIDVALIDITY 7)`, true},
		{`* status "a" (uidnext 6)`, true},
		{"* STATUS {1}\r\na (UIDNEXT 6)", true},
		{`* STATUS a (MESSAGES 4 UIDNEXT 5 UIDVALIDITY 7 UNSEEN 3)`, false},
		{`* STATUS a (MESSAGES 3 UIDNEXT 5)`, false}, // expunged
		{`* STATUS a (MESSAGES 5)`, true},
		{`* STATUS a (MESSAGES 4)`, false},
		{`* STATUS a (UIDVALIDITY 8)`, true},
		{`* STATUS a (UIDNEXT 3)`, true}, // back in time
		{`* STATUS a (X-GUID (1 2) UIDNEXT 5)`, false},
		{`* STATUS a (X-GUID "(" UIDNEXT 6)`, true},
		{`* STATUS a`, true}, // it may mean anything
		{`* STATUS a (UIDNEXT`, true},
		{`* STATUS a ()`, true},
		{`* STATUS b (UIDNEXT 6)`, false},
		{`* STATUS`, false},
		{`* STATUS (UIDNEXT 6)`, false},
		{`* STATUS "a (UIDNEXT 6)`, false},
	} {
		r := NewRoll()
		r.Add("a", `"a"`, known)
		r.hearLine(c.line)
		if news := r.Take(); len(news) > 0 != c.news {
			t.Errorf("%s: %v", c.line, news)
		}
	}
}

// Names come in UTF-8 and in modified UTF-7, and INBOX in any case.
func TestRollNames(t *testing.T) {
	r := NewRoll()
	r.Add("Kü", `"K&APw-"`, Known{})
	r.Add("INBOX", "INBOX", Known{})
	r.Add(`quo"te`, `"quo\"te"`, Known{})
	for i, line := range []string{"* STATUS {3}\r\nKü (UIDNEXT 1)", "* STATUS K&APw- (UIDNEXT 2)", "* STATUS inbox (UIDNEXT 1)", `* STATUS "quo\"te" (UIDNEXT 1)`} {
		r.hearLine(line)
		if news := r.Take(); len(news) != 1 || news[0].Index != max(0, i-1) {
			t.Errorf("%s: %v", line, news)
		}
	}
}

// A server whose STATUS never agrees with its SELECT does not keep us busy, and its
// new mail is still seen.
func TestRollIsNotMovedTwiceByTheSame(t *testing.T) {
	r := NewRoll()
	a := r.Add("a", "a", Known{1, 5, 4})
	const odd = "* STATUS a (UIDNEXT 100)"
	r.hearLine(odd)
	if len(r.Take()) != 1 {
		t.Fatal("not seen")
	}
	r.Know(a, Known{1, 5, 4}) // SELECT says what it said
	for range 3 {
		r.hearLine(odd)
		if news := r.Take(); news != nil {
			t.Fatalf("%v", news)
		}
	}
	r.hearLine("* STATUS a (UIDNEXT 101)")
	if len(r.Take()) != 1 {
		t.Error("new mail is not seen")
	}
	r.Know(a, Known{1, 6, 5})
	r.hearLine("* STATUS a (UIDNEXT 5)")
	if len(r.Take()) != 1 {
		t.Error("going back in time is not seen")
	}
	// What a look has seen meanwhile is no news after it.
	r.hearLine("* STATUS a (UIDNEXT 7)")
	r.Know(a, Known{1, 7, 6})
	if news := r.Take(); news != nil {
		t.Errorf("%v", news)
	}
}

// Each round asks for every mailbox once, in batches, but for the selected one and
// those that are away.
func TestRollRounds(t *testing.T) {
	r := NewRoll()
	for i := range 80 {
		r.Add(fmt.Sprint("m", i), fmt.Sprint("m", i), Known{1, 1, 0})
	}
	r.Away(3)
	var asked []string
	now := time.Now()
	for {
		commands := r.batch("T", "m7", now, time.Minute)
		if commands == "" {
			break
		}
		n := strings.Count(commands, "\r\n")
		if n > askMax {
			t.Errorf("%d commands at once", n)
		}
		for line := range strings.Lines(commands) {
			asked = append(asked, strings.Fields(line)[2])
		}
		for i := range n {
			r.hearLine("* STATUS " + asked[len(asked)-n+i] + " (UIDNEXT 1)")
			if last := r.replied(fmt.Append(nil, i), true); last != (i == n-1) {
				t.Errorf("reply %d of %d: last %v", i, n, last)
			}
			r.replied(fmt.Append(nil, i), true) // a reply twice counts once
		}
		r.replied([]byte("999"), false)
	}
	slices.Sort(asked)
	if len(asked) != 78 || len(slices.Compact(asked)) != 78 || slices.Contains(asked, "m3") || slices.Contains(asked, "m7") {
		t.Errorf("%d asked for: %v", len(asked), asked)
	}
	if news := r.Take(); news != nil {
		t.Errorf("%v", news)
	}
	if at := r.due(now, time.Hour); !at.Equal(now.Add(time.Minute)) {
		t.Errorf("the next round is due in %v", at.Sub(now))
	}
}

// The park loop asks for all at each recheck, wakes for what differs, has gone or is
// not answered, and not before.
func TestRollRecheck(t *testing.T) {
	for _, c := range []struct {
		name, reply string
		wakes       bool
	}{
		{"nothing new", "* STATUS b (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)\r\nTAG OK", false},
		{"mail", "* STATUS b (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1)\r\nTAG OK", true},
		{"gone", "TAG NO gone", true},
		{"no answer", "TAG OK", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			roll := func() *Roll {
				r := NewRoll()
				r.Add("INBOX", "INBOX", Known{1, 5, 4})
				r.Add("b", "b", Known{1, 1, 0})
				return r
			}
			isStatus := func(command string) bool { return strings.HasPrefix(command, "STATUS") }
			o := ParkOptions{Idle: true, Select: "INBOX", Known: Known{1, 5, 4}}
			w, after, log := onFakeTimeWith(t, roll, o, func(k *talk) {
				k.serve(isStatus)
				k.say("%s", strings.ReplaceAll(c.reply, "TAG", k.tag))
				k.serve(isStatus) // the second is not answered
			})
			asked := slices.IndexFunc(log, func(l string) bool { return strings.HasSuffix(l, "STATUS b (MESSAGES UIDNEXT UIDVALIDITY)") })
			if asked < 1 || !strings.HasSuffix(log[asked-1], "SELECT INBOX") {
				t.Fatalf("%q", log)
			}
			if c.wakes {
				expect(t, w, Elsewhere)
			} else {
				expect(t, w, Ended)
			}
			if want := map[bool]time.Duration{true: 9 * time.Minute, false: 19 * time.Minute}[c.wakes]; after != want {
				t.Errorf("after %v, want %v", after, want)
			}
		})
	}
}

// News of other mailboxes wakes at once, in IDLE and without; what is none does not.
func TestRollPushed(t *testing.T) {
	for _, idle := range []bool{true, false} {
		roll := func() *Roll {
			r := NewRoll()
			r.Add("INBOX", "INBOX", Known{1, 5, 4})
			r.Add("b", "b", Known{1, 1, 0})
			return r
		}
		w, after, log := onFakeTimeWith(t, roll, ParkOptions{Idle: idle, Select: "INBOX", Known: Known{1, 5, 4}}, func(k *talk) {
			done := make(chan bool)
			go func() { k.serve(func(string) bool { return false }); close(done) }()
			time.Sleep(40 * time.Second)
			k.say("* STATUS b (MESSAGES 0 UIDNEXT 1)\r\n* STATUS c (UIDNEXT 9)")
			time.Sleep(time.Second)
			k.say("* STATUS b (MESSAGES 1 UIDNEXT 2)")
			<-done
		})
		expect(t, w, Elsewhere)
		if after != 41*time.Second {
			t.Errorf("after %v: %q", after, log)
		}
	}
}
