package manual

// DefaultConfig is the config that a call without --config reads.
const DefaultConfig = "/etc/mailtriggerd/config.toml"

// A Flag is one flag of the program, for people.
type Flag struct {
	Name   string // without the dashes
	Arg    string // what people call its value; "" if it has none
	Values Values // what its value can be
	Does   string
	With   string // the flag that it goes with, if it means nothing by itself
}

// Values are what a shell can complete a flag's value from.
type Values int

const (
	Anything Values = iota
	Files
	Connections // names of the config
	Triggers
)

// Call is how the flag is written.
func (f Flag) Call() string {
	if f.Arg == "" {
		return "--" + f.Name
	}
	return "--" + f.Name + " " + f.Arg
}

// Flags are all flags, in the order in which a person needs them.
var Flags = []Flag{
	{Name: "config", Arg: "FILE", Values: Files, Does: "run the daemon with this file (default " + DefaultConfig + "); with the calls below: the file they use"},
	{Name: "check-config", Does: "read the file and print every mistake; with --no-secrets secret files are not looked for"},
	{Name: "no-secrets", Does: "do not look for secret files", With: "check-config"},
	{Name: "test-connection", Arg: "NAME", Values: Connections, Does: "try a connection, or a server that takes mail (smtp.NAME), step by step; repeatable; \"all\""},
	{Name: "test-trigger", Arg: "NAME", Values: Triggers, Does: "say what the trigger would do with --message FILE.eml, or with the newest mail in the mailbox (--mailbox, --uid); runs nothing"},
	{Name: "message", Arg: "FILE.eml", Values: Files, Does: "judge the mail in this file", With: "test-trigger"},
	{Name: "mailbox", Arg: "MAILBOX", Does: "fetch from this mailbox, not the trigger's first", With: "test-trigger"},
	{Name: "uid", Arg: "UID", Does: "fetch this message, not the newest", With: "test-trigger"},
	{Name: "authorize", Arg: "NAME", Values: Connections, Does: "ask a person for OAuth 2.0 consent and store the refresh token"},
	{Name: "status", Does: "the running daemon's connections, triggers and queues"},
	{Name: "dead-letters", Does: "what failed for good"},
	{Name: "retry", Arg: "ID", Does: "try a dead letter again; \"all\""},
	{Name: "discard", Arg: "ID", Does: "drop a dead letter and its mail"},
	{Name: "code-pages", Does: "the table of code pages"},
	{Name: "demo", Does: "watch the daemon at work with a mail server of its own; nothing to set up"},
	{Name: "json", Does: "machine-readable output of the calls above"},
	{Name: "version", Does: "version, Go version, commit"},
}
