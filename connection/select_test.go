package connection_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"mailtrigger/connection"
)

// What the server says of a mailbox is understood, right after a connect and once a
// go-imap client has had the session.
func TestSelect(t *testing.T) {
	type told struct {
		validity, next, exists uint32
		readOnly               bool
	}
	for _, c := range []struct {
		name   string
		answer []string
		want   told
		keeps  string // flags of \Seen and work that can be stored
		code   string // of the refusal
	}{
		{"all of it", []string{`* FLAGS (\Seen work)`, "* 3 EXISTS", "* 1 RECENT", "* OK [UIDVALIDITY 7] x", "* ok [uidnext 12] x", `* OK [PERMANENTFLAGS (\Seen)] x`, "* OK [HIGHESTMODSEQ 5] x", "TAG OK [READ-WRITE] done"},
			told{7, 12, 3, false}, `\Seen`, ""},
		{"any flag", []string{"* 0 EXISTS", "* OK [UIDVALIDITY 4294967295]", "* OK [UIDNEXT 1]", `* OK [PERMANENTFLAGS (\Seen \*)]`, "TAG OK"},
			told{4294967295, 1, 0, false}, `\Seen work`, ""},
		{"no flag", []string{"* 1 EXISTS", "* OK [UIDVALIDITY 7] x", "* OK [UIDNEXT 2] x", "* OK [PERMANENTFLAGS ()] x", "TAG OK [READ-ONLY] done"},
			told{7, 2, 1, true}, "", ""},
		{"flags not told", []string{"* 1 EXISTS", "* OK [UIDVALIDITY 7] x", "* OK [UIDNEXT 2] x", "TAG OK"},
			told{7, 2, 1, false}, `\Seen work`, ""},
		{"told twice", []string{"* 5 EXISTS", "* OK [UIDVALIDITY 7] x", "* OK [UIDNEXT 6] x", "* OK [UIDNEXT 7] x", "* 6 EXISTS", "TAG OK"},
			told{7, 7, 6, false}, `\Seen work`, ""},
		{"refused", []string{"TAG NO [NONEXISTENT] what?"}, told{}, "", "NONEXISTENT"},
		{"not understood", []string{"TAG BAD what?"}, told{}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, serve(map[string][]string{
				"SELECT": c.answer, "UID FETCH": {"TAG OK none"}, "UID STORE": {"TAG OK done"}, "LIST": {"TAG OK none"},
			}))
			refused := strings.HasPrefix(c.answer[0], "TAG ")
			err := doScript(t, s, func(ctx context.Context, mb *connection.Mailbox) error {
				look := func(how string) {
					t.Helper()
					got := told{mb.UIDValidity, mb.UIDNext, mb.Exists, mb.ReadOnly}
					if got != c.want {
						t.Errorf("%s: %+v; want %+v", how, got, c.want)
					}
				}
				look("after the connect")
				for _, flag := range []string{`\Seen`, "work"} {
					if err := mb.StoreFlags(ctx, 1, true, []string{flag}); (err == nil) != strings.Contains(c.keeps, flag) {
						t.Errorf("the flag %s: %v", flag, err)
					}
				}
				if _, err := mb.ListMailboxes(ctx, "x"); err != nil { // a client is lent now
					return err
				}
				if err := mb.Refresh(ctx); err != nil {
					return err
				}
				look("after other commands")
				return nil
			})
			var e *connection.Error
			switch {
			case !refused && err != nil:
				t.Error(err)
			case refused && (!errors.As(err, &e) || !e.Refused || e.Code != c.code):
				t.Errorf("the error is %+v; want a refusal with code %q", err, c.code)
			}
		})
	}
}
