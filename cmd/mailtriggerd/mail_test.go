package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"mailtrigger/connection/connectiontest/rigtest"
	"mailtrigger/trigger/message"
)

// A postbox is a server that takes mail, without login or encryption.
type postbox struct {
	addr string
	came chan posted // what came, once the server has all of it
	rcpt func(to string) error
	data func() error // the answer to a message; nil: it is taken
	mu   sync.Mutex
}

type posted struct {
	to []string
	*message.Message
}

func newPostbox(t *testing.T) *postbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postbox{addr: l.Addr().String(), came: make(chan posted, 100)}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &postSession{p: p}, nil }))
	srv.Domain, srv.AllowInsecureAuth = "localhost", true
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return p
}

// answer sets how recipients and messages are answered from now on.
func (p *postbox) answer(rcpt func(to string) error, data func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rcpt, p.data = rcpt, data
}

func (p *postbox) answers() (func(to string) error, func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rcpt, p.data
}

// next returns the next mail that comes.
func (p *postbox) next(t *testing.T) posted {
	t.Helper()
	select {
	case m := <-p.came:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("no mail came")
		return posted{}
	}
}

func (p *postbox) table() string {
	host, port, _ := net.SplitHostPort(p.addr)
	return fmt.Sprintf("[smtp.out]\naddress = %q\nport = %s\nfrom = \"robot@example.com\"\nencryption.protocol = \"none\"\n", host, port)
}

type postSession struct {
	p  *postbox
	to []string
}

// AuthMechanisms and Auth implement smtp.AuthSession: who logs in must be robot.
func (s *postSession) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *postSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != "robot" || password != "right" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "the password " + password + " is wrong"} // some repeat it
		}
		return nil
	}), nil
}

