// Package trigger is the engine: it watches mailboxes, matches messages, journals
// what is to be done, and does it.
//
// # The way of a message
//
//	collector   one a mailbox. Its look is called by the mailbox's watch, from one
//	            goroutine at a time: it lists what is new, fetches it in batches, one
//	            ahead of that which is judged, lets each trigger decide (rule, package
//	            condition), and hands jobs and cursors to the journal in one transaction.
//	            What was just pushed is mostly had by one command (collectNext).
//	admission   takes the messages of a batch that match through their triggers' gates
//	            (package gate), which say whether and when they fire. What the gates
//	            remember (keeper, claims) goes into the same transaction.
//	runner      one a trigger. It runs jobs' local actions, in order, each tried
//	            again alone; a job that waits for a retry steps aside. What counts
//	            among its concurrency is in seat.go.
//	group       the jobs of one message. When the local actions of all of them have
//	            ended, and every trigger on the mailbox has passed the message, the
//	            collector does on the server what is to be done there (finish), in
//	            its own session.
//	letters     what failed for good, and how it is tried again.
//
// A setup is the configuration that all of this works by. Reload brings the running
// engine to another one: what says the same stays the same object, so that a runner
// takes over a changed definition (shift), and a collector changed triggers (feed),
// only where something has changed. New goes the same way, from an empty setup.
//
// A trigger is known by its name in the file; renamed says when another name is the
// same trigger.
//
// Beside it: directory finds mailboxes by patterns, resync finds known messages
// again when a server changes its UIDs, hold asks a person where that is not
// believable, poison keeps a message that takes the process down from doing so for
// ever, own knows the messages that the daemon itself moves around, vigil looks after
// mail that is expected, and notice tells of silences and dead letters.
//
// # What is promised
//
// A message that a trigger matches is acted on at least once. An action is
// repeated only if the process or machine ended between its start and its record,
// and then under the same event id: the id is made of the message's place and
// dates when it is accepted, and stored.
//
// The first attempt of a command or webhook may start while its record (J1) is
// still being synced: the cursor has not moved, so that a crash fetches the
// message again, under the same id. Everything else waits for the record. A result
// is one write to a log that survives the process, then synced with others.
//
// # Where this leaves the design it came from, and why
//
//   - After a change of UIDs the records of jobs under way are not rewritten. A
//     group finds its message by identity (Message-ID, Date, From, Subject and
//     size) whenever its UIDVALIDITY is not the mailbox's, so that a rewrite could
//     only add a way to be wrong. Cursors and the identity set are rewritten in
//     one transaction.
//   - The identity set holds the UID beside each hash: a trigger that lags behind
//     another knows from it which messages it has yet to decide about.
//   - What was in a mailbox at the first look is recorded too, the newest 500
//     messages of it, so that no clock of ours is compared with the server's.
//   - Dedupe goes by the size of a message's body, not by that of the message: each way
//     that a copy takes writes lines of its own above the rest.
//   - Large mail is read in the watch's own session, not in a second one: a session
//     lets go of its read buffers when it waits again, so that nothing would be
//     won by another login, and what may be undecided at once bounds the rest.
package trigger
