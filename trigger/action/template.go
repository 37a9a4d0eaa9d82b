package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// The limits of templates. A template is the administrator's, but what it is run
// on is a stranger's.
const (
	maxTemplate     = 64 << 10        // bytes of a template's text
	maxText         = 1 << 20         // bytes of a name, an argument, a header
	maxBody         = 16 << 20        // bytes of a body
	maxTemplateTime = 5 * time.Second // of one run
)

// A text is a template that has been checked, or plain text.
type text struct {
	plain string             // without templates: the text itself
	t     *template.Template // else
	max   int                // bytes of output
	names []string           // the .Match.NAME it uses
	bound sync.Pool          // of *binding, for the next run
}

// A binding is a template with functions that are of one run. As a copy of the template
// costs more than most runs of it, it is kept for the next.
type binding struct {
	t     *template.Template
	ctx   context.Context
	event *event.Event
}

// newText parses a template. guard, if not "", is the function that every action's
// output goes through, as html/template does it: so what a mail says cannot change
// the meaning of the text around it.
func newText(s string, max int, guard string) (*text, error) {
	switch {
	case len(s) > maxTemplate:
		return nil, fmt.Errorf("the template is longer than %d bytes", maxTemplate)
	case !strings.Contains(s, "{{"):
		return &text{plain: s}, nil
	}
	t, err := template.New("template").Option("missingkey=error").Funcs(functions(&binding{})).Parse(s)
	if err != nil {
		return nil, templateError(err)
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("define and block are not for these templates")
	}
	x := &text{t: t, max: max}
	w := walker{guard: guard, names: &x.names}
	if t.Tree == nil || t.Root == nil {
		return &text{}, nil
	}
	if err := w.list(t.Root); err != nil {
		return nil, err
	}
	return x, nil
}

// isTemplate reports whether the text depends on the event.
func (x *text) isTemplate() bool { return x.t != nil }

// run makes the text for an event.
func (x *text) run(ctx context.Context, e *event.Event) (string, error) {
	if x.t == nil {
		return x.plain, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxTemplateTime,
		fmt.Errorf("the template ran longer than %s", maxTemplateTime))
	defer cancel()
	b, err := x.bind()
	if err != nil {
		return "", templateError(err)
	}
	b.ctx, b.event = ctx, e
	defer func() {
		b.ctx, b.event = nil, nil
		x.bound.Put(b)
	}()
	out := limitedText{ctx: ctx, max: x.max}
	if err := b.t.Execute(&out, e); err != nil {
		return "", templateError(err)
	}
	return out.String(), nil
}

// bind returns a binding that nobody else uses.
func (x *text) bind() (*binding, error) {
	if b, ok := x.bound.Get().(*binding); ok {
		return b, nil
	}
	t, err := x.t.Clone()
	if err != nil {
		return nil, err
	}
	b := &binding{}
	b.t = t.Funcs(functions(b))
	return b, nil
}

// check runs the template against the sample, as if every group of a "matches"
// that it names were there.
func (x *text) check(sample *event.Event) error {
	e := *sample
	e.Match = map[string]string{}
	for _, name := range x.names {
		e.Match[name] = "sample"
	}
	_, err := x.run(context.Background(), &e)
	return err
}

// templateError says what is wrong without text/template's own frame.
func templateError(err error) error {
	s := strings.TrimPrefix(err.Error(), "template: ")
	s = strings.TrimPrefix(s, "template:")
	var hint string
	switch {
	case strings.Contains(s, "nil pointer evaluating *message.Attachment"):
		hint = `; .Attachment is there only with for_each = "attachment"`
	case strings.Contains(s, "nil pointer evaluating *message.Message"):
		hint = "; silence has no .Message"
	case strings.Contains(s, "can't evaluate field"):
		hint = "; fields have their Go names: .ID .Kind .Trigger .Connection .Mailbox .UID .UIDValidity .Attempt .Received .Message.Subject ..."
	case strings.Contains(s, "not defined"):
		hint = "; there are json truncate date header pathsafe default lower upper quote, and those of text/template"
	}
	return fmt.Errorf("template: %s%s", setting.Printable(s, 1000), hint)
}

// limitedText takes at most max bytes, until ctx ends.
type limitedText struct {
	bytes.Buffer
	ctx context.Context
	max int
}

func (l *limitedText) Write(p []byte) (int, error) {
	if err := context.Cause(l.ctx); err != nil {
		return 0, err
	}
	if l.Len()+len(p) > l.max {
		return 0, fmt.Errorf("the result is longer than %d bytes; shorten it with truncate", l.max)
	}
	return l.Buffer.Write(p)
}

// A walker goes through a parsed template: it puts the guard behind each action, a
// call of tick into each range, so that no loop runs for ever, notes the groups of
// "matches" that are used, and refuses templates that call others.
type walker struct {
	guard string
	names *[]string
}

