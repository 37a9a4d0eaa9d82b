package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
)

// A peer is the other end of a connection: a server that does as the test says.
type peer struct {
	net.Conn
	r   *bufio.Reader
	got []string // commands that were read
	end chan struct{}
}

// serve gives the near end of a connection whose far end play has, in a goroutine.
func serve(t *testing.T, play func(p *peer)) net.Conn {
	near, far := net.Pipe()
	done, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		play(&peer{Conn: far, r: bufio.NewReader(far), end: end})
	}()
	t.Cleanup(func() { near.Close(); far.Close(); close(end); <-done })
	return near
}

func (p *peer) say(lines ...string) { _, _ = io.WriteString(p, strings.Join(lines, "\r\n")+"\r\n") }

// read reads a command.
func (p *peer) read() string {
	line, err := p.r.ReadString('\n')
	if err != nil {
		return ""
	}
	p.got = append(p.got, strings.TrimRight(line, "\r\n"))
	return p.got[len(p.got)-1]
}

// until answers commands by their first word up to the one named, and returns that.
func (p *peer) until(last string, answers map[string]string) string {
	for {
		line := p.read()
		if line == "" || strings.HasPrefix(line, last) {
			return line
		}
		verb, _, _ := strings.Cut(line, " ")
		answer := answers[verb]
		if answer == "" {
			answer = "250 ok"
		}
		p.say(answer)
	}
}

var extensions = map[string]string{"EHLO": "250-me\r\n250-8BITMIME\r\n250-SIZE 1000000\r\n250 AUTH PLAIN XOAUTH2"}

// body takes a message up to its dot.
func (p *peer) body() string {
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return b.String()
		}
		b.WriteString(line)
	}
}

const wait = 10 * time.Second

// session greets and says EHLO.
func session(t *testing.T, conn net.Conn) *Client {
	t.Helper()
	c := NewClient(conn, Options{Wait: wait})
	if _, err := c.Greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Hello(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func letter(body string, to ...string) *Mail {
	if len(to) == 0 {
		to = []string{"b@example.com"}
	}
	return &Mail{From: "a@example.com", To: to, Write: func(w io.Writer, _ bool) error {
		_, err := io.WriteString(w, body)
		return err
	}}
}

func TestStartTLSHostile(t *testing.T) {
	for _, test := range []struct {
		name string
		play func(p *peer)
		want string
		last string // the last command that the server may have seen
	}{
		{"not offered", func(p *peer) { p.say("220 hi"); p.until("-", map[string]string{"EHLO": "250-me\r\n250 AUTH PLAIN"}) },
			"does not offer STARTTLS", "EHLO"},
		{"no extensions", func(p *peer) { p.say("220 hi"); p.until("-", nil) }, "does not offer STARTTLS", "EHLO"},
		{"refused", func(p *peer) {
			p.say("220 hi")
			p.until("-", map[string]string{"EHLO": "250-me\r\n250 STARTTLS", "STARTTLS": "454 not now"})
		}, "454 not now to STARTTLS", "STARTTLS"},
		{"injected", func(p *peer) {
			p.say("220 hi")
			p.until("STARTTLS", map[string]string{"EHLO": "250-me\r\n250 starttls"})
			p.say("220 go", "250 injected")
			p.read()
		}, "injecting replies", "STARTTLS"},
		{"early", func(p *peer) { p.say("220 hi", "250-me", "250 STARTTLS"); p.read() }, "out of turn", ""},
		{"sent away", func(p *peer) { p.say("554 5.7.1 you are on a list") }, "greets with 554", ""},
		{"web server", func(p *peer) { p.say("HTTP/1.1 400 Bad Request") }, "does not speak SMTP", ""},
		{"IMAP", func(p *peer) { p.say("* OK hello") }, "does not speak SMTP", ""},
		{"endless line", func(p *peer) {
			for {
				if _, err := io.WriteString(p, strings.Repeat("2", 1000)); err != nil {
					return
				}
			}
		}, "without an end", ""},
		{"endless reply", func(p *peer) {
			for {
				if _, err := io.WriteString(p, "220-more\r\n"); err != nil {
					return
				}
			}
		}, "on and on", ""},
		{"hangs up", func(p *peer) {}, "no reply to greeting", ""},
		{"silent", func(p *peer) { p.read() }, "", ""},
		{"silent in the handshake", func(p *peer) {
			p.say("220 hi")
			p.until("STARTTLS", map[string]string{"EHLO": "250-me\r\n250 STARTTLS"})
			p.say("220 go")
			_, _ = io.Copy(io.Discard, p)
		}, "", "STARTTLS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen *peer
				conn := serve(t, func(p *peer) { seen = p; test.play(p) })
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, _, err := StartTLS(ctx, conn, &tls.Config{ServerName: "example.com"})
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("err %v; want %q", err, test.want)
				}
				conn.Close()
				synctest.Wait()
				if n := len(seen.got); test.last == "" && n > 0 && seen.got[n-1] != "" || test.last != "" && (n == 0 || !strings.HasPrefix(seen.got[n-1], test.last)) {
					t.Errorf("the server was told %q; want %q last", seen.got, test.last)
				}
			})
		})
	}
}

