package trigger

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/journal"
)

// A trigger is known by its name. One that got another name and is else the same goes
// on under it: its cursors, jobs, dead letters and what its gates remember follow, in
// one transaction. So that it is known again, the journal has a hash of each trigger's
// definition.
//
// This is done at a start only, before anything is in memory. A reload lets the old
// name go on until then.

const definitionPrefix = "trigger/" // + name: definitionHash, then the name it had before

const definitionHash = sha256.Size

// definition is a hash of what a trigger does, whatever its name and whether it is enabled.
func definition(cfg *Config) string {
	c := *cfg
	c.Name, c.Enabled = "", nil
	h := sha256.Sum256([]byte(setting.Canonical(&c)))
	return string(h[:])
}

// A renaming is what is known of names, at a start or a reload.
type renaming struct {
	stored map[string][]byte // the journal's state under definitionPrefix
	now    map[string]string // definition by name, of the file
	names  map[string]string // new name by old
}

// findRenamed finds the triggers that have another name than before: a name is gone,
// and exactly one new name, of which the journal knows nothing, has its definition.
func findRenamed(store journal.Store, triggers []*Config, log *slog.Logger) (*renaming, error) {
	r := &renaming{now: make(map[string]string), names: make(map[string]string)}
	var err error
	if r.stored, err = store.State(definitionPrefix); err != nil {
		return nil, fmt.Errorf("read what the triggers were: %w", err)
	}
	for _, cfg := range triggers {
		r.now[cfg.Name] = definition(cfg)
	}
	gone, come := make(map[string][]string), make(map[string][]string) // names by definition
	for key, v := range r.stored {
		if name := key[len(definitionPrefix):]; r.now[name] == "" && len(v) >= definitionHash {
			gone[string(v[:definitionHash])] = append(gone[string(v[:definitionHash])], name)
		}
	}
	known := knownTriggers(store)
	for name, d := range r.now {
		if r.stored[definitionPrefix+name] == nil && !known[name] {
			come[d] = append(come[d], name)
		}
	}
	for d, old := range gone {
		switch names := come[d]; {
		case len(old) == 1 && len(names) == 1:
			r.names[old[0]] = names[0]
		case len(names) > 0:
			slices.Sort(old)
			slices.Sort(names)
			log.Warn("triggers that are alike have other names, and which is which cannot be told; they begin anew", "before", old, "now", names)
		}
	}
	return r, nil
}

// knownTriggers returns the triggers that have a cursor.
func knownTriggers(store journal.Store) map[string]bool {
	known := make(map[string]bool)
	for key := range store.Mailboxes() {
		for name := range store.Cursors(key) {
			known[name] = true
		}
	}
	return known
}

// state returns what changes in the journal's state, so that it says what the file says.
func (r *renaming) state() map[string][]byte {
	before := make(map[string]string) // by new name
	for old, name := range r.names {
		before[name] = old
	}
	state := make(map[string][]byte)
	for key := range r.stored {
		if r.now[key[len(definitionPrefix):]] == "" {
			state[key] = nil
		}
	}
	for name, d := range r.now {
		key := definitionPrefix + name
		if was := r.stored[key]; len(was) < definitionHash || string(was[:definitionHash]) != d {
			state[key] = []byte(d + before[name])
		}
	}
	return state
}

// adoptRenamed lets what the journal holds follow the triggers that have another name
// than in the last run. It returns the names before, by those of now.
func adoptRenamed(store journal.Store, triggers []*Config, log *slog.Logger) (before map[string]string, err error) {
	r, err := findRenamed(store, triggers, log)
	if err != nil {
		return nil, err
	}
	batch := &journal.Batch{State: r.state()}
	for _, old := range slices.Sorted(maps.Keys(r.names)) {
		name := r.names[old]
		log.Info("a trigger has another name and is else the same; it goes on where it was", "trigger", name, "before", old)
		batch.Renames = append(batch.Renames, journal.Rename{From: old, To: name})
		gates, err := store.State(gatePrefix + old)
		if err != nil {
			return nil, fmt.Errorf("trigger %s: what its gates remember: %w", old, err)
		}
		if v := gates[gatePrefix+old]; v != nil {
			batch.State[gatePrefix+old], batch.State[gatePrefix+name] = nil, v
		}
	}
	if len(r.names) > 0 {
		notes, err := store.State(ownPrefix)
		if err != nil {
			return nil, fmt.Errorf("read the state of the last run: %w", err)
		}
		renameNotes(notes, r.names, batch.State)
	}
	if len(batch.State) > 0 {
		// With the disk full it may wait for long; the journal says in the meantime what
		// it will say then, and after a crash the same is found again.
		if err := store.Accept(batch).Err(); err != nil {
			return nil, fmt.Errorf("note what the triggers are: %w", err)
		}
	}
	before = make(map[string]string)
	for key, v := range r.stored {
		if len(v) > definitionHash {
			before[key[len(definitionPrefix):]] = string(v[definitionHash:])
		}
	}
	for old, name := range r.names {
		before[name] = old
	}
	return before, nil
}

// keepNames returns the triggers with the names that they have had since the start, so
// that a reload which only renames one changes nothing of it.
func (e *Engine) keepNames(triggers []*Config) ([]*Config, *renaming, error) {
	r, err := findRenamed(e.store, triggers, e.log)
	if err != nil {
		return nil, nil, err
	}
	kept := make(map[string]string) // old name by new
	for name, old := range e.kept {
		if r.now[name] != "" && r.now[old] == "" {
			kept[name] = old // also if it says something else by now
			delete(r.names, old)
		}
	}
	for old, name := range r.names {
		kept[name] = old
		e.log.Warn("a trigger has another name and is else the same; it goes on under the old one, and gets the other at a restart", "trigger", old, "then", name)
	}
	list := slices.Clone(triggers)
	for i, cfg := range list {
		c := *cfg
		if old := kept[c.Name]; old != "" {
			c.Name = old
			r.now[old] = r.now[cfg.Name]
			delete(r.now, cfg.Name)
		}
		c.After = slices.Clone(c.After)
		for k, name := range c.After {
			if old := kept[name]; old != "" {
				c.After[k] = old
			}
		}
		list[i] = &c
	}
	r.names, e.kept = nil, kept
	return list, r, nil
}

// renameNotes puts own's notes that name a renamed trigger into state as they are then.
func renameNotes(notes map[string][]byte, names map[string]string, state map[string][]byte) {
	for key, v := range notes {
		if len(v) < 8 {
			continue
		}
		fired, changed := strings.Split(string(v[8:]), "\x00"), false
		for i, old := range fired {
			if name := names[old]; name != "" {
				fired[i], changed = name, true
			}
		}
		if changed {
			state[key] = append(slices.Clone(v[:8]), strings.Join(fired, "\x00")...)
		}
	}
}
