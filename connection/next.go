package connection

import (
	"context"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Next reads messages that have just come, without listing them first: one way to the
// server and back instead of two. It asks for the UIDs from after+1 to after+count and
// at most size bytes of each, and gives those that are surely whole, in order, up to the
// first that is missing or not; none, where the server is not one to be asked that way.
// Everything else is for List and Fetch.
//
// It gives nothing that they would not have: UIDs without a gap leave no room for a
// message that the server has passed over, and a text counts only if it is as long as
// RFC822.SIZE says and shorter than what was asked for. Servers that only estimate that
// size (Exchange), or refuse partial texts (RFC 9051, section 6.4.5), are not asked again.
func (m *Mailbox) Next(ctx context.Context, after uint32, count, size int) ([]Body, error) {
	first, last := uint64(after)+1, uint64(after)+uint64(count)
	if m.noNext || last > 1<<32-1 {
		return nil, m.ready(ctx)
	}
	section := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Size: int64(size)}}
	options := &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{section}}
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	found := make([]Body, count)
	e := m.s.short(ctx, func(c *imapclient.Client) error {
		cmd := c.Fetch(imap.UIDSet{imap.UIDRange{Start: imap.UID(first), Stop: imap.UID(last)}}, options)
		for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
			b, complete, err := readBody(msg, section)
			if err != nil {
				return err // see fetchOnce
			}
			if at := uint64(b.UID) - first; complete && at < uint64(count) && found[at].UID == 0 {
				found[at] = b
			}
		}
		return cmd.Close()
	})
	if e != nil {
		if e.Refused {
			m.noNext = true
			return nil, nil
		}
		return nil, m.named(e)
	}
	whole := 0
	for _, b := range found {
		if b.UID == 0 || b.InternalDate.IsZero() || len(b.Raw) >= size {
			break
		}
		if b.Size != int64(len(b.Raw)) {
			m.noNext = true
			break
		}
		whole++
	}
	return found[:whole], nil
}