func TestSend(t *testing.T) {
	var envelope []string
	var got string
	conn := serve(t, func(p *peer) {
		p.say("220-hi", "220 there")
		p.until("DATA", map[string]string{"EHLO": extensions["EHLO"], "RCPT": "250 ok"})
		envelope = p.got
		p.say("354 go on")
		got = p.body()
		p.say("250 2.0.0 kept as 7")
		p.until("QUIT", nil)
		p.say("221 bye")
	})
	c := session(t, conn)
	r, err := c.Send(t.Context(), letter("Subject: x\r\n\r\n.\r\n..two\r\nend\r\n", "b@example.com", "c@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	c.Quit()
	if want := "Subject: x\r\n\r\n..\r\n...two\r\nend\r\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if fmt.Sprint(r.Accepted, r.Refused, " ", r.Reply) != "[b@example.com c@example.com] [] 2.0.0 kept as 7" {
		t.Errorf("receipt %+v", r)
	}
	if want := "MAIL FROM:<a@example.com> BODY=8BITMIME SIZE=29"; len(envelope) < 2 || envelope[1] != want {
		t.Errorf("said %q; want %q", envelope, want)
	}
}

func TestSendRefused(t *testing.T) {
	for _, test := range []struct {
		name      string
		answers   map[string]string
		mail      *Mail
		want      string // of the error; "" for none
		permanent bool
		refused   string
	}{
		{name: "sender", answers: map[string]string{"MAIL": "550 5.7.60 not yours"}, want: "550 5.7.60 not yours to MAIL", permanent: true},
		{name: "sender for now", answers: map[string]string{"MAIL": "451 busy"}, want: "451 busy to MAIL"},
		{name: "some", answers: map[string]string{"RCPT": ""}, refused: "[{no@example.com the server answered 550 5.1.1 who? to RCPT}]"},
		{name: "all", answers: map[string]string{"RCPT": "450 later"}, refused: "[{yes@example.com the server answered 450 later to RCPT} {no@example.com the server answered 450 later to RCPT}]"},
		{name: "closing", answers: map[string]string{"RCPT": "421 bye"}, want: "421 bye to RCPT"},
		{name: "data", answers: map[string]string{"DATA": "554 no valid recipients"}, want: "554 no valid recipients to DATA", permanent: true},
		{name: "content", answers: map[string]string{".": "554 5.6.0 spam"}, want: "554 5.6.0 spam to the message", permanent: true},
		{name: "too large", mail: letter(strings.Repeat("x", 1_000_001), "yes@example.com"), want: "takes 1000000 at most", permanent: true},
		{name: "utf8", mail: &Mail{UTF8: true, To: []string{"ü@example.com"}, Write: letter("").Write}, want: "SMTPUTF8", permanent: true},
		{name: "cannot be made", mail: &Mail{Write: func(io.Writer, bool) error { return errors.New("no such file") }}, want: "no such file", permanent: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := serve(t, func(p *peer) {
				p.say("220 hi")
				for {
					line := p.read()
					verb, _, _ := strings.Cut(line, " ")
					answer, found := test.answers[verb]
					switch {
					case line == "":
						return
					case verb == "EHLO":
						answer = extensions["EHLO"]
					case strings.Contains(line, "<no@") && answer == "":
						answer = "550 5.1.1 who?"
					case verb == "DATA" && !found:
						p.say("354 go on")
						p.body()
						answer = test.answers["."]
					}
					if answer == "" {
						answer = "250 ok"
					}
					p.say(answer)
				}
			})
			c := session(t, conn)
			m := test.mail
			if m == nil {
				m = letter("x\r\n", "yes@example.com", "no@example.com")
				if test.name == "content" || test.name == "data" {
					m.To = m.To[:1]
				}
			}
			r, err := c.Send(t.Context(), m)
			if test.want == "" {
				if err != nil || fmt.Sprint(r.Refused) != test.refused {
					t.Fatalf("receipt %+v, err %v; want refused %s", r, err, test.refused)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), test.want) || e.Permanent() != test.permanent || e.Unsure {
				t.Errorf("err %v (%+v); want %q, permanent %v", err, e, test.want, test.permanent)
			}
		})
	}
}

