package connection

import (
	"context"
	"math"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
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
func (m *Mailbox) Next(ctx context.Context, after uint32, count, size int) (bodies []Body, all bool, err error) {
	first, last := uint64(after)+1, uint64(after)+uint64(count)
	if m.noNext || last > 1<<32-1 {
		return nil, false, m.ready(ctx)
	}
	if few := m.unlisted(); 0 < few && few <= uint32(count) {
		last = 0 // "*": what comes meanwhile may come along
	}
	section := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Size: int64(size)}}
	options := &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{section}}
	if err := m.ready(ctx); err != nil {
		return nil, false, err
	}
	found := make([]Body, count)
	highest := uint32(0)
	e := m.s.short(ctx, func(c *imapclient.Client) error {
		cmd := c.Fetch(imap.UIDSet{imap.UIDRange{Start: imap.UID(first), Stop: imap.UID(last)}}, options)
		for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
			b, complete, err := readBody(msg, section)
			if err != nil {
				return err // see fetchOnce
			}
			highest = max(highest, b.UID)
			if at := uint64(b.UID) - first; complete && at < uint64(count) && found[at].UID == 0 {
				found[at] = b
			}
		}
		return cmd.Close()
	})
	if e != nil {
		if e.Refused {
			m.noNext = true
			return nil, false, nil
		}
		return nil, false, m.named(e)
	}
	for _, b := range found {
		if b.UID == 0 || b.InternalDate.IsZero() || len(b.Raw) >= size {
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
