package connectiontest

import (
	"bytes"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

func (x *session) Search(kind imapserver.NumKind, c *imap.SearchCriteria, _ *imap.SearchOptions) (*imap.SearchData, error) {
	if err := x.s.failing("SEARCH"); err != nil {
		return nil, err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	var (
		uids    imap.UIDSet
		numbers imap.SeqSet
		count   uint32
	)
	for i, m := range x.box.messages {
		number := x.view.EncodeSeqNum(uint32(i + 1))
		if number != 0 && matches(number, m, c) {
			uids.AddNum(imap.UID(m.UID))
			numbers.AddNum(number)
			count++
		}
	}
	d := &imap.SearchData{All: uids, Count: count}
	if kind == imapserver.NumKindSeq {
		d.All = numbers
	}
	return d, nil
}

// matches decides over one message, as RFC 9051 section 6.4.4 has it.
func matches(number uint32, m *Message, c *imap.SearchCriteria) bool {
	for _, set := range c.SeqNum {
		if !set.Contains(number) {
			return false
		}
	}
	for _, set := range c.UID {
		if !set.Contains(imap.UID(m.UID)) && !inOpenRange(set, imap.UID(m.UID)) {
			return false
		}
	}
	day := time.Date(m.Date.Year(), m.Date.Month(), m.Date.Day(), 0, 0, 0, 0, time.UTC)
	if !c.Since.IsZero() && day.Before(c.Since) || !c.Before.IsZero() && !day.Before(c.Before) {
		return false
	}
	for _, f := range c.Flag {
		if !hasFlag(m, string(f)) {
			return false
		}
	}
	for _, f := range c.NotFlag {
		if hasFlag(m, string(f)) {
			return false
		}
	}
	size := int64(len(m.Raw))
	if c.Larger != 0 && size <= c.Larger || c.Smaller != 0 && size >= c.Smaller {
		return false
	}
	head, body := splitHeader(m.Raw)
	for _, h := range c.Header {
		field := headerFields(head, []string{h.Key}, nil)
		_, value, found := strings.Cut(string(field), ":")
		if !found || !strings.Contains(strings.ToLower(value), strings.ToLower(h.Value)) {
			return false
		}
	}
	for _, text := range c.Text {
		if !bytes.Contains(bytes.ToLower(m.Raw), bytes.ToLower([]byte(text))) {
			return false
		}
	}
	for _, text := range c.Body {
		if !bytes.Contains(bytes.ToLower(body), bytes.ToLower([]byte(text))) {
			return false
		}
	}
	for i := range c.Not {
		if matches(number, m, &c.Not[i]) {
			return false
		}
	}
	for i := range c.Or {
		if !matches(number, m, &c.Or[i][0]) && !matches(number, m, &c.Or[i][1]) {
			return false
		}
	}
	return true
}
