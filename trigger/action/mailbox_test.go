package action

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// fakeMailbox notes what it is told; mailboxes that are not there refuse.
type fakeMailbox struct {
	there map[string]bool
	told  []string
}

func (m *fakeMailbox) note(format string, args ...any) {
	m.told = append(m.told, fmt.Sprintf(format, args...))
}

func (m *fakeMailbox) put(what string, uid uint32, dest string) (uint32, uint32, error) {
	m.note("%s %d %s", what, uid, dest)
	if !m.there[dest] {
		return 0, 0, errors.New("NO [TRYCREATE] no such mailbox")
	}
	return 1, 2, nil
}

func (m *fakeMailbox) StoreFlags(_ context.Context, uid uint32, add bool, flags []string) error {
	m.note("store %d %v %s", uid, add, strings.Join(flags, " "))
	return nil
}

func (m *fakeMailbox) Copy(_ context.Context, uid uint32, dest string) (uint32, uint32, error) {
	return m.put("copy", uid, dest)
}

func (m *fakeMailbox) Move(_ context.Context, uid uint32, dest string) (uint32, uint32, error) {
	return m.put("move", uid, dest)
}

func (m *fakeMailbox) Delete(_ context.Context, uid uint32) error {
	m.note("delete %d", uid)
	return nil
}

func (m *fakeMailbox) Create(_ context.Context, name string) error {
	m.note("create %s", name)
	if m.there[name] || name == "Denied" {
		return errors.New("NO cannot create")
	}
	m.there[name] = true
	return nil
}

func TestServer(t *testing.T) {
	for _, c := range []struct {
		server   Server
		told     string
		fails    bool
		describe string
	}{
		{&Move{Target: Target{Mailbox: "Archive"}}, "move 7 Archive", false, `move to "Archive"`},
		{&Copy{Target: Target{Mailbox: "Archive", Create: true}}, "copy 7 Archive", false, `copy to "Archive", made if it is missing`},
		{&Move{Target: Target{Mailbox: "New"}}, "move 7 New", true, `move to "New"`},
		{&Move{Target: Target{Mailbox: "New", Create: true}}, "move 7 New|create New|move 7 New", false, `move to "New", made if it is missing`},
		{&Copy{Target: Target{Mailbox: "Denied", Create: true}}, "copy 7 Denied|create Denied", true, `copy to "Denied", made if it is missing`},
		{&Flag{}, `store 7 true \Seen`, false, `set \Seen`},
		{&Unflag{Flags: Flags{Flags: []string{`\Flagged`, "Todo"}}}, `store 7 false \Flagged Todo`, false, `clear \Flagged Todo`},
		{&Delete{}, "delete 7", false, "delete from the mailbox"},
	} {
		ready(t, c.server)
		m := &fakeMailbox{there: map[string]bool{"Archive": true}}
		err := c.server.Run(t.Context(), m, 7)
		if got := strings.Join(m.told, "|"); got != c.told || (err != nil) != c.fails {
			t.Errorf("%s: told %q, %v; want %q", c.describe, got, err, c.told)
		}
		if got := c.server.Describe(); got != c.describe {
			t.Errorf("Describe %q; want %q", got, c.describe)
		}
	}
}

func TestServerValidate(t *testing.T) {
	for _, c := range []struct {
		d    Definition
		want string
	}{
		{&Move{}, "mailbox: say where to"},
		{&Move{Target: Target{Mailbox: "A\r\nB"}}, "mailbox: a mailbox name has no line ends"},
		{&Copy{Target: Target{Mailbox: "Archive/*"}}, `mailbox: "Archive/*" is a pattern`},
		{&Flag{Flags: Flags{Flags: []string{}}}, "flags: is empty"},
		{&Flag{Flags: Flags{Flags: []string{"Seen"}}}, `flags[0]: "Seen" lacks its backslash; write "\\Seen"`},
		{&Flag{Flags: Flags{Flags: []string{"Todo", `\recent`}}}, `flags[1]: \Recent is the server's own`},
		{&Unflag{Flags: Flags{Flags: []string{"a b"}}}, `flags[0]: "a b" is not a flag`},
		{&Unflag{Flags: Flags{Flags: []string{`\`}}}, `flags[0]: "\\" is not a flag`},
		{&Delete{Common: Common{When: OnSilence}}, "when: silence has no message to delete"},
	} {
		if got := strings.Join(problemsOf(c.d), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("got %q; want %q", got, c.want)
		}
	}
}
