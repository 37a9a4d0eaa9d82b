package connectiontest

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// session is one client's session: an imapserver.SessionIMAP4rev2 without the
// other's ENABLE. Every command holds the server's lock for as long as it looks at
// mail, and not while it writes bodies.
type session struct {
	s    *Server
	user *user
	box  *mailbox // the selected one
	view *imapserver.SessionTracker
}

func no(code imap.ResponseCode, text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: code, Text: text}
}

func (x *session) Close() error { return x.Unselect() }

func (x *session) Login(name, password string) error {
	x.s.mu.Lock()
	x.s.logins++
	u := x.s.users[name]
	good := u != nil && u.password == password
	if good {
		x.user = u
	}
	x.s.mu.Unlock()
	if err := x.s.failing("LOGIN"); err != nil {
		return err
	}
	if !good {
		return imapserver.ErrAuthFailed
	}
	return nil
}

func (x *session) Select(name string, _ *imap.SelectOptions) (*imap.SelectData, error) {
	if err := x.s.failing("SELECT"); err != nil {
		return nil, err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	box := x.user.boxes[mailboxName(name)]
	if box == nil {
		return nil, no(imap.ResponseCodeNonExistent, "no such mailbox")
	}
	x.box, x.view = box, box.tracker.NewSession()
	flags := []imap.Flag{imap.FlagSeen, imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagDraft}
	return &imap.SelectData{
		Flags:          flags,
		PermanentFlags: append(slices.Clone(flags), imap.FlagWildcard),
		NumMessages:    uint32(len(box.messages)),
		UIDNext:        imap.UID(box.next),
		UIDValidity:    box.validity,
	}, nil
}

func (x *session) Unselect() error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.view != nil {
		x.view.Close()
	}
	x.box, x.view = nil, nil
	return nil
}

func (x *session) Create(name string, _ *imap.CreateOptions) error {
	if err := x.s.failing("CREATE"); err != nil {
		return err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	name = mailboxName(name)
	if x.user.boxes[name] != nil {
		return no(imap.ResponseCodeAlreadyExists, "mailbox exists")
	}
	x.user.boxes[name] = x.s.newMailbox(name)
	x.s.tellList(x.user, name, "")
	return nil
}

func (x *session) Delete(name string) error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.user.boxes[mailboxName(name)] == nil {
		return no(imap.ResponseCodeNonExistent, "no such mailbox")
	}
	delete(x.user.boxes, mailboxName(name))
	x.s.tellList(x.user, mailboxName(name), `\NonExistent`)
	return nil
}

func (x *session) Rename(from, to string, _ *imap.RenameOptions) error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	from, to = mailboxName(from), mailboxName(to)
	box := x.user.boxes[from]
	switch {
	case box == nil:
		return no(imap.ResponseCodeNonExistent, "no such mailbox")
	case x.user.boxes[to] != nil:
		return no(imap.ResponseCodeAlreadyExists, "mailbox exists")
	}
	delete(x.user.boxes, from)
	box.name = to
	x.user.boxes[to] = box
	x.s.tellList(x.user, from, `\NonExistent`)
	x.s.tellList(x.user, to, "")
	return nil
}

func (x *session) Subscribe(string) error   { return nil }
func (x *session) Unsubscribe(string) error { return nil }

func (x *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: '/'}}}, nil
}

