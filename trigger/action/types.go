package action

import (
	"fmt"
	"slices"
	"strings"
)

// types are the types of actions, in the order people read them.
var types = []struct {
	name string
	make func() Definition
}{
	{name: "exec", make: func() Definition { return new(Exec) }},
	{name: "webhook", make: func() Definition { return new(Webhook) }},
	{name: "save", make: func() Definition { return new(Save) }},
	{name: "save_attachments", make: func() Definition { return new(SaveAttachments) }},
	{name: "append", make: func() Definition { return new(Append) }},
	{name: "mail", make: func() Definition { return new(Mail) }},
	{name: "forward", make: func() Definition { return new(Forward) }},
	{name: "reply", make: func() Definition { return new(Reply) }},
	{name: "move", make: func() Definition { return new(Move) }},
	{name: "copy", make: func() Definition { return new(Copy) }},
	{name: "flag", make: func() Definition { return new(Flag) }},
	{name: "unflag", make: func() Definition { return new(Unflag) }},
	{name: "delete", make: func() Definition { return new(Delete) }},
}

// Types returns the names of all types.
func Types() []string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.name
	}
	return names
}

// New returns an empty Definition of the type named, ready to be decoded into,
// or an error that names the types there are.
func New(name string) (Definition, error) {
	for _, t := range types {
		if t.name == name {
			d := t.make()
			d.Base().Type = name
			return d, nil
		}
	}
	if name == "" {
		return nil, fmt.Errorf("an action needs a type: %s", strings.Join(Types(), ", "))
	}
	return nil, fmt.Errorf("unknown type %q; there are %s", name, strings.Join(Types(), ", "))
}

// Groups returns the names of the groups of "matches" conditions that a Definition's
// templates use as .Match.NAME, sorted, once it is validated. A template that names a group
// which its event does not have fails for good.
func Groups(d Definition) []string {
	t, ok := d.(interface{ texts() []*text })
	if !ok {
		return nil
	}
	var names []string
	for _, x := range t.texts() {
		if x != nil {
			names = append(names, x.names...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (a *Exec) texts() []*text { return a.args }

func (a *Webhook) texts() []*text {
	list := []*text{a.body}
	if a.address != nil {
		list = append(list, a.address.query)
	}
	for _, t := range a.headers {
		list = append(list, t)
	}
	return list
}

func (p *Place) texts() []*text { return []*text{p.subdirectory, p.name} }
