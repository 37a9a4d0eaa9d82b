package connection

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailtrigger/connection/wire"
)

// A Mailbox is a mailbox on a session, for as long as the function runs that was
// given it. All calls end with their ctx and, where the server makes no progress,
// after the connection's timeout. The errors are *Error; where Refused is set the
// server said no and the session goes on, else it has ended. For one goroutine at
// a time.
type Mailbox struct {
	Name        string // UTF-8
	UIDValidity uint32
	UIDNext     uint32 // at the last SELECT, or one more than the highest UID that List has seen since
	Exists      uint32 // at the last SELECT
	ReadOnly    bool   // no flag can be stored for good

	s         *session
	permanent []imap.Flag // PERMANENTFLAGS; nil if the server did not tell
	waiting   func() bool // for Waiting; nil outside of a look

	// For Next.
	noNext   bool   // this is not a server to be asked that way
	listed   bool   // everything was listed since the last SELECT, or that found nothing
	listedAt uint32 // then the mailbox had so many messages
}

// Info is what a mailbox says about a message without opening it.
type Info struct {
	UID          uint32
	Flags        []string
	InternalDate time.Time
	Size         int64 // RFC822.SIZE; some servers, Exchange above all, only estimate it
}

// Refresh selects the mailbox again and updates UIDValidity, UIDNext and Exists.
func (m *Mailbox) Refresh(ctx context.Context) error {
	if err := checkName("the mailbox's name", m.Name); err != nil {
		return m.named(err)
	}
	// After a failed SELECT no mailbox is selected (RFC 9051 section 6.3.2),
	// whatever go-imap's State says.
	m.s.selected, m.listed = nil, false
	data, err := m.s.choose(ctx, m.Name)
	if err != nil {
		if err.Refused {
			err.Text = fmt.Sprintf("mailbox %q: %s", m.Name, err.Text)
			if p := m.s.cfg.presetByAddress(); p != nil && strings.Contains(p.Notes, "ID was sent") && !m.s.cfg.sendID() {
				err.Hint = "this provider wants ID first: set id = true"
			}
		}
		return err
	}
	if data.UIDValidity == 0 {
		return &Error{Connection: m.s.cfg.Name, Stage: StageMailbox, Permanent: true, Refused: true,
			Text: fmt.Sprintf("mailbox %q: the server gives no UIDVALIDITY, so that its messages cannot be told apart from one session to the next", m.Name)}
	}
	m.s.selected = m
	m.UIDValidity, m.UIDNext, m.Exists = data.UIDValidity, uint32(data.UIDNext), data.NumMessages
	m.listed, m.listedAt = m.Exists == 0, 0
	m.permanent = data.PermanentFlags
	m.ReadOnly = data.PermanentFlags != nil && len(data.PermanentFlags) == 0
	if m.UIDNext == 0 {
		return m.findUIDNext(ctx)
	}
	return nil
}

// Waiting reports whether other mailboxes that share the session wait for their
// turn while this look goes on, and it has had a second. See LookFunc.
func (m *Mailbox) Waiting() bool { return m.waiting != nil && m.waiting() }

// adopt takes over what a SELECT of the park loop has told, if that is all there
// is to know.
func (m *Mailbox) adopt(seen wire.Known) bool {
	if seen.UIDValidity == 0 || seen.UIDNext == 0 {
		return false
	}
	m.listed, m.listedAt = seen.Exists == 0, 0
	m.UIDValidity, m.UIDNext, m.Exists = seen.UIDValidity, seen.UIDNext, seen.Exists
	return true
}

// findUIDNext finds UIDNEXT where the server does not tell it at SELECT, as it may
// (RFC 3501 section 6.3.1).
func (m *Mailbox) findUIDNext(ctx context.Context) error {
	m.UIDNext = 1
	if m.Exists == 0 {
		return nil
	}
	infos, err := m.fetchInfo(ctx, imap.SeqSetNum(m.Exists)) // the last message has the highest UID
	for _, info := range infos {
		m.UIDNext = max(m.UIDNext, info.UID+1)
	}
	return err
}

// listWindow is how many messages one FETCH of List goes over: what one command
// may bring is limited, see maxFetches.
const listWindow = maxFetches / 2

