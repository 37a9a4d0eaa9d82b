package journal

import (
	"context"
	"errors"
)

// Store is what the engine uses of a journal. *Journal is the one that is
// embedded; one that several daemons share can take its place.
type Store interface {
	Accept(b *Batch) *Commit
	Result(seq uint64, action int, r Result) *Commit
	Update(job *Job) *Commit
	Remove(seq uint64, extra *Batch) *Commit
	Bury(job *Job, reason string) *Commit

	Unbury(id string) (*Job, error)
	Discard(id string) error
	DeadLetters() ([]DeadLetter, error)
	DeadCounts() map[string]int

	OpenJobs(ctx context.Context) ([]*Job, error)
	Body(job *Job) ([]byte, error)
	Mailbox(key MailboxKey) (MailboxState, bool)
	Mailboxes() map[MailboxKey]MailboxState
	Cursor(key MailboxKey, trigger string) (Cursor, bool)
	Cursors(key MailboxKey) map[string]Cursor
	State(prefix string) (map[string][]byte, error)
	Seen(key MailboxKey) ([]Seen, error)
	Claims(trigger string) ([]Claim, error)
	History(n int) []HistoryEntry

	Health() error
	Failed() <-chan error
	Close() error
}

var _ Store = (*Journal)(nil)

// Errors that callers tell apart.
var (
	ErrLocked     = errors.New("another daemon has the state directory")
	ErrNewer      = errors.New("the journal was written by a newer version")
	ErrCorrupt    = errors.New("the journal is damaged")
	ErrReadOnly   = errors.New("the journal was opened for reading only")
	ErrClosed     = errors.New("the journal is closed")
	ErrNoSpace    = errors.New("disk space is short")
	ErrStuck      = errors.New("the disk does not answer")
	ErrBusy       = errors.New("too much waits for the disk")
	ErrUnknownJob = errors.New("no such job in the journal")
	ErrNoLetter   = errors.New("no such dead letter")
)

// A Commit is a mutation on its way to the disk. All methods are safe for
// concurrent use.
type Commit struct {
	done chan struct{}
	err  error // written before done is closed
}

func newCommit() *Commit { return &Commit{done: make(chan struct{})} }

// failedCommit is one that never got anywhere.
func failedCommit(err error) *Commit {
	c := newCommit()
	c.finish(err)
	return c
}

func (c *Commit) finish(err error) {
	c.err = err
	close(c.done)
}

// wait waits for the end, and says whether it came before trouble.
func (c *Commit) wait(trouble <-chan struct{}) bool {
	select {
	case <-c.done:
		return true
	default:
	}
	select {
	case <-c.done:
		return true
	case <-trouble:
		return false
	}
}

// Done is closed when the mutation is durable, or can no longer be: look at Err.
// It stays open as long as the journal still tries.
func (c *Commit) Done() <-chan struct{} { return c.done }

// Err is nil until Done is closed. After that nil means durable; an error means
// that the mutation must be taken as not made (after a failed disk it may be
// found made at the next start, under the same sequence numbers).
func (c *Commit) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Wait waits for Done and returns Err, or ctx's cause if that ends first.
func (c *Commit) Wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