// No text ends a message early: what some server may take for the end of a line is not
// sent, and a dot at the beginning of one is doubled (RFC 5321, section 4.5.2).
func TestSmuggling(t *testing.T) {
	const rest = "MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nhello\r\n"
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\n.\r", "\r\r\n.\r\n", "\r\n\r.\r\n", "\x00\n.\n", "\n", "\r"} {
		for _, tail := range []string{rest, ""} {
			conn := serve(t, func(p *peer) {
				p.say("220 hi")
				p.until("EHLO", nil)
				p.say("250 me")
				if line := p.read(); line != "" {
					t.Errorf("%q: the server was told %q", end, line)
				}
			})
			c := session(t, conn)
			_, err := c.Send(t.Context(), letter("Subject: x\r\n\r\nhello"+end+tail))
			var e *Error
			if !errors.As(err, &e) || !e.Permanent() || !strings.Contains(err.Error(), "CR or LF") {
				t.Errorf("%q: %v", end, err)
			}
			c.Close()
		}
	}
	for _, text := range []string{"hello\r\n.\r\n" + rest, ".\r\n.\r\n\r\n.\r\n", "..\r\n.x\r\n", "hello\r\n\x00.\r\n"} {
		var got, next string
		conn := serve(t, func(p *peer) {
			p.say("220 hi")
			p.until("DATA", extensions)
			p.say("354 go on")
			got = p.body()
			p.say("250 ok")
			next = p.read()
			// Some say nothing to QUIT, and hang up.
		})
		c := session(t, conn)
		if _, err := c.Send(t.Context(), letter(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		c.Quit()
		var plain strings.Builder
		for line := range strings.Lines(got) {
			plain.WriteString(strings.TrimPrefix(line, "."))
		}
		if plain.String() != text || next != "QUIT" {
			t.Errorf("%q arrives as %q, and then %q", text, plain.String(), next)
		}
	}
}

// Keywords are the same in any case, and AUTH= is what old servers say.
func TestKeywords(t *testing.T) {
	for _, test := range []struct{ reply, want string }{
		{"250-me.example\r\n250-8bitmime\r\n250-size 1000\r\n250 auth plain Login", "8BITMIME SIZE 1000 AUTH=PLAIN AUTH=LOGIN"},
		{"250-me\r\n250-AUTH=LOGIN PLAIN\r\n250 Starttls", "STARTTLS AUTH=LOGIN AUTH=PLAIN"},
		{"250-me\r\n250-AUTH LOGIN\r\n250-AUTH=LOGIN\r\n250-X-a=b c=d\r\n250 SmtpUtf8", "SMTPUTF8 AUTH=LOGIN"},
	} {
		conn := serve(t, func(p *peer) {
			p.say("220 hi")
			p.read()
			for _, b := range []byte(test.reply + "\r\n") { // in pieces
				_, _ = p.Write([]byte{b})
			}
		})
		if got := session(t, conn).Extensions(); got != test.want {
			t.Errorf("%q: %s; want %s", test.reply, got, test.want)
		}
	}
	conn := serve(t, func(p *peer) { p.say("220 hi"); p.read(); p.say("550 go away") })
	c := NewClient(conn, Options{Wait: wait})
	if _, err := c.Greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Hello(t.Context()); err == nil || !strings.Contains(err.Error(), "550 go away") {
		t.Errorf("err %v", err)
	}
}

// A server that hangs up as soon as it has taken the message has taken it.
func TestHangsUpWhenDone(t *testing.T) {
	conn := serve(t, func(p *peer) {
		p.say("220 hi")
		p.until("DATA", extensions)
		p.say("354 go on")
		p.body()
		p.say("250 ok")
	})
	c := session(t, conn)
	r, err := c.Send(t.Context(), letter("x\r\n"))
	if err != nil || len(r.Accepted) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	c.Quit()
}

// A server may refuse a message in its midst: what it says then is its verdict.
func TestRefusedInTheMidst(t *testing.T) {
	for _, test := range []struct {
		name, says string
		hangsUp    bool
		want       string
		permanent  bool
	}{
		{"for good, hangs up", "552-5.3.4 too\r\n552 5.3.4 large", true, "552 5.3.4 too 5.3.4 large to the message", true},
		{"for good, reads no further", "554 5.7.1 spam", false, "554 5.7.1 spam to the message", true},
		{"for now", "421 4.3.2 going down", true, "421 4.3.2 going down to the message", false},
		{"takes it unseen", "250 ok", true, "closed", false},
		{"nonsense", "what?", true, "closed", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			done := make(chan struct{})
			end := make(chan struct{})
			go func() {
				defer close(done)
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				p := &peer{Conn: conn, r: bufio.NewReaderSize(conn, 16)}
				p.say("220 hi")
				p.until("DATA", extensions)
				p.say("354 go on")
				p.read()
				p.say(test.says)
				if test.hangsUp {
					_ = conn.(*net.TCPConn).CloseWrite()
				}
				<-end // a window that is full
			}()
			defer func() { close(end); <-done }()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := NewClient(conn, Options{Wait: 300 * time.Millisecond})
			if _, err := c.Greet(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := c.Hello(t.Context()); err != nil {
				t.Fatal(err)
			}
			m := letter("")
			m.Write = func(w io.Writer, _ bool) (err error) {
				line := []byte(strings.Repeat("x", 70) + "\r\n")
				for i := 0; i < 1_000_000 && err == nil; i++ {
					if _, ok := w.(*former); ok && i > 10 {
						return nil // the server need not be told of it
					}
					_, err = w.Write(line)
				}
				return err
			}
			_, err = c.Send(t.Context(), m)
			var e *Error
			if !errors.As(err, &e) || e.Permanent() != test.permanent || e.Unsure || test.permanent && !strings.Contains(err.Error(), test.want) {
				t.Errorf("err %v (%+v); want %q, permanent %v", err, e, test.want, test.permanent)
			}
		})
	}
}

// A server that stops in any step is left within the time for that step, and what is
// not known is said.
func TestSilence(t *testing.T) {
	for _, test := range []struct {
		name   string
		play   func(p *peer)
		after  time.Duration
		unsure bool
	}{
		{"at MAIL", func(p *peer) { p.until("MAIL", extensions); _, _ = io.Copy(io.Discard, p.r) }, wait, false},
		{"at RCPT", func(p *peer) { p.until("RCPT", extensions); _, _ = io.Copy(io.Discard, p.r) }, wait, false},
		{"reads no further", func(p *peer) { p.until("DATA", extensions); p.say("354 go on"); <-p.end }, wait + lastWord, false},
		{"after the message", func(p *peer) {
			p.until("DATA", extensions)
			p.say("354 go on")
			p.body()
			_, _ = io.Copy(io.Discard, p.r)
		}, AfterData, true},
		{"hangs up after the message", func(p *peer) { p.until("DATA", extensions); p.say("354 go on"); p.body() }, 0, true},
		{"hangs up in the message", func(p *peer) { p.until("DATA", extensions); p.say("354 go on"); p.r.ReadString('\n') }, 0, false},
		{"drips", func(p *peer) {
			p.until("MAIL", extensions)
			for {
				if _, err := io.WriteString(p, "2"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, wait, false},
		{"endless reply", func(p *peer) {
			p.until("MAIL", extensions)
			for {
				if _, err := io.WriteString(p, "250-more\r\n"); err != nil {
					return
				}
			}
		}, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := session(t, serve(t, func(p *peer) { p.say("220 hi"); test.play(p) }))
				began := time.Now()
				_, err := c.Send(t.Context(), letter(strings.Repeat("0123456789\r\n", 10_000)))
				var e *Error
				if !errors.As(err, &e) || e.Unsure != test.unsure || e.Permanent() {
					t.Errorf("err %v (%+v); want unsure %v", err, e, test.unsure)
				}
				if took := time.Since(began); took != test.after {
					t.Errorf("took %s; want %s", took, test.after)
				}
			})
		})
	}
}

// A large message over a slow line takes its time: it is progress that counts.
func TestSlowButSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serve(t, func(p *peer) {
			p.say("220 hi")
			p.until("DATA", extensions)
			p.say("354 go on")
			for {
				if line, err := p.r.ReadString('\n'); err != nil || line == ".\r\n" {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			p.say("250 ok")
		})
		began := time.Now()
		if _, err := session(t, conn).Send(t.Context(), letter(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 5_000))); err != nil {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if took := time.Since(began); took < 20*wait {
			t.Errorf("the test is none: all took %s", took)
		}
	})
}

func TestEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serve(t, func(p *peer) { p.say("220 hi"); p.until("MAIL", extensions); _, _ = io.Copy(io.Discard, p.r) })
		c := session(t, conn)
		why := errors.New("the daemon stops")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		if _, err := c.Send(ctx, letter("x\r\n")); !errors.Is(err, why) {
			t.Errorf("err %v; want %v", err, why)
		}
	})
}

// bearer is a mechanism that answers a refusal by nothing, as XOAUTH2 does.
type bearer struct{}

func (bearer) Start() (string, []byte, error) { return "XOAUTH2", []byte("token"), nil }
func (bearer) Next(_ []byte) ([]byte, error)  { return nil, nil }

func TestAuth(t *testing.T) {
	for _, test := range []struct {
		name   string
		client sasl.Client
		play   func(p *peer)
		want   string // of the error; "" if the login is good
	}{
		{"good", sasl.NewPlainClient("", "u", "p"), func(p *peer) { p.say("235 2.7.0 welcome") }, ""},
		{"refused", sasl.NewPlainClient("", "u", "p"), func(p *peer) { p.say("535 5.7.8 no"); p.read(); p.say("500 what?") }, "535"},
		{"refused by a challenge", bearer{}, func(p *peer) {
			p.say("334 eyJzdGF0dXMiOiI0MDEifQ==")
			p.read()
			p.say("535 5.7.8 no")
			p.read()
			p.say("500 what?")
		}, "535"},
		{"challenge for ever", bearer{}, func(p *peer) {
			for range 3 {
				p.say("334 ")
				p.read()
			}
			p.say("454 4.7.0 enough")
			p.read()
			p.say("500 what?")
		}, "454"},
		{"no base64", bearer{}, func(p *peer) { p.say("334 ?"); p.read(); p.say("501 cancelled") }, "base64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := serve(t, func(p *peer) { p.say("220 hi"); p.until("AUTH", extensions); test.play(p); p.read() })
			c := session(t, conn)
			err := c.Auth(t.Context(), test.client)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("err %v; want %q", err, test.want)
			}
		})
	}
}

