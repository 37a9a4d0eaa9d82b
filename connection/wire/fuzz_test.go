package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// splitter gives its bytes in pieces whose sizes a seed decides.
type splitter struct {
	b    []byte
	seed uint32
	gate chan struct{} // nothing before it is closed
}

func (s *splitter) Read(p []byte) (int, error) {
	<-s.gate
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	s.seed = s.seed*1664525 + 1013904223
	n := min(1+int(s.seed>>24)%37, len(p), len(s.b))
	copy(p, s.b[:n])
	s.b = s.b[n:]
	return n, nil
}

var opened = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// smallLimits make a fuzzer reach the limits.
var smallLimits = &LinkOptions{Limits: Limits{Line: 256, Discard: 512, Depth: 4, Literals: 5, Body: 300, Numbers: 20, Chatter: 4096, Fetches: 20}}

// FuzzGuard: however the input comes in pieces, the output and the end are the
// same; the output is bounded; and go-imap takes it without a complaint.
func FuzzGuard(f *testing.F) {
	for i, test := range rewrites {
		if len(test.in) < 2000 {
			f.Add([]byte(test.in), uint32(i))
		}
	}
	commands := "T1 SELECT INBOX\r\nT2 UID FETCH 1:* BODY.PEEK[]\r\nT3 UID SEARCH ALL\r\n"
	f.Fuzz(func(t *testing.T, in []byte, seed uint32) {
		for _, opts := range []*LinkOptions{nil, smallLimits} {
			l1, c1 := lendCanned(bytes.NewReader(in), opts, commands)
			out1, _ := io.ReadAll(c1)
			l2, c2 := lendCanned(&splitter{in, seed, opened}, opts, commands)
			out2, _ := io.ReadAll(c2)
			// What a limit cuts off may have been passed on in part before.
			if err := l1.Err(); fmt.Sprint(err) != fmt.Sprint(l2.Err()) {
				t.Fatalf("whole: %v; in pieces: %v", err, l2.Err())
			} else if !errors.As(err, new(*LimitError)) && !bytes.Equal(out1, out2) {
				t.Fatalf("whole %q\npieces %q", out1, out2)
			}
			if len(out1) > 20*len(in)+1000 {
				t.Fatalf("%d bytes of %d", len(out1), len(in))
			}
			if l1.newsAt.Load() != 0 != (l2.newsAt.Load() != 0) {
				t.Fatal("news in one of them only")
			}
			client(t, in, seed, opts)
		}
	})
}

