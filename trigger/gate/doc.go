// Package gate decides when a trigger fires: which of the messages that meet its
// conditions get through, when they do, and what is made of mail that does not come.
//
// A match goes through the gates in this order; the first that holds it back
// gives the reason:
//
//	expires      the trigger has fired often enough, or its date is over
//	dedupe       the same message came before, in the window
//	every        it is not the Nth match
//	after        another trigger has not fired in the window
//	quiet_hours  never holds back: puts off to the end of the quiet hours
//	limit        too many fire at that time: skips, puts off, or takes the place of
//	             the one that waits
//
// Quiet hours come before the limit, so that the limit counts what fires at one
// time, not what came at one time: else the mail of a night would all fire in the morning.
//
// Everything here is a pure function of (state, match) or (state, time) to
// (verdict, new state): nothing reads a clock, writes anything or waits. The engine
// keeps the state in the journal, in the transaction that accepts the message. So a
// message that is fetched again after a crash finds the state as it was, and gets
// the same verdict, but for the gates that look at the time. For them counts
// Match.Started: an action of the message was started before the crash, so that
// the gates had let it through, and they do again.
//
// What was put off and is late, as nobody watched for a time, gets a new time from
// Gates.Replan, so that it keeps to the limit and to quiet hours.
//
// Expected is the other way round: mail that has to come by a time, and the silence
// if it does not (expect.go). Times of day are worked out in schedule.go.
//
// # Clocks
//
// State holds times of the wall clock, as it must outlive the process. A clock
// that is set back takes what is remembered back with it (State.rewind), so that
// nothing is put off for longer than it was to be. A clock that is set forward
// ends waits early; that cannot be told from a machine that slept.
package gate