// List returns the messages with UIDs above after, sorted by UID.
func (m *Mailbox) List(ctx context.Context, after uint32) ([]Info, error) {
	if after == math.MaxUint32 {
		return nil, m.ready(ctx)
	}
	// "n:*" is the last message even where it is below n (RFC 9051 section 9, seq-range).
	above := func(uid uint32) bool { return uid > after }
	var infos []Info
	var err error
	if m.Exists <= listWindow || m.UIDNext <= after || m.UIDNext-after <= listWindow {
		infos, err = m.list(ctx, imap.UIDSet{imap.UIDRange{Start: imap.UID(after + 1), Stop: 0}}, above)
	} else {
		infos, err = m.listDown(ctx, after, above)
	}
	if err != nil {
		return nil, err
	}
	last := uint32(0) // nothing is said of UIDNEXT, which may be lower than it was
	if len(infos) > 0 {
		last = infos[len(infos)-1].UID
	}
	m.listedUpTo(last)
	return infos, nil
}

// listDown lists a large mailbox window by window, down to after. What is expunged
// meanwhile moves later messages down, into windows that are still to come, so
// none is missed.
func (m *Mailbox) listDown(ctx context.Context, after uint32, above func(uint32) bool) ([]Info, error) {
	// What comes meanwhile has a UID above all that is there.
	infos, err := m.list(ctx, imap.UIDSet{imap.UIDRange{Start: imap.UID(m.UIDNext), Stop: 0}}, func(uid uint32) bool { return uid >= m.UIDNext })
	if err != nil {
		return nil, err
	}
	for top := m.Exists; top > 0; top -= min(top, listWindow) {
		bottom := top - min(top, listWindow) + 1
		window, err := m.list(ctx, imap.SeqSet{imap.SeqRange{Start: bottom, Stop: top}}, above)
		if err != nil {
			return nil, err
		}
		if infos = append(infos, window...); len(infos) > maxListed {
			return nil, m.named(&Error{Stage: StageMailbox, Refused: true, Permanent: true,
				Text: fmt.Sprintf("mailbox %q has more than %d messages above UID %d", m.Name, maxListed, after),
				Hint: "move old messages to another mailbox"})
		}
		if uint32(len(window)) < min(top, listWindow)/2 { // the rest is below after, or it has gone
			if first, err := m.list(ctx, imap.SeqSetNum(bottom), func(uint32) bool { return true }); err != nil {
				return nil, err
			} else if len(first) > 0 && first[0].UID <= after {
				break
			}
		}
	}
	return sorted(infos), nil
}

// maxListed is how many messages List returns at most.
const maxListed = 2_000_000

// ListRange returns the messages with UIDs from first to last, both included,
// sorted by UID.
func (m *Mailbox) ListRange(ctx context.Context, first, last uint32) ([]Info, error) {
	first = max(first, 1)
	if last < first {
		return nil, m.ready(ctx)
	}
	return m.list(ctx, imap.UIDSet{imap.UIDRange{Start: imap.UID(first), Stop: imap.UID(last)}}, func(uid uint32) bool { return first <= uid && uid <= last })
}

func (m *Mailbox) list(ctx context.Context, set imap.NumSet, in func(uid uint32) bool) ([]Info, error) {
	var out []Info
	for range 4 {
		infos, err := m.fetchInfo(ctx, set)
		if err != nil {
			return nil, err
		}
		var again imap.UIDSet
		for _, info := range sorted(infos) {
			switch {
			case !in(info.UID):
			case info.InternalDate.IsZero():
				// An unsolicited FETCH of flags came before the answer, and go-imap
				// took it for the answer.
				again.AddNum(imap.UID(info.UID))
			default:
				out = append(out, info)
			}
		}
		if len(again) == 0 {
			break
		}
		set = again // what has gone meanwhile is not answered
	}
	return sorted(out), nil
}

// sorted sorts by UID and leaves one Info of each message, one with a date if there is.
func sorted(infos []Info) []Info {
	slices.SortFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.UID, b.UID), b.InternalDate.Compare(a.InternalDate))
	})
	return slices.CompactFunc(infos, func(a, b Info) bool { return a.UID == b.UID })
}

