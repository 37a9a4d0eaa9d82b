package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// EXISTS behind SELECT's tagged OK, in the same record: the server will not say it again.
func TestNewsBehindTagged(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		c, _ := pair(t, func(s *server) {
			s.login("* 5 EXISTS\r\n")
			s.drain()
		})
		l := open(t, c, nil)
		expect(t, park(t, k, l, idleOptions), Pushed)
		usable(t, l)
	})
}

// Half a line was read when the link was taken off the client.
func TestHalfLineAcrossReclaim(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		rest := make(chan struct{})
		c, _ := pair(t, func(s *server) {
			s.login("* 5 EXI")
			<-rest
			s.put("STS\r\n")
			s.drain()
		})
		l := open(t, c, nil)
		close(rest)
		expect(t, park(t, k, l, idleOptions), Pushed)
		usable(t, l)
	})
}

func TestPush(t *testing.T) {
	long := strings.Repeat("x", 300)
	longer := strings.Repeat("y", 200_000)
	for _, test := range []struct {
		name    string
		records []string // behind IDLE, in one segment
	}{
		{"one record", []string{"+ idling\r\n* 5 EXISTS\r\n"}},
		{"before plus", []string{"* 5 EXISTS\r\n+ idling\r\n"}},
		{"two records", []string{"+ idling\r\n", "* 5 EXISTS\r\n"}},
		{"split", []string{"+ id", "ling\r", "\n* 5 EXI", "STS\r", "\n"}},
		{"small talk", []string{"+ idling\r\n", "* OK Still here\r\n", "* 5 EXISTS\r\n"}},
		{"after a long line", []string{"+ idling\r\n", "* OK [ALERT] " + long + "\r\n* 5 EXISTS\r\n"}},
		{"after a longer line", []string{"+ idling\r\n", "* OK [ALERT] " + longer + "\r\n", "* 5 EXISTS\r\n"}},
		{"after a long unknown line", []string{"+ idling\r\n", "* XFOO " + longer + "\r\n"}},
		{"lower case", []string{"+\r\n", "* 5 exists\r\n"}},
		{"trailing blank", []string{"+ \r\n", "* 5 EXISTS \r\n"}},
		{"bare LF", []string{"+ idling\n", "* 5 EXISTS\n"}},
		{"two blanks", []string{"+ idling\r\n", "*  5 EXISTS\r\n"}},
		{"expunge", []string{"+ idling\r\n", "* 5 EXPUNGE\r\n"}},
		{"vanished", []string{"+ idling\r\n", "* VANISHED 3:5\r\n"}},
		{"flags of a message", []string{"+ idling\r\n", "* 4 FETCH (FLAGS (\\Seen))\r\n"}},
		{"unknown", []string{"+ idling\r\n", "* XAPPLEPUSH \"x\"\r\n"}},
		{"recreated on Dovecot", []string{"+ idling\r\n", "* NO Internal error occurred\r\n"}},
		{"new UIDVALIDITY", []string{"+ idling\r\n", "* OK [UIDVALIDITY 7] changed\r\n"}},
		{"behind a literal", []string{"+ idling\r\n", "* 4 FETCH (BODY[HEADER] {3}\r\nabc)\r\n"}},
		{"NUL and 8-bit", []string{"+ idl\x00\xffing\r\n", "* OK \x00\xff\xfe\r\n* 5 EXISTS\r\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			loops(t, func(t *testing.T, k *Parker) {
				c, _ := pair(t, func(s *server) {
					s.login("")
					tag := s.tag("IDLE")
					s.records(test.records...)
					s.done(tag)
					s.drain()
				})
				l := open(t, c, nil)
				expect(t, park(t, k, l, idleOptions), Pushed)
				usable(t, l)
			})
		})
	}
}

