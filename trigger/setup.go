package trigger

import (
	"fmt"

	"mailtrigger/connection"
	"mailtrigger/connection/setting"
	"mailtrigger/trigger/journal"
)

// A setup is a configuration made ready. What says the same as in the setup before
// is the same object here: whether something has changed is a comparison of pointers
// from there on.
type setup struct {
	connections map[string]*connection.Config
	inOrder     []*connection.Config // of the file
	rules       []*rule              // of the enabled triggers, in the order of the file
	disabled    map[string]bool      // triggers that the file has, but not enabled
	sources     []source             // in the order of the triggers
}

// A source is the mailboxes of one connection that a trigger names.
type source struct {
	rule      *rule
	conn      *connection.Config
	mailboxes []string
	patterns  []string
}

// newSetup makes a configuration ready; before is the one that may be running.
func newSetup(o *Options, before *setup) (*setup, error) {
	s := &setup{connections: make(map[string]*connection.Config, len(o.Connections)), disabled: make(map[string]bool)}
	for _, c := range o.Connections {
		if old := before.connections[c.Name]; old != nil && setting.Same(old, c) {
			c = old
		}
		s.connections[c.Name] = c
		s.inOrder = append(s.inOrder, c)
	}
	rules := make(map[string]*rule, len(before.rules))
	for _, r := range before.rules {
		rules[r.cfg.Name] = r
	}
	for _, cfg := range o.Triggers {
		if cfg.Enabled != nil && !*cfg.Enabled {
			s.disabled[cfg.Name] = true
			continue
		}
		r := rules[cfg.Name]
		if r == nil || !setting.Same(r.cfg, cfg) {
			var err error
			if r, err = newRule(cfg); err != nil {
				return nil, err
			}
		}
		s.rules = append(s.rules, r)
		if err := s.addSources(r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *setup) addSources(r *rule) error {
	for _, name := range r.cfg.Connection {
		conn := s.connections[name]
		if conn == nil {
			return fmt.Errorf("trigger %s: unknown connection %q", r.cfg.Name, name)
		}
		src := source{rule: r, conn: conn}
		for _, mailbox := range r.cfg.Mailboxes {
			if IsPattern(mailbox) {
				src.patterns = append(src.patterns, mailbox)
			} else {
				src.mailboxes = append(src.mailboxes, mailbox)
			}
		}
		s.sources = append(s.sources, src)
	}
	return nil
}

// sameWork reports whether two definitions of a trigger differ at most in where its
// mail comes from.
func sameWork(a, b *Config) bool {
	x, y := *a, *b
	for _, c := range []*Config{&x, &y} {
		c.Connection, c.Mailboxes, c.ExcludeMailboxes = nil, nil, nil
	}
	return setting.Same(&x, &y)
}

func mailboxKey(conn *connection.Config, mailbox string) journal.MailboxKey {
	host, user := conn.Identity()
	return journal.MailboxKey{Host: host, User: user, Mailbox: foldInbox(mailbox)}
}
