package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/smtp"
	"mailtrigger/trigger"
	"mailtrigger/trigger/compose"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/journal"
	"mailtrigger/trigger/message"
)

// number returns the value of a constant, or of a field of a literal of
// defaults, by the file that has it.
func number(t *testing.T, file, name string) int64 {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found constant.Value
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, id := range n.Names {
				if id.Name == name && i < len(n.Values) {
					found = evaluate(n.Values[i])
				}
			}
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && id.Name == name {
				found = evaluate(n.Value)
			}
		}
		return found == nil
	})
	if found == nil {
		t.Fatalf("%s has no constant %s", file, name)
	}
	v, _ := constant.Int64Val(constant.ToInt(found))
	return v
}

// evaluate works out an expression of numbers and of time's units; nil if it is another.
func evaluate(e ast.Expr) constant.Value {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.SelectorExpr:
		if unit, known := map[string]time.Duration{"Second": time.Second, "Millisecond": time.Millisecond, "Minute": time.Minute, "Hour": time.Hour}[e.Sel.Name]; known {
			return constant.MakeInt64(int64(unit))
		}
	case *ast.BinaryExpr:
		x, y := evaluate(e.X), evaluate(e.Y)
		if x == nil || y == nil {
			return nil
		}
		if e.Op == token.SHL {
			n, _ := constant.Uint64Val(y)
			return constant.Shift(x, token.SHL, uint(n))
		}
		return constant.BinaryOp(x, e.Op, y)
	}
	return nil
}

func count1000(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func binary(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// The limits are the code's.
func TestReadmeLimits(t *testing.T) {
	of := func(file, name string) int64 { return number(t, file, name) }
	var c trigger.Config
	c.SetDefaults()
	for i, want := range [][]string{
		{"messages of a trigger", count1000(of("trigger/runner.go", "maxJobs")), binary(of("trigger/runner.go", "maxJobBytes"))},
		{"messages read and journaled at once", count1000(of("trigger/collector.go", "maxBatch")), binary(of("trigger/collector.go", "maxBatchBytes"))},
		{"actions that run at once", count1000(of("trigger/engine.go", "maxRunning"))},
		{"`concurrency`", count1000(of("trigger/validate.go", "maxConcurrency"))},
		{"results", count1000(of("trigger/runner.go", "maxUnrecorded"))},
		{"saves that wait", binary(of("trigger/seat.go", "maxSettling")), binary(of("trigger/seat.go", "leastSettling"))},
		{"files of one message", count1000(of("trigger/action/install.go", "maxBatch"))},
		{"`limit.count`", count1000(of("trigger/gate/config.go", "maxCount"))},
		{"messages of a trigger that `dedupe` remembers", count1000(of("trigger/journal/types.go", "MaxClaims"))},
		{"size of a message", count1000(int64(c.MaxSize)) + " bytes"},
		{"fetches", count1000(of("trigger/collector.go", "maxFetchFails"))},
		{"crashes", count1000(of("trigger/poison.go", "maxCrashes"))},
		{"header of a message", binary(message.MaxHeaderSize), count1000(message.MaxHeaderFields) + " fields"},
		{"header of a part", binary(message.MaxPartHeaderSize), count1000(message.MaxPartHeaderFields) + " fields"},
		{"parts of a message", count1000(message.MaxParts)},
		{"parts in parts", count1000(message.MaxDepth)},
		{"messages in messages", count1000(message.MaxMessages)},
		{"parameters", count1000(message.MaxParameters)},
		{"addresses", count1000(message.MaxAddresses)},
		{"text, and HTML", binary(message.MaxText)},
		{"name of an attachment", binary(message.MaxName)},
		{"value of a `MAILTRIGGER_` variable", binary(event.MaxVariable)},
		{"standard input of a command", binary(of("trigger/action/stdin_linux.go", "memoryStdin"))},
		{"output of a command", binary(2 * of("trigger/action/output.go", "outputHalf"))},
		{"answer to a webhook", binary(of("trigger/action/webhook.go", "maxAnswer"))},
		{"Retry-After", fmt.Sprintf("%d hours", of("trigger/action/webhook.go", "maxRetryAfter")/int64(time.Hour))},
		{"people that one mail goes to", count1000(of("trigger/action/outgoing.go", "maxRecipients"))},
		{"subject of a mail", count1000(compose.MaxSubject) + " characters"},
		{"sessions with one SMTP server", count1000(connection.MaxSMTPSessions)},
		{"reply of an SMTP server", binary(smtp.MaxReply)},
		{"answers to one address", fmt.Sprintf("%d in %d hours", of("trigger/action/reply.go", "defaultDailyLimit"), of("trigger/action/reply.go", "AnswersFor")/int64(time.Hour))},
		{"answers of an action", count1000(of("trigger/answers.go", "maxAnswers"))},
		{"template", binary(of("trigger/action/template.go", "maxTemplate")), fmt.Sprintf("%d seconds", of("trigger/action/template.go", "maxTemplateTime")/int64(time.Second))},
		{"argument", binary(of("trigger/action/template.go", "maxText"))},
		{"body of a template", binary(of("trigger/action/template.go", "maxBody"))},
		{"connects, and sessions that look,", count1000(of("connection/admission.go", "maxAdmitted"))},
		{"TLS sessions that are kept", count1000(of("connection/resume.go", "maxTickets"))},
		{"line of a server", binary(of("connection/wire/limits.go", "Line"))},
		{"mail in one response", binary(of("connection/wire/limits.go", "Body"))},
		{"chatter", binary(of("connection/wire/limits.go", "Chatter"))},
		{"free disk space", binary(journal.DefaultFreeFloor)},
		{"messages that look new", count1000(of("trigger/hold.go", "holdAbove")), count1000(of("trigger/hold.go", "holdAbovePercent")) + " %"},
		{"mailboxes of an account", count1000(of("trigger/directory.go", "maxListed"))},
		{"config file", binary(of("cmd/mailtriggerd/internal/config/document.go", "maxFile"))},
		{"conditions in conditions", count1000(of("trigger/condition/check.go", "maxDepth"))},
		{"text of an expression", binary(of("trigger/condition/expression.go", "maxExpression")), count1000(of("trigger/condition/expression.go", "maxNodes")) + " nodes"},
		{"lists that an expression makes", count1000(of("trigger/condition/expression.go", "maxMemory")) + " items"},
		{"time of judging", fmt.Sprintf("%d seconds", of("trigger/condition/regexp.go", "maxTime")/int64(time.Second))},
		{"field Authentication-Results", binary(of("trigger/authres/parse.go", "maxField")), count1000(of("trigger/authres/parse.go", "maxResults")) + " results"},
		{"named group", binary(of("trigger/condition/sight.go", "maxGroup"))},
		{"text to search for", count1000(of("metrics/query.go", "maxSearch")) + " bytes"},
		{"mailboxes, and triggers, in one answer", count1000(of("metrics/query.go", "maxLimit"))},
	} {
		rows := table(t, "Limit", "Value", "Beyond it")
		if i >= len(rows) {
			t.Errorf("README.md has no limit %s", want)
			continue
		}
		values := strings.Join(want[1:], "; ")
		if got := strings.NewReplacer(", or ", "; ", ", and ", "; ").Replace(rows[i][1]); !strings.HasPrefix(rows[i][0], want[0]) ||
			got != values && strings.ReplaceAll(got, ", ", "; ") != values {
			t.Errorf("README.md has the limit %s: %s; the code has %s", rows[i][0], rows[i][1], want)
		}
	}
}
