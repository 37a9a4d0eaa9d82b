package connection

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"mailtrigger/connection/smtp"
	"mailtrigger/connection/wire"
)

// A protocol is what a server speaks, as far as reaching it is concerned. All of a
// connect up to the greeting is the same for both; hints name the usual ports.
type protocol struct {
	name               string
	implicit, explicit int // the usual port by mode
}

var (
	speaksIMAP = &protocol{"IMAP", portImplicit, portExplicit}
	speaksSMTP = &protocol{"SMTP", smtpImplicit, smtpExplicit}
)

// protocol returns what the server of c speaks.
func (c *Config) protocol() *protocol {
	if c.smtp {
		return speaksSMTP
	}
	return speaksIMAP
}

// startTLS upgrades the connection.
func (c *Config) startTLS(ctx context.Context, conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	if c.smtp {
		t, _, err := smtp.StartTLS(ctx, conn, config)
		return t, err
	}
	return wire.StartTLS(ctx, conn, config)
}

// sign writes into an error whose it is.
func (c *Config) sign(e *Error) *Error {
	if c.smtp {
		e.SMTP = strings.TrimPrefix(c.Name, smtpTable)
	} else {
		e.Connection = c.Name
	}
	return e
}

// table is the table's path in the configuration.
func (c *Config) table() string {
	if c.smtp {
		return c.Name // "smtp.NAME"
	}
	return "connection." + c.Name
}

// portHint is what to do where nothing listens on a port.
func (p *protocol) portHint(port int) string {
	switch port {
	case p.implicit:
		return fmt.Sprintf(`check address and port; port %d with mode = "explicit" may be open instead`, p.explicit)
	case p.explicit:
		return fmt.Sprintf(`check address and port; port %d with mode = "implicit" may be open instead`, p.implicit)
	}
	return fmt.Sprintf(`check address and port; %s is on %d (mode = "implicit") or %d (mode = "explicit")`, p.name, p.implicit, p.explicit)
}