// client has a real client read what the guard makes of the input.
func client(t *testing.T, in []byte, seed uint32, opts *LinkOptions) {
	gate := make(chan struct{})
	l := NewLink(&canned{Reader: &splitter{in, seed, gate}}, opts)
	cl := imapclient.New(l.Lend("* OK [CAPABILITY IMAP4rev1] ready"), nil)
	if err := cl.WaitGreeting(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	sel := cl.Select("INBOX", nil) // T1
	all := imap.UIDSet{}
	all.AddRange(1, 0)
	fetch := cl.Fetch(all, &imap.FetchOptions{UID: true}) // T2
	search := cl.UIDSearch(&imap.SearchCriteria{}, nil)   // T3
	list := cl.List("", "*", nil)                         // T4
	status := cl.Status("INBOX", nil)
	id := cl.ID(nil)
	ns := cl.Namespace()
	copied := cl.Copy(imap.UIDSetNum(1), "x") // T8
	wg.Go(func() { sel.Wait() })
	wg.Go(func() {
		for msg := fetch.Next(); msg != nil; msg = fetch.Next() {
			for item := msg.Next(); item != nil; item = msg.Next() {
				if b, ok := item.(imapclient.FetchItemDataBodySection); ok && b.Literal != nil {
					if _, err := io.Copy(io.Discard, b.Literal); err != nil {
						return
					}
				}
			}
		}
	})
	wg.Go(func() {
		if data, err := search.Wait(); err == nil {
			data.AllUIDs()
		}
	})
	wg.Go(func() { list.Collect() })
	wg.Go(func() { status.Wait() })
	wg.Go(func() { id.Wait() })
	wg.Go(func() { ns.Wait() })
	wg.Go(func() {
		if data, err := copied.Wait(); err == nil && len(data.DestUIDs) > 0 {
			data.DestUIDs.Nums()
		}
	})
	close(gate)
	<-cl.Closed()
	wg.Wait()
	// The client ended because the input did, or because of the guard, but not
	// because it did not understand.
	err, end := cl.Close(), l.Err()
	if errors.Is(end, io.EOF) && !errors.Is(end, io.ErrUnexpectedEOF) && err != nil || errors.Is(end, errClient) {
		t.Fatalf("go-imap: %v; link: %v; input %q", err, end, in)
	}
}

// written is a connection that keeps what is written to it.
type written struct {
	canned
	b bytes.Buffer
}

func (w *written) Write(b []byte) (int, error) { return w.b.Write(b) }

// FuzzPark: however the server's words come in pieces, a parked link says and
// does the same; and it never holds more than its limits.
func FuzzPark(f *testing.F) {
	for i, x := range []string{
		"+ idling\r\n* 5 EXISTS\r\nW OK done\r\n", "* 5 EXISTS\r\n+ idling\r\nW OK done\r\n",
		"+ idling\r\nW OK timeout\r\n* 4 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 5] .\r\nW OK selected\r\n+ idling\r\n* BYE\r\n",
		"+\n* 4 FETCH (BODY[] {12}\r\n* 5 EXISTS\r\n)\r\nW OK\r\n* OK behind\r\n", "W BAD no idle\r\n* 5 EXPUNGE\r\n",
		"+ idling\r\nW OK enough\r\n* 4 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 5] .\r\nW OK\r\n* STATUS b (UIDNEXT 2)\r\nW0 OK\r\n* STATUS {1}\r\nc (\r\nW1 NO\r\n",
		"+ idling\r\n* STATUS \"b\" (MESSAGES 1 UIDNEXT 2)\r\n* LIST () NIL c\r\nW OK\r\n", "+ idling\r\n* OK [NOTIFICATIONOVERFLOW] .\r\nW OK\r\n",
		"+ idling\r\n* XFOO {3}\r\nabc (\r\n+ x\r\n\r\n* NO x\r\nW NO y\r\nrest",
	} {
		f.Add([]byte(x), uint32(i), i%2 == 0)
	}
	newTag = func() string { return "W" }
	f.Fuzz(func(t *testing.T, in []byte, seed uint32, interrupt bool) {
		run := func(r io.Reader) string {
			w := &written{}
			l := NewLink(w, smallLimits)
			o := ParkOptions{Idle: true, Select: "INBOX", Known: Known{1, 5, 4}}
			o.setDefaults()
			if seed%2 == 1 {
				roll := NewRoll()
				roll.Add("b", "b", Known{1, 1, 0})
				roll.Add("c", "c", Known{1, 1, 0})
				l.SetRoll(roll)
			}
			d := idler{link: l, o: &o}
			d.begin(0)
			if interrupt {
				d.stop(0)
			}
			var b [4096]byte
			for {
				n, err := r.Read(b[:])
				if d.phase == phaseOver {
					l.in = append(l.in, b[:n]...)
				} else {
					d.feed(b[:n], 0)
				}
				if cap(l.scan.piece) > 4*smallLimits.Limits.Line {
					t.Fatalf("%d bytes are held", cap(l.scan.piece))
				}
				if err != nil {
					break
				}
			}
			if d.result.Reason == Ended {
				l.in = nil // nobody will read on
			}
			var news []int
			if l.roll != nil {
				for _, n := range l.roll.Take() {
					news = append(news, n.Index)
				}
			}
			return fmt.Sprintf("%v %d %v %v %v left %q middle %v\n%s", news, d.phase, d.result.Reason, d.result.Seen, d.result.Err, l.in, d.phase == phaseOver || l.scan.idle(), w.b.String())
		}
		if one, other := run(bytes.NewReader(in)), run(&splitter{in, seed, opened}); one != other {
			t.Fatalf("whole: %s\nin pieces: %s", one, other)
		}
	})
}

// FuzzStartTLS: whatever is said in the clear, it is an end, not a panic, and
// nothing but CAPABILITY and STARTTLS is said.
func FuzzStartTLS(f *testing.F) {
	f.Add([]byte("* OK [CAPABILITY STARTTLS] hi\r\nW OK go\r\n"))
	f.Add([]byte("* OK hi\r\n* CAPABILITY STARTTLS\r\nW OK\r\nW OK go\r\n"))
	f.Add([]byte("* PREAUTH hi\r\n"))
	newTag = func() string { return "W" }
	f.Fuzz(func(t *testing.T, in []byte) {
		w := &written{canned: canned{Reader: bytes.NewReader(in)}}
		c, err := StartTLS(t.Context(), w, clientTLS)
		if err == nil || c != nil {
			t.Fatal("TLS with nobody")
		}
		said := w.b.String()
		said = strings.TrimPrefix(said, "W CAPABILITY\r\n")
		said = strings.TrimPrefix(said, "W STARTTLS\r\n")
		if len(said) > 0 && said[0] != 0x16 && said[0] != 0x15 { // a handshake, an alert
			t.Fatalf("said %q", said)
		}
	})
}
