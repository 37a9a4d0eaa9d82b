package connection

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
)

// canned is a server that says what it says, whatever it is told.
type canned struct {
	io.Reader
	sent bytes.Buffer
}

func (c *canned) Write(p []byte) (int, error) { return c.sent.Write(p) }

// Whatever a server says up to the login, the dialogue ends, holds little, and
// sends no line that it did not mean to.
func FuzzDialogue(f *testing.F) {
	for _, s := range []string{
		"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\nT1 OK\r\n",
		"* PREAUTH\r\n", "* BYE [UNAVAILABLE] x\r\n", "* OK\n* CAPABILITY {3}\r\nabc IDLE\r\nT1 NO [ALERT] \x00\xff\r\n+ \r\nT2 OK\r\n",
		"+ +\r\n", "* OK {999999999999}\r\n", "* {0}\r\n{0}\r\n", strings.Repeat("* x", 40000), "", "* OK [",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// Tags cannot be guessed: what the fuzzer calls T1 to T3 is made ours.
		c := &canned{}
		d := newDialogue(c)
		for _, n := range []string{"1", "2", "3"} {
			data = bytes.ReplaceAll(data, []byte("T"+n+" "), []byte(d.prefix+n+" "))
		}
		c.Reader = bytes.NewReader(data)
		d.r.Reset(c)
		if _, err := d.greeting(); err != nil {
			return
		}
		if _, err := d.command("CAPABILITY", nil); err != nil {
			return
		}
		if _, err := d.authenticate(sasl.NewPlainClient("", "alice", "secret"), true); err != nil {
			return
		}
		_, _ = d.login("älice", "secret")
		for line := range strings.Lines(c.sent.String()) {
			line = strings.TrimRight(line, "\r\n")
			if !strings.HasPrefix(line, d.prefix) && line != "" && line != "*" && line != encodeSASL([]byte("\x00alice\x00secret")) && line != "älice \"secret\"" {
				t.Errorf("sent %q", line)
			}
		}
	})
}

func TestDialogueLogin(t *testing.T) {
	for _, c := range []struct{ user, password, want string }{
		{"alice", `p "q\`, `"alice" "p \"q\\"`},
		{"älice", "secret", "{6}\nälice \"secret\""},
		{"alice", "pässe", "\"alice\" {6}\npässe"},
		{"ä", "ü", "{2}\nä {2}\nü"},
	} {
		s := &canned{}
		d := newDialogue(s)
		s.Reader = strings.NewReader("+ go on\r\n+ go on\r\n")
		d.r.Reset(s)
		_, err := d.login(c.user, c.password)
		want := d.prefix + "1 LOGIN " + strings.ReplaceAll(c.want, "\n", "\r\n") + "\r\n"
		if got := s.sent.String(); !strings.HasPrefix(got, want) {
			t.Errorf("sent %q, want %q (%v)", got, want, err)
		}
	}
	d := newDialogue(&canned{Reader: strings.NewReader("")})
	var e *Error
	if _, err := d.login("alice\r\nx", "y"); !errors.As(err, &e) || !e.Permanent {
		t.Error(err)
	}
}
