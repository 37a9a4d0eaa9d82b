package journal

import (
	"time"
)

// Limits that callers meet.
const (
	MaxBatchJobs = 5000      // jobs in one Batch: of one message at least, for as many triggers
	MaxInline    = 64 << 10  // bytes of a body kept in the database; larger ones are spool files
	MaxOutput    = 64 << 10  // bytes of ActionState.Output kept; more is cut
	MaxErr       = 4 << 10   // bytes of ActionState.Err and of a dead letter's reason kept; more is cut
	MaxActions   = 1 << 12   // actions of one job
	MaxRecord    = 16 << 20  // bytes of one encoded job
	MaxState     = 16 << 20  // bytes of one value of trigger state
	MaxStateKey  = 4 << 10   // bytes of a key of trigger state
	MaxPending   = 512 << 20 // bytes that may wait for a commit; beyond it Accept fails with ErrBusy
	MaxSeen      = 1 << 20   // identity hashes kept a mailbox; the oldest go first, 128 at a time
	MaxClaims    = 1 << 22   // claims kept a trigger; likewise
	HistoryLen   = 1000      // lines of history kept
)

// MailboxKey names a mailbox of an account, independent of the connection's
// name in the configuration: Host in lower case, User as it logs in.
type MailboxKey struct{ Host, User, Mailbox string }

// MailboxState is what was last known of a mailbox.
type MailboxState struct {
	UIDValidity uint32
	UIDNext     uint32
	Horizon     time.Time // mail that is not in the identity set and has an INTERNALDATE up to here was there before the first look; zero: there is none
	Held        string    // not empty: collecting is on hold, and why
}

// Range is the UIDs from First to Last, both included.
type Range struct{ First, Last uint32 }

// Cursor is how far one trigger is in one mailbox.
type Cursor struct {
	UIDValidity uint32
	UID         uint32  // every UID up to here is decided or in Backfill
	Backfill    []Range // mail that was there at the first look and is to be taken too, ascending
	BackfillPos uint32  // Backfill is decided up to here
}

// ActionStatus is where one action of a job stands.
type ActionStatus uint8

// The states of an action.
const (
	Waiting ActionStatus = iota // to be run, or to be run again
	Done                        // succeeded
	Dead                        // failed for good
	Skipped                     // not to be run
	numActionStatus
)

// String returns the state in lower case.
func (s ActionStatus) String() string {
	if s < numActionStatus {
		return [...]string{"waiting", "done", "dead", "skipped"}[s]
	}
	return "unknown"
}

// final says whether a state is one that Result records: it is never taken back.
func (s ActionStatus) final() bool { return s == Done || s == Skipped }

// FinishState is where a job's actions on the server (copy, flag, move, delete) stand.
type FinishState uint8

// The states of the finish.
const (
	FinishNone    FinishState = iota // the job has no action on the server
	FinishWaiting                    // waits for the other actions
	FinishBegun                      // may have changed something on the server
	numFinishState
)

// ActionState is one action of a job.
type ActionState struct {
	Name    string
	State   ActionStatus
	Attempt int       // number of the attempt under way, or of the next one, from 1; the caller counts
	Next    time.Time // earliest next attempt; zero: at once
	Since   time.Time // start of the first attempt, for give_up_after
	Saved   []string  // absolute paths of files made
	Err     string    // how the last attempt failed; cut at MaxErr
	Output  []byte    // what the last attempt printed; cut at MaxOutput
}

// A Job is one firing of one trigger: what is to be done, and how far it is.
//
// The journal reads a Job only while a call that is given it runs, and writes to
// it only in Accept (Seq, Accepted). The names and the order of Actions are fixed
// by Accept.
type Job struct {
	Seq        uint64 // assigned by Accept; from 1, ascending, never used twice
	Trigger    string
	Connection string
	Mailbox    MailboxKey
	EventID    string
	Kind       string // of the event

	UIDValidity  uint32
	UID          uint32
	InternalDate time.Time
	Size         int64 // of the message on the server
	MessageID    string
	Subject      string
	From         string
	IdentityHash uint64 // of (Message-ID, Date, size); opaque here

	Accepted time.Time // set by Accept if zero
	Actions  []ActionState
	Finish   FinishState

	Match map[string]string // named groups of a condition
	Extra map[string]string // the engine's own; opaque here

	body bodyRef
}

