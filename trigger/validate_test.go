package trigger

import (
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/gate"
)

// sound returns a trigger with nothing wrong.
func sound() *Config {
	del, _ := action.New("delete")
	return &Config{Name: "t", Connection: []string{"work"}, Actions: []action.Definition{del}}
}

func TestValidate(t *testing.T) {
	hour := setting.Duration(time.Hour)
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string // what is said, as "key: text" begins; "" for nothing
	}{
		{"sound", func(c *Config) {}, ""},
		{"no connection", func(c *Config) { c.Connection = nil }, "connection: is missing"},
		{"no action", func(c *Config) { c.Actions = nil }, "action: is missing"},
		{"no mailboxes", func(c *Config) { c.Mailboxes = []string{} }, "mailboxes: is empty"},
		{"line end", func(c *Config) { c.Mailboxes = []string{"A\r\nB"} }, "mailboxes[0]: a mailbox name"},
		{"twice", func(c *Config) { c.Mailboxes = []string{"INBOX", "inbox"} }, "mailboxes[1]: \"inbox\" is named twice"},
		{"case matters", func(c *Config) { c.Mailboxes = []string{"A", "a"} }, ""},
		{"start all", func(c *Config) { c.Start = "all" }, ""},
		{"start since", func(c *Config) { c.Start = "since:7d" }, ""},
		{"start since what", func(c *Config) { c.Start = "since:monday" }, "start: \"since:monday\" is not a start"},
		{"start since nothing", func(c *Config) { c.Start = "since:0" }, "start: "},
		{"match", func(c *Config) { c.Match = "some" }, "match: unknown"},
		{"concurrency", func(c *Config) { c.Concurrency = 1001 }, "concurrency: 1001"},
		{"every", func(c *Config) { c.Every = -1 }, "every: -1"},
		{"expires at", func(c *Config) { c.Expires = "2027-01-31" }, ""},
		{"expires after", func(c *Config) { c.Expires = "100 firings" }, ""},
		{"expires when", func(c *Config) { c.Expires = "soon" }, "expires: \"soon\""},
		{"quiet", func(c *Config) { c.QuietHours = "22:00-06:00 Europe/Berlin" }, ""},
		{"quiet local", func(c *Config) { c.QuietHours = "22:00-06:00" }, ""},
		{"quiet where", func(c *Config) { c.QuietHours = "22:00-06:00 Europe/Nowhere" }, "quiet_hours: unknown time zone"},
		{"quiet when", func(c *Config) { c.QuietHours = "22:00-29:00" }, "quiet_hours: \"22:00-29:00\""},
		{"after", func(c *Config) { c.After = []string{"u"} }, ""},
		{"after twice", func(c *Config) { c.After = []string{"u", "u"} }, "after[1]: \"u\" is named twice"},
		{"limit many", func(c *Config) { c.Limit = gate.Limit{Count: 1001, Per: hour} }, "limit.count: 1001 is above 1000"},
		{"window", func(c *Config) { c.AfterWindow = hour }, "after_window: is nothing without after"},
		{"dedupe", func(c *Config) { c.Dedupe = gate.Dedupe{By: "message-id", Window: hour} }, ""},
		{"dedupe by", func(c *Config) { c.Dedupe = gate.Dedupe{By: "subject", Window: hour} }, "dedupe.by: unknown"},
		{"dedupe window", func(c *Config) { c.Dedupe = gate.Dedupe{By: "message-id"} }, "dedupe.window: is missing"},
		{"limit", func(c *Config) { c.Limit = gate.Limit{Count: 1, Per: hour} }, ""},
		{"limit none", func(c *Config) { c.Limit = gate.Limit{Per: hour} }, "limit.count: must be at least 1"},
		{"limit over", func(c *Config) { c.Limit = gate.Limit{Count: 1, Per: hour, Over: "drop"} }, "limit.over: unknown"},
		{"group", func(c *Config) { grouped(c, "{{.Match.number}}", action.OnMatch) }, ""},
		{"group in always", func(c *Config) { grouped(c, `{{with index .Match "number"}}{{.}}{{end}}`, action.Always) }, ""},
		{"no such group", func(c *Config) { grouped(c, "{{.Match.nubmer}}", action.OnMatch) },
			"action[0]: a template names .Match.nubmer, and no condition has such a group: matches = '(?P<nubmer>...)'; did you mean .Match.number?"},
		{"group without match", func(c *Config) { grouped(c, "{{.Match.number}}", action.OnNoMatch) }, "action[0]: a template names .Match.number, and with when"},
		{"expect", func(c *Config) {
			expecting(c, gate.Expect{By: "06:30", Opens: "20:00", Days: []string{"mon-sun"}, Timezone: "Europe/Berlin"})
		}, ""},
		{"expect without actions", func(c *Config) { c.Expect = gate.Expect{Every: hour} }, ""},
		{"silence", func(c *Config) { expecting(c, gate.Expect{}) }, "action[1].when: silence needs expect"},
		{"move at silence", func(c *Config) {
			expecting(c, gate.Expect{Every: hour})
			c.Actions = append(c.Actions, moveTo("Done"))
			c.Actions[2].Base().When = action.OnSilence
		}, "action[2].when: silence has no message to move"},
		{"move at dead", func(c *Config) {
			c.Actions = append(c.Actions, moveTo("Done"))
			c.Actions[1].Base().When = action.OnDead
		}, "action[1].when: a message that has become a dead letter stays"},
		{"expect both", func(c *Config) { expecting(c, gate.Expect{By: "06:30", Every: hour}) }, "expect: give either"},
		{"expect nothing", func(c *Config) { c.Expect = gate.Expect{Opens: "06:30"} }, "expect: says not what"},
		{"expect when", func(c *Config) { expecting(c, gate.Expect{By: "6"}) }, "expect.by: \"6\""},
		{"expect day", func(c *Config) { expecting(c, gate.Expect{By: "06:30", Days: []string{"monday"}}) }, "expect.days[0]: \"monday\""},
		{"retry", func(c *Config) { c.Retry.First = 2 * hour }, "retry.max: "},
		{"give up", func(c *Config) { c.Retry.GiveUpAfter = 1 }, "retry.give_up_after: "},
		{"attempts", func(c *Config) { c.Retry.Attempts = -1 }, "retry.attempts: "},
		{"size", func(c *Config) { c.MaxSize = -1 }, "max_size: "},
		{"back home", func(c *Config) { c.Actions = []action.Definition{moveTo("inbox")} }, "action[0].mailbox: \"inbox\" is one of"},
		{"away", func(c *Config) { c.Actions = []action.Definition{moveTo("Done")} }, ""},
		{"two removals", func(c *Config) { c.Actions = append(c.Actions, moveTo("Done")) }, "action[1].type: delete has taken"},
		{"one or the other", func(c *Config) {
			c.Actions = append(c.Actions, moveTo("Done"))
			c.Actions[1].Base().When = action.OnNoMatch
		}, ""},
		{"same names", func(c *Config) { c.Actions = append(flags(), flags()...) }, "action[1].name: another action"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := sound()
			test.change(c)
			c.SetDefaults()
			check(t, c.Validate(), test.want)
		})
	}
}

