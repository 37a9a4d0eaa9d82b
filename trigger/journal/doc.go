// Package journal is the ledger that the promise "never a message lost" rests on.
//
// What it holds: for each mailbox what was last seen of it, for each (mailbox,
// trigger) the cursor up to which messages are decided, for each (message,
// trigger) that is to be acted on a job with its vector of actions, the
// messages themselves until their jobs are done, the triggers' state (counters,
// dedupe claims), what failed for good (dead letters) and a ring of what was done.
//
// A job's life:
//
//	Accept   J1: jobs, bodies, cursors and state in one synced transaction. From
//	         here on the message is the journal's: the cursor has moved past it.
//	Result   an action ended well: one write(2) to results.log, which survives
//	         the process, then committed with whatever else gathers within 5 ms.
//	Update   an attempt failed: its number and the next one's time, synced.
//	Remove   everything is done: record and body go, a line of history stays.
//	Bury     something failed for good: record and body stay, as a dead letter.
//
// # Files in the state directory
//
//	lock            flock(2) of the one process that has the directory
//	journal.db      bbolt; one writer goroutine, one transaction at a time (group commit)
//	journal.failed  there after a failed sync: the next Open writes journal.db anew
//	results.log     results since the last reclaim; a header with the epoch of the
//	                journal.db it belongs to, then records with a CRC each
//	spool/          bodies over 64 KiB, one file each, synced before their J1
//
// # Why it is built this way
//
// A lone commit starts at once, and what gathers while it runs goes into the next
// transaction: bbolt's own Batch would make a lone caller wait 10 ms. Keys are
// 8-byte big-endian sequence numbers and done records are deleted, so that the
// tree stays small and appends touch one edge of it: random keys and kept records
// make a commit 2 to 20 times slower at a million.
//
// Each queued mutation is worked out completely when it is asked for and is
// idempotent: applied once or twice, in the same order, it leaves the same
// records. So a commit whose error leaves open whether it landed (any error of
// bbolt's does) is answered by reopening the file and applying the same
// mutations again.
//
// Sequence numbers are never used twice, not even those of jobs whose J1 was
// never committed: they are reserved in blocks, durably. Each Open gives the
// results log a new epoch in the same transaction that takes over what the log
// says, so a log can be replayed onto the journal it was written for only.
//
// The order in time of what the caller asks for is kept, with one exception: while disk
// space is short, results, updates, removals and burials of committed jobs overtake
// what would make the journal grow. The free-space floor is kept for them.
package journal
