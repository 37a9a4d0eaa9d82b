package connection

import (
	"context"
	"errors"
	"strings"
	"time"
	"unique"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailtrigger/connection/wire"
)

// A session is a logged-in connection. One goroutine owns it at a time. It is lent to
// a go-imap client with the first command that takes one (run), until it is taken back
// (reclaim) to be parked, or to be spoken on without one (converse).
type session struct {
	d       *Dialer
	cfg     *Config
	link    *wire.Link
	caps    unique.Handle[string] // the capabilities, upper case, with a space around each
	tls     *TLSInfo              // nil without TLS
	since   time.Time             // logged in
	release func()                // gives the budget's place back; may be nil

	selected *Mailbox           // nil: none
	client   *imapclient.Client // nil while not lent
	parked   bool               // it is the park loop's
	broken   bool               // no further command can work
}

// TLSInfo is what is known of a TLS connection.
type TLSInfo struct {
	Version  string    // "TLS1.3"
	Cipher   string    // "TLS_AES_128_GCM_SHA256"
	NotAfter time.Time // when the server's certificate expires
}

// has reports whether the server has the capability.
func (s *session) has(capability string) bool { return hasCapability(s.caps.Value(), capability) }

func hasCapability(list, capability string) bool {
	return strings.Contains(list, " "+strings.ToUpper(capability)+" ")
}

// modern reports whether the server speaks IMAP4rev2 alone, so that names are
// UTF-8. A server that speaks both speaks IMAP4rev1 to who does not ENABLE the
// other (RFC 9051 appendix A).
func (s *session) modern() bool { return s.has("IMAP4REV2") && !s.has("IMAP4REV1") }

// can reports whether the server has an extension that is part of IMAP4rev2.
func (s *session) can(capability string) bool { return s.has(capability) || s.modern() }

// The capabilities that go-imap is told of: what changes how it writes commands.
// The rest would only make it try things we do not want.
var toldCapabilities = []string{"IMAP4REV1", "IDLE", "MOVE", "UIDPLUS", "LIST-EXTENDED", "SPECIAL-USE", "UNSELECT", "LITERAL-"}

// spelled is how go-imap spells capabilities that it compares by case.
var spelled = map[string]string{"IMAP4REV1": "IMAP4rev1", "IMAP4REV2": "IMAP4rev2"}

// greeting is what a go-imap client that is put on the session is greeted with.
func (s *session) greeting() string {
	var told []string
	for _, c := range toldCapabilities {
		if s.has(c) {
			if name := spelled[c]; name != "" {
				c = name
			}
			told = append(told, c)
		}
	}
	if s.modern() {
		told = append([]string{"IMAP4rev2"}, told...)
	}
	if len(told) == 0 {
		told = []string{"IMAP4rev1"}
	}
	return "* PREAUTH [CAPABILITY " + strings.Join(told, " ") + "] resumed\r\n"
}

// lend puts a go-imap client on the session, unless one is on it.
func (s *session) lend(ctx context.Context) *Error {
	if s.client != nil {
		return nil
	}
	s.link.SetProgressTimeout(time.Duration(s.cfg.Timeout))
	s.client = imapclient.New(s.link.Lend(s.greeting()), nil)
	return s.guarded(ctx, s.client.WaitGreeting)
}

// reclaim takes the client off. No command is outstanding.
func (s *session) reclaim() *Error {
	if s.client == nil {
		return nil
	}
	client := s.client
	s.client = nil
	if s.broken {
		s.close()
	}
	if err := s.link.Reclaim(client.Close); err != nil {
		s.broken = true
		return s.explain(err)
	}
	return nil
}

// run calls f with the client, see guarded.
func (s *session) run(ctx context.Context, f func(c *imapclient.Client) error) *Error {
	if !s.broken && !s.parked {
		if err := s.lend(ctx); err != nil {
			return err
		}
	}
	return s.guarded(ctx, func() error { return f(s.client) })
}

// converse calls f with a dialogue, where no client is lent: for what go-imap does not
// know, or where nothing else may follow. A client has buffers of 8 KiB and a goroutine.
// What f returns is treated as by guarded.
func (s *session) converse(ctx context.Context, f func(*dialogue) error) *Error {
	ctx, cancel := context.WithTimeout(ctx, shortLimit*time.Duration(s.cfg.Timeout))
	defer cancel()
	return s.guarded(ctx, func() error {
		s.link.SetProgressTimeout(time.Duration(s.cfg.Timeout))
		talk := newDialogue(s.link.Lend("* PREAUTH resumed\r\n"))
		talk.untagged = maxConverse
		said := f(talk)
		var refused *imap.Error
		if said != nil && !errors.As(said, &refused) {
			return said
		}
		if err := s.link.Reclaim(nil); err != nil {
			return err
		}
		return said
	})
}

