package trigger

import (
	"context"
	"slices"

	"mailtrigger/connection"
	"mailtrigger/trigger/journal"
)

// newestKept is how many of the newest known messages are looked at again after
// each connect.
const newestKept = 10

// newest are the last messages that are known in a mailbox, by UID. A server that
// was restored from a backup and has had new mail since may look as if nothing
// had happened: same UIDVALIDITY, a UIDNEXT that is not lower. But then these UIDs
// are not there any more, or name other messages.
type newest []journal.Seen

// add takes more messages into account.
func (n *newest) add(seen ...journal.Seen) {
	for _, s := range seen {
		if s.Hash != 0 { // 0: it could not be read
			*n = append(*n, s)
		}
	}
	slices.SortStableFunc(*n, func(a, b journal.Seen) int { return int(int64(a.UID) - int64(b.UID)) })
	*n = slices.Clone((*n)[max(len(*n)-newestKept, 0):])
}

// reused reports whether the UID of a known message names another one now.
func (c *collector) reused(ctx context.Context, mb *connection.Mailbox) (bool, error) {
	if len(c.newest) == 0 {
		return false, nil
	}
	known := make(map[uint32][]uint64, len(c.newest))
	for _, s := range c.newest {
		known[s.UID] = append(known[s.UID], s.Hash)
	}
	infos, err := mb.ListRange(ctx, c.newest[0].UID, c.newest[len(c.newest)-1].UID)
	if err != nil {
		return false, err
	}
	infos = slices.DeleteFunc(infos, func(i connection.Info) bool { return known[i.UID] == nil })
	now, err := identify(ctx, mb, infos)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(now, func(p present) bool { return !slices.Contains(known[p.info.UID], p.hash) }), nil
}
