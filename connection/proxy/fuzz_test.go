package proxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/setting"
)

// canned is a proxy whose every word is known before.
type canned struct {
	*bytes.Reader
	wrote bytes.Buffer
}

func (c *canned) Write(p []byte) (int, error)      { return c.wrote.Write(p) }
func (c *canned) Close() error                     { return nil }
func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

const canary = "c4nary-pässwort"

// cannedDial dials through a proxy of type kind that says script and then closes.
// Every further connection says the same.
func cannedDial(kind, authentication string, script []byte) (conns []*canned, got net.Conn, err error) {
	c := &Config{Type: kind, Address: "proxy.test", Username: "puser", Authentication: authentication, Password: setting.Source{Literal: setting.NewSecret(canary)}}
	if strings.HasPrefix(kind, "socks4") {
		c.Password = setting.Source{}
	}
	d, err := c.Dialer(dialFunc(func() net.Conn {
		conn := &canned{Reader: bytes.NewReader(script)}
		conns = append(conns, conn)
		return conn
	}))
	if err != nil {
		panic(err)
	}
	got, err = d.DialContext(context.Background(), "tcp", "imap.rig.test:993")
	return conns, got, err
}

type dialFunc func() net.Conn

func (f dialFunc) DialContext(context.Context, string, string) (net.Conn, error) { return f(), nil }

func checkCanned(t *testing.T, conns []*canned, got net.Conn, err error) {
	t.Helper()
	if len(conns) > maxLegs {
		t.Errorf("%d connections", len(conns))
	}
	if err == nil {
		if got != conns[len(conns)-1] {
			t.Errorf("got %T", got)
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) || e.Proxy == "" || e.Stage == "" || e.Text == "" {
		t.Fatalf("got %#v", err)
	}
	text := err.Error()
	for _, secret := range []string{canary, base64.StdEncoding.EncodeToString([]byte("puser:" + canary))} {
		if strings.Contains(text, secret) {
			t.Errorf("the error holds the password: %s", text)
		}
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("the error holds control characters: %q", text)
	}
	for _, c := range conns {
		for i, line := range strings.Split(c.wrote.String(), "\r\n") {
			if i > 0 && strings.ContainsAny(line, "\r\n") {
				t.Errorf("a request was broken: %q", c.wrote.String())
			}
		}
	}
}

func FuzzConnectReply(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\n\r\n* OK ready\r\n",
		"HTTP/1.0 200 Connection established\n\n",
		"HTTP/1.1 407 no\r\nProxy-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth, auth-int\"\r\nContent-Length: 2\r\n\r\nxxHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 407 no\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\nHTTP/1.1 407 no\r\nProxy-Authenticate: NTLM TlRMTVNTUAACAAAAAAAAADgAAAAFgomiAAAAAAAAAAAAAAAAAAAAAA==\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 407 no\r\nProxy-Authenticate: Basic realm=\"x\"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"HTTP/1.1 403 " + canary + "\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 x\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n",
		"* OK IMAP4rev1 ready\r\n", "\x15\x03\x01\x00\x02\x02\x16", "\x05\xff", "HTTP/1.1 999\r\n", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		for _, authentication := range Authentications {
			conns, got, err := cannedDial("http", authentication, script)
			checkCanned(t, conns, got, err)
			if err == nil { // not one byte behind the head may be missing
				read := script[:len(script)-conns[len(conns)-1].Len()]
				if !bytes.HasSuffix(read, []byte("\n")) {
					t.Errorf("read up to %q", read)
				}
			}
		}
	})
}

func FuzzSOCKSReply(f *testing.F) {
	for _, s := range []string{
		"\x05\x02\x01\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x03\xe1* OK",
		"\x05\x00\x05\x00\x00\x03\x04name\x03\xe1", "\x05\x00\x05\x00\x00\x04" + strings.Repeat("\x01", 18),
		"\x05\x02\x01\x01", "\x05\xff", "\x05\x00\x05\x05\x00\x01", "\x05\x01", "\x05\x02\x05\x00",
		"\x00\x5a\x00\x00\x00\x00\x00\x00", "\x00\x5b\x00\x00\x00\x00\x00\x00", "\x04\x5d\x00\x00\x00\x00\x00\x00",
		"HTTP/1.1 400 Bad Request\r\n\r\n", "* OK ready\r\n", "\x15\x03", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		for _, kind := range []string{"socks5", "socks4a"} {
			conns, got, err := cannedDial(kind, "", script)
			checkCanned(t, conns, got, err)
			if len(conns) != 1 {
				t.Errorf("%d connections", len(conns))
			}
			if kind == "socks4a" && err == nil && len(script)-conns[0].Len() != 8 {
				t.Errorf("read %d bytes", len(script)-conns[0].Len())
			}
		}
	})
}

func FuzzNTLMChallenge(f *testing.F) {
	for _, s := range []string{"TlRMTVNTUAACAAAAAAAAADgAAAAFgomiAAAAAAAAAAAAAAAAAAAAAA==", "TlRMTVNTUAACAAAA", "", "!"} {
		b, _ := base64.StdEncoding.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, challenge []byte) {
		n := &ntlm{c: &call{dialer: &dialer{cfg: Config{Domain: "DOM"}}, username: "puser", password: setting.NewSecret(canary)}}
		if _, more, err := n.next(""); err != nil || !more {
			t.Fatal(err)
		}
		a, more, err := n.next(base64.StdEncoding.EncodeToString(challenge))
		if err != nil {
			if strings.Contains(err.Error(), canary) {
				t.Error("the error holds the password")
			}
			return
		}
		if !more || !strings.HasPrefix(a, "NTLM ") || strings.Contains(a, canary) {
			t.Errorf("answer %q", a)
		}
		if _, more, _ := n.next(""); more {
			t.Error("a second answer to the same login")
		}
	})
}

func FuzzChallenges(f *testing.F) {
	for _, s := range []string{`Basic realm="a, b", Digest realm="c", nonce="d\"", NTLM`, `NTLM TlRM==`, `,,`, `Digest realm = "x", qop=auth`, `"`, `\`, "Basic realm=\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		for _, c := range challenges(http.Header{"Proxy-Authenticate": {field}}) {
			if c.scheme == "" || strings.ContainsAny(c.scheme, ", ") {
				t.Errorf("scheme %q", c.scheme)
			}
		}
	})
}
