package condition

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"mailtrigger/connection/setting"
)

// The limits of an expression.
const (
	maxExpression = 16 << 10  // bytes of its text
	maxNodes      = 1000      // of its syntax tree
	maxMemory     = 1_000_000 // items of lists that it makes, as expr's virtual machine counts them
)

// functions are those of expr-lang that an expression may call. Those that build
// long texts or lists out of short ones are not needed to say yes or no.
var functions = []string{
	"all", "any", "count", "filter", "find", "findIndex", "findLast", "findLastIndex", "map", "none", "one", "sum",
	"abs", "ceil", "date", "duration", "first", "float", "floor", "hasPrefix", "hasSuffix", "indexOf", "int", "last", "lastIndexOf",
	"len", "lower", "max", "min", "round", "timezone", "trim", "trimPrefix", "trimSuffix", "upper",
}

// Functions returns the names of the functions that an expression may call.
func Functions() []string {
	return slices.Sorted(slices.Values(append([]string{"header", "now"}, functions...)))
}

// An expression is what tables cannot say, in the language of expr-lang, over
// the event. Its time is bounded: a list is gone through only once (no predicate
// in a predicate), and the clock is looked at for each item of a list, and in the
// middle of matching a text.
type expression struct {
	source   string
	program  *vm.Program
	patterns map[string]*regexp.Regexp // of matches, by their text
	body     bool                      // it looks at what only the body tells
}

// compileExpression checks the types, too. Errors say where in the expression the mistake is.
func compileExpression(source string) (*expression, error) {
	if len(source) > maxExpression {
		return nil, fmt.Errorf("has %d bytes; at most %d are read", len(source), maxExpression)
	}
	look := &inspector{patterns: make(map[string]*regexp.Regexp)}
	options := []expr.Option{
		expr.Env(environment{}), expr.AsBool(), expr.WarnOnAny(), expr.MaxNodes(maxNodes),
		expr.DisableAllBuiltins(), expr.Patch(look),
	}
	for _, name := range functions {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(source, options...)
	switch {
	case look.problem != nil:
		return nil, where(source, look.problem)
	case err != nil:
		return nil, where(source, err)
	}
	return &expression{source, program, look.patterns, look.needsBody()}, nil
}

// where words an error of expr-lang for the config: on one line, with the place.
func where(source string, err error) error {
	var e *file.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s", reword(err.Error()))
	}
	if e.Line == 0 {
		_ = e.Bind(file.NewSource(source)) // sets Line and Column
	}
	if strings.Contains(source, "\n") {
		return fmt.Errorf("line %d, column %d: %s", e.Line, e.Column+1, reword(e.Message))
	}
	return fmt.Errorf("column %d: %s", e.Column+1, reword(e.Message))
}

var (
	unknownName = regexp.MustCompile(`^unknown name (\w+)$`)
	unknownKey  = regexp.MustCompile(`^type condition\.(\w+)Keys has no field (\w+)$`)
	notBool     = regexp.MustCompile(`^expected bool, but got (.*)$`)
)

// reword says what expr-lang says in the words of the manual.
func reword(text string) string {
	text = strings.ReplaceAll(text, "\n", " ")
	if m := unknownName.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("unknown name %q%s", m[1], meant(m[1], names))
	}
	if m := unknownKey.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s has no key %q%s", m[1], m[2], meant(m[2], keys[m[1]]))
	}
	if m := notBool.FindStringSubmatch(text); m != nil {
		return "must give true or false, and this gives " + strings.ReplaceAll(m[1], "condition.", "")
	}
	return text
}

func meant(word string, known []string) string {
	if near := setting.DidYouMean(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; there are " + strings.Join(known, ", ")
}

// An inspector looks at a syntax tree once its types are known, refuses what has
// no bound, and puts a look at the clock before each round of a predicate.
type inspector struct {
	problem  *file.Error
	patterns map[string]*regexp.Regexp
	body     bool
	loose    int // uses of the message as a whole, and not by one of its keys
}

// Visit implements ast.Visitor; what is within a node has been visited before it.
func (i *inspector) Visit(n *ast.Node) {
	if isMessage(*n) {
		i.loose++
	}
	switch node := (*n).(type) {
	case *ast.IdentifierNode:
		if node.Value == "$env" {
			i.refuse(node, "$env is not available; name what is meant")
		}
	case *ast.BuiltinNode: // those with predicates cannot be disabled
		if !slices.Contains(functions, node.Name) {
			i.refuse(node, node.Name+" is not available")
		}
	case *ast.PredicateNode:
		if inner := predicateIn(node.Node); inner != nil {
			i.refuse(inner, "a predicate in a predicate takes time without bound; write a condition for one of them")
		}
		clock := &ast.CallNode{Callee: &ast.IdentifierNode{Value: clockName}}
		node.Node = &ast.SequenceNode{Nodes: []ast.Node{clock, node.Node}}
	case *ast.BinaryNode:
		if node.Operator == "matches" {
			i.matches(n, node)
		}
	case *ast.MemberNode:
		key, fixed := node.Property.(*ast.StringNode)
		switch {
		case isMessage(node.Node) && fixed:
			i.loose--
			i.body = i.body || slices.Contains(bodyKeys, key.Value)
		case node.Node.Type() == nil || node.Node.Type().Kind() == reflect.Interface:
			i.body = true // it may be the message
		}
	}
}

// matches puts a function that ends in time in place of the operator.
func (i *inspector) matches(n *ast.Node, node *ast.BinaryNode) {
	pattern, fixed := node.Right.(*ast.StringNode)
	if !fixed {
		i.refuse(node, "the pattern of matches must be a text that is written out")
		return
	}
	re, err := regexp.Compile(pattern.Value)
	if err != nil {
		i.refuse(pattern, err.Error())
		return
	}
	i.patterns[pattern.Value] = re
	ast.Patch(n, &ast.CallNode{Callee: &ast.IdentifierNode{Value: matchName}, Arguments: []ast.Node{node.Left, pattern}})
}

// needsBody reports whether what the tree looks at needs the message's body.
func (i *inspector) needsBody() bool { return i.body || i.loose > 0 }

func (i *inspector) refuse(n ast.Node, text string) {
	if i.problem == nil {
		i.problem = &file.Error{Location: n.Location(), Message: text}
	}
}

// predicateIn returns a predicate within a node, nil if there is none.
func predicateIn(n ast.Node) ast.Node {
	return ast.Find(n, func(n ast.Node) bool { _, ok := n.(*ast.PredicateNode); return ok })
}

// isMessage reports whether a node is the event's message.
func isMessage(n ast.Node) bool {
	return n.Type() == reflect.TypeFor[messageKeys]()
}

// judge works the expression out.
func (x *expression) judge(s *sight) (Truth, error) {
	if x.body && !s.Whole {
		return Unknown, nil
	}
	machine := vm.VM{MemoryBudget: maxMemory}
	result, err := machine.Run(x.program, newEnvironment(s, x.patterns))
	if err != nil {
		return Unknown, fmt.Errorf("the expression could not be worked out: %w", where(x.source, err))
	}
	ok, isBool := result.(bool)
	if !isBool {
		return Unknown, fmt.Errorf("the expression gave %T, not true or false", result)
	}
	return truthOf(ok), nil
}

func (x *expression) explain(s *sight) Verdict {
	v := Verdict{Field: "expression", Operator: "is", Want: []string{x.source}, Got: []string{"false"}}
	switch holds, err := x.judge(s); {
	case err != nil:
		v.Got = []string{err.Error()}
	case holds == Yes:
		v.Got, v.OK = []string{"true"}, true
	}
	return v
}
