package trigger

import (
	"mailtrigger/codepage"
	"mailtrigger/connection"
	"mailtrigger/trigger/authres"
	"mailtrigger/trigger/message"
)

// A reading is how the mail of a connection is read for a trigger. Triggers with
// the same one share the decoded message.
type reading struct {
	policy   codepage.Policy
	serverID string // whose Authentication-Results are believed
}

// reading returns how mail of a connection is read: the trigger's page overrides
// the connection's. nil is a connection that is gone from the config.
func (r *rule) reading(conn *connection.Config) reading {
	if conn == nil {
		conn = &connection.Config{}
	}
	page := r.cfg.CodePage.Page
	if page == nil {
		page = conn.CodePage.Page
	}
	return reading{codepage.Policy{Page: page, Mode: r.cfg.CodePageMode}, conn.AuthservID}
}

// message reads a message.
func (rd reading) message(raw []byte) *message.Message {
	return rd.authenticate(message.Parse(raw, message.Options{Policy: rd.policy}))
}

// header reads a message's header alone.
func (rd reading) header(raw []byte) *message.Message {
	return rd.authenticate(message.ParseHeader(raw, message.Options{Policy: rd.policy}))
}

func (rd reading) authenticate(m *message.Message) *message.Message {
	m.Authenticated, _ = authres.Judge(m, rd.serverID)
	return m
}