// What is not news must not wake; the EXISTS at the end must, and only that.
func TestNoFalseWake(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"tail of plus", "+ idling 9 EXISTS\r\n"},
		{"small talk", "+ idling\r\n* OK Still here\r\n* 0 RECENT\r\n* FLAGS (\\Seen)\r\n* OK [PERMANENTFLAGS ()] .\r\n\r\n"},
		{"foreign tag", "+ idling\r\np OK IDLE terminated\r\nDONE BAD unknown\r\n"},
		{"another plus", "+ idling\r\n+ idling\r\n"},
		{"text", "+ idling\r\n* OK 5 EXISTS {5}\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			loops(t, func(t *testing.T, k *Parker) {
				heard := make(chan struct{})
				c, _ := pair(t, func(s *server) {
					s.login("")
					tag := s.tag("IDLE")
					s.put(test.text + "* OK [XHEARD] .\r\n")
					s.done(tag)
					s.drain()
				})
				l := open(t, c, &LinkOptions{OnStatus: func(st Status) {
					if st.Code == "XHEARD" {
						close(heard)
					}
				}})
				woken := make(chan Wake, 2)
				p := k.Park(l, idleOptions, func(w Wake) { woken <- w })
				select {
				case w := <-woken:
					t.Fatalf("woken: %v %v", w.Reason, w.Err)
				case <-heard:
				}
				p.Interrupt()
				p.Interrupt()
				expect(t, await(t, p, woken), Interrupted)
				usable(t, l)
			})
		})
	}
}

// A literal holds what looks like protocol: news of another kind, one wake.
func TestLiteralIsSkipped(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		c, _ := pair(t, func(s *server) {
			s.login("")
			tag := s.idle()
			s.put(fmt.Sprintf("* 4 FETCH (BODY[HEADER] {%d}\r\n* 99 EXISTS\r\n%s OK x\r\n* BYE\r\n)\r\n", 25+len(tag), tag))
			s.done(tag)
			s.drain()
		})
		l := open(t, c, nil)
		expect(t, park(t, k, l, idleOptions), Pushed)
		usable(t, l)
	})
}

func TestEnds(t *testing.T) {
	var bye *ByeError
	for _, test := range []struct {
		name, text string
		close      bool
		check      func(error) bool
	}{
		{"bye", "+ idling\r\n* BYE going down\r\n", false, func(err error) bool { return errors.As(err, &bye) && strings.Contains(err.Error(), "going down") }},
		{"eof", "+ idling\r\n", true, func(err error) bool { return errors.Is(err, io.EOF) }},
		{"eof in a line", "+ idling\r\n* 5 EX", true, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"endless line", "+ idling\r\n* " + strings.Repeat("x", 2<<20), false, func(err error) bool { return errors.As(err, new(*LimitError)) }},
		{"huge literal", "+ idling\r\n* LIST {9999999999}\r\n", false, func(err error) bool { return errors.As(err, new(*LimitError)) }},
		{"endless small talk", "+ idling\r\n" + strings.Repeat("* OK Still here\r\n", 100_000), false, func(err error) bool { return errors.As(err, new(*LimitError)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			loops(t, func(t *testing.T, k *Parker) {
				c, _ := pair(t, func(s *server) {
					s.login("")
					s.tag("IDLE")
					s.put(test.text)
					if !test.close {
						s.line()
					}
				})
				l := open(t, c, nil)
				w := park(t, k, l, idleOptions)
				expect(t, w, Ended)
				if !test.check(w.Err) || l.Err() == nil {
					t.Errorf("error %v, link's %v", w.Err, l.Err())
				}
			})
		})
	}
}

func TestServerEndsIdle(t *testing.T) {
	for _, text := range []string{"OK IDLE timed out", "BAD too long", "NO whatever"} {
		t.Run(text[:3], func(t *testing.T) {
			loops(t, func(t *testing.T, k *Parker) {
				c, _ := pair(t, func(s *server) {
					s.login("")
					tag := s.idle()
					s.put(tag + " " + text + "\r\n")
					tag = s.tag("SELECT") // it looks before it idles again
					s.put("* 4 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 5] .\r\n" + tag + " OK\r\n")
					tag = s.idle()
					s.put("* 5 EXISTS\r\n")
					s.done(tag)
					s.drain()
				})
				l := open(t, c, nil)
				o := idleOptions
				o.Select, o.Known = "INBOX", Known{1, 5, 4}
				expect(t, park(t, k, l, o), Pushed)
				usable(t, l)
			})
		})
	}
}
