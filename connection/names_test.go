package connection_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest/rigtest"
)

// Names of all kinds, and special uses, on servers with "/" and "." between levels.
func TestRigMailboxes(t *testing.T) {
	for _, c := range []struct{ unit, delimiter string }{{"main", "/"}, {"dot", "."}, {"cyrus", "/"}} {
		t.Run(c.unit, func(t *testing.T) {
			cfg := rigConfig(t, c.unit, "bob", "bob-pw")
			cfg.SetDefaults()
			d := newDialer(t, connection.DialerOptions{})
			name := func(levels ...string) string { return strings.Join(levels, c.delimiter) }
			created := []string{name("Kunden", "Müller & Söhne"), name("Kunden", "日本", "緊急"), "Ärger", `quo"te`, "a&b", "emoji 📬", "percent%", "name with  blanks"}
			err := d.Do(context.Background(), cfg, "", func(ctx context.Context, mb *connection.Mailbox) error {
				all, err := mb.ListMailboxes(ctx, "INBOX")
				if err != nil {
					return err
				}
				if len(all) != 1 || all[0].Delimiter != c.delimiter {
					t.Fatalf("%+v, want delimiter %q", all, c.delimiter)
				}
				for i := range created {
					if c.unit == "cyrus" && strings.ContainsAny(created[i], `"%`) {
						created[i] = "plain" + strconv.Itoa(i) // it refuses these characters
					}
					if err := mb.Create(ctx, created[i]); err != nil {
						return err
					}
				}
				all, err = mb.ListMailboxes(ctx, "*")
				if err != nil {
					return err
				}
				var found []string
				for _, m := range all {
					found = append(found, m.Name)
					if m.Delimiter != c.delimiter {
						t.Errorf("%+v", m)
					}
				}
				for _, n := range created {
					if !slices.Contains(found, n) {
						t.Errorf("%q is not in %q", n, found)
					}
				}
				under, err := mb.ListMailboxes(ctx, name("Kunden", "*"))
				if err != nil || len(under) != 2 && len(under) != 3 { // with a level between that is selectable
					t.Errorf("%+v %v", under, err)
				}
				one, err := mb.ListMailboxes(ctx, name("Kunden", "%"))
				if err != nil || len(one) < 1 || len(one) > 2 || !slices.ContainsFunc(one, func(m connection.MailboxInfo) bool { return m.Name == created[0] }) {
					t.Errorf("%+v %v", one, err)
				}
				archive, err := mb.ListMailboxes(ctx, `\archive`)
				if err != nil {
					return err
				}
				t.Logf("%q %+v", found, archive)
				if c.unit != "cyrus" && (len(archive) != 1 || archive[0].Name != "Archive") {
					t.Errorf("%+v", archive)
				}
				special := 0
				for _, m := range all {
					for _, a := range m.Attributes {
						if slices.Contains([]string{`\Archive`, `\Drafts`, `\Junk`, `\Sent`, `\Trash`}, a) {
							special++
						}
						if strings.EqualFold(a, `\Noselect`) || strings.EqualFold(a, `\NonExistent`) {
							t.Errorf("%+v", m)
						}
					}
				}
				if c.unit != "cyrus" && special != 5 {
					t.Errorf("%d special uses in %+v", special, all)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			// They can be watched, and see mail.
			w := newRigWatcher()
			watch := d.Watch(cfg, created[0], w.look)
			defer watch.Close(context.Background())
			w.begin(t)
			waitState(t, watch, connection.StateParked)
			if c.unit != "cyrus" {
				rigtest.Run(t, "deliver", "-i", c.unit, "-u", "bob", "-m", created[0])
				w.expect(t, 1)
			}
		})
	}
}
