package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"mailtrigger/connection/setting"
)

// errNoMessage is the end of an action that is nothing without a message.
var errNoMessage = errors.New("the event has no message")

// Save keeps the message as the server has it, as a file.
type Save struct {
	Common
	Place
}

// SetDefaults implements Definition.
func (a *Save) SetDefaults() { a.Place.setDefaults(&a.Common, "{{.ID}}.eml") }

// Validate implements Definition.
func (a *Save) Validate() []setting.Problem {
	return append(a.check(needs{message: true}), a.Place.validate(a.sample())...)
}

// Run implements Local.
func (a *Save) Run(ctx context.Context, r *Run) Result {
	r.begun()
	if r.Event.Message == nil {
		return dead(errNoMessage)
	}
	levels, name, err := a.where(ctx, r.Event)
	if err != nil {
		return unmade(ctx, err)
	}
	f := a.file(r.Env, levels, name, r.Key, int64(len(r.Event.Raw)), func() io.Reader { return bytes.NewReader(r.Event.Raw) })
	in := newInstallation(ctx, r)
	in.add(f)
	_, err = in.finish()
	switch {
	case err != nil:
		return retry(err)
	case f.made == "":
		return Result{Output: fmt.Appendf(nil, "%s was there and is kept", a.absolute(r.Env, levels, name))}
	}
	return Result{Saved: []string{a.absolute(r.Env, levels, f.made)}}
}

// Describe implements Local: the path, as long as nothing has that name.
func (a *Save) Describe(r *Run) (string, error) {
	saved, _, err := a.WouldSave(r)
	return strings.Join(saved, "\n"), err
}

// WouldSave implements Saver.
func (a *Save) WouldSave(r *Run) (saved []string, paths map[int]string, err error) {
	if r.Event.Message == nil {
		return nil, nil, errNoMessage
	}
	levels, name, err := a.where(context.Background(), r.Event)
	if err != nil {
		return nil, nil, err
	}
	return []string{a.absolute(r.Env, levels, name)}, nil, nil
}