func (x *session) List(w *imapserver.ListWriter, ref string, patterns []string, options *imap.ListOptions) error {
	if err := x.s.failing("LIST"); err != nil {
		return err
	}
	if len(patterns) == 0 {
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: '/'})
	}
	x.s.mu.Lock()
	var list []imap.ListData
	for name, box := range x.user.boxes {
		if slices.ContainsFunc(patterns, func(p string) bool { return imapserver.MatchList(name, '/', ref, p) }) {
			list = append(list, imap.ListData{Mailbox: name, Delim: '/', Attrs: slices.Clone(box.use)})
		}
	}
	x.s.mu.Unlock()
	slices.SortFunc(list, func(a, b imap.ListData) int { return strings.Compare(a.Mailbox, b.Mailbox) })
	for i := range list {
		if err := w.WriteList(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (x *session) Status(name string, o *imap.StatusOptions) (*imap.StatusData, error) {
	if err := x.s.failing("STATUS"); err != nil {
		return nil, err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	box := x.user.boxes[mailboxName(name)]
	if box == nil {
		return nil, no(imap.ResponseCodeNonExistent, "no such mailbox")
	}
	total, unseen, deleted, size := uint32(len(box.messages)), uint32(0), uint32(0), int64(0)
	for _, m := range box.messages {
		if !hasFlag(m, `\Seen`) {
			unseen++
		}
		if hasFlag(m, `\Deleted`) {
			deleted++
		}
		size += int64(len(m.Raw))
	}
	recent := uint32(0)
	d := &imap.StatusData{Mailbox: name, UIDNext: imap.UID(box.next), UIDValidity: box.validity}
	if o.NumMessages {
		d.NumMessages = &total
	}
	if o.NumUnseen {
		d.NumUnseen = &unseen
	}
	if o.NumDeleted {
		d.NumDeleted = &deleted
	}
	if o.Size {
		d.Size = &size
	}
	if o.NumRecent {
		d.NumRecent = &recent
	}
	return d, nil
}

func (x *session) Append(name string, r imap.LiteralReader, o *imap.AppendOptions) (*imap.AppendData, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if err := x.s.failing("APPEND"); err != nil {
		return nil, err
	}
	var flags []string
	for _, f := range o.Flags {
		flags = append(flags, string(f))
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	box := x.user.boxes[mailboxName(name)]
	if box == nil {
		return nil, no(imap.ResponseCodeTryCreate, "no such mailbox")
	}
	return &imap.AppendData{UID: imap.UID(box.append(raw, flags, o.Time)), UIDValidity: box.validity}, nil
}

func (x *session) Poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	if x.view == nil {
		return nil
	}
	return x.view.Poll(w, allowExpunge)
}

// Idle tells what happened before first: imapserver's own does not, and a message
// that came between the last command and IDLE would stay untold until the next.
//
// imapserver does not wait for Idle to end when the connection does, so it takes
// its own copies of what Unselect changes.
func (x *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	x.s.mu.Lock()
	box, view := x.box, x.view
	x.s.mu.Unlock()
	if view == nil {
		<-stop
		return nil
	}
	for {
		x.s.mu.Lock()
		changed := box.changed
		x.s.mu.Unlock()
		if err := view.Poll(w, true); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-changed:
		}
	}
}

// each calls fn with what the set names, in this session's view. x.s.mu is held.
func (x *session) each(set imap.NumSet, fn func(number uint32, m *Message)) {
	for i, m := range slices.Clone(x.box.messages) {
		number := x.view.EncodeSeqNum(uint32(i + 1))
		if number == 0 {
			continue
		}
		// "*" is the last message, so a range with it holds at least that one (RFC 9051, section 9, seq-range).
		last := i == len(x.box.messages)-1
		var in bool
		switch set := set.(type) {
		case imap.SeqSet:
			in = set.Contains(number) || set.Dynamic() && last
		case imap.UIDSet:
			in = set.Contains(imap.UID(m.UID)) || set.Dynamic() && last || inOpenRange(set, imap.UID(m.UID))
		}
		if in {
			fn(number, m)
		}
	}
}

// inOpenRange reports whether uid is in a range that ends in "*".
func inOpenRange(set imap.UIDSet, uid imap.UID) bool {
	for _, r := range set {
		if r.Stop == 0 && r.Start != 0 && uid >= r.Start {
			return true
		}
	}
	return false
}

func (x *session) Fetch(w *imapserver.FetchWriter, set imap.NumSet, o *imap.FetchOptions) error {
	if err := x.s.failing("FETCH"); err != nil {
		return err
	}
	type found struct {
		number uint32
		Message
	}
	var list []found
	x.s.mu.Lock()
	for _, bs := range o.BodySection {
		if !bs.Peek {
			x.each(set, func(_ uint32, m *Message) { addFlag(m, `\Seen`) })
		}
	}
	x.each(set, func(number uint32, m *Message) {
		copied := *m
		copied.Flags = slices.Clone(m.Flags)
		list = append(list, found{number, copied})
	})
	x.s.mu.Unlock()
	for i := range list {
		if err := writeMessage(w.CreateMessage(list[i].number), &list[i].Message, o); err != nil {
			return err
		}
	}
	return nil
}

func writeMessage(r *imapserver.FetchResponseWriter, m *Message, o *imap.FetchOptions) error {
	r.WriteUID(imap.UID(m.UID))
	if o.Flags {
		r.WriteFlags(imapFlags(m.Flags))
	}
	if o.InternalDate {
		r.WriteInternalDate(m.Date)
	}
	if o.RFC822Size {
		r.WriteRFC822Size(int64(len(m.Raw)))
	}
	if o.BodyStructure != nil {
		r.WriteBodyStructure(imapserver.ExtractBodyStructure(bytes.NewReader(m.Raw)))
	}
	for _, bs := range o.BodySection {
		b := section(m.Raw, bs)
		wc := r.WriteBodySection(bs, int64(len(b)))
		if _, err := wc.Write(b); err != nil {
			return err
		}
		if err := wc.Close(); err != nil {
			return err
		}
	}
	return r.Close()
}

// section returns what BODY[...] asks for. The whole message and its header are
// given byte for byte, however odd they are.
func section(raw []byte, bs *imap.FetchItemBodySection) []byte {
	if len(bs.Part) > 0 {
		return imapserver.ExtractBodySection(bytes.NewReader(raw), bs)
	}
	head, body := splitHeader(raw)
	b := raw
	switch bs.Specifier {
	case imap.PartSpecifierHeader:
		b = head
		if len(bs.HeaderFields) > 0 || len(bs.HeaderFieldsNot) > 0 {
			b = headerFields(head, bs.HeaderFields, bs.HeaderFieldsNot)
		}
	case imap.PartSpecifierText:
		b = body
	}
	if p := bs.Partial; p != nil {
		from := min(p.Offset, int64(len(b)))
		b = b[from:min(from+p.Size, int64(len(b)))]
	}
	return b
}

// splitHeader returns the header with its empty line, and the body.
func splitHeader(raw []byte) (head, body []byte) {
	for _, sep := range []string{"\r\n\r\n", "\n\n"} {
		if i := bytes.Index(raw, []byte(sep)); i >= 0 {
			return raw[:i+len(sep)], raw[i+len(sep):]
		}
	}
	return raw, nil
}

func headerFields(head []byte, only, not []string) []byte {
	var out []byte
	keep := false
	for line := range bytes.Lines(head) {
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(string(line), ":")
			named := func(n string) bool { return strings.EqualFold(n, strings.TrimSpace(name)) }
			keep = len(only) > 0 && slices.ContainsFunc(only, named) || len(only) == 0 && !slices.ContainsFunc(not, named)
		}
		if keep {
			out = append(out, line...)
		}
	}
	return append(out, "\r\n"...)
}

func (x *session) Store(w *imapserver.FetchWriter, set imap.NumSet, change *imap.StoreFlags, _ *imap.StoreOptions) error {
	if err := x.s.failing("STORE"); err != nil {
		return err
	}
	x.s.mu.Lock()
	index := map[uint32]int{}
	for i, m := range x.box.messages {
		index[m.UID] = i
	}
	x.each(set, func(_ uint32, m *Message) {
		switch change.Op {
		case imap.StoreFlagsSet:
			m.Flags = nil
			fallthrough
		case imap.StoreFlagsAdd:
			for _, f := range change.Flags {
				addFlag(m, string(f))
			}
		case imap.StoreFlagsDel:
			m.Flags = slices.DeleteFunc(m.Flags, func(have string) bool {
				return slices.ContainsFunc(change.Flags, func(f imap.Flag) bool { return strings.EqualFold(have, string(f)) })
			})
		}
		x.box.tracker.QueueMessageFlags(uint32(index[m.UID]+1), imap.UID(m.UID), imapFlags(m.Flags), x.view)
	})
	x.box.notify()
	x.s.mu.Unlock()
	if change.Silent {
		return nil
	}
	return x.Fetch(w, set, &imap.FetchOptions{Flags: true})
}

func (x *session) Expunge(_ *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	if err := x.s.failing("EXPUNGE"); err != nil {
		return err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.box.remove(func(m *Message) bool {
		return hasFlag(m, `\Deleted`) && (uids == nil || uids.Contains(imap.UID(m.UID)))
	})
	return nil
}

func (x *session) Copy(set imap.NumSet, dest string) (*imap.CopyData, error) {
	if err := x.s.failing("COPY"); err != nil {
		return nil, err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	return x.copy(set, dest)
}

// copy copies. x.s.mu is held.
func (x *session) copy(set imap.NumSet, dest string) (*imap.CopyData, error) {
	to := x.user.boxes[mailboxName(dest)]
	if to == nil {
		return nil, no(imap.ResponseCodeTryCreate, "no such mailbox")
	}
	d := &imap.CopyData{UIDValidity: to.validity}
	x.each(set, func(_ uint32, m *Message) {
		d.SourceUIDs.AddNum(imap.UID(m.UID))
		d.DestUIDs.AddNum(imap.UID(to.append(m.Raw, m.Flags, m.Date)))
	})
	if len(d.SourceUIDs) == 0 {
		return nil, nil
	}
	return d, nil
}

func (x *session) Move(w *imapserver.MoveWriter, set imap.NumSet, dest string) error {
	if err := x.s.failing("MOVE"); err != nil {
		return err
	}
	x.s.mu.Lock()
	d, err := x.copy(set, dest)
	if err == nil && d != nil {
		x.box.remove(func(m *Message) bool { return d.SourceUIDs.Contains(imap.UID(m.UID)) })
	}
	x.s.mu.Unlock()
	if err != nil || d == nil {
		return err
	}
	return w.WriteCopyData(d)
}

func hasFlag(m *Message, flag string) bool {
	return slices.ContainsFunc(m.Flags, func(f string) bool { return strings.EqualFold(f, flag) })
}

func addFlag(m *Message, flag string) {
	if !hasFlag(m, flag) {
		m.Flags = append(m.Flags, flag)
	}
}
