package connection_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
)

// do calls f with alice's mailbox.
func do(t *testing.T, srv *connectiontest.Server, mailbox string, f func(ctx context.Context, mb *connection.Mailbox) error) {
	t.Helper()
	d := newDialer(t, connection.DialerOptions{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Do(ctx, srv.Config("alice"), mailbox, f); err != nil {
		t.Fatal(err)
	}
}

func TestFetch(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	big := append(mail(0), bytes.Repeat([]byte("0123456789abcdef\r\n"), 100_000)...)
	date := time.Date(2024, 2, 29, 12, 0, 0, 0, time.FixedZone("", 3600))
	var uids []uint32
	for i := range 50 {
		uids = append(uids, srv.Append("alice", "INBOX", mail(i), []string{`\Flagged`}, date))
	}
	uids = append(uids, srv.Append("alice", "INBOX", big, nil, date))
	uids = append(uids, srv.Append("alice", "INBOX", nil, nil, date)) // empty
	srv.Expunge("alice", "INBOX", uids[3])
	do(t, srv, "INBOX", func(ctx context.Context, mb *connection.Mailbox) error {
		infos, err := mb.List(ctx, uids[1])
		if err != nil {
			return err
		}
		if len(infos) != 49 || infos[0].UID != uids[2] || !infos[0].InternalDate.Equal(date) || !slices.Equal(infos[0].Flags, []string{`\Flagged`}) {
			t.Errorf("%d infos, the first %+v", len(infos), infos[0])
		}
		if infos, err := mb.List(ctx, uids[len(uids)-1]); err != nil || len(infos) != 0 {
			t.Errorf("above the last there are %v, %v", infos, err)
		}
		got := map[uint32][]byte{}
		if err := mb.Fetch(ctx, uids, func(b connection.Body) error {
			if got[b.UID] != nil {
				t.Errorf("UID %d twice", b.UID)
			}
			got[b.UID] = b.Raw
			return nil
		}); err != nil {
			return err
		}
		for _, m := range srv.Messages("alice", "INBOX") {
			if !bytes.Equal(got[m.UID], m.Raw) {
				t.Errorf("UID %d is not what was put in", m.UID)
			}
		}
		if len(got) != len(uids)-1 {
			t.Errorf("%d bodies", len(got))
		}
		return mb.FetchHeaders(ctx, uids[:1], []string{"Subject"}, func(uid uint32, raw []byte) error {
			if string(raw) != "Subject: 0\r\n\r\n" {
				t.Errorf("header %q", raw)
			}
			return nil
		})
	})
	for _, m := range srv.Messages("alice", "INBOX") {
		if slices.Contains(m.Flags, `\Seen`) {
			t.Fatalf("UID %d was marked read", m.UID)
		}
	}
}

func TestChange(t *testing.T) {
	for _, c := range []struct {
		name string
		hide []string
	}{{"move", nil}, {"copy", []string{"MOVE"}}} {
		t.Run(c.name, func(t *testing.T) {
			srv := newServer(t, connectiontest.Options{Hide: c.hide})
			a := srv.Append("alice", "INBOX", mail(1), nil, time.Time{})
			b := srv.Append("alice", "INBOX", mail(2), []string{`\Deleted`}, time.Time{}) // somebody else's mark
			srv.CreateMailbox("alice", "Entwürfe & Co")
			do(t, srv, "INBOX", func(ctx context.Context, mb *connection.Mailbox) error {
				srv.Fail("COPY", "NO [OVERQUOTA] full", 1)
				srv.Fail("MOVE", "NO [OVERQUOTA] full", 1)
				_, _, err := mb.Move(ctx, a, "Archive")
				srv.Fail("COPY", "", 0)
				var e *connection.Error
				if !errors.As(err, &e) || !e.Refused || e.Code != "OVERQUOTA" {
					t.Errorf("a refused move: %v", err)
				}
				if n := len(srv.Messages("alice", "INBOX")); n != 2 {
					t.Fatalf("%d messages are left after a refused move", n)
				}
				if err := mb.StoreFlags(ctx, a, true, []string{`\Seen`, "Done"}); err != nil {
					return err
				}
				validity, uid, err := mb.Move(ctx, a, "Entwürfe & Co")
				if err != nil || validity == 0 || uid != 1 {
					t.Errorf("move: %d %d %v", validity, uid, err)
				}
				if _, _, err := mb.Move(ctx, a, "Archive"); !errors.Is(err, connection.ErrGone) {
					t.Errorf("moving what has gone: %v", err)
				}
				if _, _, err := mb.Copy(ctx, a, "Archive"); !errors.Is(err, connection.ErrGone) {
					t.Errorf("copying what has gone: %v", err)
				}
				_, _, err = mb.Move(ctx, b, "nowhere")
				if !errors.As(err, &e) || !e.Permanent {
					t.Errorf("moving to nowhere: %v", err)
				}
				return nil
			})
			in := srv.Messages("alice", "INBOX")
			if len(in) != 1 || in[0].UID != b {
				t.Errorf("INBOX: %v", in)
			}
			if out := srv.Messages("alice", "Entwürfe & Co"); len(out) != 1 || !slices.Contains(out[0].Flags, "Done") {
				t.Errorf("destination: %v", out)
			}
		})
	}
}

// Without UIDPLUS nothing is moved or deleted, as that would take other messages along.
func TestWithoutUIDPLUS(t *testing.T) {
	srv := newServer(t, connectiontest.Options{Hide: []string{"MOVE", "UIDPLUS"}})
	uid := srv.Append("alice", "INBOX", mail(1), nil, time.Time{})
	srv.Append("alice", "INBOX", mail(2), []string{`\Deleted`}, time.Time{})
	do(t, srv, "INBOX", func(ctx context.Context, mb *connection.Mailbox) error {
		_, _, err := mb.Move(ctx, uid, "Archive")
		for _, err := range []error{err, mb.Delete(ctx, uid)} {
			var e *connection.Error
			if !errors.As(err, &e) || !e.Permanent || !e.Refused {
				t.Errorf("no permanent error: %v", err)
			}
		}
		return nil
	})
	if len(srv.Messages("alice", "INBOX")) != 2 || len(srv.Messages("alice", "Archive")) != 0 {
		t.Error("something was done")
	}
}

func TestNamesFromOutside(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	uid := srv.Append("alice", "INBOX", mail(1), nil, time.Time{})
	do(t, srv, "INBOX", func(ctx context.Context, mb *connection.Mailbox) error {
		for _, name := range []string{"a\r\nx DELETE INBOX", "a\x00", "", "\xff", "a\nb"} {
			_, _, moved := mb.Move(ctx, uid, name)
			_, _, copied := mb.Copy(ctx, uid, name)
			_, listed := mb.ListMailboxes(ctx, name)
			for _, err := range []error{moved, copied, listed, mb.Create(ctx, name)} {
				var e *connection.Error
				if !errors.As(err, &e) || !e.Permanent {
					t.Errorf("%q: %v", name, err)
				}
			}
		}
		for _, flag := range []string{"", "a b", "a\r\n", `\`, "ü", "(", `a\b`} {
			if err := mb.StoreFlags(ctx, uid, true, []string{flag}); err == nil {
				t.Errorf("flag %q was taken", flag)
			}
		}
		return mb.FetchHeaders(ctx, []uint32{uid}, nil, func(uint32, []byte) error { return nil }) // the session is alive
	})
}

func TestSearchAndLists(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	var unseen []uint32
	for i := range 12_000 {
		var flags []string
		if i%3 == 0 {
			flags = []string{`\Seen`}
		}
		uid := srv.Append("alice", "INBOX", []byte("Message-ID: <x@y>\r\n\r\n"), flags, time.Time{})
		if i%3 != 0 {
			unseen = append(unseen, uid)
		}
	}
	srv.CreateMailbox("alice", "Spåm", `\Junk`)
	do(t, srv, "INBOX", func(ctx context.Context, mb *connection.Mailbox) error {
		got, err := mb.Search(ctx, connection.Search{Unseen: true})
		if err != nil || !slices.Equal(got, unseen) {
			t.Errorf("%d unseen, want %d: %v", len(got), len(unseen), err)
		}
		list, err := mb.ListMailboxes(ctx, `\Junk`, "A*")
		if err != nil || len(list) != 2 || list[0].Name != "Spåm" || list[1].Name != "Archive" || list[0].Delimiter != "/" {
			t.Errorf("%+v %v", list, err)
		}
		if err := mb.Create(ctx, "Neu/Ü"); err != nil {
			t.Error(err)
		}
		return mb.Create(ctx, "Neu/Ü")
	})
	if !slices.Contains(srv.Mailboxes("alice"), "Neu/Ü") {
		t.Error(srv.Mailboxes("alice"))
	}
}

// After a failed SELECT nothing is selected, and nothing is asked of the mailbox before.
func TestNothingAfterAFailedSelect(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	srv.CreateMailbox("alice", "Work")
	do(t, srv, "Work", func(ctx context.Context, mb *connection.Mailbox) error {
		srv.DeleteMailbox("alice", "Work")
		if err := mb.Refresh(ctx); err == nil {
			t.Error("a deleted mailbox was selected")
		}
		_, listed := mb.List(ctx, 0)
		for _, err := range []error{listed, mb.Fetch(ctx, []uint32{1}, func(connection.Body) error { return nil }), mb.Delete(ctx, 1)} {
			if err == nil || !strings.Contains(err.Error(), "is not selected") {
				t.Errorf("asked of a mailbox that is not selected: %v", err)
			}
		}
		return nil
	})
}
