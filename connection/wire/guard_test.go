package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// canned is a connection that says what it was given, and hears nothing.
type canned struct {
	io.Reader
	closed bool
}

func (c *canned) Write(b []byte) (int, error)      { return len(b), nil }
func (c *canned) Close() error                     { c.closed = true; return nil }
func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// lendCanned lends a link whose client has sent the commands.
func lendCanned(r io.Reader, opts *LinkOptions, commands string) (*Link, net.Conn) {
	l := NewLink(&canned{Reader: r}, opts)
	c := l.Lend("* OK ready")
	io.ReadFull(c, make([]byte, len("* OK ready\r\n")))
	io.WriteString(c, commands)
	return l, c
}

// What the guard makes of a response. The first of each pair is the server's.
var rewrites = []struct{ name, in, out string }{
	// As it should be.
	{"exists", "* 5 EXISTS\r\n", "* 5 EXISTS\r\n"},
	{"spelling", "*  5\texists \n", "* 5 EXISTS\r\n"},
	{"status", "* OK [UIDNEXT 7] fine\r\n", "* OK [UIDNEXT 7] fine\r\n"},
	{"no text", "* OK\r\n", "* OK\r\n"},
	{"capability", "* CAPABILITY IMAP4rev1  IDLE\r\n", "* CAPABILITY IMAP4rev1 IDLE\r\n"},
	{"flags", "* FLAGS (\\Seen $Junk)\r\n", "* FLAGS (\\Seen $Junk)\r\n"},
	{"list", "* LIST (\\HasNoChildren) \"/\" INBOX\r\n", "* LIST (\\HasNoChildren) \"/\" \"INBOX\"\r\n"},
	{"list literal", "* LIST () NIL {5}\r\na\\\"bc\r\n", "* LIST () NIL \"a\\\\\\\"bc\"\r\n"},
	{"list extended", "* LIST () \"/\" x (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n", "* LIST () \"/\" \"x\"\r\n"},
	{"mailbox status", "* STATUS x (MESSAGES 3 uidnext 9)\r\n", "* STATUS \"x\" (MESSAGES 3 UIDNEXT 9)\r\n"},
	{"id", "* ID (\"name\" \"x\" \"version\" NIL)\r\n", "* ID (\"name\" \"x\" \"version\" \"\")\r\n"},
	{"no id", "* ID NIL\r\n", "* ID NIL\r\n"},
	{"namespace", "* NAMESPACE ((\"\" \"/\")) NIL ((\"Public/\" \"/\" \"X\" (\"y\")))\r\n", "* NAMESPACE ((\"\" \"/\")) NIL ((\"Public/\" \"/\"))\r\n"},
	{"esearch", "* ESEARCH (TAG \"T1\") UID COUNT 2 ALL 1:2,7\r\n", "* ESEARCH (TAG \"T1\") UID COUNT 2 ALL 1:2,7\r\n"},
	{"search", "* SEARCH 9 3 3 7\r\nT1 OK done\r\n", "* SEARCH 3 7 9\r\nT1 OK done\r\n"},
	{"no search result", "* SEARCH\r\nT1 OK done\r\n", "* SEARCH\r\nT1 OK done\r\n"},
	{"two searches", "* SEARCH 9\r\n* 5 EXISTS\r\n* SEARCH 1\r\nT1 OK\r\n", "* 5 EXISTS\r\n* SEARCH 1 9\r\nT1 OK\r\n"},
	{"fetch", "* 1 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 77 INTERNALDATE \" 1-Jan-2024 10:00:00 +0100\" MODSEQ (12))\r\n",
		"* 1 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 77 INTERNALDATE \" 1-Jan-2024 10:00:00 +0100\" MODSEQ (12))\r\n"},
	{"body", "* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n", "* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n"},
	{"empty body", "* 1 FETCH (UID 5 BODY[] {0}\r\n FLAGS ())\r\n", "* 1 FETCH (UID 5 BODY[] {0}\r\n FLAGS ())\r\n"},
	{"two bodies", "* 1 FETCH (UID 5 BODY[HEADER] {1}\r\na BODY[1.TEXT]<0> {1}\r\nb)\r\n", "* 1 FETCH (UID 5 BODY[HEADER] {1}\r\na BODY[1.TEXT]<0> {1}\r\nb)\r\n"},
	{"header fields", "* 1 FETCH (BODY[HEADER.FIELDS (\"Message-ID\" date)] {1}\r\na UID 5)\r\n", "* 1 FETCH (BODY[HEADER.FIELDS (\"Message-ID\" \"date\")] {1}\r\na UID 5)\r\n"},
	{"tagged", "T1 NO [OVERQUOTA] full\r\n", "T1 NO [OVERQUOTA] full\r\n"},
	{"copyuid", "T1 OK [COPYUID 1 3:5 7:9] done\r\n", "T1 OK [COPYUID 1 3:5 7:9] done\r\n"},

	// Mended.
	{"quoted body", "* 1 FETCH (UID 5 BODY[] \"a\\\"b\")\r\n", "* 1 FETCH (UID 5 BODY[] {3}\r\na\"b)\r\n"},
	{"body nil", "* 1 FETCH (UID 5 BODY[] nil)\r\n", "* 1 FETCH (UID 5 BODY[] NIL)\r\n"},
	{"literal8", "* 1 FETCH (UID 5 BODY[] ~{3}\r\na\x00c)\r\n", "* 1 FETCH (UID 5 BODY[] {3}\r\na\x00c)\r\n"},
	{"rfc822", "* 1 FETCH (UID 5 RFC822 {3}\r\nabc)\r\n", "* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n"},
	{"8-bit flag", "* 1 FETCH (FLAGS (\\Seen K\x80\xe9) UID 5)\r\n", "* 1 FETCH (FLAGS (\\Seen K?\xe9) UID 5)\r\n"},
	{"flags with blanks", "* 1 FETCH (FLAGS ( \\Seen  \"a b\" ) UID 5)\r\n", "* 1 FETCH (FLAGS (\\Seen a?b) UID 5)\r\n"},
	{"date without zone", "* 1 FETCH (UID 5 INTERNALDATE \"1-Jan-2024 10:00:00\")\r\n", "* 1 FETCH (UID 5 INTERNALDATE \" 1-Jan-2024 10:00:00 +0000\")\r\n"},
	{"bad date", "* 1 FETCH (UID 5 INTERNALDATE \"yesterday\" FLAGS ())\r\n", "* 1 FETCH (UID 5 FLAGS ())\r\n"},
	{"no date", "* 1 FETCH (UID 5 INTERNALDATE NIL FLAGS ())\r\n", "* 1 FETCH (UID 5 FLAGS ())\r\n"},
	{"unknown item", "* 1 FETCH (X-GM-MSGID 123 UID 5 X-Y (a (b {3}\r\n)x() c) FLAGS ())\r\n", "* 1 FETCH (UID 5 FLAGS ())\r\n"},
	{"unknown section", "* 1 FETCH (UID 5 BODY[FOO \"]\"] {3}\r\nabc FLAGS ())\r\n", "* 1 FETCH (UID 5 FLAGS ())\r\n"},
	{"zoho", "* 1 FETCH (UID 5 MODSEQ (-1) FLAGS ())\r\n", "* 1 FETCH (UID 5 FLAGS ())\r\n"},
	{"zoho select", "* OK [HIGHESTMODSEQ -1] .\r\n", "* OK .\r\n"},
	{"negative size", "* 1 FETCH (RFC822.SIZE -1 UID 5)\r\n", "* 1 FETCH (UID 5)\r\n"},
	{"domino", "* 1 FETCH ((UID 5 FLAGS (\\Seen)))\r\n", "* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n"},
	{"domino too", "* 1 FETCH (UID 5 FLAGS (\\Seen)))\r\n", "* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n"},
	{"domino, an item", "* 1 FETCH (UID 5 (FLAGS (\\Seen)) RFC822.SIZE 3)\r\n", "* 1 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 3)\r\n"},
	{"domino, no end", "* 1 FETCH (UID 5 BODY[] {3}\r\nabc\r\n* 5 EXISTS\r\n", "* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n* 5 EXISTS\r\n"},
	{"astral mailbox", "* LIST () \"/\" \"&2D3eAA-\"\r\n* LIST () \"/\" \"&2D0-\"\r\n* LIST () \"/\" \"x&-y\"\r\n", "* LIST () \"/\" \"&2D3eAA-\"\r\n* LIST () \"/\" \"x&-y\"\r\n"},
	{"proton", "* LIST () \"/\" \"Ordner/\xc3\xa4\"\r\n", "* LIST () \"/\" \"Ordner/\xc3\xa4\"\r\n"},
	{"envelope", "* 1 FETCH (UID 5 ENVELOPE (NIL \"x\" ((\"a\" NIL b c)) NIL NIL NIL NIL NIL NIL NIL) FLAGS ())\r\n", "* 1 FETCH (UID 5 FLAGS ())\r\n"},
	{"bodystructure", "* 1 FETCH (UID 5 BODY (\"text\" \"plain\") FLAGS ())\r\n", "* 1 FETCH (UID 5 FLAGS ())\r\n"},
	{"NUL in text", "* OK a\x00b\x80c\x1b[31m\r\n", "* OK ab\x80c[31m\r\n"},
	{"code without end", "* OK [FOO bar\r\n", "* OK (FOO bar\r\n"},
	{"bad code", "* OK [UIDNEXT x] .\r\n", "* OK .\r\n"},
	{"bad copyuid", "T1 OK [COPYUID 1 * 4] .\r\n", "T1 OK .\r\n"},
	{"huge copyuid", "T1 OK [COPYUID 1 1:4294967295 1:4294967295] .\r\n", "T1 OK .\r\n"},
	{"appenduid set", "T1 OK [APPENDUID 1 3:4] .\r\n", "T1 OK .\r\n"},
	{"long text", "* OK " + strings.Repeat("x", 100_000) + "\r\n* 5 EXISTS\r\n", "* OK " + strings.Repeat("x", textMax) + "\r\n* 5 EXISTS\r\n"},
	{"unknown tagged state", "T1 FOO bar\r\n", "T1 BAD bar\r\n"},
	{"search with modseq", "* SEARCH 1 2 (MODSEQ 917162500)\r\nT1 OK\r\n", "* SEARCH 1 2\r\nT1 OK\r\n"},
	{"search with rubbish", "* SEARCH 1 x2 3x -4 99999999999 0 5\r\nT1 OK\r\n", "* SEARCH 1 5\r\nT1 OK\r\n"},

	// Dropped.
	{"unknown", "* XYZZY {3}\r\nabc foo\r\n* VANISHED 1:3\r\n* QUOTA \"\" ()\r\n", ""},
	{"stray plus", "+ go on\r\n", ""},
	{"empty line", "\r\n\n", ""},
	{"foreign tags", "DONE BAD what\r\nW123 OK idle\r\nT2 OK\r\n", ""},
	{"twice", "T1 OK a\r\nT1 OK b\r\n", "T1 OK a\r\n"},
	{"mailbox name", "* LIST () \"/\" \"a\xff\"\r\n* LIST () \"/\" \"&x\"\r\n* LIST () \"/\" \"&AGE-\"\r\n", ""},
	{"malformed", "* FLAGS \\Seen\r\n* LIST\r\n* STATUS x 5\r\n* NAMESPACE NIL\r\n* ID (\"x\")\r\n* 0 EXPUNGE\r\n* EXISTS\r\n* 5\r\n*\r\n", ""},
	{"number too large", "* 4294967296 EXISTS\r\n", ""},
	{"fetch of nothing", "* 1 FETCH (X 5)\r\n* 0 FETCH (UID 5)\r\n* 1 FETCH\r\n", ""},
	{"long line", "* XFOO " + strings.Repeat("x", 500_000) + "\r\n* LIST () \"/\" \"" + strings.Repeat("x", 100_000) + "\"\r\n* 5 EXISTS\r\n", "* 5 EXISTS\r\n"},
	{"long line with literals", "* LIST () \"/\" " + strings.Repeat("x ", 50_000) + "{10}\r\n* 99 EXISTS foo\r\n", ""},
	{"long fetch with body", "* 1 FETCH (FLAGS (" + strings.Repeat("x ", 50_000) + ") BODY[] {12}\r\n* 9 EXISTS\r\n)\r\n* 5 EXISTS\r\n", "* 5 EXISTS\r\n"},
}

