package action

import (
	"context"
	"log/slog"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
)

// A Definition is one [[trigger.NAME.action]] table: a struct with toml tags
// that embeds Common. Types makes them by name.
type Definition interface {
	// Base returns the keys that every type has.
	Base() *Common
	// Validate reports what is wrong, once the defaults are set.
	Validate() []setting.Problem
}

// Local is a Definition that runs in the daemon: exec, webhook, save,
// save_attachments, append, mail, forward, reply.
type Local interface {
	Definition
	// Run makes one attempt. It keeps to ctx's end (the action's timeout is
	// the caller's; shutdown too) and is safe for concurrent use.
	Run(ctx context.Context, r *Run) Result
	// Describe returns what Run would do, exactly (argv, request or path), and does nothing.
	Describe(r *Run) (string, error)
}

// Common is what every action has.
type Common struct {
	Name            string           `toml:"name"` // default the type
	Type            string           `toml:"type"`
	When            When             `toml:"when"`
	Timeout         setting.Duration `toml:"timeout"`
	ForEach         string           `toml:"for_each"`
	ContinueOnError bool             `toml:"continue_on_error"`
}

// Base implements Definition.
func (c *Common) Base() *Common { return c }

// When says at which events an action runs.
type When string

// The values of When.
const (
	OnMatch   When = "match"
	OnNoMatch When = "no_match"
	Always    When = "always"
	OnSilence When = "silence"
	OnDead    When = "dead"
)

// Run is what one attempt is given.
type Run struct {
	Event *event.Event // with Action and Attempt set; read only
	Key   string       // idempotency key: event id and action name
	Env   Env          // what the action may use of the daemon
}

// Env is what actions share: the same for every run.
type Env struct {
	Log     *slog.Logger // nil: silent
	BaseDir string       // relative paths are relative to it: the config file's directory
	TempDir string       // private directory for temporary files, on the state directory's file system
}

// Outcome is how an attempt ended.
type Outcome uint8

// The outcomes.
const (
	Done  Outcome = iota // succeeded
	Retry                // failed; another attempt may succeed
	Dead                 // failed for good
)

// Result is the end of one attempt.
type Result struct {
	Outcome    Outcome
	Err        error         // what failed and what to do, for people; nil if Done
	RetryAfter time.Duration // of Retry: the earliest next attempt, 0 if the other side said nothing
	Output     []byte        // what a command printed or a server answered, capped, secrets redacted
	Saved      []string      // absolute paths of the files made
}

// New returns an empty Definition of the type named, ready to be decoded into,
// or an error that names the types there are.
func New(name string) (Definition, error) { return nil, nil }