func (s *postSession) Reset()                               { s.to = nil }
func (s *postSession) Logout() error                        { return nil }
func (s *postSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *postSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if f, _ := s.p.answers(); f != nil {
		if err := f(to); err != nil {
			return err
		}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *postSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.p.came <- posted{slices.Clone(s.to), message.Parse(raw, message.Options{})}
	if _, f := s.p.answers(); f != nil {
		return f()
	}
	return nil
}

const mailTrigger = `
[trigger.tell]
connection = "office"
start = "all"
retry = {first = "100ms", max = "100ms"}
[[trigger.tell.action]]
type = "mail"
smtp = "out"
to = ["a@example.com", "b@example.com"]
`

// A daemon that is killed while the server has a mail, and has not said so, sends it
// again: under the same Message-ID.
func TestMailKilled(t *testing.T) {
	srv, post := newMailServer(t), newPostbox(t)
	killed := make(chan struct{})
	post.answer(nil, func() error { <-killed; return nil })
	d := newService(t, officeConfig(srv, "[metrics]\nlisten = \"\"\n", post.table()+mailTrigger))
	d.start()
	srv.Append(serviceUser, "INBOX", []byte("From: a@x.example\r\nSubject: order\r\n\r\nhello\r\n"), nil, time.Now())
	first := post.next(t)
	d.kill()
	post.answer(nil, nil)
	close(killed)
	d.start()
	again := post.next(t)
	if first.MessageID == "" || again.MessageID != first.MessageID || again.Subject != "tell: order" {
		t.Errorf("%q %q was sent again as %q %q", first.MessageID, first.Subject, again.MessageID, again.Subject)
	}
	d.says(1, 20*time.Second, "action done", "action=mail")
	if code := d.terminate(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if len(post.came) > 0 {
		t.Errorf("sent once more")
	}
}

// Who has got a mail does not get it again, across restarts and retries of the dead letter.
func TestMailPartial(t *testing.T) {
	srv, post := newMailServer(t), newPostbox(t)
	refuse := func(code int) func(string) error {
		return func(to string) error {
			if to == "b@example.com" {
				return &smtp.SMTPError{Code: code, Message: "not now"}
			}
			return nil
		}
	}
	post.answer(refuse(451), nil)
	d := newService(t, officeConfig(srv, "[metrics]\nlisten = \"\"\n", post.table()+mailTrigger))
	d.start()
	srv.Append(serviceUser, "INBOX", []byte("From: a@x.example\r\nSubject: order\r\n\r\nhello\r\n"), nil, time.Now())
	if m := post.next(t); !slices.Equal(m.to, []string{"a@example.com"}) {
		t.Fatalf("to %v", m.to)
	}
	d.says(2, 20*time.Second, "will be tried again", "451 4.0.0 not now")
	d.terminate()
	d.start()
	d.says(1, 20*time.Second, "will be tried again", "451 4.0.0 not now")
	post.answer(nil, nil)
	d.says(1, 20*time.Second, "action done", "action=mail")
	if m := post.next(t); !slices.Equal(m.to, []string{"b@example.com"}) {
		t.Errorf("then to %v", m.to)
	}
	post.answer(refuse(550), nil)
	srv.Append(serviceUser, "INBOX", []byte("From: a@x.example\r\nSubject: another\r\n\r\nhello\r\n"), nil, time.Now())
	d.says(1, 20*time.Second, "dead letter", "550 5.0.0 not now")
	if m := post.next(t); !slices.Equal(m.to, []string{"a@example.com"}) {
		t.Errorf("the other to %v", m.to)
	}
	post.answer(nil, nil)
	// The log says that it becomes a dead letter; it is one once that is in the journal.
	for end := time.Now().Add(20 * time.Second); ; {
		out, stderr, code := d.call("--dead-letters")
		if strings.Contains(out, "another") {
			break
		}
		if code != exitOK || time.Now().After(end) {
			t.Fatalf("no dead letter: exit code %d, %s%s", code, out, stderr)
		}
	}
	if out, stderr, code := d.call("--retry", "all"); code != exitOK {
		t.Fatalf("exit code %d: %s%s", code, out, stderr)
	}
	d.says(2, 20*time.Second, "action done", "action=mail")
	if m := post.next(t); !slices.Equal(m.to, []string{"b@example.com"}) || len(post.came) > 0 {
		t.Errorf("then to %v, and %d more", m.to, len(post.came))
	}
	d.terminate()
}

// Mail that waits for a password is sent at once when somebody has mended it, in the
// file of the secret or in the table, and the daemon is told so.
func TestMailMended(t *testing.T) {
	srv, post := newMailServer(t), newPostbox(t)
	trigger := strings.Replace(mailTrigger, "retry =", "# default: ", 1)
	config := func(secret string) string {
		return officeConfig(srv, "[metrics]\nlisten = \"\"\n", post.table()+"authentication = {username = \"robot\", "+secret+"}\n"+trigger)
	}
	d := newService(t, config(`password_file = "smtp-password"`))
	tell := func(subject string) {
		t.Helper()
		srv.Append(serviceUser, "INBOX", []byte("From: a@x.example\r\nSubject: "+subject+"\r\n\r\nhello\r\n"), nil, time.Now())
	}
	done := 0
	sent := func(subject string) {
		t.Helper()
		done++
		d.signal(syscall.SIGHUP)
		if m := post.next(t); m.Subject != "tell: "+subject {
			t.Errorf("sent %q; want %q", m.Subject, subject)
		}
		d.says(done, 20*time.Second, "action done", "attempt=2")
	}
	d.write("smtp-password", "wrong")
	d.start()
	tell("one")
	d.says(1, 20*time.Second, "will be tried again", "login")
	d.write("smtp-password", "right")
	sent("one")

	d.write("smtp-password", "wrong")
	tell("two")
	d.says(2, 20*time.Second, "will be tried again", "login")
	d.write("config.toml", config(`password = "right"`))
	sent("two")
	d.terminate()
}

// The whole way on real servers: mail comes in, is forwarded and answered.
func TestRigMail(t *testing.T) {
	rigtest.Start(t, "main", "submission", "sink")
	set := func(name string) string { return rigtest.Setting(t, name) }
	tls := fmt.Sprintf("ca_file = %q\n", set("RIG_CA"))
	d := newDaemonUnderTest(t, rigHead+fmt.Sprintf(`
[connection.office]
address = "127.0.0.1"
port = %s
authentication = {username = "u7", password = "pw"}
[connection.office.encryption]
%s
[smtp.out]
address = "127.0.0.1"
port = %s
from = "Röbot <robot@example.com>"
authentication = {username = "alice", password = "alice-pw"}
[smtp.out.encryption]
%s
[trigger.tell]
connection = "office"
start = "all"
[[trigger.tell.action]]
type = "save_attachments"
directory = "files"
[[trigger.tell.action]]
type = "mail"
smtp = "out"
for_each = "attachment"
to = "a@example.com"
subject = "{{.Attachment.Name}} in {{range .Saved}}{{.}}{{end}}"
as_attachment = true
[[trigger.tell.action]]
type = "forward"
smtp = "out"
to = "b@example.com"
as_attachment = true
[[trigger.tell.action]]
type = "reply"
smtp = "out"
body = "Thanks."
`, set("RIG_MAIN_IMAPS"), tls, set("RIG_SUBMISSION_SMTP"), tls))
	if err := os.Mkdir(d.path("files"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := program(t, "--config", d.path("config.toml"), "--test-connection", "all").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "smtp.out: good") {
		t.Fatalf("%v:\n%s", err, out)
	}
	d.write("order.eml", strings.ReplaceAll(`From: Hans <hans@x.example>
Subject: order
Message-ID: <order@x.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b

Größe: 8 bits, and a line that begins with
.
--b
Content-Disposition: attachment; filename="order.txt"

100 pieces
--b--
`, "\n", "\r\n"))
	rigtest.Run(t, "deliver", "-u", "u7", d.path("order.eml"))
	d.start()
	d.says(1, 30*time.Second, "action done", "action=reply")
	d.terminate()
	original, err := os.ReadFile(d.path("order.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Subject: order.txt in " + d.path("files/order.txt") + "\r\n",
		string(original),
		"In-Reply-To: <order@x.example>\r\n",
	} {
		if !sinkHas(t, want) {
			t.Errorf("no mail has %q", want)
		}
	}
}

// sinkHas reports whether a mail in the rig's sink has the text.
func sinkHas(t *testing.T, text string) bool {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(rigtest.Setting(t, "RIG_SINK_DIR"), "*.eml"))
	return slices.ContainsFunc(files, func(f string) bool {
		b, err := os.ReadFile(f)
		return err == nil && strings.Contains(string(b), text)
	})
}
