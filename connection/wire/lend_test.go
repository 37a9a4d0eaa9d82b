package wire

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// While lent: a server that says nothing, and one that stops in mid-literal, each
// within the progress timeout, which does not run while nothing is due.
func TestProgressTimeout(t *testing.T) {
	for _, reply := range []string{"", "* 1 FETCH (UID 5 BODY[] {10}\r\nabc", "* LIST"} {
		synctest.Test(t, func(t *testing.T) {
			client, srv := net.Pipe()
			defer srv.Close()
			go func() {
				s := &server{t, srv, nil, bufio.NewReader(srv)}
				s.login("")
				s.tag("UID FETCH")
				s.put(reply)
			}()
			l := NewLink(client, nil)
			l.SetProgressTimeout(20 * time.Second)
			cl := imapclient.New(l.Lend(""), nil)
			if err := cl.Login("a", "b").Wait(); err != nil {
				t.Fatal(err)
			}
			if _, err := cl.Select("INBOX", nil).Wait(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour) // of fake time: nothing is due
			start := time.Now()
			section := &imap.FetchItemBodySection{Peek: true}
			cmd := cl.Fetch(imap.UIDSetNum(5), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}})
			if _, err := readBodies(cmd); err == nil {
				t.Error("no error")
			}
			e := (*TimeoutError)(nil)
			if !errors.As(l.Err(), &e) || !strings.Contains(e.Error(), "FETCH") {
				t.Errorf("error %v", l.Err())
			}
			if d := time.Since(start); d != 20*time.Second {
				t.Errorf("after %v", d)
			}
			if err := l.Reclaim(cl.Close); !errors.As(err, &e) {
				t.Errorf("reclaim: %v", err)
			}
		})
	}
}

// readBodies reads the bodies that a FETCH gives. After an error of a literal
// neither Next nor Close of the command must be called: they read it on, while
// go-imap's own goroutine looks at the same buffer.
func readBodies(cmd *imapclient.FetchCommand) (bodies []string, err error) {
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		for item := msg.Next(); item != nil; item = msg.Next() {
			if b, ok := item.(imapclient.FetchItemDataBodySection); ok {
				text, err := io.ReadAll(b.Literal)
				bodies = append(bodies, string(text))
				if err != nil {
					return bodies, err
				}
			}
		}
	}
	return bodies, cmd.Close()
}

// A trickle is progress; a silence behind it is not.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, srv := net.Pipe()
		defer srv.Close()
		go func() {
			s := &server{t, srv, nil, bufio.NewReader(srv)}
			s.put(testCaps)
			tag := s.tag("NOOP")
			for _, x := range tag + " OK done\r\n" {
				time.Sleep(15 * time.Second)
				s.put(string(x))
			}
			s.line()
		}()
		l := NewLink(client, nil)
		l.SetProgressTimeout(20 * time.Second)
		cl := imapclient.New(l.Lend(""), nil)
		if err := cl.Noop().Wait(); err != nil {
			t.Error(err)
		}
		start := time.Now()
		if err := cl.Noop().Wait(); err == nil || time.Since(start) != 20*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		l.Reclaim(cl.Close)
	})
}

// Nobody reads at the other end: a write ends, too.
func TestProgressOfWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, srv := net.Pipe()
		defer srv.Close()
		l := NewLink(client, nil)
		l.SetProgressTimeout(20 * time.Second)
		start := time.Now()
		_, err := l.Lend("* OK ready").Write([]byte("T1 NOOP\r\n"))
		e := (*TimeoutError)(nil)
		if !errors.As(err, &e) || !errors.As(l.Err(), &e) || time.Since(start) != 20*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// Reclaim waits for commands that are outstanding, and gives up a client that
// does not end because a FETCH of its is not read.
func TestReclaimWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, srv := net.Pipe()
		defer srv.Close()
		go func() {
			s := &server{t, srv, nil, bufio.NewReader(srv)}
			s.put(testCaps)
			tag := s.tag("NOOP")
			time.Sleep(10 * time.Second)
			s.put(tag + " OK done\r\n")
			tag = s.tag("UID FETCH")
			s.put("* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n" + tag + " OK done\r\n")
		}()
		l := NewLink(client, nil)
		l.SetProgressTimeout(20 * time.Second)
		cl := imapclient.New(l.Lend(""), nil)
		if err := cl.WaitGreeting(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		cl.Noop()
		if err := l.Reclaim(cl.Close); err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		cl = imapclient.New(l.Lend(testBack), nil)
		if err := cl.WaitGreeting(); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		cmd := cl.Fetch(imap.UIDSetNum(5), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
		err := l.Reclaim(cl.Close)
		if e := (*TimeoutError)(nil); !errors.As(err, &e) || time.Since(start) > time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		cmd.Close()
	})
}

// A client that gives up the connection by itself ends the link.
func TestClientCloses(t *testing.T) {
	l, c := lendCanned(strings.NewReader(""), nil, "")
	c.Close()
	if !errors.Is(l.Err(), errClient) {
		t.Error(l.Err())
	}
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, errClient) {
		t.Error(err)
	}
}