func (w *walker) list(l *parse.ListNode) error {
	if l == nil {
		return nil
	}
	for _, n := range l.Nodes {
		if err := w.node(n); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) node(n parse.Node) error {
	switch n := n.(type) {
	case *parse.ActionNode:
		w.fields(n.Pipe)
		if w.guard != "" && len(n.Pipe.Decl) == 0 && !w.guarded(n.Pipe) {
			n.Pipe.Cmds = append(n.Pipe.Cmds, call(w.guard, n.Pos))
		}
	case *parse.IfNode:
		return w.branch(&n.BranchNode)
	case *parse.WithNode:
		return w.branch(&n.BranchNode)
	case *parse.RangeNode:
		if err := w.branch(&n.BranchNode); err != nil {
			return err
		}
		tick := &parse.ActionNode{NodeType: parse.NodeAction, Pos: n.Pos,
			Pipe: &parse.PipeNode{NodeType: parse.NodePipe, Pos: n.Pos, Cmds: []*parse.CommandNode{call("tick", n.Pos)}}}
		n.List.Nodes = append([]parse.Node{tick}, n.List.Nodes...)
	case *parse.TemplateNode:
		return errors.New("template is not for these templates; write the text itself")
	}
	return nil
}

func (w *walker) branch(b *parse.BranchNode) error {
	w.fields(b.Pipe)
	return errors.Join(w.list(b.List), w.list(b.ElseList))
}

func call(function string, pos parse.Pos) *parse.CommandNode {
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos,
		Args: []parse.Node{parse.NewIdentifier(function).SetPos(pos)}}
}

// guarded reports whether a pipe's last function makes its output fit by itself:
// urlquery in a query, and date in a path, so that its layout may hold slashes.
func (w *walker) guarded(p *parse.PipeNode) bool {
	last := p.Cmds[len(p.Cmds)-1]
	id, ok := last.Args[0].(*parse.IdentifierNode)
	if !ok {
		return false
	}
	if w.guard == "component" && id.Ident == "date" && len(last.Args) > 1 {
		_, literal := last.Args[1].(*parse.StringNode)
		return literal
	}
	return w.guard == "query" && id.Ident == "urlquery"
}

// fields notes the NAME of each .Match.NAME.
func (w *walker) fields(n parse.Node) {
	switch n := n.(type) {
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, c := range n.Cmds {
			for _, a := range c.Args {
				w.fields(a)
			}
		}
	case *parse.FieldNode:
		w.match(n.Ident)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			w.match(n.Ident[1:])
		}
	}
}

func (w *walker) match(ident []string) {
	if len(ident) == 2 && ident[0] == "Match" {
		*w.names = append(*w.names, ident[1])
	}
}

// functions are what templates may call, for the runs of a binding.
func functions(b *binding) template.FuncMap {
	return template.FuncMap{
		"json":     jsonText,
		"truncate": truncate,
		"date":     date,
		"header": func(name string, from ...any) (string, error) {
			return header(b.event, name, from)
		},
		"pathsafe": message.SafeName,
		"default": func(fallback, value any) any {
			if truth, _ := template.IsTrue(value); truth {
				return value
			}
			return fallback
		},
		"lower": strings.ToLower,
		"upper": strings.ToUpper,
		"quote": quote,

		// Of text/template, with a limit: so that no loop builds a text without end.
		"print":   func(a ...any) (string, error) { return bounded(fmt.Sprint(a...)) },
		"println": func(a ...any) (string, error) { return bounded(fmt.Sprintln(a...)) },
		"printf":  func(f string, a ...any) (string, error) { return bounded(fmt.Sprintf(f, a...)) },

		// For the walker only.
		"tick":      func() (string, error) { return "", context.Cause(b.ctx) },
		"query":     func(v any) string { return url.QueryEscape(fmt.Sprint(v)) },
		"component": func(v any) string { return component(fmt.Sprint(v)) },
	}
}

func bounded(s string) (string, error) {
	if len(s) > maxBody {
		return "", fmt.Errorf("the text is longer than %d bytes", maxBody)
	}
	return s, nil
}

// jsonText is the value as JSON on one line.
func jsonText(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// truncate keeps the first n characters.
func truncate(n int, s string) (string, error) {
	if n < 0 {
		return "", fmt.Errorf("truncate: %d is less than no characters", n)
	}
	if utf8.RuneCountInString(s) <= n {
		return s, nil
	}
	for i := range s {
		if n == 0 {
			return s[:i], nil
		}
		n--
	}
	return s, nil
}

// date formats a time by a layout of package time; no time gives no text.
func date(layout string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(layout)
}

// quote marks each line of a text as somebody else's, as mail programs do.
func quote(s string) (string, error) {
	s = strings.TrimRight(s, "\r\n")
	if s == "" {
		return "", nil
	}
	return bounded("> " + strings.ReplaceAll(s, "\n", "\n> "))
}

// header is the first field of that name in the event's message, "" if there is
// none. The event or the message may be given, as in {{header "List-Id" .Message}}.
func header(e *event.Event, name string, from []any) (string, error) {
	if len(from) > 1 {
		return "", errors.New(`header: write {{header "List-Id"}}`)
	}
	var m *message.Message
	if e != nil {
		m = e.Message
	}
	if len(from) == 1 {
		switch v := from[0].(type) {
		case *event.Event:
			m = v.Message
		case *message.Message:
			m = v
		default:
			return "", fmt.Errorf(`header: cannot look into a %T; write {{header "List-Id"}}`, v)
		}
	}
	if m == nil {
		return "", nil
	}
	for _, h := range m.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value, nil
		}
	}
	return "", nil
}
