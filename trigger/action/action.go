package action

import (
	"context"
	"log/slog"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
)

// A Definition is one [[trigger.NAME.action]] table: a struct with toml tags
// that embeds Common. New makes them by the name of their type. Set it up with
// SetDefaults, then check it with Validate, which also makes it ready to run;
// neither may be called once it runs. Two are the same if their exported fields are:
// what is taken over from another table has to be in one. Every Definition is a Local or a Server.
type Definition interface {
	// Base returns the keys that every type has.
	Base() *Common
	// SetDefaults fills in what the table left out.
	SetDefaults()
	// Validate reports what is wrong, once the defaults are set. It runs each
	// template once against a sample event, and touches neither the network nor any program.
	Validate() []setting.Problem
}

// Local is a Definition that runs in the daemon: exec, webhook, save,
// save_attachments, append, mail, forward, reply.
type Local interface {
	Definition
	// Run makes one attempt. It keeps to ctx's end (the action's timeout is
	// the caller's; shutdown too) and is safe for concurrent use.
	Run(ctx context.Context, r *Run) Result
	// Describe returns what Run would do, exactly (argv, request or path, a line
	// each; secrets as "<secret>"), and does nothing.
	Describe(r *Run) (string, error)
}

// Saver is a Local that makes files which later actions may name: save and
// save_attachments.
type Saver interface {
	Local
	// WouldSave returns what Run would say in Result.Saved and Result.Paths, as long as
	// nothing has those names, and does nothing.
	WouldSave(r *Run) (saved []string, paths map[int]string, err error)
}

// Server is a Definition that acts on the message where it is, on the server:
// move, copy, flag, unflag, delete. Move and Copy also have a method Destination,
// the mailbox where the message goes.
type Server interface {
	Definition
	// Run acts on the message with this UID. The caller has made sure that it is
	// still the message it was.
	Run(ctx context.Context, m Mailbox, uid uint32) error
	// Describe returns what Run would do.
	Describe() string
}

// Mailbox is what a Server needs of a selected mailbox; connection.Mailbox has it.
type Mailbox interface {
	StoreFlags(ctx context.Context, uid uint32, add bool, flags []string) error
	Copy(ctx context.Context, uid uint32, dest string) (uidValidity, destUID uint32, err error)
	Move(ctx context.Context, uid uint32, dest string) (uidValidity, destUID uint32, err error)
	Delete(ctx context.Context, uid uint32) error
	Create(ctx context.Context, name string) error
}

// Run is what one attempt is given.
type Run struct {
	Event *event.Event // with Action and Attempt set; read only
	Key   string       // idempotency key: event id and action name
	Env   Env          // what the action may use of the daemon

	// Progress and Note are those of the last attempt's Result, 0 and "" at the
	// first: an action goes on where it failed and repeats nothing.
	Progress int
	Note     string

	// Begun is called, once or more often, as soon as the attempt has begun for all the
	// world: the command runs, the request is sent. The next message's first attempt
	// waits for it, where several run at once. An action that does not call it has begun
	// when it has ended. nil: nobody waits.
	Begun func()
	// Settling is called when the attempt does little more than wait for the disk: another
	// action may run in its place meanwhile. nil: the place stays taken.
	Settling func()
}

func (r *Run) begun() {
	if r.Begun != nil {
		r.Begun()
	}
}

func (r *Run) settling() {
	if r.Settling != nil {
		r.Settling()
	}
}

// Env is what actions share: the same for every run.
type Env struct {
	Log     *slog.Logger // nil: silent
	BaseDir string       // relative paths are relative to it: the config file's directory
	TempDir string       // private directory for temporary files, on the state directory's file system
	Mailer  Mailer       // sends mail; nil: mail, forward and reply fail
	Disk    *Disk        // makes saved files durable; nil: the process's
	Answers Answers      // counts what reply sends; nil: nothing is counted
}

// Outcome is how an attempt ended.
type Outcome uint8

// The outcomes.
const (
	Done  Outcome = iota // succeeded
	Retry                // failed; another attempt may succeed
	Dead                 // failed for good
)

// String returns the word that metrics use.
func (o Outcome) String() string {
	switch o {
	case Done:
		return "ok"
	case Retry:
		return "retry"
	}
	return "dead"
}

// Result is the end of one attempt.
type Result struct {
	Outcome    Outcome
	Err        error         // what failed and what to do, for people; nil if Done
	RetryAfter time.Duration // of Retry: the earliest next attempt, 0 if the other side said nothing
	Output     []byte        // what a command printed or a server answered, capped, secrets redacted
	Saved      []string      // absolute paths of the files made

	// Paths are the paths of the attachments saved, by their index in
	// Message.Attachments: what the event's "path" is from then on.
	Paths map[int]string
	// Progress counts the attachments of a for_each that are dealt with: give it
	// to the next attempt's Run. 0 without for_each.
	Progress int
	// Note is what the type wants to know at the next attempt: whom a mail has
	// reached, say. It is short.
	Note string
}

// retry is a failure that another attempt may mend.
func retry(err error) Result { return Result{Outcome: Retry, Err: err} }

// dead is a failure that no other attempt can mend.
func dead(err error) Result { return Result{Outcome: Dead, Err: err} }

// unmade is the failure to make, from an event, what an action needs: for good, as the
// event does not change, unless time was up.
func unmade(ctx context.Context, err error) Result {
	if ctx.Err() != nil {
		return retry(context.Cause(ctx))
	}
	return dead(err)
}
