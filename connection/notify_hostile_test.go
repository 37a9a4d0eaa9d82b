package connection_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/wire"
)

// What a server may say to a session that several mailboxes share ends in an error
// and a backoff, or does nothing; it takes little memory and time, and other
// connections do not notice.
func TestNotifyHostile(t *testing.T) {
	const capabilities = "IMAP4rev1 IDLE NOTIFY"
	for _, c := range []struct {
		name string
		line string // said again and again while the session idles
		n    int
		ends bool
	}{
		{"unknown mailboxes", `* STATUS "elsewhere" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1)`, 2_000_000, true},
		{"the same again", `* STATUS "A" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)`, 2_000_000, true},
		{"ever more mail", `* STATUS "A" (MESSAGES 1 UIDNEXT 4000000000 UIDVALIDITY 1)`, 3000, false},
		{"broken", `* STATUS "A" (MESSAGES x UIDNEXT`, 3000, false},
		{"no list", `* STATUS A`, 3000, false},
		{"huge name", `* STATUS "` + strings.Repeat("x", 200_000) + `" (UIDNEXT 5)`, 50, true},
		{"endless line", strings.Repeat("* STATUS ", 300_000), 5, true},
		{"huge literal", "* STATUS {4294967295}", 1, true},
		{"literal name", "* STATUS {1}\r\nA (UIDNEXT 1 UIDVALIDITY 1 MESSAGES 0)", 1000, false},
		{"lists", `* LIST (\NonExistent) "/" "A"`, 3000, false},
		{"overflows", `* OK [NOTIFICATIONOVERFLOW] too much`, 3000, false},
		{"deep", `* STATUS "A" ` + strings.Repeat("(", 20_000), 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rounds := make(chan struct{}, 100) // all lines were said, and the session goes on
			srv := newScript(t, func(_ int, p *connectiontest.Player) {
				p.Send("* OK [CAPABILITY " + capabilities + "] hello")
				for {
					tag, name, _, ok := p.Command()
					if !ok {
						return
					}
					switch name {
					case "LOGIN", "AUTHENTICATE", "NOTIFY", "STATUS", "NOOP":
						p.Send(tag + " OK done")
					case "CAPABILITY":
						p.Send("* CAPABILITY "+capabilities, tag+" OK")
					case "SELECT":
						p.Send("* 0 EXISTS", "* OK [UIDVALIDITY 1] ok", "* OK [UIDNEXT 1] ok", tag+" OK selected")
					case "UID FETCH":
						p.Send(tag + " OK nothing")
					case "IDLE":
						p.Send("+ idling")
						for range c.n {
							if _, err := p.Write([]byte(c.line + "\r\n")); err != nil {
								return
							}
						}
						if _, ok := p.Line(); !ok {
							return
						}
						select {
						case rounds <- struct{}{}:
						default:
						}
						p.Send(tag + " OK done")
					default:
						p.Send(tag + " BAD what")
					}
				}
			})
			other := watchSeveral(t, connectiontest.Options{}, []string{"X", "Y"}, nil)
			other.parked()
			d := newDialer(t, connection.DialerOptions{})
			cfg := srv.Config()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for _, name := range []string{"A", "B"} {
				w := d.Watch(cfg, name, func(ctx context.Context, mb *connection.Mailbox, _ wire.Wake) error {
					_, err := mb.List(ctx, 0)
					return err
				})
				defer func() {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					if err := w.Close(ctx); err != nil {
						t.Error(err)
					}
				}()
				if c.ends {
					waitState(t, w, connection.StateBackoff)
					var limit *wire.LimitError
					if e := w.Status().LastError; !errors.As(e, &limit) {
						t.Errorf("%v", e)
					}
				} else {
					until(t, "it is watched", func() bool { return w.Status().Connects > 0 })
				}
			}
			other.deliver("X")
			other.deliver("Y")
			for range 2 {
				if c.ends {
					break
				}
				select {
				case <-rounds:
				case <-time.After(patience):
					t.Fatal("the session does not go on")
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
				t.Errorf("%d MiB more", grown>>20)
			}
		})
	}
}

// ANONYMOUS logs in where it is asked for, with a trace and no password.
func TestAnonymous(t *testing.T) {
	srv := newScript(t, func(_ int, p *connectiontest.Player) {
		p.Send("* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS AUTH=PLAIN SASL-IR] hello")
		p.Serve("IMAP4rev1 AUTH=ANONYMOUS", map[string][]string{"LOGIN": {"TAG NO not so"}})
	})
	cfg := srv.Config()
	cfg.Authentication.Username, cfg.Authentication.Password = "", connection.Config{}.Authentication.Password
	cfg.Authentication.Mechanism = "anonymous"
	cfg.SetDefaults()
	if problems := cfg.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	d := newDialer(t, connection.DialerOptions{})
	steps := d.Check(context.Background(), cfg, nil, nil)
	last := steps[len(steps)-1]
	var login string
	for _, s := range steps {
		if s.Step == connection.StageLogin {
			login = s.Detail
		}
	}
	if !last.OK || last.Step != connection.StageIdle || !strings.Contains(login, "ANONYMOUS") {
		t.Errorf("%+v", steps)
	}
}

// Where several mailboxes would share a session, the check tries that.
func TestCheckNotify(t *testing.T) {
	for _, c := range []struct {
		name      string
		mailboxes []string
		refuse    string
		want      string
	}{
		{"one", []string{"INBOX"}, "", "idle"},
		{"two", []string{"INBOX", "Archive"}, "", "notify"},
		{"pattern", []string{"*"}, "", "notify"},
		{"pattern of one", []string{`\Archive`}, "", "idle"},
		{"refused", []string{"INBOX", "Archive"}, "NO [BADEVENT] what", "idle; the server offers NOTIFY but refuses it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := newServer(t, connectiontest.Options{})
			if c.refuse != "" {
				srv.Fail("NOTIFY", c.refuse, 10)
			}
			d := newDialer(t, connection.DialerOptions{})
			steps := d.Check(context.Background(), srv.Config("alice"), c.mailboxes, nil)
			last := steps[len(steps)-1]
			if last.Step != connection.StageIdle || !last.OK || !strings.HasPrefix(last.Detail, c.want) {
				t.Errorf("%+v", last)
			}
		})
	}
}
