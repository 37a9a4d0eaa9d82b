package connection

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Body is a whole message.
type Body struct {
	Info        // Size is RFC822.SIZE, which need not be len(Raw)
	Raw  []byte // the message as the server keeps it
}

// Fetch reads whole messages, without marking them read, and calls fn with each
// as it is complete, in any order, once at most. Messages that have gone are left
// out; what could not be had for another reason makes an error in the end, after
// all others were given. If fn returns an error, the rest is not given.
//
// A body is complete if the server sent as many bytes as it announced for it:
// then it is the message, even where RFC822.SIZE says otherwise, as Exchange's
// does. A call returns nil only if the command that carried the bodies ended well.
// Memory: one body at a time, besides what fn keeps.
func (m *Mailbox) Fetch(ctx context.Context, uids []uint32, fn func(Body) error) error {
	section := &imap.FetchItemBodySection{Peek: true}
	options := &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{section}}
	return m.fetch(ctx, uids, options, fn)
}

// FetchHeaders reads the headers of messages, or of those only the named fields,
// as Fetch does whole messages. raw ends with the empty line.
func (m *Mailbox) FetchHeaders(ctx context.Context, uids []uint32, fields []string, fn func(uid uint32, raw []byte) error) error {
	for _, f := range fields {
		if f == "" || len(f) > 100 || strings.ContainsFunc(f, func(r rune) bool { return r <= ' ' || r >= 0x7F || r == ':' }) {
			return m.named(&Error{Stage: StageMailbox, Text: oneLineQuoted(f) + " is not the name of a header field", Permanent: true, Refused: true})
		}
	}
	section := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: fields, Peek: true}
	options := &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}}
	return m.fetch(ctx, uids, options, func(b Body) error { return fn(b.UID, b.Raw) })
}

// fetch gets a section of messages in one command, and what it did not give one
// by one.
func (m *Mailbox) fetch(ctx context.Context, uids []uint32, options *imap.FetchOptions, fn func(Body) error) error {
	missing := map[uint32]bool{}
	for _, uid := range uids {
		if uid != 0 {
			missing[uid] = true
		}
	}
	if len(missing) == 0 {
		return m.ready(ctx)
	}
	give := func(b Body) error {
		if !missing[b.UID] {
			return nil
		}
		delete(missing, b.UID)
		return fn(b)
	}
	refused, err := m.fetchOnce(ctx, keys(missing), options, give)
	if err != nil {
		return err
	}
	// A FETCH of flags that nobody asked for may have stood in the way, or one
	// message fails the command for all.
	var first error
	var lacking []string
	for _, uid := range keys(missing) {
		gone := false
		for range 2 {
			alone, err := m.fetchOnce(ctx, []uint32{uid}, options, give)
			if err != nil {
				return err
			}
			if !missing[uid] {
				break
			}
			if alone != nil {
				refused = alone
			}
			infos, err := m.ListRange(ctx, uid, uid)
			if err != nil {
				return err
			}
			if len(infos) == 0 {
				gone = true
				break
			}
		}
		if missing[uid] && !gone {
			lacking = append(lacking, fmt.Sprint(uid))
			if first == nil {
				first = errors.New("it is there, but its text is not given")
				if refused != nil {
					first = refused
				}
			}
		}
	}
	if first == nil {
		return nil
	}
	more := ""
	if len(lacking) > 5 {
		more = fmt.Sprintf(" and %d more", len(lacking)-5)
		lacking = lacking[:5]
	}
	return m.named(&Error{Stage: StageMailbox, Refused: true, Err: first,
		Text: fmt.Sprintf("mailbox %q: the server does not deliver UID %s%s: %s", m.Name, strings.Join(lacking, ", "), more, oneLine(first.Error())),
		Hint: "look at the message with a mail program; moving it away and back helps on some servers"})
}

// fetchOnce sends one FETCH. refused is the server's NO or BAD; the messages given
// before it are good.
func (m *Mailbox) fetchOnce(ctx context.Context, uids []uint32, options *imap.FetchOptions, give func(Body) error) (refused, err error) {
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	set := imap.UIDSet{}
	for _, uid := range uids {
		set.AddNum(imap.UID(uid))
	}
	var failed error // fn's
	e := m.s.run(ctx, func(c *imapclient.Client) error {
		cmd := c.Fetch(set, options)
		for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
			b, complete, err := readBody(msg, options.BodySection[0])
			if err != nil {
				// The connection has ended. cmd.Close would read on in the literal, which
				// go-imap's own goroutine does by now.
				return err
			}
			if complete && failed == nil {
				failed = give(b)
			}
		}
		return cmd.Close()
	})
	switch {
	case e != nil && !e.Refused:
		return nil, m.named(e)
	case failed != nil:
		return nil, failed
	case e != nil:
		return m.named(e), nil
	}
	return nil, nil
}

// readBody reads one FETCH response. complete is false where it is not about
// the section: a change of flags, or a body that is NIL though there is a message.
func readBody(msg *imapclient.FetchMessageData, want *imap.FetchItemBodySection) (b Body, complete bool, err error) {
	empty := false
	for item := msg.Next(); item != nil; item = msg.Next() {
		part, ok := item.(imapclient.FetchItemDataBodySection)
		if !ok {
			b.take(item)
			continue
		}
		if part.Section == nil || part.Section.Specifier != want.Specifier || len(part.Section.Part) > 0 {
			continue
		}
		if part.Literal == nil { // NIL
			empty = true
			continue
		}
		b.Raw, err = readLiteral(part.Literal)
		if err != nil {
			return b, false, err
		}
		complete = true
	}
	// A server may say NIL for an empty message; one that is not empty is withheld.
	if !complete && empty && b.Size == 0 && !b.InternalDate.IsZero() {
		b.Raw, complete = []byte{}, true
	}
	return b, complete && b.UID != 0, nil
}

// readLiteral reads all of a literal. go-imap ends it early without an error if
// the connection is cut.
func readLiteral(l imap.LiteralReader) ([]byte, error) {
	size := l.Size()
	var buf bytes.Buffer
	buf.Grow(int(min(size, 1<<20)) + bytes.MinRead) // what was announced need not come
	n, err := io.Copy(&buf, l)
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("the connection ended after %d of a message's %d bytes: %w", n, size, err)
	}
	return buf.Bytes(), nil
}

func keys(set map[uint32]bool) []uint32 {
	list := make([]uint32, 0, len(set))
	for uid := range set {
		list = append(list, uid)
	}
	slices.Sort(list)
	return list
}
