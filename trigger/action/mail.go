package action

import "mailtrigger/connection/setting"

// Mail sends a new message. Its keys are read; Later says that it cannot run yet.
type Mail struct {
	Common
	Envelope
}

// Forward sends the message on.
type Forward struct {
	Common
	Envelope
	AsAttachment bool `toml:"as_attachment"` // the message as message/rfc822
}

// Reply answers the sender.
type Reply struct {
	Common
	Envelope
	AsAttachment bool `toml:"as_attachment"`
}

// Envelope is what messages that are sent have. All but SMTP are templates.
type Envelope struct {
	SMTP    string   `toml:"smtp"` // the name of an [smtp.NAME] table
	From    string   `toml:"from"`
	To      []string `toml:"to,scalar"`
	Cc      []string `toml:"cc,scalar"`
	Bcc     []string `toml:"bcc,scalar"`
	Subject string   `toml:"subject"`
	Body    string   `toml:"body"`
}

// Validate implements Definition.
func (a *Mail) Validate() []setting.Problem { return a.check(needs{forEach: true}) }

// Validate implements Definition.
func (a *Forward) Validate() []setting.Problem { return a.check(needs{message: true}) }

// Validate implements Definition.
func (a *Reply) Validate() []setting.Problem { return a.check(needs{message: true}) }