// A "+" reaches the client when it waits for one, and not otherwise.
func TestContinuations(t *testing.T) {
	c, _ := pair(t, func(s *server) {
		s.put("* OK [CAPABILITY IMAP4rev1 AUTH=LOGIN] hi\r\n+ stray\r\n")
		tag := s.tag("AUTHENTICATE ECHO")
		for _, x := range []string{"one {3}", "two"} {
			challenge := base64.StdEncoding.EncodeToString([]byte(x))
			s.put("* OK wait\r\n+ " + challenge + "\r\n")
			if got := s.line(); got != challenge {
				t.Errorf("server: got %q, want %q", got, challenge)
			}
		}
		s.put(tag + " NO [AUTHENTICATIONFAILED] no\r\n+ stray\r\n")
		tag = s.tag("LOGIN {3}")
		s.put("+ go\r\n+ stray\r\n")
		s.line() // ü and the next literal's header
		s.put("+ go\r\n")
		s.line()
		s.put(tag + " OK [CAPABILITY IMAP4rev1] in\r\n+ stray\r\n")
		tag = s.tag("CREATE")
		s.put(tag + " OK done\r\n+ stray\r\n")
		s.drain()
	})
	l := NewLink(c, nil)
	defer l.Close()
	l.SetProgressTimeout(testWait)
	cl := imapclient.New(l.Lend(""), nil)
	if err := cl.WaitGreeting(); err != nil {
		t.Fatal(err)
	}
	var status *imap.Error
	if err := cl.Authenticate(echo{}); !errors.As(err, &status) {
		t.Fatal(err, l.Err())
	}
	if err := cl.Login("aü", strings.Repeat("ö", 300)).Wait(); err != nil {
		t.Fatal(err, l.Err())
	}
	if err := cl.Create(strings.Repeat("long", 300), nil).Wait(); err != nil {
		t.Fatal(err, l.Err())
	}
	if err := cl.Noop().Wait(); err != nil {
		t.Fatal(err, l.Err())
	}
	if err := l.Reclaim(cl.Close); err != nil {
		t.Fatal(err)
	}
}

// echo is a SASL mechanism that says what it is told.
type echo struct{}

func (echo) Start() (mechanism string, response []byte, err error) { return "ECHO", nil, nil }
func (echo) Next(challenge []byte) (response []byte, err error)    { return challenge, nil }

// The commands are followed however they are written, and what they looked for
// makes old news of the news.
func TestSent(t *testing.T) {
	const text = "T1 LOGIN {3+}\r\nabc {4}\r\nT9 \n\r\nT2 UID SEARCH ALL\r\nT3 UID FETCH 5:* (FLAGS)\r\nT4 FETCH 5 FLAGS\r\nT5 SELECT INBOX\r\nT6 IDLE\r\nDONE\r\n"
	for _, size := range []int{1, 7, len(text)} {
		var s sent
		var looks []string
		for b := []byte(text); len(b) > 0; {
			n := min(size, len(b))
			if s.write(b[:n]) {
				looks = append(looks, s.commands[len(s.commands)-1].tag)
			}
			b = b[n:]
		}
		got := fmt.Sprint(s.commands, s.plus)
		if want := "[{T1 LOGIN} {T2 SEARCH} {T3 FETCH} {T4 FETCH} {T5 SELECT} {T6 IDLE}] 2"; got != want {
			t.Errorf("size %d: got %s, want %s", size, got, want)
		}
		if size < 10 && fmt.Sprint(looks) != "[T2 T3 T5]" {
			t.Errorf("size %d: looks %v", size, looks)
		}
		if strings.Contains(string(s.line[:cap(s.line)]), "LOGIN") {
			t.Error("a line is kept")
		}
	}
}

// What was read but not understood when the link was taken back is not lost.
func TestUnreadStays(t *testing.T) {
	l, c := lendCanned(strings.NewReader("* SEARCH 7\r\nT1 OK one\r\n* 5 EXISTS\r\n"), nil, "T1 SEARCH ALL\r\n")
	if n, err := c.Read(make([]byte, 100)); n != len("* SEARCH 7\r\nT1 OK one\r\n") || err != nil {
		t.Fatal(n, err)
	}
	if l.newsAt.Load() != 0 {
		t.Fatal("read on behind what the client had asked for")
	}
	if err := l.Reclaim(nil); err != nil {
		t.Fatal(err)
	}
	o := ParkOptions{Idle: true}
	o.setDefaults()
	d := idler{link: l, o: &o}
	d.begin(0)
	if d.phase != phaseOver || d.result.Reason != Pushed {
		t.Errorf("phase %v, %v; left %q", d.phase, d.result.Reason, l.in)
	}
}

// A client that is put on in the middle of a FETCH does not see the rest of it.
func TestLendInMidResponse(t *testing.T) {
	body := strings.Repeat("* BYE\n", 10_000)
	l, c := lendCanned(strings.NewReader(fmt.Sprintf("* 1 FETCH (UID 5 BODY[] {%d}\r\n%s FLAGS ())\r\n* 5 EXISTS\r\n", len(body), body)), nil, "")
	if n, err := c.Read(make([]byte, 32)); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	if err := l.Reclaim(nil); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(l.Lend("* OK back"))
	if want := "* OK back\r\n* 5 EXISTS\r\n"; string(got) != want || err != nil {
		t.Errorf("got %q, want %q; %v", got, want, err)
	}
}

// How fast a list of messages comes through.
func BenchmarkList(b *testing.B) {
	line := "* 123 FETCH (UID 12345 FLAGS (\\Seen $Junk) INTERNALDATE \"17-Jul-2024 02:44:25 +0200\" RFC822.SIZE 44827)\r\n"
	_, c := lendCanned(io.LimitReader(&repeat{s: line}, int64(b.N*len(line))), nil, "T1 UID FETCH 1:* FLAGS\r\n")
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := io.Copy(io.Discard, c); err != nil {
		b.Fatal(err)
	}
}
