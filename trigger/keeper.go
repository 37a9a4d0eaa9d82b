package trigger

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mailtrigger/trigger/gate"
	"mailtrigger/trigger/journal"
)

// keepers are the gates of all triggers that have any, with what they remember.
//
// mu is held from the first verdict about a batch until the journal has taken what
// comes of it: verdicts are in the order of the journal's transactions then, and
// those that it does not take can be taken back. One lock for all, as triggers ask
// for each other's firings.
type keepers struct {
	mu        sync.Mutex
	byTrigger atomic.Pointer[map[string]*keeper] // replaced while mu is held
}

// of returns the keeper of a trigger; nil if it has none.
func (ks *keepers) of(trigger string) *keeper { return (*ks.byTrigger.Load())[trigger] }

// follow goes over to the gates of another configuration. What the gates of a trigger
// remember stays.
func (ks *keepers) follow(next *keepers, now time.Time) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	all := *next.byTrigger.Load()
	for name, k := range all {
		before := ks.of(name)
		if before == nil {
			continue
		}
		k.state = before.state
		if k.claims != nil && before.claims != nil {
			k.claims = newClaims(before.claims.list, k.gates.Dedupe, now)
		}
	}
	ks.byTrigger.Store(&all)
}

// A keeper is the gates of one trigger with what they remember. The keepers' mu guards it.
type keeper struct {
	trigger  string
	gates    *gate.Gates
	expected *gate.Expected // nil: nothing is expected
	state    gate.State
	claims   *claims // nil without dedupe
}

const gatePrefix = "gate/" // + trigger: of what its gates remember, in the journal's state

// openKeepers makes the keepers of the triggers that need one: they have a gate,
// expect mail, or others ask when they have fired.
func openKeepers(store journal.Store, triggers []*Config, now time.Time) (*keepers, error) {
	asked := make(map[string]bool)
	for _, cfg := range triggers {
		for _, name := range cfg.After {
			asked[name] = true
		}
	}
	ks, all := &keepers{}, make(map[string]*keeper)
	for _, cfg := range triggers {
		k, err := openKeeper(store, cfg, asked[cfg.Name], now)
		if err != nil {
			return nil, fmt.Errorf("trigger %s: %w", cfg.Name, err)
		}
		if k != nil {
			all[cfg.Name] = k
		}
	}
	ks.byTrigger.Store(&all)
	return ks, nil
}

// openKeeper reads what a trigger's gates remember; nil if it needs no keeper.
func openKeeper(store journal.Store, cfg *Config, asked bool, now time.Time) (*keeper, error) {
	k := &keeper{trigger: cfg.Name}
	var err error
	if k.gates, err = gate.New(&cfg.Config); err != nil {
		return nil, err
	}
	if k.expected, err = gate.NewExpected(&cfg.Expect); err != nil {
		return nil, err
	}
	if !k.gates.Any() && k.expected == nil && !asked {
		return nil, nil
	}
	state, err := store.State(k.key())
	if err != nil {
		return nil, err
	}
	if v := state[k.key()]; v != nil {
		if err := json.Unmarshal(v, &k.state); err != nil {
			return nil, fmt.Errorf("what its gates remember: %w", err)
		}
	}
	if k.gates.Dedupe > 0 {
		list, err := store.Claims(cfg.Name)
		if err != nil {
			return nil, err
		}
		k.claims = newClaims(list, k.gates.Dedupe, now)
	}
	return k, nil
}

func (k *keeper) key() string { return gatePrefix + k.trigger }

// replan gives the jobs that gates have put off new times, as far as theirs have passed
// while the daemon did not run.
func (e *Engine) replan(jobs []*journal.Job) {
	waiting := make(map[*keeper][]*job)
	for _, rec := range jobs {
		j := &job{rec: rec}
		if k := e.keepers.of(rec.Trigger); k != nil && !j.due().IsZero() && !j.touched() {
			waiting[k] = append(waiting[k], j)
		}
	}
	now, batch := e.now(), &journal.Batch{}
	e.keepers.mu.Lock()
	defer e.keepers.mu.Unlock()
	for k, list := range waiting {
		slices.SortStableFunc(list, func(a, b *job) int { return a.due().Compare(b.due()) })
		var due []time.Time
		for _, j := range list {
			due = append(due, j.due())
		}
		at, next := k.gates.Replan(k.state, due, now)
		changed := false
		for i, j := range list {
			if !at[i].Equal(due[i]) {
				j.setExtra(extraDue, at[i].Format(time.RFC3339Nano))
				batch.Updates, changed = append(batch.Updates, j.rec), true
			}
		}
		if changed {
			k.state = next
			k.write(batch)
		}
	}
	if len(batch.Updates) > 0 {
		e.store.Accept(batch)
	}
}

// write puts the keeper's state into a batch.
func (k *keeper) write(b *journal.Batch) {
	v, err := json.Marshal(&k.state)
	if err != nil {
		panic(err) // numbers and words
	}
	if b.State == nil {
		b.State = make(map[string][]byte)
	}
	b.State[k.key()] = v
}

// fired reports whether a trigger has fired in that time. mu is held.
func (ks *keepers) fired(trigger string, since, until time.Time) bool {
	k := ks.of(trigger)
	return k != nil && k.state.HasFired(since, until)
}
