package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// ErrGone: the message is not in the mailbox any more.
var ErrGone = errors.New("the message has gone")

// StoreFlags adds flags to a message, or takes them away. A message that has gone
// is no error to the server, and none here.
func (m *Mailbox) StoreFlags(ctx context.Context, uid uint32, add bool, flags []string) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	if len(flags) == 0 {
		return nil
	}
	change := &imap.StoreFlags{Op: imap.StoreFlagsDel, Silent: true}
	if add {
		change.Op = imap.StoreFlagsAdd
	}
	for _, f := range flags {
		if err := checkFlag(f); err != nil {
			return m.named(err)
		}
		if add && !m.keeps(f) {
			return m.named(&Error{Stage: StageMailbox, Permanent: true, Refused: true,
				Text: fmt.Sprintf("mailbox %q cannot keep the flag %s (it keeps %v)", m.Name, f, m.permanent), Hint: "use one that it keeps"})
		}
		change.Flags = append(change.Flags, imap.Flag(f))
	}
	return m.named(m.s.short(ctx, func(c *imapclient.Client) error {
		return c.Store(imap.UIDSetNum(imap.UID(uid)), change, nil).Close()
	}))
}

// keeps reports whether the mailbox keeps the flag beyond the session
// (PERMANENTFLAGS, RFC 9051 section 7.1); true where it does not say.
func (m *Mailbox) keeps(flag string) bool {
	if m.permanent == nil {
		return true
	}
	return slices.ContainsFunc(m.permanent, func(p imap.Flag) bool {
		return strings.EqualFold(string(p), flag) || p == imap.FlagWildcard && !strings.HasPrefix(flag, `\`)
	})
}

// Copy copies a message and returns where it is now, zeros where the server does
// not say (no UIDPLUS). The error is ErrGone if there was no such message.
func (m *Mailbox) Copy(ctx context.Context, uid uint32, dest string) (destUIDValidity, destUID uint32, err error) {
	if err := m.transfer(ctx, dest); err != nil {
		return 0, 0, err
	}
	var data *imap.CopyData
	if e := m.s.short(ctx, func(c *imapclient.Client) (err error) {
		data, err = c.Copy(imap.UIDSetNum(imap.UID(uid)), dest).Wait()
		return err
	}); e != nil {
		return 0, 0, m.named(e)
	}
	destUIDValidity, destUID = data.UIDValidity, single(data.DestUIDs)
	if destUID == 0 {
		there, err := m.exists(ctx, uid)
		if err == nil && !there {
			err = m.gone(uid)
		}
		return 0, 0, err
	}
	return destUIDValidity, destUID, nil
}

// transfer checks what Copy and Move have in common.
func (m *Mailbox) transfer(ctx context.Context, dest string) error {
	if err := checkName("the destination's name", dest); err != nil {
		return m.named(err)
	}
	return m.ready(ctx)
}

// single returns the one number of a set, or 0.
func single(set imap.NumSet) uint32 {
	uids, ok := set.(imap.UIDSet)
	if !ok {
		return 0
	}
	if list, ok := uids.Nums(); ok && len(list) == 1 {
		return uint32(list[0])
	}
	return 0
}

// exists reports whether the message is there.
func (m *Mailbox) exists(ctx context.Context, uid uint32) (bool, error) {
	infos, err := m.ListRange(ctx, uid, uid)
	return len(infos) > 0, err
}

func (m *Mailbox) gone(uid uint32) error {
	return m.named(&Error{Stage: StageMailbox, Permanent: true, Refused: true, Err: ErrGone,
		Text: fmt.Sprintf("mailbox %q has no message with UID %d any more", m.Name, uid)})
}

// Move moves a message and returns where it is now, zeros where the server does
// not say. Where the server has no MOVE (RFC 6851) it is COPY, then \Deleted, then
// UID EXPUNGE, each only after the one before has worked. Without UIDPLUS (RFC
// 4315) that would expunge what others have marked, so it is an error.
func (m *Mailbox) Move(ctx context.Context, uid uint32, dest string) (destUIDValidity, destUID uint32, err error) {
	if err := m.transfer(ctx, dest); err != nil {
		return 0, 0, err
	}
	if !m.s.can("MOVE") {
		return m.moveByCopy(ctx, uid, dest)
	}
	there, err := m.exists(ctx, uid) // MOVE of nothing is OK without a word
	if err != nil {
		return 0, 0, err
	}
	if !there {
		return 0, 0, m.gone(uid)
	}
	var data *imapclient.MoveData
	if e := m.s.short(ctx, func(c *imapclient.Client) (err error) {
		data, err = c.Move(imap.UIDSetNum(imap.UID(uid)), dest).Wait()
		return err
	}); e != nil {
		return 0, 0, m.named(e)
	}
	return data.UIDValidity, single(data.DestUIDs), nil
}

func (m *Mailbox) moveByCopy(ctx context.Context, uid uint32, dest string) (destUIDValidity, destUID uint32, err error) {
	if !m.s.can("UIDPLUS") {
		return 0, 0, m.noUIDPlus("moved", "use copy and flag instead")
	}
	destUIDValidity, destUID, err = m.Copy(ctx, uid, dest)
	if err != nil {
		return 0, 0, err
	}
	return destUIDValidity, destUID, m.Delete(ctx, uid)
}

func (m *Mailbox) noUIDPlus(what, hint string) error {
	return m.named(&Error{Stage: StageMailbox, Permanent: true, Refused: true,
		Text: fmt.Sprintf("the server has no UIDPLUS, so that a message cannot be %s without expunging what others have marked as deleted", what),
		Hint: hint})
}

// Delete marks a message as deleted and expunges it, and it alone. Without
// UIDPLUS it is an error. A message that has gone is none.
func (m *Mailbox) Delete(ctx context.Context, uid uint32) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	if !m.s.can("UIDPLUS") {
		return m.noUIDPlus("deleted", `use flag with \Deleted instead`)
	}
	if err := m.StoreFlags(ctx, uid, true, []string{`\Deleted`}); err != nil {
		return err
	}
	return m.named(m.s.short(ctx, func(c *imapclient.Client) error {
		return c.UIDExpunge(imap.UIDSetNum(imap.UID(uid))).Close()
	}))
}

// Create makes a mailbox. It is no error if it exists.
func (m *Mailbox) Create(ctx context.Context, name string) error {
	if err := checkName("the mailbox's name", name); err != nil {
		return m.named(err)
	}
	e := m.s.short(ctx, func(c *imapclient.Client) error { return c.Create(name, nil).Wait() })
	if e != nil && e.Refused && (e.Code == "ALREADYEXISTS" || strings.Contains(strings.ToLower(e.Text), "exists")) {
		return nil
	}
	return m.named(e)
}

// MailboxInfo is a mailbox as LIST has it.
type MailboxInfo struct {
	Name       string   // UTF-8
	Delimiter  string   // between the levels of a name; "" if there are none
	Attributes []string // e.g. `\HasNoChildren`, `\Archive`
}

// ListMailboxes returns the mailboxes that can be selected and whose name matches
// one of the patterns of LIST ("*" and "%", RFC 9051 section 6.3.9) or, for a
// pattern like `\Archive`, whose special use it is (RFC 6154). No mailbox needs to
// be selected.
func (m *Mailbox) ListMailboxes(ctx context.Context, patterns ...string) ([]MailboxInfo, error) {
	var list []MailboxInfo
	for _, p := range patterns {
		if err := checkName("the mailbox's name", p); err != nil {
			return nil, m.named(err)
		}
		use := strings.HasPrefix(p, `\`)
		pattern := p
		if use {
			pattern = "*"
		}
		var options *imap.ListOptions
		if m.s.can("LIST-EXTENDED") && m.s.can("SPECIAL-USE") { // the others tell of special uses unasked
			options = &imap.ListOptions{ReturnSpecialUse: true}
		}
		var found []*imap.ListData
		if e := m.s.short(ctx, func(c *imapclient.Client) (err error) {
			found, err = c.List("", pattern, options).Collect()
			return err
		}); e != nil {
			return nil, m.named(e)
		}
		for _, d := range found {
			info := MailboxInfo{Name: d.Mailbox}
			if d.Delim != 0 {
				info.Delimiter = string(d.Delim)
			}
			for _, a := range d.Attrs {
				info.Attributes = append(info.Attributes, string(a))
			}
			if info.has(`\Noselect`) || info.has(`\NonExistent`) || use && !info.has(p) {
				continue
			}
			if !slices.ContainsFunc(list, func(have MailboxInfo) bool { return have.Name == info.Name }) {
				list = append(list, info)
			}
		}
	}
	return list, nil
}

func (i *MailboxInfo) has(attribute string) bool {
	return slices.ContainsFunc(i.Attributes, func(a string) bool { return strings.EqualFold(a, attribute) })
}
