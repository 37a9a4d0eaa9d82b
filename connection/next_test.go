package connection_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
)

// nextLine is a FETCH response of which the size that is told, and the text, can be wrong.
func nextLine(uid, size int, text string) string {
	return fmt.Sprintf("* %d FETCH (UID %d FLAGS (\\Flagged) INTERNALDATE \"29-Feb-2024 12:00:00 +0100\" RFC822.SIZE %d BODY[]<0> {%d}\r\n%s)", uid, uid, size, len(text), text)
}

// fetchServer is a server with a mailbox of so many messages, whose UIDNEXT is 8. answer
// says what UID FETCH brings.
func fetchServer(t *testing.T, exists int, answer func(args string) []string) *connectiontest.Script {
	return newScript(t, func(_ int, p *connectiontest.Player) {
		p.Send("* OK hello")
		for {
			tag, name, args, ok := p.Command()
			if !ok {
				return
			}
			lines := []string{"TAG OK"}
			switch name {
			case "CAPABILITY":
				lines = []string{"* CAPABILITY " + capabilities, "TAG OK"}
			case "SELECT":
				lines = []string{fmt.Sprintf("* %d EXISTS", exists), "* OK [UIDVALIDITY 1] ok", "* OK [UIDNEXT 8] ok", "TAG OK"}
			case "UID FETCH":
				lines = answer(args)
			}
			for _, l := range lines {
				p.Send(strings.Replace(l, "TAG", tag, 1))
			}
		}
	})
}

