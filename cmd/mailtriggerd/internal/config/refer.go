package config

import (
	"path"
	"slices"
	"strings"

	"mailtrigger/connection"
	"mailtrigger/trigger"
	"mailtrigger/trigger/action"
)

// refer checks and resolves the names that triggers give of other tables, and
// leaves out the tables that are only the base of others.
func (l *loader) refer() {
	for _, t := range l.config.Triggers {
		l.connections(t)
		l.others(t)
		l.trusts(t)
		l.silences(t)
	}
	l.config.Connections = slices.DeleteFunc(l.config.Connections, func(c *connection.Config) bool {
		if l.incomplete[c] != nil {
			delete(l.config.connections, c.Name)
		}
		return l.incomplete[c] != nil
	})
	l.config.Triggers = slices.DeleteFunc(l.config.Triggers, func(t *trigger.Config) bool {
		if l.incomplete[t] != nil {
			delete(l.config.triggers, t.Name)
		}
		return l.incomplete[t] != nil
	})
	l.circles()
	l.removals()
	l.qualified()
}

// connections puts names in the place of a trigger's patterns of connections.
func (l *loader) connections(t *trigger.Config) {
	n := l.nodes[t]
	key := n.get("connection")
	if key == nil {
		return // Validate has said so
	}
	var found []string
	has := make(map[string]bool) // there may be ten thousand
	for i, want := range t.Connection {
		at := key
		if i < len(key.items) {
			at = key.items[i]
		}
		for _, c := range l.named(want, at) {
			if !has[c] {
				has[c] = true
				found = append(found, c)
			}
		}
	}
	t.Connection = found
}

// named returns the connections that a name or pattern means.
func (l *loader) named(want string, at *node) (found []string) {
	if c := l.config.Connection(want); c != nil {
		l.relative(l.nodes[c], l.incomplete[c])
		return []string{want}
	}
	var known []string
	for _, c := range l.config.Connections {
		known = append(known, c.Name)
		if ok, err := path.Match(want, c.Name); err == nil && ok && l.incomplete[c] == nil {
			found = append(found, c.Name)
		}
	}
	switch {
	case want == "":
		l.problem(at, "is empty; name a connection%s", suggest("", known))
	case !hasWildcard(want):
		l.problem(at, "unknown connection %q%s", want, suggest(want, known))
	case found == nil:
		if _, err := path.Match(want, ""); err != nil {
			l.problem(at, "%q is not a pattern: %v", want, err)
			break
		}
		l.problem(at, "no connection's name is like %q%s", want, suggest("", known))
	}
	return found
}

func hasWildcard(s string) bool { return strings.ContainsAny(s, "*?[") }

// others checks the names of triggers in `after` and of smtp tables in actions.
func (l *loader) others(t *trigger.Config) {
	n := l.nodes[t]
	for i, name := range t.After {
		at := n.get("after")
		if at == nil || i >= len(at.items) {
			break
		}
		if name == t.Name {
			l.problem(at.items[i], "a trigger cannot wait for itself")
		} else if l.config.Trigger(name) == nil {
			l.problem(at.items[i], "unknown trigger %q%s", name, suggest(name, without(l.triggers(), t.Name)))
		}
	}
	l.senders(t)
}

// trusts warns where a trigger asks who is authenticated, on a connection that does
// not say whom to believe: nobody is.
func (l *loader) trusts(t *trigger.Config) {
	if !t.AsksAuthenticated() {
		return
	}
	for _, name := range t.Connection {
		c := l.config.Connection(name)
		if c == nil || c.AuthservID != "" {
			continue
		}
		n := l.nodes[t]
		l.config.Warnings = append(l.config.Warnings, Problem{n.file, n.line, n.path, "it asks who is authenticated, and connection." + name +
			".authserv_id is not set: nobody is; set it to the first word of the Authentication-Results that your server writes into mail"})
	}
}

