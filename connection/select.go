package connection

import (
	"context"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// choose selects a mailbox (RFC 9051 section 6.3.2). It does so without go-imap, as there
// may be nothing else to do, and as that does not tell "no flag can be kept" from "the
// server does not say".
func (s *session) choose(ctx context.Context, mailbox string) (*imap.SelectData, *Error) {
	if err := s.reclaim(); err != nil {
		return nil, err
	}
	data := &imap.SelectData{}
	err := s.converse(ctx, func(talk *dialogue) error {
		talk.heard = func(line string) { hearSelect(data, line) }
		r, err := talk.command("SELECT "+selectArgument(mailbox, s.modern()), nil)
		if err == nil && r.kind != "OK" {
			err = r.status()
		}
		return err
	})
	return data, err
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