func TestPath(t *testing.T) {
	for _, test := range []struct {
		address, path string
		utf8          bool
	}{
		{"a.b+c@example.com", "a.b+c@example.com", false},
		{"a@Bücher.example", "a@xn--bcher-kva.example", false},
		{"a@例え.テスト", "a@xn--r8jz45g.xn--zckzah", false},
		{"jörg@example.com", "jörg@example.com", true},
		{"a b@example.com", `"a b"@example.com`, false},
		{"a@example.com.", "a@example.com", false},
		{"a@[192.0.2.1]", "a@[192.0.2.1]", false},
		{"a@mail_1.Example.com", "a@mail_1.example.com", false},
		{"a@r3--x.example.com", "a@r3--x.example.com", false},
		{"a,b@example.com", `"a,b"@example.com`, false},
		{`"a b"@example.com`, `"a b"@example.com`, false},
		{`"a.b"@example.com`, "a.b@example.com", false},
		{`"a\"b\\c"@example.com`, `"a\"b\\c"@example.com`, false},
		{`"a" "b"@example.com`, `"\"a\" \"b\""@example.com`, false},
		{`"a\"@example.com`, `"\"a\\\""@example.com`, false},
		{"a..b@example.com", `"a..b"@example.com`, false},
		{"", "", false},
		{"robot", "", false},
		{"@example.com", "", false},
		{"a@", "", false},
		{"a@b>\r\nRCPT TO:<c@d", "", false},
		{"a@b c", "", false},
		{"a@b..c", "", false},
		{"a@-b.c", "", false},
		{"a@" + strings.Repeat("x", 64) + ".c", "", false},
		{"a@" + strings.Repeat("x", 300), "", false},
		{strings.Repeat("x", 250) + "@example.com", "", false},
		{"a\x00@example.com", "", false},
		{"a@<b>", "", false},
	} {
		path, utf8, err := Path(test.address)
		if path != test.path || utf8 != test.utf8 || (err == nil) != (test.path != "") {
			t.Errorf("Path(%q) = %q, %v, %v; want %q, %v", test.address, path, utf8, err, test.path, test.utf8)
		}
	}
}

func FuzzPath(f *testing.F) {
	f.Add("a@example.com")
	f.Add("\"a>\r\n\"@bücher.example")
	f.Fuzz(func(t *testing.T, s string) {
		path, _, err := Path(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(path, "\r\n\x00") || len(path) > MaxPath || path == "" {
			t.Errorf("Path(%q) = %q", s, path)
		}
		// Outside of quotes nothing ends the angle brackets around it.
		quoted := false
		for i := 0; i < len(path); i++ {
			switch {
			case path[i] == '\\' && quoted:
				i++
			case path[i] == '"':
				quoted = !quoted
			case strings.ContainsRune("<> ", rune(path[i])) && !quoted:
				t.Errorf("Path(%q) = %q", s, path)
			}
		}
	})
}