func TestRewrite(t *testing.T) {
	for _, test := range rewrites {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []struct {
				name string
				io.Reader
			}{{"whole", strings.NewReader(test.in)}, {"bytes", iotest.OneByteReader(strings.NewReader(test.in))}} {
				l, c := lendCanned(r, nil, "T1 NOOP\r\n")
				got, err := io.ReadAll(c)
				if string(got) != test.out {
					t.Errorf("%s: got %.300q, want %.300q", r.name, got, test.out)
				}
				if end := l.Err(); err != nil || !errors.Is(end, io.EOF) || errors.Is(end, io.ErrUnexpectedEOF) {
					t.Errorf("%s: error %v (%v), want an end of file", r.name, err, end)
				}
			}
		})
	}
}

// Servers that never come to an end, or come to one too early: an error, little
// memory, little time.
func TestHostile(t *testing.T) {
	forever := func(head, s string) io.Reader {
		return io.MultiReader(strings.NewReader(head), &repeat{s: s})
	}
	limit := func(err error) bool { return errors.As(err, new(*LimitError)) }
	cut := func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
	for _, test := range []struct {
		name  string
		r     io.Reader
		check func(error) bool
	}{
		{"endless line", forever("* LIST ", "x"), limit},
		{"endless text", forever("* OK ", "x"), limit},
		{"endless tag", forever("", "x"), limit},
		{"endless blanks", forever("", " "), limit},
		{"endless NULs", forever("", "\x00"), limit},
		{"endless SEARCH", forever("* SEARCH", " 1"), limit},
		{"endless SEARCH, falling", &falling{}, limit},
		{"endless rubbish in SEARCH", forever("* SEARCH", " x"), limit},
		{"endless CAPABILITY", forever("* CAPABILITY", " XFOO"), limit},
		{"endless CAPABILITYs", forever("", "* CAPABILITY IMAP4rev1 A B C D E\r\n"), limit},
		{"endless empty lines", forever("", "\r\n"), limit},
		{"endless unknown responses", forever("", "* XFOO\r\n"), limit},
		{"endless LISTs", forever("", "* LIST () \"/\" INBOX\r\n"), limit},
		{"huge literal", strings.NewReader("* LIST () \"/\" {9999999999}\r\n"), limit},
		{"larger literal", strings.NewReader("* LIST () \"/\" {99999999999999999999999999}\r\n"), limit},
		{"huge body", strings.NewReader("* 1 FETCH (UID 5 BODY[] {9999999999}\r\n"), limit},
		{"many large bodies", forever("* 1 FETCH (UID 5", " BODY[] {4000000}\r\n"+strings.Repeat("x", 4_000_000)), limit},
		{"a million small literals", forever("* LIST (", "{1}\r\nx "), limit},
		{"a million small literals of an unknown response", forever("* XFOO (", "{1}\r\nx "), limit},
		{"a million small bodies", forever("* 1 FETCH (", "BODY[] {1}\r\nx "), limit},
		{"deep BODYSTRUCTURE", forever("* 1 FETCH (BODYSTRUCTURE ", "("), limit},
		{"deep but finite BODYSTRUCTURE", strings.NewReader("* 1 FETCH (BODYSTRUCTURE " + strings.Repeat("(", 30000) + strings.Repeat(")", 30000) + ")\r\n"), limit},
		{"deep THREAD", forever("* THREAD ", "("), limit},
		{"deep LIST", forever("* LIST ", "("), limit},
		{"deep NAMESPACE", strings.NewReader("* NAMESPACE ((\"\" \"/\" \"x\" " + strings.Repeat("(", 30000) + "\r\n"), limit},
		{"half a line", strings.NewReader("* 5 EXI"), cut},
		{"literal cut short", strings.NewReader("* LIST () \"/\" {10}\r\nabc"), cut},
		{"body cut short", strings.NewReader("* 1 FETCH (UID 5 BODY[] {10}\r\nabc"), cut},
		{"cut behind a body", strings.NewReader("* 1 FETCH (UID 5 BODY[] {3}\r\nabc"), cut},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, c := lendCanned(test.r, nil, "T1 NOOP\r\n")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := cpu()
			peak := uint64(0)
			buf := make([]byte, 4096)
			var err error
			for i := 0; err == nil; i++ {
				if _, err = c.Read(buf); i%5000 == 0 || err != nil {
					runtime.ReadMemStats(&after)
					peak = max(peak, after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))
				}
			}
			if !test.check(err) || !test.check(l.Err()) {
				t.Errorf("error %v, link's %v", err, l.Err())
			}
			if d := cpu() - began; d > 2*time.Second && !raceEnabled {
				t.Errorf("took %v of CPU", d)
			}
			if peak > 64<<20 {
				t.Errorf("%d MiB", peak>>20)
			}
			if !l.conn.(*canned).closed {
				t.Error("not closed")
			}
		})
	}
}