// SameMessage makes j, which is not accepted yet, a job about the message of other,
// which is: both share it. other's message must be there when j is accepted.
func (j *Job) SameMessage(other *Job) { j.body = other.body }

// HasBody says whether the journal keeps a message for the job.
func (j *Job) HasBody() bool { return j.body.id != 0 }

// bodyRef is where a job's message is. Jobs of one message share one body.
type bodyRef struct {
	id    uint64 // key of the body: the sequence number of the first job that has it; 0: none
	size  int64
	crc   uint32 // CRC-32C
	spool bool   // a file of its own
}

// Result is how an action ended: State is Done or Skipped.
type Result struct {
	State ActionStatus
	Saved []string
}

// A Batch is what one transaction changes. Its parts are applied in the order of
// the fields. The zero Batch changes nothing.
type Batch struct {
	Renames   []Rename
	Mailboxes []MailboxUpdate
	Cursors   []CursorUpdate
	Seen      []SeenUpdate
	Claims    []ClaimUpdate
	State     map[string][]byte // trigger state; a nil value deletes. Keys that grow in time (a time first) keep commits cheap

	Jobs   []*Job   // new jobs, at most MaxBatchJobs
	Bodies [][]byte // parallel to Jobs: the raw message, nil for none. Not to be changed until the commit. The same slice twice is stored once

	Updates []*Job   // as Update
	Removes []uint64 // as Remove
	Buries  []Burial // as Bury
}

// MailboxUpdate sets what is known of a mailbox, or forgets it.
type MailboxUpdate struct {
	Mailbox MailboxKey
	State   MailboxState
	From    MailboxKey // not zero: the mailbox was renamed from this; cursors and the identity set come with it, what the new name had goes
	Delete  bool       // forget it, its cursors and its identity set
}

// CursorUpdate sets one cursor, or forgets it.
type CursorUpdate struct {
	Mailbox MailboxKey
	Trigger string
	Cursor  Cursor
	Delete  bool
}

// SeenUpdate adds messages to a mailbox's identity set.
type SeenUpdate struct {
	Mailbox MailboxKey
	Seen    []Seen
	Reset   bool // forget the set first
}

// Seen is a message that was seen: its UID then, and a hash by which it is known
// again when the UID is no longer good.
type Seen struct {
	UID  uint32
	Hash uint64
}

// ClaimUpdate adds claims to a trigger's.
type ClaimUpdate struct {
	Trigger string
	Add     []Claim
	Forget  int // so many of the oldest go, rounded down to whole chunks of ClaimChunk
}

// ClaimChunk is how many claims are forgotten at once.
const ClaimChunk = chunkLen

// Claim is a message that a trigger has seen: when, in Unix seconds, and a hash of
// what makes it the same message.
type Claim struct {
	At   uint32
	Hash uint64
}

// Burial makes a job a dead letter.
type Burial struct {
	Job    *Job
	Reason string
}

// DeadLetter is a job that failed for good. Its message is kept: see Body.
type DeadLetter struct {
	ID     string // for people: the job's sequence number
	Job    *Job
	Reason string
	When   time.Time
}

// HistoryEntry is one line about a job that has ended.
type HistoryEntry struct {
	Seq        uint64
	Trigger    string
	Connection string
	Mailbox    MailboxKey
	EventID    string
	Kind       string
	UID        uint32
	MessageID  string
	Subject    string
	From       string
	Accepted   time.Time
	Ended      time.Time
	Outcome    string // done, dead or discarded
	Actions    []HistoryAction
}

// HistoryAction is one action in a line of history.
type HistoryAction struct {
	Name    string
	State   ActionStatus
	Attempt int
}
