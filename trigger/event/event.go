// Package event is what an action gets: the event, its JSON form, and the data
// that templates see. The names are a contract with users' programs.
package event

import (
	"time"

	"mailtrigger/trigger/message"
)

// Version is the version of the event's JSON form.
const Version = 1

// Kind is what happened.
type Kind string

// The kinds.
const (
	KindMessage Kind = "message" // a message came
	KindSilence Kind = "silence" // an expected message did not come
	KindDead    Kind = "dead"    // an action failed for good
)

// A DeadLetter is what has become a dead letter.
type DeadLetter struct {
	ID      string `json:"id"`       // for --retry and --discard
	EventID string `json:"event_id"` // of the event that it was
	Kind    Kind   `json:"kind"`     // likewise
	Action  string `json:"action"`   // the first that failed; "" if none was begun
}

// An Event is one firing of one trigger. Its fields' Go names are what templates use.
type Event struct {
	Version     int              `json:"version"`
	ID          string           `json:"id"` // stable: the same at every attempt, whatever crashed
	Kind        Kind             `json:"kind"`
	Reason      string           `json:"reason,omitempty"`      // of silence: not_arrived or mailbox_unreachable; of dead: why it is a dead letter
	Deadline    time.Time        `json:"deadline,omitzero"`     // of silence: by when the message was expected
	DeadLetter  *DeadLetter      `json:"dead_letter,omitempty"` // of dead
	Trigger     string           `json:"trigger"`
	Action      string           `json:"action"`
	Connection  string           `json:"connection"`
	Mailbox     string           `json:"mailbox"`
	UIDValidity uint32           `json:"uidvalidity"`
	UID         uint32           `json:"uid"`
	Attempt     int              `json:"attempt"`  // of this action, from 1
	Received    time.Time        `json:"received"` // INTERNALDATE
	Message     *message.Message `json:"message"`  // nil for silence, and for the dead letter of one

	// For templates only.
	Attachment *message.Attachment `json:"-"` // in for_each = "attachment"
	Match      map[string]string   `json:"-"` // named groups of a "matches" condition
	Saved      []string            `json:"-"` // absolute paths made by earlier actions
	Raw        []byte              `json:"-"` // the message as the server has it (RFC 5322)
}