// What Next gives has no gap, and is whole by every measure.
func TestNext(t *testing.T) {
	for name, c := range map[string]struct {
		answer []string
		want   string // the UIDs it gives
		asked  int    // how often the server is asked, if Next is called twice
	}{
		"two":                      {[]string{nextLine(8, 4, "text"), nextLine(9, 5, "texts"), "TAG OK"}, "8 9", 2},
		"in any order":             {[]string{nextLine(9, 5, "texts"), nextLine(8, 4, "text"), "TAG OK"}, "8 9", 2},
		"none":                     {[]string{"TAG OK"}, "", 2},
		"the first is missing":     {[]string{nextLine(9, 4, "text"), "TAG OK"}, "", 2},
		"the second is missing":    {[]string{nextLine(8, 4, "text"), nextLine(10, 4, "text"), "TAG OK"}, "8", 2},
		"as long as was asked for": {[]string{nextLine(8, 10, "0123456789"), "TAG OK"}, "", 2},
		"longer than that":         {[]string{nextLine(8, 400, "0123456789"), nextLine(9, 4, "text"), "TAG OK"}, "", 2},
		"shorter than its size":    {[]string{nextLine(8, 5, "text"), "TAG OK"}, "", 1},
		"longer than its size":     {[]string{nextLine(8, 3, "text"), "TAG OK"}, "", 1},
		"flags alone":              {[]string{`* 8 FETCH (UID 8 FLAGS (\Seen))`, "TAG OK"}, "", 2},
		"flags, then all":          {[]string{`* 8 FETCH (UID 8 FLAGS (\Seen))`, nextLine(8, 4, "text"), "TAG OK"}, "8", 2},
		"twice":                    {[]string{nextLine(8, 4, "text"), nextLine(8, 4, "TEXT"), "TAG OK"}, "8", 2},
		"without a date":           {[]string{"* 8 FETCH (UID 8 FLAGS () RFC822.SIZE 4 BODY[]<0> {4}\r\ntext)", "TAG OK"}, "", 2},
		"others":                   {[]string{nextLine(7, 4, "text"), nextLine(12, 4, "text"), nextLine(8, 4, "text"), "TAG OK"}, "8", 2},
		"no partial texts":         {[]string{"TAG BAD what?"}, "", 1},
		"refused after one":        {[]string{nextLine(8, 4, "text"), "TAG NO the other is damaged"}, "", 1},
		"empty":                    {[]string{`* 8 FETCH (UID 8 FLAGS () INTERNALDATE "29-Feb-2024 12:00:00 +0100" RFC822.SIZE 0 BODY[]<0> NIL)`, "TAG OK"}, "", 2},
		"flags between":            {[]string{nextLine(8, 4, "text"), `* 8 FETCH (UID 8 FLAGS (\Seen))`, nextLine(9, 4, "text"), "TAG OK"}, "8 9", 2},
		"not partial":              {[]string{"* 8 FETCH (UID 8 INTERNALDATE \"29-Feb-2024 12:00:00 +0100\" RFC822.SIZE 4 BODY[] {4}\r\ntext)", "TAG OK"}, "8", 2},
		"not partial, and long":    {[]string{nextLine(8, 100_000, strings.Repeat("0123456789", 10_000)), nextLine(9, 4, "text"), "TAG OK"}, "", 2},
		"other items first":        {[]string{"* 8 FETCH (BODY[]<0> {4}\r\ntext MODSEQ (5) RFC822.SIZE 4 INTERNALDATE \"29-Feb-2024 12:00:00 +0100\" FLAGS (\\Seen \\Flagged) UID 8)", "TAG OK"}, "8", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan string, 10)
			s := fetchServer(t, 9, func(args string) []string {
				asked <- args
				return c.answer
			})
			if err := doScript(t, s, func(ctx context.Context, mb *connection.Mailbox) error {
				for range 2 {
					bodies, _, err := mb.Next(ctx, 7, 4, 10)
					if err != nil {
						return err
					}
					var got []string
					for _, b := range bodies {
						got = append(got, fmt.Sprint(b.UID))
						if text := "texts"[:b.Size]; string(b.Raw) != text || b.InternalDate.Year() != 2024 {
							t.Errorf("%+v", b)
						}
					}
					if strings.Join(got, " ") != c.want {
						t.Errorf("it gives %q, want %q", got, c.want)
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(asked) != c.asked {
				t.Errorf("the server was asked %d times, want %d", len(asked), c.asked)
			}
			if got := <-asked; !strings.HasPrefix(got, "8:11 (UID ") || !strings.HasSuffix(got, " BODY.PEEK[]<0.10>)") {
				t.Errorf("it was asked for %s", got)
			}
		})
	}
}

// A real server's texts come as they are, and messages are not marked read.
func TestNextOfAServer(t *testing.T) {
	srv := newServer(t, connectiontest.Options{})
	first := srv.Append("alice", "INBOX", mail(1), nil, time.Time{})
	srv.Append("alice", "INBOX", mail(2), nil, time.Time{})
	do(t, srv, "INBOX", func(ctx context.Context, mb *connection.Mailbox) error {
		bodies, _, err := mb.Next(ctx, first-1, 4, 10_000)
		if err != nil {
			return err
		}
		if len(bodies) != 2 || string(bodies[0].Raw) != string(mail(1)) || string(bodies[1].Raw) != string(mail(2)) {
			t.Errorf("it gives %+v", bodies)
		}
		bodies, _, err = mb.Next(ctx, 1<<32-2, 4, 10_000)
		if err != nil || len(bodies) != 0 {
			t.Errorf("above the highest UID there are %v, %v", bodies, err)
		}
		return nil
	})
	for _, m := range srv.Messages("alice", "INBOX") {
		if len(m.Flags) > 0 {
			t.Errorf("UID %d has flags %v", m.UID, m.Flags)
		}
	}
}

// Next says that there is no more only if the server gives what it has told of, and asks
// for all that there is only where that is little.
func TestNextIsAll(t *testing.T) {
	for name, c := range map[string]struct {
		told   []string // before Next
		answer []string
		asked  string
		all    bool
	}{
		"one came":                {[]string{"* 3 EXISTS"}, []string{nextLine(8, 4, "text"), "TAG OK"}, "8:*", true},
		"two came":                {[]string{"* 4 EXISTS"}, []string{nextLine(8, 4, "text"), nextLine(9, 4, "text"), "TAG OK"}, "8:*", true},
		"two came, one given":     {[]string{"* 4 EXISTS"}, []string{nextLine(8, 4, "text"), "TAG OK"}, "8:*", false},
		"one came, two given":     {[]string{"* 3 EXISTS"}, []string{nextLine(8, 4, "text"), nextLine(9, 4, "text"), "TAG OK"}, "8:*", false},
		"another comes":           {[]string{"* 3 EXISTS"}, []string{nextLine(8, 4, "text"), "* 4 EXISTS", "TAG OK"}, "8:*", false},
		"the last is below":       {[]string{"* 3 EXISTS"}, []string{nextLine(7, 4, "text"), "TAG OK"}, "8:*", false},
		"one with a gap":          {[]string{"* 3 EXISTS"}, []string{nextLine(9, 4, "text"), "TAG OK"}, "8:*", false},
		"one that is too large":   {[]string{"* 3 EXISTS"}, []string{nextLine(8, 400, "0123456789"), "TAG OK"}, "8:*", false},
		"one gone, one came":      {[]string{"* 1 EXPUNGE", "* 2 EXISTS"}, []string{nextLine(8, 4, "text"), "TAG OK"}, "8:11", false},
		"more came than asked":    {[]string{"* 7 EXISTS"}, []string{nextLine(8, 4, "text"), "TAG OK"}, "8:11", false},
		"nothing was told of":     {nil, []string{nextLine(8, 4, "text"), "TAG OK"}, "8:11", false},
		"fewer than there were":   {[]string{"* 1 EXPUNGE"}, []string{nextLine(8, 4, "text"), "TAG OK"}, "8:11", false},
		"more gone than there is": {[]string{"* 0 EXISTS", "* 1 EXPUNGE", "* 3 EXISTS"}, []string{nextLine(8, 4, "text"), "TAG OK"}, "8:*", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fetches := make(chan string, 10)
			s := fetchServer(t, 2, func(args string) []string {
				fetches <- args
				switch len(fetches) {
				case 2:
					return append(slices.Clone(c.told), "TAG OK")
				case 3:
					return c.answer
				}
				return []string{"TAG OK"}
			})
			if err := doScript(t, s, func(ctx context.Context, mb *connection.Mailbox) error {
				if _, err := mb.List(ctx, 7); err != nil {
					return err
				}
				if _, err := mb.ListRange(ctx, 1, 1); err != nil { // to hear what is told
					return err
				}
				_, all, err := mb.Next(ctx, 7, 4, 10)
				if all != c.all {
					t.Errorf("all is %t", all)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			<-fetches
			<-fetches
			if got, _, _ := strings.Cut(<-fetches, " "); got != c.asked {
				t.Errorf("asked for %s, want %s", got, c.asked)
			}
		})
	}
}