type repeat struct {
	s string
	i int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], r.s[r.i:])
		n += k
		if r.i += k; r.i == len(r.s) {
			r.i = 0
		}
	}
	return n, nil
}

type falling struct{ n uint32 }

func (f *falling) Read(p []byte) (n int, err error) {
	if f.n == 0 {
		f.n = 1<<32 - 1
		return copy(p, "* SEARCH"), nil
	}
	b := p[:0]
	for len(b)+12 < len(p) {
		f.n -= 2
		b = strconv.AppendUint(append(b, ' '), uint64(f.n), 10)
	}
	return len(b), nil
}

// A real client on a server that sends one poisonous response after the other.
func TestClientSurvives(t *testing.T) {
	c, _ := pair(t, func(s *server) {
		s.login("")
		tag := s.tag("UID FETCH 1:*")
		for _, r := range rewrites {
			if !strings.Contains(r.in, "T1 ") { // its tag may be the client's
				s.put(r.in)
			}
		}
		s.put("* 8 FETCH (X-WHAT (1 2) UID 8 FLAGS (\\Seen) RFC822.SIZE 4 INTERNALDATE nonsense BODY[] {4}\r\nmail MODSEQ (-1))\r\n")
		s.put("* 9 FETCH (FLAGS (\x81) UID 9 BODY[] {4}\r\n9999)\r\n")
		s.put(tag + " OK [\xff] done\r\n")
		s.drain()
	})
	l := NewLink(c, nil)
	defer l.Close()
	l.SetProgressTimeout(testWait)
	cl := imapclient.New(l.Lend(""), nil)
	if err := cl.Login("a", "b").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	all := imap.UIDSet{}
	all.AddRange(1, 0)
	section := &imap.FetchItemBodySection{Peek: true}
	msgs, err := cl.Fetch(all, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		t.Fatal(err, l.Err())
	}
	found := map[imap.UID]string{}
	for _, m := range msgs {
		found[m.UID] = string(m.FindBodySection(section))
	}
	if found[8] != "mail" || found[9] != "9999" {
		t.Errorf("bodies: %v", found)
	}
	if err := cl.Noop().Wait(); err != nil {
		t.Error(err)
	}
	if err := l.Reclaim(cl.Close); err != nil {
		t.Error(err)
	}
}