// expecting lets the trigger expect mail, and tell of a silence.
func expecting(c *Config, e gate.Expect) {
	d, _ := action.New("exec")
	d.Base().When = action.OnSilence
	d.(*action.Exec).Command = []string{"/bin/true"}
	c.Expect, c.Actions = e, append(c.Actions, d)
}

func flags() []action.Definition {
	d, _ := action.New("flag")
	return []action.Definition{d}
}

func moveTo(mailbox string) action.Definition {
	d, _ := action.New("move")
	d.(*action.Move).Mailbox = mailbox
	return d
}

// check compares what was said with the one beginning wanted.
func check(t *testing.T, found []setting.Problem, want string) {
	t.Helper()
	switch {
	case want == "" && found != nil:
		t.Errorf("found %v, want nothing", found)
	case want != "" && len(found) != 1, want != "" && !strings.HasPrefix(found[0].Error(), want):
		t.Errorf("found %v, want %s", found, want)
	}
}

// grouped gives the trigger a condition with the group "number", and an action with a template.
func grouped(c *Config, template string, when action.When) {
	c.Conditions = []condition.Condition{{Any: []condition.Condition{{Field: "subject", Matches: []string{`(?P<number>\d+)`}}}}}
	run, _ := action.New("exec")
	run.(*action.Exec).Command = []string{"true", template}
	run.Base().When = when
	c.Actions = []action.Definition{run}
}
