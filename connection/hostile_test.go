package connection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
)

const capabilities = "IMAP4rev1 AUTH=PLAIN SASL-IR IDLE UIDPLUS MOVE"

func newScript(t *testing.T, play func(n int, c *connectiontest.Player)) *connectiontest.Script {
	t.Helper()
	s, err := connectiontest.NewScript(false, play)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// serve plays a server with these answers.
func serve(answers map[string][]string) func(int, *connectiontest.Player) {
	return func(_ int, c *connectiontest.Player) {
		c.Send("* OK hello")
		c.Serve(capabilities, answers)
	}
}

func doScript(t *testing.T, s *connectiontest.Script, f func(ctx context.Context, mb *connection.Mailbox) error) error {
	t.Helper()
	d := newDialer(t, connection.DialerOptions{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return d.Do(ctx, s.Config(), "INBOX", f)
}

const date = `INTERNALDATE "01-Jan-2024 00:00:00 +0000"`

func literal(uid int, size int, text string) string {
	return fmt.Sprintf("* 1 FETCH (UID %d FLAGS () %s RFC822.SIZE %d BODY[] {%d}\r\n%s)", uid, date, size, len(text), text)
}

// What a FETCH brings, and what not.
func TestFetchFromOddServers(t *testing.T) {
	for _, c := range []struct {
		name   string
		first  []string // answers to the first UID FETCH with BODY
		then   []string // to the later ones
		info   []string // to those without BODY
		hangUp bool     // after the first
		uids   []uint32
		want   map[uint32]string
		err    string // "" for none
		dead   bool   // the session has ended
	}{
		{name: "good", first: []string{literal(7, 3, "abc"), "TAG OK"}, uids: []uint32{7}, want: map[uint32]string{7: "abc"}},
		{name: "the size is a lie", first: []string{literal(7, 99, "abc"), "TAG OK"}, uids: []uint32{7}, want: map[uint32]string{7: "abc"}},
		{name: "any order, and more than asked for", first: []string{literal(9, 1, "9"), literal(8, 1, "8"), literal(7, 1, "7"), "TAG OK"}, uids: []uint32{7, 9}, want: map[uint32]string{7: "7", 9: "9"}},
		{name: "flags first", first: []string{`* 1 FETCH (UID 7 FLAGS (\Seen))`, literal(7, 3, "abc"), "TAG OK"}, then: []string{literal(7, 3, "abc"), "TAG OK"}, uids: []uint32{7}, want: map[uint32]string{7: "abc"}},
		{name: "one of two missing", first: []string{literal(7, 3, "abc"), "TAG OK"}, then: []string{literal(8, 3, "def"), "TAG OK"}, uids: []uint32{7, 8}, want: map[uint32]string{7: "abc", 8: "def"}},
		{name: "gone", first: []string{"TAG OK"}, then: []string{"TAG OK"}, info: []string{"TAG OK"}, uids: []uint32{7}, want: map[uint32]string{}},
		{name: "NO after some", first: []string{literal(7, 3, "abc"), "TAG NO [SERVERBUG] sorry"}, then: []string{literal(8, 3, "def"), "TAG OK"}, uids: []uint32{7, 8}, want: map[uint32]string{7: "abc", 8: "def"}},
		{name: "poison", first: []string{"TAG NO [SERVERBUG] sorry"}, then: []string{"TAG NO [SERVERBUG] sorry"},
			info: []string{"* 1 FETCH (UID 7 FLAGS () " + date + " RFC822.SIZE 5)", "TAG OK"}, uids: []uint32{7}, want: map[uint32]string{}, err: "does not deliver UID 7"},
		{name: "NIL", first: []string{"* 1 FETCH (UID 7 FLAGS () " + date + " RFC822.SIZE 5 BODY[] NIL)", "TAG OK"}, then: []string{"* 1 FETCH (UID 7 FLAGS () " + date + " RFC822.SIZE 5 BODY[] NIL)", "TAG OK"},
			info: []string{"* 1 FETCH (UID 7 FLAGS () " + date + " RFC822.SIZE 5)", "TAG OK"}, uids: []uint32{7}, want: map[uint32]string{}, err: "does not deliver UID 7"},
		{name: "empty", first: []string{`* 1 FETCH (UID 7 FLAGS () ` + date + ` RFC822.SIZE 0 BODY[] "")`, "TAG OK"}, uids: []uint32{7}, want: map[uint32]string{7: ""}},
		{name: "cut in the literal", first: []string{"* 1 FETCH (UID 7 FLAGS () " + date + " RFC822.SIZE 50 BODY[] {50}", "abc"}, hangUp: true, uids: []uint32{7}, want: map[uint32]string{}, err: "closed the connection", dead: true},
		{name: "cut before the tagged OK", first: []string{literal(7, 3, "abc")}, hangUp: true, uids: []uint32{7}, want: map[uint32]string{7: "abc"}, err: "closed the connection", dead: true},
		{name: "store lost", first: []string{"TAG BAD User is authenticated but not connected."}, then: []string{"TAG BAD User is authenticated but not connected."}, info: []string{"TAG BAD User is authenticated but not connected."}, uids: []uint32{7}, want: map[uint32]string{}, err: "lost its mailbox store"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, func(_ int, p *connectiontest.Player) {
				p.Send("* OK hello")
				first := true
				for {
					tag, name, args, ok := p.Command()
					if !ok {
						return
					}
					var lines []string
					switch {
					case name == "CAPABILITY":
						lines = []string{"* CAPABILITY " + capabilities, "TAG OK"}
					case name == "SELECT":
						lines = []string{"* 3 EXISTS", "* OK [UIDVALIDITY 1] ok", "* OK [UIDNEXT 10] ok", "TAG OK"}
					case name == "UID FETCH" && !strings.Contains(args, "BODY"):
						lines = c.info
					case name == "UID FETCH" && first:
						lines, first = c.first, false
						if c.hangUp {
							p.Send(lines...)
							return
						}
					case name == "UID FETCH":
						lines = c.then
					default:
						lines = []string{"TAG OK"}
					}
					out := slices.Clone(lines)
					for i := range out {
						if rest, found := strings.CutPrefix(out[i], "TAG"); found {
							out[i] = tag + rest
						}
					}
					p.Send(out...)
				}
			})
			got := map[uint32]string{}
			var fetched error
			if err := doScript(t, s, func(ctx context.Context, mb *connection.Mailbox) error {
				fetched = mb.Fetch(ctx, c.uids, func(b connection.Body) error {
					got[b.UID] += string(b.Raw)
					return nil
				})
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if (fetched == nil) != (c.err == "") || fetched != nil && !strings.Contains(fetched.Error(), c.err) {
				t.Errorf("error %v, want %q", fetched, c.err)
			}
			var e *connection.Error
			if errors.As(fetched, &e) && (e.Refused == c.dead || e.Permanent) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// A server that stops answering is noticed in each stage, and the error names it.
func TestSilence(t *testing.T) {
	for stage, answers := range map[string]map[string][]string{
		"greeting":     nil,
		"capabilities": {"CAPABILITY": {"* OK wait"}},
		"login":        {"AUTHENTICATE": {"* OK wait"}},
		"mailbox":      {"SELECT": {"* OK wait"}},
	} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, func(_ int, c *connectiontest.Player) {
				if stage == "greeting" {
					c.Line()
					return
				}
				c.Send("* OK hello")
				c.Serve(capabilities, answers)
			})
			cfg := s.Config()
			cfg.Timeout = setting.Duration(time.Second)
			d := newDialer(t, connection.DialerOptions{})
			started := time.Now()
			err := d.Do(context.Background(), cfg, "INBOX", func(context.Context, *connection.Mailbox) error { return nil })
			var e *connection.Error
			if !errors.As(err, &e) || e.Stage != stage || e.Permanent {
				t.Errorf("%v", err)
			}
			if took := time.Since(started); took < 900*time.Millisecond || took > 3*time.Second {
				t.Errorf("took %s", took)
			}
			t.Log(err)
		})
	}
}

func TestGreetingAndLoginErrors(t *testing.T) {
	for _, c := range []struct {
		name, greeting string
		answers        map[string][]string
		stage, text    string
		permanent      bool
		retry          time.Duration
	}{
		{name: "bye", greeting: "* BYE [UNAVAILABLE] down for maintenance", stage: "greeting", text: "down for maintenance", retry: 15 * time.Second},
		{name: "too many", greeting: "* BYE Too many connections", stage: "greeting", text: "Too many", retry: time.Minute},
		{name: "preauth", greeting: "* PREAUTH hello root", stage: "greeting", text: "PREAUTH", permanent: true},
		{name: "http", greeting: "HTTP/1.1 400 Bad Request", stage: "greeting", text: "not an IMAP server", permanent: true},
		{name: "nonsense", greeting: "* HELLO", stage: "greeting", text: "not an IMAP server", permanent: true},
		{name: "unavailable", greeting: "* OK", answers: map[string][]string{"AUTHENTICATE": {"TAG NO [UNAVAILABLE] backend down"}}, stage: "login", text: "backend down", retry: 15 * time.Second},
		{name: "backoff", greeting: "* OK", answers: map[string][]string{"AUTHENTICATE": {"TAG NO [UNAVAILABLE] throttled. Suggested Backoff Time: 297498 milliseconds"}}, stage: "login", text: "throttled", retry: 297498 * time.Millisecond},
		{name: "wrong", greeting: "* OK", answers: map[string][]string{"AUTHENTICATE": {"TAG NO [AUTHENTICATIONFAILED] no"}}, stage: "login", text: "AUTHENTICATIONFAILED", permanent: true},
		{name: "echo", greeting: "* OK", answers: map[string][]string{"AUTHENTICATE": {"TAG NO [AUTHENTICATIONFAILED] secret AGFsaWNlAHNlY3JldA== is wrong"}}, stage: "login", text: "is wrong", permanent: true},
		{name: "bye at login", greeting: "* OK", answers: map[string][]string{"AUTHENTICATE": {"* BYE go away"}}, stage: "login", text: "", retry: 0},
		{name: "silent close at login", greeting: "* OK", answers: map[string][]string{"AUTHENTICATE": nil}, stage: "login", text: "closed the connection"},
		{name: "no such mailbox", greeting: "* OK", answers: map[string][]string{"SELECT": {"TAG NO [NONEXISTENT] what?"}}, stage: "mailbox", text: `mailbox "INBOX"`, permanent: true},
		{name: "no UIDVALIDITY", greeting: "* OK", answers: map[string][]string{"SELECT": {"* 1 EXISTS", "TAG OK"}}, stage: "mailbox", text: "UIDVALIDITY", permanent: true},
		{name: "store lost", greeting: "* OK", answers: map[string][]string{"SELECT": {"TAG BAD User is authenticated but not connected."}}, stage: "mailbox", text: "lost its mailbox store"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, func(_ int, p *connectiontest.Player) {
				p.Send(c.greeting)
				if c.name == "bye at login" {
					p.Command() // CAPABILITY
				}
				p.Serve(capabilities, c.answers)
			})
			cfg := s.Config()
			cfg.Timeout = setting.Duration(2 * time.Second)
			d := newDialer(t, connection.DialerOptions{})
			err := d.Do(context.Background(), cfg, "INBOX", func(context.Context, *connection.Mailbox) error { return nil })
			var e *connection.Error
			if c.name == "bye at login" { // it may say BYE at any time
				if !errors.As(err, &e) {
					t.Fatal(err)
				}
				return
			}
			if !errors.As(err, &e) || e.Stage != c.stage || !strings.Contains(e.Text, c.text) || e.Permanent != c.permanent || e.Retry != c.retry {
				t.Errorf("%+v", err)
				if e != nil {
					t.Errorf("stage %s permanent %v retry %s", e.Stage, e.Permanent, e.Retry)
				}
			}
			if strings.Contains(err.Error(), "secret ") || strings.Contains(err.Error(), "AGFs") {
				t.Errorf("the password is shown: %v", err)
			}
			t.Log(err)
		})
	}
}

// Some servers refuse SELECT until ID was sent, and offer it only after the login.
func TestIDComesBeforeSelect(t *testing.T) {
	s := newScript(t, func(_ int, p *connectiontest.Player) {
		p.Send("* OK hello")
		loggedIn, id := false, false
		for {
			tag, name, args, ok := p.Command()
			if !ok {
				return
			}
			switch name {
			case "CAPABILITY":
				if loggedIn {
					p.Send("* CAPABILITY IMAP4rev1 ID", tag+" OK")
				} else {
					p.Send("* CAPABILITY IMAP4rev1", tag+" OK")
				}
			case "LOGIN":
				loggedIn = args == `"alice" "secret"`
				p.Send(tag + " OK")
			case "ID":
				id = strings.Contains(args, `"name" "mailtriggerd"`)
				p.Send(`* ID ("name" {5}`, `x"y\z "host" NIL)`, tag+" OK")
			case "SELECT":
				if !id {
					p.Send(tag + " NO Unsafe Login. Please contact the provider")
					continue
				}
				p.Send("* 0 EXISTS", "* OK [UIDVALIDITY 1] ok", tag+" OK")
			default:
				p.Send(tag + " OK")
			}
		}
	})
	if err := doScript(t, s, func(context.Context, *connection.Mailbox) error { return nil }); err != nil {
		t.Error(err)
	}
	cfg := s.Config()
	off := false
	cfg.Session.ID = &off
	err := newDialer(t, connection.DialerOptions{}).Do(context.Background(), cfg, "INBOX", func(context.Context, *connection.Mailbox) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "id = true") {
		t.Error(err)
	}
}

// Where SELECT does not tell UIDNEXT, it is found.
func TestNoUIDNext(t *testing.T) {
	s := newScript(t, serve(map[string][]string{
		"SELECT":    {"* 2 EXISTS", "* OK [UIDVALIDITY 1] ok", "TAG OK"},
		"FETCH":     {"* 2 FETCH (UID 41 FLAGS () " + date + " RFC822.SIZE 1)", "TAG OK"},
		"UID FETCH": {"* 2 FETCH (UID 41 FLAGS () " + date + " RFC822.SIZE 1)", "TAG OK"},
	}))
	if err := doScript(t, s, func(ctx context.Context, mb *connection.Mailbox) error {
		if mb.UIDNext != 42 {
			t.Errorf("UIDNEXT %d", mb.UIDNext)
		}
		infos, err := mb.List(ctx, 41) // "42:*" is answered with 41
		if len(infos) != 0 {
			t.Error(infos)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// A wrong password is tried three times, however many connections there are.
func TestWrongPasswordLocksNobody(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	d := newDialer(t, connection.DialerOptions{})
	var watches []*connection.Watch
	for range 8 {
		cfg := srv.Config("alice")
		cfg.Authentication.Password.Literal = setting.NewSecret("wrong")
		cfg.Session.MaxConnections = 20
		watches = append(watches, d.Watch(cfg, "INBOX", func(context.Context, *connection.Mailbox, wire.Wake) error { return nil }))
	}
	for _, w := range watches {
		waitState(t, w, connection.StateBackoff)
		s := w.Status()
		if s.LastError == nil || s.LastError.Stage != "login" || time.Until(s.NextRetry) < 15*time.Minute {
			t.Errorf("%+v %v", s, time.Until(s.NextRetry))
		}
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if n := srv.Logins(); n != 3 {
		t.Errorf("%d logins", n)
	}
}

// Of max_connections, watches leave one free. Where a table gets none at all, as
// another has taken those of the account, it is told why, and gets the place that
// becomes free.
func TestBudget(t *testing.T) {
	srv := newServer(t, connectiontest.Options{Hide: []string{"NOTIFY"}})
	cfg := srv.Config("alice")
	cfg.Timeout = setting.Duration(time.Second)
	d := newDialer(t, connection.DialerOptions{})
	nothing := func(context.Context, *connection.Mailbox, wire.Wake) error { return nil }
	var watches []*connection.Watch
	for _, name := range []string{"INBOX", "Archive", "Sent", "Junk"} {
		srv.CreateMailbox("alice", name)
		w := d.Watch(cfg, name, nothing)
		defer w.Close(context.Background())
		waitState(t, w, connection.StateParked)
		watches = append(watches, w)
	}
	if m := watches[3].Status().Mode; m != "poll" {
		t.Errorf("the mailbox beyond the budget: mode %q", m)
	}
	other := *cfg
	other.Name = "other"
	late := d.Watch(&other, "INBOX", nothing)
	defer late.Close(context.Background())
	waitState(t, late, connection.StateBackoff)
	e := late.Status().LastError
	for _, want := range []string{"max_connections = 4, of which one is kept free", "raise max_connections", "tables for one account"} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("%v does not say %q", e, want)
		}
	}
	if err := d.Do(context.Background(), cfg, "Archive", func(context.Context, *connection.Mailbox) error { return nil }); err != nil {
		t.Error(err)
	}
	if n := srv.Connections(); n > 4 {
		t.Errorf("%d connections", n)
	}
	if err := watches[1].Close(context.Background()); err != nil {
		t.Error(err)
	}
	waitState(t, late, connection.StateParked)
}

// The ledger counts by server and login user, whatever the connections that share
// them: here two tables with one account, and two mailboxes that one user opens.
func TestWrongPasswordOfTwoConnections(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	d := newDialer(t, connection.DialerOptions{})
	for i := range 6 {
		cfg := srv.Config("alice")
		cfg.Name = fmt.Sprint("table", i)
		cfg.Authentication.Password.Literal = setting.NewSecret(fmt.Sprint("wrong", i))
		cfg.Authentication.Mechanism = "plain"
		if i%2 == 1 {
			cfg.Authentication.Alias = fmt.Sprint("shared", i)
		}
		w := d.Watch(cfg, "INBOX", func(context.Context, *connection.Mailbox, wire.Wake) error { return nil })
		defer w.Close(context.Background())
		waitState(t, w, connection.StateBackoff)
		if e := w.Status().LastError; e.Stage != "login" || strings.Contains(e.Text, "not tried") != (i >= 3) || e.Hint == "" {
			t.Errorf("%d: %v", i, e)
		}
	}
	if n := srv.Logins(); n > 3 {
		t.Errorf("%d logins", n)
	}
}

// Names that are not what they should be harm no others.
func TestListOddNames(t *testing.T) {
	s := newScript(t, serve(map[string][]string{"LIST": {
		`* LIST (\HasNoChildren) "/" INBOX`,
		`* LIST (\HasNoChildren) "/" "caf` + "\xe9" + `"`,
		`* LIST (\HasNoChildren) "/" "&invalid"`,
		`* LIST (\HasNoChildren) "/" "Entw&APw-rfe"`,
		`* LIST (\Noselect) "/" "folder"`,
		`* LIST () NIL {4}`, `flat`,
		"TAG OK",
	}}))
	var names []string
	if err := doScript(t, s, func(ctx context.Context, mb *connection.Mailbox) error {
		list, err := mb.ListMailboxes(ctx, "*")
		for _, m := range list {
			names = append(names, m.Name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"INBOX", "Entwürfe", "flat"} {
		if !slices.Contains(names, want) {
			t.Errorf("%q is not in %q", want, names)
		}
	}
	if slices.Contains(names, "folder") {
		t.Errorf("%q", names)
	}
}

// A mailbox with more messages than one command may bring is listed piece by piece.
func TestListOfALargeMailbox(t *testing.T) {
	const exists, gap, late = 400_000, 10, 3
	s := newScript(t, func(_ int, p *connectiontest.Player) {
		p.Send("* OK hello")
		for {
			tag, name, args, ok := p.Command()
			if !ok {
				return
			}
			var first, last, above int
			switch name {
			case "CAPABILITY":
				p.Send("* CAPABILITY " + capabilities)
			case "SELECT":
				p.Send(fmt.Sprintf("* %d EXISTS", exists), "* OK [UIDVALIDITY 1] ok", fmt.Sprintf("* OK [UIDNEXT %d] ok", exists+gap+1))
			case "UID FETCH": // what came since, or the last messages
				if n, _ := fmt.Sscanf(args, "%d:*", &above); n != 1 {
					t.Errorf("UID FETCH %s", args)
				}
				first, last = max(above-gap, 1), exists+late
			case "FETCH":
				if n, _ := fmt.Sscanf(args, "%d:%d", &first, &last); n == 1 {
					last = first
				}
			}
			if last-first > 200_000 {
				t.Errorf("%s %s is much for one command", name, args)
			}
			var b strings.Builder
			for seq := first; seq > 0 && seq <= last; seq++ {
				fmt.Fprintf(&b, "* %d FETCH (UID %d FLAGS () %s RFC822.SIZE 1)\r\n", seq, seq+gap, date)
			}
			p.Send(b.String() + tag + " OK")
		}
	})
	d := newDialer(t, connection.DialerOptions{})
	afters := []uint32{123_456, exists + gap - 5, exists + gap + late + 99, 0}
	if raceEnabled {
		afters = afters[:2]
	}
	if err := d.Do(context.Background(), s.Config(), "INBOX", func(ctx context.Context, mb *connection.Mailbox) error {
		for _, after := range afters {
			mb.UIDNext = exists + gap + 1
			infos, err := mb.List(ctx, after)
			if err != nil {
				return err
			}
			want := exists + late
			if after > gap {
				want = max(exists+late+gap-int(after), 0)
			}
			if len(infos) != want {
				t.Errorf("after %d: %d messages, want %d", after, len(infos), want)
				continue
			}
			for i, info := range infos {
				if info.UID != uint32(exists+gap+late-want+1+i) {
					t.Fatalf("after %d: message %d has UID %d", after, i, info.UID)
				}
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// A wrong proxy password is tried three times, however many connections share it.
func TestWrongProxyPassword(t *testing.T) {
	proxy := newScript(t, func(_ int, p *connectiontest.Player) {
		for line, ok := p.Line(); ok && line != ""; line, ok = p.Line() {
		}
		p.Send("HTTP/1.1 407 no", `Proxy-Authenticate: Basic realm="a"`, "Connection: close", "Content-Length: 0", "")
	})
	at := proxy.Config()
	srv := newServer(t, connectiontest.Options{})
	d := newDialer(t, connection.DialerOptions{})
	for i := range 6 {
		cfg := srv.Config("alice")
		cfg.Name = fmt.Sprint("table", i)
		cfg.Proxy.Type, cfg.Proxy.Address, cfg.Proxy.Port, cfg.Proxy.Authentication = "http", at.Address, at.Port, "basic"
		cfg.Proxy.Username, cfg.Proxy.Password.Literal = "puser", setting.NewSecret("wrong")
		cfg.SetDefaults()
		err := d.Do(context.Background(), cfg, "INBOX", func(context.Context, *connection.Mailbox) error { return nil })
		var e *connection.Error
		if !errors.As(err, &e) || e.Stage != connection.StageProxy || strings.Contains(e.Text, "not tried") != (i >= 3) || e.Hint == "" || i >= 3 && e.Retry < 50*time.Minute {
			t.Errorf("%d: %v", i, err)
		}
		if i == 5 {
			d.Forgive(cfg)
			if err := d.Do(context.Background(), cfg, "INBOX", nil); err == nil || strings.Contains(err.Error(), "not tried") {
				t.Errorf("after Forgive: %v", err)
			}
		}
	}
	if n := proxy.Accepted(); n != 4 {
		t.Errorf("the proxy was asked %d times, want 3 and one after Forgive", n)
	}
}
