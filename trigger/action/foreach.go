package action

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
)

// perAttachment yields, for each attachment chosen, its index and the event with
// .Attachment set. The event and its list of attachments are copies.
func perAttachment(e *event.Event, s *selection) iter.Seq2[int, *event.Event] {
	return func(yield func(int, *event.Event) bool) {
		if e.Message == nil {
			return
		}
		for i := range e.Message.Attachments {
			if !s.takes(&e.Message.Attachments[i]) {
				continue
			}
			one, m := *e, *e.Message
			m.Attachments = slices.Clone(m.Attachments)
			one.Message, one.Attachment = &m, &m.Attachments[i]
			if !yield(i, &one) {
				return
			}
		}
	}
}

// forEach runs an action once, or once for each attachment chosen, in their order,
// to the first failure. The next attempt goes on with the one that failed, so that
// none is run again that had succeeded.
func (c *Common) forEach(ctx context.Context, r *Run, s *selection, run func(context.Context, *Run) Result) Result {
	if c.ForEach != eachAttachment {
		return run(ctx, r)
	}
	var all Result
	var out output
	for i, e := range perAttachment(r.Event, s) {
		if i < r.Progress {
			continue
		}
		one := *r
		one.Event, one.Key = e, fmt.Sprintf("%s-%d", r.Key, i)
		if i > r.Progress {
			one.Note = "" // it is of the one that failed
		}
		result := run(ctx, &one)
		_, _ = out.Write(result.Output) // an output never fails
		all.Saved = append(all.Saved, result.Saved...)
		if result.Outcome != Done {
			all.Outcome, all.RetryAfter, all.Progress, all.Note = result.Outcome, result.RetryAfter, i, result.Note
			all.Err = fmt.Errorf("attachment %d (%s): %w", i+1, setting.Printable(e.Attachment.Name, 100), result.Err)
			break
		}
		all.Progress = i + 1
	}
	all.Output = out.Bytes()
	return all
}

// describeEach is forEach for Describe.
func (c *Common) describeEach(r *Run, s *selection, describe func(*Run) (string, error)) (string, error) {
	if c.ForEach != eachAttachment {
		return describe(r)
	}
	var lines []string
	for i, e := range perAttachment(r.Event, s) {
		one := *r
		one.Event, one.Key = e, fmt.Sprintf("%s-%d", r.Key, i)
		line, err := describe(&one)
		if err != nil {
			return "", fmt.Errorf("attachment %d: %w", i+1, err)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return "nothing: no attachment is chosen", nil
	}
	return strings.Join(lines, "\n"), nil
}

// onlyForEach reports a key that chooses attachments where none are asked for.
func (c *Common) onlyForEach(key string, values []string) []setting.Problem {
	if len(values) == 0 || c.ForEach == eachAttachment {
		return nil
	}
	return []setting.Problem{{Key: key, Text: `chooses attachments; it needs for_each = "attachment"`}}
}
