package main

import (
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/emersion/go-smtp"

	"mailtrigger/trigger/message"
)

// sentMail is mail that goes out to two people: nobody's is lost, and who has got it
// gets it again only in the window, under the same Message-ID. The server is the
// ledger. It refuses one of the two at first, for some mails.
func sentMail() *scenario {
	return &scenario{
		name: "sent-mail", options: clearText, parallel: map[string]int{"one": 2}, // both of one mail are noted together
		triggers: "[smtp.out]\naddress = \"127.0.0.1\"\nport = @SMTP@\nfrom = \"robot@example.com\"\nencryption.protocol = \"none\"\n" +
			aTrigger("one", "", anAction("mail", "mail", `smtp = "out"
to = ["a@example.com", "b@example.com"]
subject = "{{.Message.Subject}}"
as_attachment = true`)),
		setup:  func(r *trial) { r.rewrite = strings.NewReplacer("@SMTP@", newSink(r)) },
		expect: func(r *trial, m *mail) { r.want(m, "one", "mail to a@example.com", "mail to b@example.com") },
		points: func(r *trial) string {
			if r.rng.IntN(2) == 0 {
				return fmt.Sprintf("%s:%d", onTheWire, r.rng.IntN(60)+1)
			}
			return ""
		},
	}
}

// newSink starts the server that takes the mail of a trial, and returns its port. Each
// message is a piece on the wire after which the daemon may be killed: the server has
// it, and nobody hears of it.
func newSink(r *trial) (port string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &sinkSession{r: r, life: int(r.current.Load())}, nil // greeted by now, so that it lives
	}))
	srv.Domain = "localhost"
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	r.t.Cleanup(func() { _ = srv.Close(); <-done })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

type sinkSession struct {
	r    *trial
	life int
	to   []string
}

func (s *sinkSession) Reset()                               { s.to = nil }
func (s *sinkSession) Logout() error                        { return nil }
func (s *sinkSession) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt refuses b where a is taken, and takes b where it is alone.
func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if len(s.to) > 0 && s.r.count("refusals")%2 == 0 {
		return &smtp.SMTPError{Code: 451, Message: "not now"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *sinkSession) Data(in io.Reader) error {
	raw, err := io.ReadAll(in)
	if err != nil {
		return err // the daemon died before it had sent all of it
	}
	r, got := s.r, message.Parse(raw, message.Options{})
	m := r.mail(got.Subject)
	if m == nil {
		r.complain("mail was sent about a message that never was: %q", got.Subject)
		return nil
	}
	whole := len(got.Attachments) > 0 && got.Attachments[0].SHA256 == sum(m.raw)
	for _, to := range s.to {
		e := &execution{firing: firing{m.name, m.mailbox, "one", "mail to " + to}, event: got.MessageID, life: s.life, whole: whole}
		r.ledger.start(e)
		r.ledger.end(e, true)
	}
	r.wire(false, nil)
	r.changed()
	return nil
}
