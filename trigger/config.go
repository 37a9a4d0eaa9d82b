package trigger

import (
	"slices"
	"time"

	"mailtrigger/codepage"
	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/condition"
	"mailtrigger/trigger/gate"
)

// Config is what to do when mail arrives: the table [trigger.NAME].
// Set it up with SetDefaults, then check it with Validate.
type Config struct {
	Name string `toml:"-"` // the table's key

	Enabled          *bool         `toml:"enabled"`           // nil is true
	Connection       []string      `toml:"connection,scalar"` // names; the patterns of the file are resolved when it is read
	Mailboxes        []string      `toml:"mailboxes"`
	ExcludeMailboxes []string      `toml:"exclude_mailboxes"`
	CodePage         codepage.Ref  `toml:"code_page"` // nil Page: the connection's
	CodePageMode     codepage.Mode `toml:"code_page_mode"`
	Start            string        `toml:"start"`
	MaxSize          setting.Size  `toml:"max_size"`
	Match            string        `toml:"match"`
	Expression       string        `toml:"expression"`
	Ordered          *bool         `toml:"ordered"` // nil is true
	Concurrency      int           `toml:"concurrency"`

	gate.Config // when it fires of the messages that match

	Conditions []Condition         `toml:"condition"`
	Actions    []action.Definition `toml:"action"` // the struct is chosen by the key "type": see action.New
	Retry      Retry               `toml:"retry"`
}

// Condition is one [[trigger.NAME.condition]] table.
type Condition = condition.Condition

// conditions returns all that the table says of which mail it takes.
func (c *Config) conditions() condition.Rule {
	return condition.Rule{Conditions: c.Conditions, Match: c.Match, Expression: c.Expression}
}

// TellsNobody reports whether the trigger expects mail, and no action of it tells of
// a silence: the log, the status page and a metric alone do.
func (c *Config) TellsNobody() bool {
	return c.Expect.Enabled() && !slices.ContainsFunc(c.Actions, func(a action.Definition) bool { return a.Base().When == action.OnSilence })
}

// AsksAuthenticated reports whether anything that the trigger asks depends on who
// is authenticated.
func (c *Config) AsksAuthenticated() bool { return c.conditions().Uses("authenticated") }

// Retry is the table [trigger.NAME.retry].
type Retry struct {
	First       setting.Duration `toml:"first"`
	Max         setting.Duration `toml:"max"`
	GiveUpAfter setting.Duration `toml:"give_up_after"`
	Attempts    int              `toml:"attempts"`
}

// SetDefaults fills in what the table left out.
func (c *Config) SetDefaults() {
	setDefault(&c.Start, "new")
	setDefault(&c.MaxSize, 64e6)
	setDefault(&c.Match, "all")
	setDefault(&c.Concurrency, 1)
	c.Config.SetDefaults()
	setDefault(&c.Retry.First, setting.Duration(10*time.Second))
	setDefault(&c.Retry.Max, setting.Duration(time.Hour))
	setDefault(&c.Retry.GiveUpAfter, setting.Duration(24*time.Hour))
	if c.Mailboxes == nil {
		c.Mailboxes = []string{"INBOX"}
	}
	for _, a := range c.Actions {
		a.SetDefaults()
	}
	action.Distinguish(c.Actions)
}

func setDefault[T comparable](v *T, to T) {
	if *v == *new(T) {
		*v = to
	}
}
