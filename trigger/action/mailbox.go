package action

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mailtrigger/connection/setting"
)

// Move puts the message into another mailbox.
type Move struct {
	Common
	Target
}

// Copy puts a copy of the message into another mailbox.
type Copy struct {
	Common
	Target
}

// Target is where a message goes.
type Target struct {
	Mailbox string `toml:"mailbox"`
	Create  bool   `toml:"create"` // make the mailbox if it is missing
}

// Flag sets flags of the message.
type Flag struct {
	Common
	Flags
}

// Unflag takes flags off the message.
type Unflag struct {
	Common
	Flags
}

// Flags are IMAP flags: system flags with their backslash, or keywords.
type Flags struct {
	Flags []string `toml:"flags,scalar"`
}

// Delete removes the message from its mailbox for good.
type Delete struct{ Common }

// Validate implements Definition.
func (a *Move) Validate() []setting.Problem {
	return append(a.check(needs{message: true, server: true}), a.Target.validate()...)
}

// Validate implements Definition.
func (a *Copy) Validate() []setting.Problem {
	return append(a.check(needs{message: true, server: true}), a.Target.validate()...)
}

// SetDefaults implements Definition.
func (a *Flag) SetDefaults() { a.Common.SetDefaults(); a.Flags.setDefaults() }

// Validate implements Definition.
func (a *Flag) Validate() []setting.Problem {
	return append(a.check(needs{message: true, server: true}), a.Flags.validate()...)
}

// SetDefaults implements Definition.
func (a *Unflag) SetDefaults() { a.Common.SetDefaults(); a.Flags.setDefaults() }

// Validate implements Definition.
func (a *Unflag) Validate() []setting.Problem {
	return append(a.check(needs{message: true, server: true}), a.Flags.validate()...)
}

// Validate implements Definition.
func (a *Delete) Validate() []setting.Problem { return a.check(needs{message: true, server: true}) }

// Run implements Server.
func (a *Move) Run(ctx context.Context, m Mailbox, uid uint32) error {
	return a.put(ctx, m, uid, m.Move)
}

// Run implements Server.
func (a *Copy) Run(ctx context.Context, m Mailbox, uid uint32) error {
	return a.put(ctx, m, uid, m.Copy)
}

// Run implements Server.
func (a *Flag) Run(ctx context.Context, m Mailbox, uid uint32) error {
	return m.StoreFlags(ctx, uid, true, a.Flags.Flags)
}

// Run implements Server.
func (a *Unflag) Run(ctx context.Context, m Mailbox, uid uint32) error {
	return m.StoreFlags(ctx, uid, false, a.Flags.Flags)
}

// Run implements Server.
func (a *Delete) Run(ctx context.Context, m Mailbox, uid uint32) error {
	return m.Delete(ctx, uid)
}

// Describe implements Server.
func (a *Move) Describe() string { return "move to " + a.Target.String() }

// Describe implements Server.
func (a *Copy) Describe() string { return "copy to " + a.Target.String() }

// Describe implements Server.
func (a *Flag) Describe() string { return "set " + strings.Join(a.Flags.Flags, " ") }

// Describe implements Server.
func (a *Unflag) Describe() string { return "clear " + strings.Join(a.Flags.Flags, " ") }

// Describe implements Server.
func (a *Delete) Describe() string { return "delete from the mailbox" }

// String says where, for people.
func (d *Target) String() string {
	if d.Create {
		return fmt.Sprintf("%q, made if it is missing", d.Mailbox)
	}
	return fmt.Sprintf("%q", d.Mailbox)
}

// put moves or copies. Only if the server refuses, and is told to make the
// mailbox, and makes it, there is a second try: a mailbox that could be made was
// not there, so the first try did nothing.
func (d *Target) put(ctx context.Context, m Mailbox, uid uint32,
	op func(context.Context, uint32, string) (uint32, uint32, error)) error {
	_, _, err := op(ctx, uid, d.Mailbox)
	if err != nil && d.Create && ctx.Err() == nil && m.Create(ctx, d.Mailbox) == nil {
		_, _, err = op(ctx, uid, d.Mailbox)
	}
	return err
}

// Destination returns the mailbox where the message goes.
func (d *Target) Destination() string { return d.Mailbox }

func (d *Target) validate() []setting.Problem {
	switch {
	case d.Mailbox == "":
		return []setting.Problem{{Key: "mailbox", Text: `say where to: mailbox = "Archive"`}}
	case strings.ContainsAny(d.Mailbox, "\x00\r\n") || len(d.Mailbox) > 1000:
		return []setting.Problem{{Key: "mailbox", Text: "a mailbox name has no line ends or NUL and at most 1000 bytes"}}
	case strings.ContainsAny(d.Mailbox, "*%"):
		return []setting.Problem{{Key: "mailbox", Text: fmt.Sprintf("%q is a pattern; name one mailbox", d.Mailbox)}}
	}
	return nil
}

func (f *Flags) setDefaults() {
	if f.Flags == nil {
		f.Flags = []string{`\Seen`}
	}
}

func (f *Flags) validate() (problems []setting.Problem) {
	if len(f.Flags) == 0 {
		problems = append(problems, setting.Problem{Key: "flags", Text: `is empty; name flags, e.g. ["\\Seen"]`})
	}
	for i, flag := range f.Flags {
		if err := checkFlag(flag); err != nil {
			problems = append(problems, setting.Problem{Key: fmt.Sprintf("flags[%d]", i), Text: err.Error()})
		}
	}
	return problems
}

// checkFlag keeps to RFC 3501, section 9: flag, flag-keyword, atom.
func checkFlag(flag string) error {
	name, system := strings.CutPrefix(flag, `\`)
	switch {
	case strings.EqualFold(flag, `\Recent`):
		return errors.New(`\Recent is the server's own; no client can set or clear it`)
	case name == "" || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r)
	}):
		return fmt.Errorf(`%q is not a flag; write a system flag ("\\Seen", "\\Flagged") or a keyword ("Processed")`, flag)
	case !system:
		for _, known := range []string{"Seen", "Answered", "Flagged", "Deleted", "Draft"} {
			if strings.EqualFold(name, known) {
				return fmt.Errorf(`%q lacks its backslash; write "\\%s"`, flag, known)
			}
		}
	}
	return nil
}