// silences warns where mail is expected and no action tells that it did not come.
func (l *loader) silences(t *trigger.Config) {
	if !t.TellsNobody() {
		return
	}
	n := l.nodes[t]
	if at := n.get("expect"); at != nil {
		n = at
	}
	l.config.Warnings = append(l.config.Warnings, Problem{n.file, n.line, n.path,
		`no action tells of a silence, only the log, the status page and the metric trigger_silent; give one when = "silence"`})
}

// senders gives each action that sends mail the smtp table that it names.
func (l *loader) senders(t *trigger.Config) {
	var known []string
	for _, s := range l.config.SMTP {
		known = append(known, s.Name)
	}
	for i, a := range t.Actions {
		sender, ok := a.(action.Sender)
		if !ok {
			continue
		}
		n := l.nodes[t].get("action").items[i]
		at := n.get("smtp")
		if at.text() == "" {
			continue // Validate has said so
		}
		table := l.config.SMTPTable(at.text())
		if table == nil {
			l.problem(at, "unknown smtp %q%s", at.text(), suggest(at.text(), known))
			continue
		}
		l.relative(n, sender.Use(table))
	}
}

// qualified refuses a connection that has the name by which calls mean an smtp table.
func (l *loader) qualified() {
	for _, s := range l.config.SMTP {
		if c := l.config.Connection(s.QualifiedName()); c != nil {
			l.problem(l.nodes[c], "calls would take %q for [smtp.%s]; choose another name for one of the two", c.Name, s.Name)
		}
	}
}

// circles refuses triggers that wait for each other: none of them could ever be the first.
func (l *loader) circles() {
	done := map[string]bool{}
	for _, t := range l.config.Triggers {
		var way []string // from t to where the search is
		var follow func(t *trigger.Config)
		follow = func(t *trigger.Config) {
			if done[t.Name] {
				return
			}
			if i := slices.Index(way, t.Name); i >= 0 {
				if len(way)-i > 1 { // one that waits for itself was told of before
					l.problem(l.nodes[l.config.Trigger(way[i])].get("after"), "goes round in a circle: %s; none of them could fire first",
						strings.Join(append(way[i:], t.Name), " waits for "))
				}
				return
			}
			way = append(way, t.Name)
			for _, name := range t.After {
				if other := l.config.Trigger(name); other != nil {
					follow(other)
				}
			}
			way = way[:len(way)-1]
			done[t.Name] = true
		}
		follow(t)
	}
}

func (l *loader) triggers() (names []string) {
	for _, t := range l.config.Triggers {
		names = append(names, t.Name)
	}
	return names
}

// removals refuses two triggers that both take every message of a mailbox away:
// only the first could ever act.
func (l *loader) removals() {
	type place struct{ host, user, mailbox string }
	first := map[place]*trigger.Config{}
	for _, t := range l.config.Triggers {
		at := l.removes(t)
		if at == nil {
			continue
		}
		for _, c := range t.Connection {
			conn := l.config.Connection(c)
			if conn == nil {
				continue
			}
			host, user := conn.Identity() // two connections may be one account
			for _, m := range t.Mailboxes {
				p := place{host, user, m}
				if strings.EqualFold(m, "INBOX") {
					p.mailbox = "INBOX"
				}
				if other := first[p]; other != nil && other != t {
					l.problem(at, "trigger %s takes every message out of %s of %s already; give one of the two a condition", other.Name, m, c)
				} else {
					first[p] = t
				}
			}
		}
	}
}

// removes returns the action by which a trigger takes every message away, nil if there is none.
func (l *loader) removes(t *trigger.Config) *node {
	n := l.nodes[t]
	if t.Enabled != nil && !*t.Enabled || n.get("condition") != nil || n.get("expression") != nil {
		return nil
	}
	actions := n.get("action")
	if actions == nil {
		return nil
	}
	for _, a := range actions.items {
		when := a.get("when").text()
		if typ := a.get("type"); (typ.text() == "move" || typ.text() == "delete") && (when == "" || when == "match" || when == "always") {
			return typ
		}
	}
	return nil
}
