// Package trigger is the engine: it watches mailboxes, matches messages,
// journals what is to be done, and does it.
package trigger
