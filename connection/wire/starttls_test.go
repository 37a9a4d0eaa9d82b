package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
)

// startTLSServer speaks the script in the clear: what it says at the beginning,
// then after each command. "TAG" stands for the command's tag. After "TLS" it
// shakes hands, and serves a session. heard closes the connection and tells what the
// client has said in the clear.
func startTLSServer(t *testing.T, script ...string) (c net.Conn, heard func() []string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		tag := ""
		for _, x := range script {
			x, upgrade := strings.CutSuffix(x, "TLS!")
			io.WriteString(c, strings.ReplaceAll(x, "TAG", tag))
			if upgrade {
				tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{testCert()}})
				s := &server{t, tc, nil, bufio.NewReader(tc)}
				s.drain()
				return
			}
			if x == "close" {
				return
			}
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			said = append(said, strings.TrimSpace(line))
			tag, _, _ = strings.Cut(line, " ")
		}
		rest, _ := io.ReadAll(r) // keeps the line open until the client goes
		if len(rest) > 0 {
			said = append(said, string(rest))
		}
	})
	c, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	heard = func() []string {
		c.Close()
		ln.Close()
		wg.Wait()
		return said
	}
	t.Cleanup(func() { heard() })
	return c, heard
}

func TestStartTLS(t *testing.T) {
	const hi = "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n"
	const short = 150 * time.Millisecond
	for _, test := range []struct {
		name   string
		script []string
		stage  string // "" is success
		text   string
		wait   time.Duration
	}{
		{"good", []string{hi, "TAG OK go\r\nTLS!"}, "", "", 0},
		{"good, asked", []string{"* OK hi\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK\r\n", "TAG OK go\r\nTLS!"}, "", "", 0},
		{"lower case, bare LF", []string{"* ok [capability imap4rev1 starttls] hi\n", "TAG ok go\nTLS!"}, "", "", 0},
		{"capabilities in the reply", []string{hi, "TAG OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] go\r\nTLS!"}, "", "", 0},
		{"news in the clear", []string{hi + "* 5 EXISTS\r\n* 1 FETCH (FLAGS ())\r\n* OK [ALERT] x\r\n", "* 6 EXISTS\r\nTAG OK go\r\nTLS!"}, "", "", 0},
		{"preauth", []string{"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n"}, "greeting", "PREAUTH", 0},
		{"stripped", []string{"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n"}, "capabilities", "does not offer STARTTLS", 0},
		{"stripped, asked", []string{"* OK hi\r\n", "* CAPABILITY IMAP4rev1 XSTARTTLS\r\nTAG OK\r\n"}, "capabilities", "does not offer STARTTLS", 0},
		{"no capabilities", []string{"* OK hi\r\n", "TAG BAD what\r\n"}, "capabilities", "refused to tell its capabilities: BAD what", 0},
		{"no", []string{hi, "TAG NO not today\r\n"}, "starttls", "refused STARTTLS: NO not today", 0},
		{"bad", []string{hi, "TAG BAD what\r\n"}, "starttls", "refused STARTTLS: BAD what", 0},
		{"referral", []string{hi, "TAG NO [REFERRAL imap://evil.example/] elsewhere\r\n"}, "starttls", "refers to another server", 0},
		{"referral in the greeting", []string{"* BYE [REFERRAL imap://evil.example/] elsewhere\r\n"}, "greeting", "refers to another server", 0},
		{"bye greeting", []string{"* BYE too many connections\r\n"}, "greeting", "BYE too many connections", 0},
		{"bye", []string{hi, "* BYE going down\r\n"}, "starttls", "ended the session before TLS: BYE going down", 0},
		{"bye when asked", []string{"* OK hi\r\n", "* BYE going down\r\n"}, "capabilities", "ended the session before TLS", 0},
		{"injection", []string{hi, "TAG OK go\r\n* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n"}, "starttls", "injecting", 0},
		{"injection of a tagged reply", []string{hi + "W1 OK go\r\n"}, "starttls", "never sent", 0},
		{"injection of half a line", []string{hi, "TAG OK go\r\n* "}, "starttls", "injecting", 0},
		{"no greeting", []string{""}, "greeting", "no greeting", short},
		{"half a greeting", []string{"* OK"}, "greeting", "no greeting", short},
		{"no reply", []string{hi, ""}, "starttls", "no reply to STARTTLS", short},
		{"no capabilities reply", []string{"* OK hi\r\n", ""}, "capabilities", "no reply to CAPABILITY", short},
		{"no ServerHello", []string{hi, "TAG OK go\r\n"}, "tls", "handshake", short},
		{"closed", []string{"close"}, "greeting", "", 0},
		{"closed at STARTTLS", []string{hi, "", "close"}, "starttls", "no reply to STARTTLS", short},
		{"not IMAP", []string{"220 smtp.example.com ESMTP\r\n"}, "greeting", "not an IMAP server", 0},
		{"TLS from the first byte", []string{"\x15\x03\x01\x00\x02\x02\x0a\n"}, "greeting", "mode implicit", 0},
		{"endless greeting", []string{"* OK " + strings.Repeat("x", 100_000)}, "greeting", "without an end", 0},
		{"endless talk", []string{hi, strings.Repeat("* OK x\r\n", 1000)}, "starttls", "too much", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, heard := startTLSServer(t, test.script...)
			wait := test.wait
			if wait == 0 {
				wait = testWait
			}
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			defer cancel()
			tc, err := StartTLS(ctx, c, clientTLS)
			if test.stage != "" {
				var e *StartTLSError
				if !errors.As(err, &e) || e.Stage != test.stage || !strings.Contains(err.Error(), test.text) {
					t.Errorf("error %v, want stage %s, text %q", err, test.stage, test.text)
				}
				if test.wait != 0 && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v is no timeout", err)
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				// Nothing that was said before the handshake is known afterwards.
				l := NewLink(tc, &LinkOptions{OnStatus: func(st Status) { t.Errorf("heard %v", st) }})
				l.SetProgressTimeout(testWait)
				cl := imapclient.New(l.Lend("* OK [CAPABILITY IMAP4rev1] ready"), nil)
				if err := cl.Noop().Wait(); err != nil {
					t.Error(err, l.Err())
				}
				if cl.Caps().Has("AUTH=PLAIN") || cl.Caps().Has("LOGINDISABLED") {
					t.Error("believes capabilities told in the clear")
				}
				if err := l.Reclaim(cl.Close); err != nil {
					t.Error(err)
				}
				if l.newsAt.Load() != 0 {
					t.Error("believes news told in the clear")
				}
			}
			for i, x := range heard() {
				if test.stage == "tls" && i > 0 {
					break // ClientHello
				}
				if !strings.HasSuffix(x, " STARTTLS") && !strings.HasSuffix(x, " CAPABILITY") {
					t.Errorf("said in the clear: %.80q", x)
				}
			}
		})
	}
}

func TestStartTLSCanceled(t *testing.T) {
	c, _ := startTLSServer(t, "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := StartTLS(ctx, c, clientTLS); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