func TestSearchIsNotLimitedByItsLine(t *testing.T) {
	const n = 200_000
	c, _ := pair(t, func(s *server) {
		s.login("")
		tag := s.tag("UID SEARCH")
		var b bytes.Buffer
		b.WriteString("* SEARCH")
		for i := range n {
			fmt.Fprintf(&b, " %d", 2*(n-i)) // the wrong way round
		}
		s.put(b.String() + "\r\n" + tag + " OK done\r\n")
		s.drain()
	})
	l := NewLink(c, nil)
	defer l.Close()
	l.SetProgressTimeout(testWait)
	cl := imapclient.New(l.Lend(""), nil)
	if err := cl.Login("a", "b").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	data, err := cl.UIDSearch(&imap.SearchCriteria{}, nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	if uids := data.AllUIDs(); len(uids) != n || uids[0] != 2 || uids[n-1] != 2*n {
		t.Errorf("%d UIDs", len(uids))
	}
	if err := l.Reclaim(cl.Close); err != nil {
		t.Error(err)
	}
}

// A large body goes through without being held.
func TestBodyIsStreamed(t *testing.T) {
	const size = 64 << 20
	l, c := lendCanned(io.MultiReader(strings.NewReader(fmt.Sprintf("* 1 FETCH (UID 5 BODY[] {%d}\r\n", size)), io.LimitReader(&repeat{s: "0123456789"}, size), strings.NewReader(")\r\n")), nil, "T1 UID FETCH 5 BODY.PEEK[]\r\n")
	got, err := io.Copy(io.Discard, c)
	if want := int64(size + len(fmt.Sprintf("* 1 FETCH (UID 5 BODY[] {%d}\r\n)\r\n", size))); got != want || err != nil {
		t.Errorf("%d bytes, want %d; %v", got, want, err)
	}
	if n := cap(l.scan.piece) + cap(l.in); n > 8192 {
		t.Errorf("%d bytes are held", n)
	}
}

func TestOnStatus(t *testing.T) {
	var got []string
	opts := &LinkOptions{OnStatus: func(st Status) {
		got = append(got, fmt.Sprintf("%s %s %s %q %v", st.Type, st.Code, st.Args, st.Text, st.Tagged))
	}}
	l, c := lendCanned(strings.NewReader("* ok [uidvalidity 7] x\r\n* NO [ALERT] \x1bfull\r\n* OK Still here\r\nT1 OK [ALERT] down at noon\r\n* BYE [UNAVAILABLE] later\r\n"), opts, "T1 NOOP\r\n")
	if _, err := io.ReadAll(c); err != nil {
		t.Error(err)
	}
	want := []string{`OK UIDVALIDITY 7 "x" false`, `NO ALERT  "full" false`, `OK   "Still here" false`, `OK ALERT  "down at noon" true`, `BYE UNAVAILABLE  "later" false`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", got)
	}
	var bye *ByeError
	if err := l.Err(); !errors.As(err, &bye) || !errors.Is(err, io.EOF) || bye.Status.Code != "UNAVAILABLE" {
		t.Errorf("error %v", err)
	}
}

func TestGreeting(t *testing.T) {
	for _, test := range []struct {
		in, out string
		ok      bool
	}{
		{"* OK [CAPABILITY IMAP4rev1] hi\r\n", "* OK [CAPABILITY IMAP4rev1] hi\r\n", true},
		{"* PREAUTH hi\r\n", "* PREAUTH hi\r\n", true},
		{"* BYE busy\r\n", "* BYE busy\r\n", true},
		{"+OK POP3 ready\r\n", "", false},
		{"220 mail.example.com ESMTP\r\n", "", false},
		{"SSH-2.0-OpenSSH_9.2\r\n", "", false},
		{"HTTP/1.1 400 Bad Request\r\n", "", false},
		{"* 5 EXISTS\r\n", "", false},
		{"* 1 FETCH (BODY[] {5}\r\nhello)\r\n", "", false},
	} {
		l := NewLink(&canned{Reader: strings.NewReader(test.in)}, nil)
		got, _ := io.ReadAll(l.Lend(""))
		err := l.Err()
		if string(got) != test.out || test.ok == strings.Contains(fmt.Sprint(err), "not an IMAP server") {
			t.Errorf("%q: %q, %v", test.in, got, err)
		}
	}
}
