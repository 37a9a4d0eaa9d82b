package connection

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Next reads messages that have just come, without listing them first: one way to the
// server and back instead of two. It asks for at most size bytes of each, and gives up to
// count that are surely whole: in the order of their UIDs, beginning with after+1, up to the
// first that is missing or not whole. all says that there are no others above after.
// Everything else is for List and Fetch.
//
// It gives nothing that they would not have. UIDs without a gap leave no room for a
// message that the server has passed over, and a text counts only if it is as long as
// RFC822.SIZE says and shorter than what was asked for. all is true only if as many have
// come as the server has told of (EXISTS) since the last List. Servers that only estimate
// the size (Exchange), or refuse partial texts (RFC 9051, section 6.4.5), are not asked
// again.
//
// It takes no go-imap client: to make one for a single answer was a tenth of the time from
// push to process.
func (m *Mailbox) Next(ctx context.Context, after uint32, count, size int) (bodies []Body, all bool, err error) {
	first, last := uint64(after)+1, uint64(after)+uint64(count)
	if m.noNext || last > 1<<32-1 {
		return nil, false, m.ready(ctx)
	}
	if few := m.unlisted(); 0 < few && few <= uint32(count) {
		last = 0 // "*": what comes meanwhile may come along
	}
	if err := m.ready(ctx); err != nil {
		return nil, false, err
	}
	if err := m.s.reclaim(); err != nil {
		return nil, false, m.named(err)
	}
	above := "*"
	if last > 0 {
		above = strconv.FormatUint(last, 10)
	}
	command := fmt.Sprintf("UID FETCH %d:%s (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.%d>)", first, above, size)
	found := make([]Body, count)
	highest := uint32(0)
	e := m.s.converse(ctx, func(talk *dialogue) error {
		var text []byte // of the response that is being read
		talk.kept = func(literal []byte) { text = literal }
		talk.heard = func(line string) {
			b := readFetch(line)
			b.Raw, text = text, nil
			highest = max(highest, b.UID)
			if at := uint64(b.UID) - first; at < uint64(count) && b.Raw != nil && found[at].Raw == nil {
				found[at] = b
			}
		}
		r, err := talk.command(command, nil)
		if err == nil && r.kind != "OK" {
			err = r.status()
		}
		return err
	})
	if e != nil {
		if e.Refused {
			m.noNext = true
			return nil, false, nil
		}
		return nil, false, m.named(e)
	}
	for _, b := range found {
		if b.Raw == nil || b.InternalDate.IsZero() || len(b.Raw) >= size {
			break
		}
		if b.Size != int64(len(b.Raw)) {
			m.noNext = true
			break
		}
		bodies = append(bodies, b)
	}
	n := uint32(len(bodies))
	if all = n > 0 && last == 0 && highest == after+n && m.unlisted() == n; all {
		m.listedUpTo(highest)
	}
	return bodies, all, nil
}

// listedUpTo notes that the server was asked for everything, and uid is the highest of it.
func (m *Mailbox) listedUpTo(uid uint32) {
	if uid < math.MaxUint32 {
		m.UIDNext = max(m.UIDNext, uid+1)
	}
	m.listed, m.listedAt = true, m.s.link.Messages()
}

// unlisted returns how many messages the server has told of since everything was listed;
// 0 if there is no saying.
func (m *Mailbox) unlisted() uint32 {
	now := m.s.link.Messages()
	if !m.listed || now < m.listedAt {
		return 0
	}
	return now - m.listedAt
}

// readFetch reads what a FETCH response says of a message, but for its text; nothing of
// another response. The guard has seen to the form.
func readFetch(line string) (b Body) {
	_, rest, _ := strings.Cut(line, " FETCH (")
	for rest != "" {
		var name, value string
		name, rest, _ = strings.Cut(rest, " ")
		switch {
		case strings.HasPrefix(rest, `"`):
			value, rest, _ = strings.Cut(rest[1:], `"`)
		case strings.HasPrefix(rest, "("):
			value, rest, _ = strings.Cut(rest[1:], ")")
		default:
			value = rest[:strings.IndexAny(rest+" ", " )")]
			rest = rest[len(value):]
		}
		rest = strings.TrimPrefix(rest, " ")
		switch name {
		case "UID":
			b.UID = number(value)
		case "FLAGS":
			b.Flags = strings.Fields(value)
		case "INTERNALDATE":
			b.InternalDate, _ = time.Parse("_2-Jan-2006 15:04:05 -0700", value)
		case "RFC822.SIZE":
			b.Size, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	return b
}
