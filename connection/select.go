package connection

import (
	"context"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// choose selects a mailbox (RFC 9051 section 6.3.2). Where no client is lent, as after a
// connect, it is done without: there may be nothing else to do.
func (s *session) choose(ctx context.Context, mailbox string) (data *imap.SelectData, failed *Error) {
	if s.client != nil {
		failed = s.short(ctx, func(c *imapclient.Client) (err error) {
			data, err = c.Select(mailbox, nil).Wait()
			return err
		})
		return data, failed
	}
	failed = s.converse(ctx, func(talk *dialogue) error {
		data = &imap.SelectData{}
		talk.heard = func(line string) { hearSelect(data, line) }
		r, err := talk.command("SELECT "+selectArgument(mailbox, s.modern()), nil)
		if err == nil && r.kind != "OK" {
			err = r.status()
		}
		return err
	})
	return data, failed
}

// hearSelect takes what it knows from an untagged response to SELECT. The guard has seen
// to the form.
func hearSelect(data *imap.SelectData, line string) {
	rest := strings.TrimPrefix(line, "* ")
	first, second, _ := strings.Cut(rest, " ")
	switch {
	case strings.EqualFold(second, "EXISTS"):
		data.NumMessages = number(first)
	case strings.EqualFold(first, "OK"):
		code, value, _ := strings.Cut(parseReply(rest).code, " ")
		switch strings.ToUpper(code) {
		case "UIDVALIDITY":
			data.UIDValidity = number(value)
		case "UIDNEXT":
			data.UIDNext = imap.UID(number(value))
		case "PERMANENTFLAGS":
			data.PermanentFlags = []imap.Flag{}
			for _, f := range strings.Fields(strings.Trim(value, "()")) {
				data.PermanentFlags = append(data.PermanentFlags, imap.Flag(f))
			}
		}
	}
}

// number reads a number of 32 bits; 0 if it is none.
func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