// maxConverse is how many responses one command may bring: NOTIFY brings one for each
// mailbox of the account.
const maxConverse = 100_000

// guarded calls f, which talks to the server. The connection is closed if ctx ends
// before f does, which ends f. Any error but the server's own NO or BAD breaks the session.
func (s *session) guarded(ctx context.Context, f func() error) *Error {
	if s.broken || s.parked {
		return &Error{Connection: s.cfg.Name, Stage: StageMailbox, Text: "the session has ended"}
	}
	stop := context.AfterFunc(ctx, func() { s.link.Close() })
	err := f()
	if !stop() && err != nil {
		s.broken = true
		return &Error{Connection: s.cfg.Name, Stage: StageMailbox, Text: endText(ctx), Err: context.Cause(ctx)}
	}
	if err == nil {
		return nil
	}
	e := s.explain(err)
	if !e.Refused {
		s.broken = true
		s.link.Close()
	}
	return e
}

// endText says why a context ended.
func endText(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "it took too long"
	}
	return "ended: " + oneLine(context.Cause(ctx).Error())
}

// short calls run with a limit for commands that move no bodies: a server that
// sends a byte now and then must not hold us for ever.
func (s *session) short(ctx context.Context, f func(c *imapclient.Client) error) *Error {
	ctx, cancel := context.WithTimeout(ctx, shortLimit*time.Duration(s.cfg.Timeout))
	defer cancel()
	return s.run(ctx, f)
}

const shortLimit = 10 // times the timeout

// explain makes an *Error of what a command returned.
func (s *session) explain(err error) *Error {
	var status *imap.Error
	var known *Error
	var e *Error
	switch {
	case errors.As(err, &known):
		e = known
	case errors.As(err, &status):
		e = serverError(StageMailbox, string(status.Type), string(status.Code), status.Text)
		e.Refused = true
	case s.link.Err() != nil:
		e = lostError(StageMailbox, s.link.Err())
	default:
		e = &Error{Stage: StageMailbox, Text: "the connection broke: " + oneLine(err.Error()), Err: err}
	}
	e.Connection = s.cfg.Name
	return e
}

// lostError makes an *Error of why a link ended.
func lostError(stage string, err error) *Error {
	var bye *wire.ByeError
	if errors.As(err, &bye) {
		e := serverError(stage, "BYE", bye.Status.Code, bye.Status.Text)
		e.Err = err
		return e
	}
	return &Error{Stage: stage, Text: lostText(err), Err: err}
}

// lostText says how a connection was lost. What wire says of it is good as it is,
// but for the error of the system at its end.
func lostText(err error) string {
	var timeout *wire.TimeoutError
	if errors.As(err, &timeout) {
		return "the server stopped answering: " + oneLine(err.Error())
	}
	text := strings.TrimSuffix(strings.TrimSuffix(oneLine(err.Error()), ": EOF"), ": unexpected EOF")
	if strings.HasPrefix(text, "the server") {
		return text
	}
	return "the connection was lost: " + text
}

// status asks what a mailbox is like that is not selected. The answer is for the
// link's roll, which hears all of them.
func (s *session) status(ctx context.Context, mailbox string) *Error {
	return s.short(ctx, func(c *imapclient.Client) error {
		_, err := c.Status(mailbox, &imap.StatusOptions{NumMessages: true, UIDNext: true, UIDValidity: true}).Wait()
		return err
	})
}

// logout says goodbye, waits a moment for the answer, and closes.
func (s *session) logout() {
	if !s.broken && s.link.Err() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), min(logoutWait, time.Duration(s.cfg.Timeout)))
		if s.client != nil {
			_ = s.run(ctx, func(c *imapclient.Client) error { return c.Logout().Wait() })
		} else {
			_ = s.converse(ctx, func(talk *dialogue) error {
				_, err := talk.command("LOGOUT", nil)
				return err
			})
		}
		cancel()
	}
	s.close()
}

const logoutWait = 2 * time.Second

// close ends the session at once.
func (s *session) close() {
	s.broken = true
	s.link.Close()
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
	if s.release != nil {
		s.release()
		s.release = nil
	}
}