// fetchInfo asks for what an Info holds, for a set of messages.
func (m *Mailbox) fetchInfo(ctx context.Context, set imap.NumSet) ([]Info, error) {
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	var infos []Info
	err := m.s.short(ctx, func(c *imapclient.Client) error {
		cmd := c.Fetch(set, &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true})
		for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
			var info Info
			for item := msg.Next(); item != nil; item = msg.Next() {
				info.take(item)
			}
			if info.UID != 0 {
				infos = append(infos, info)
			}
		}
		return cmd.Close()
	})
	if err != nil {
		return nil, m.named(err)
	}
	return infos, nil
}

// take takes what it knows from one item.
func (i *Info) take(item imapclient.FetchItemData) {
	switch item := item.(type) {
	case imapclient.FetchItemDataUID:
		i.UID = uint32(item.UID)
	case imapclient.FetchItemDataFlags:
		i.Flags = make([]string, len(item.Flags))
		for k, f := range item.Flags {
			i.Flags[k] = string(f)
		}
	case imapclient.FetchItemDataInternalDate:
		i.InternalDate = item.Time
	case imapclient.FetchItemDataRFC822Size:
		i.Size = item.Size
	}
}

// ready says why nothing can be asked of the mailbox, if so.
func (m *Mailbox) ready(ctx context.Context) error {
	if m.s.selected != m {
		return &Error{Connection: m.s.cfg.Name, Stage: StageMailbox, Text: fmt.Sprintf("mailbox %q is not selected", m.Name)}
	}
	if ctx.Err() != nil {
		return m.named(&Error{Stage: StageMailbox, Text: endText(ctx), Err: context.Cause(ctx)})
	}
	return nil
}

// named completes an error. It returns error, so that no nil *Error becomes one.
func (m *Mailbox) named(e *Error) error {
	if e == nil {
		return nil
	}
	e.Connection = m.s.cfg.Name
	return e
}

// Search says which messages to find; all conditions must hold.
type Search struct {
	Unseen    bool      // without \Seen
	Since     time.Time // came at or after this time (INTERNALDATE); zero: no condition. Servers know days only: earlier mail of up to two days is found, too
	MessageID string    // the header field, with its angle brackets; "" : no condition
}

// searchWindow is how many messages one SEARCH goes over: the answer is one line
// with all UIDs.
const searchWindow = 5000

// Search returns the UIDs of what is found, sorted.
func (m *Mailbox) Search(ctx context.Context, what Search) ([]uint32, error) {
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(what.MessageID, func(r rune) bool { return r < ' ' || r >= 0x7F }) {
		return nil, m.named(&Error{Stage: StageMailbox, Text: "the Message-ID to search for is not ASCII", Permanent: true, Refused: true})
	}
	criteria := imap.SearchCriteria{}
	if what.Unseen {
		criteria.NotFlag = []imap.Flag{imap.FlagSeen}
	}
	if !what.Since.IsZero() {
		criteria.Since = what.Since.UTC().AddDate(0, 0, -1) // the server's day may be another
	}
	if what.MessageID != "" {
		criteria.Header = []imap.SearchCriteriaHeaderField{{Key: "Message-ID", Value: what.MessageID}}
	}
	var found []uint32
	// From the top down: what is expunged meanwhile moves later messages down,
	// into windows that are still to come, so none is missed.
	for top := max(m.Exists, 1); ; top -= searchWindow {
		windowed := criteria
		if m.Exists > searchWindow {
			bottom := uint32(1)
			if top > searchWindow {
				bottom = top - searchWindow + 1
			}
			windowed.SeqNum = []imap.SeqSet{{imap.SeqRange{Start: bottom, Stop: top}}}
		}
		err := m.s.short(ctx, func(c *imapclient.Client) error {
			data, err := c.UIDSearch(&windowed, nil).Wait()
			if err != nil {
				return err
			}
			if set, ok := data.All.(imap.UIDSet); ok {
				uids, _ := set.Nums()
				for _, uid := range uids {
					found = append(found, uint32(uid))
				}
			}
			return nil
		})
		if err != nil {
			return nil, m.named(err)
		}
		if m.Exists <= searchWindow || top <= searchWindow {
			break
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
