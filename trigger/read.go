package trigger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailtrigger/connection"
	"mailtrigger/trigger/message"
)

// Messages, fetched as far as any trigger needs them.

// A mail is a message as it was read, decoded once for each way to read it.
type mail struct {
	info    connection.Info
	raw     []byte // nil if only the header was read
	header  []byte
	hash    uint64
	problem string // why it could not be read at all
	decoded map[reading]*message.Message

	wantedBy []*feed            // which have not decided about it
	found    map[*feed]*finding // what their conditions say
}

// newMail makes a mail that is still to be read, for the triggers that have not decided
// about it.
func (c *collector) newMail(info connection.Info, live bool) *mail {
	m := &mail{info: info, decoded: make(map[reading]*message.Message), found: make(map[*feed]*finding)}
	for _, f := range c.feeds {
		if f.wants(info.UID, live) {
			m.wantedBy = append(m.wantedBy, f)
		}
	}
	return m
}

// take takes the text. The size that was listed is the one that identities are made of.
func (m *mail) take(b connection.Body) {
	m.info.Flags, m.raw, m.hash = b.Flags, b.Raw, identityHash(b.Raw, m.info.Size)
}

// decode returns the message as it is read for the feed's trigger.
func (m *mail) decode(c *collector, f *feed) *message.Message {
	if msg := m.decoded[f.reading]; msg != nil {
		return msg
	}
	var msg *message.Message
	if m.raw == nil {
		msg = f.reading.header(m.header)
	} else {
		var err error
		if msg, err = c.e.decode(c.key, c.state.UIDValidity, m.info.UID, m.raw, f.reading); err != nil {
			msg = &message.Message{MessageID: rawField(m.raw, "Message-ID"), Subject: rawField(m.raw, "Subject")}
			m.problem, m.raw = err.Error(), nil
		} else {
			c.e.trace.defects(msg.Defects)
		}
	}
	msg.Size, msg.Flags = m.info.Size, m.info.Flags
	m.decoded[f.reading] = msg
	return msg
}

// read fetches the messages that any trigger wants. What has gone meanwhile is
// not in the result.
func (c *collector) read(ctx context.Context, mb *connection.Mailbox, infos []connection.Info, live bool) (map[uint32]*mail, error) {
	out := make(map[uint32]*mail, len(infos))
	var whole, large, unfetched []uint32
	most := c.largestWanted()
	for _, info := range infos {
		m := c.newMail(info, live)
		if len(m.wantedBy) == 0 {
			continue
		}
		switch {
		case c.fails[info.UID].times >= maxFetchFails:
			m.problem = fmt.Sprintf("the server could not deliver it in %d attempts; look at it with a mail program, then retry or discard the dead letter", maxFetchFails)
			out[info.UID] = m
			unfetched = append(unfetched, info.UID)
		case info.Size > largeMail:
			large = append(large, info.UID)
			out[info.UID] = m
		default:
			whole = append(whole, info.UID)
			out[info.UID] = m
		}
	}
	c.readIdentity(ctx, mb, unfetched, out)
	if len(large) > 0 {
		wanted, err := c.readHeaders(ctx, mb, large, out, most)
		if err != nil {
			return nil, err
		}
		whole = append(whole, wanted...)
	}
	if len(whole) == 0 {
		return out, nil
	}
	slices.Sort(whole)
	got := make(map[uint32]bool, len(whole))
	err := mb.Fetch(ctx, whole, func(b connection.Body) error {
		if m := out[b.UID]; m != nil {
			m.take(b)
			got[b.UID] = true
		}
		return nil
	})
	if err != nil {
		c.fetchFailed(ctx, whole, err)
		return nil, err
	}
	c.batch = min(c.batch*2, maxBatch)
	for _, uid := range whole {
		if !got[uid] {
			delete(out, uid) // expunged meanwhile
		}
	}
	return out, nil
}

// readIdentity gets what can be got of messages that the server cannot deliver:
// enough to tell in the dead letter what it is, and to find it again.
func (c *collector) readIdentity(ctx context.Context, mb *connection.Mailbox, uids []uint32, out map[uint32]*mail) {
	if len(uids) == 0 {
		return
	}
	err := mb.FetchHeaders(ctx, uids, identityFields, func(uid uint32, raw []byte) error {
		if m := out[uid]; m != nil {
			m.header, m.hash = raw, identityHash(raw, m.info.Size)
		}
		return nil
	})
	if err != nil {
		c.log.Debug("the header of a message that cannot be delivered cannot be had either", "err", err)
	}
}

// fetchFailed halves the batch, so that the message that makes fetches fail is
// found; failures of one alone are counted against it. A session that was lost is
// no message's fault, unless that goes on for long.
func (c *collector) fetchFailed(ctx context.Context, uids []uint32, err error) {
	if ctx.Err() != nil {
		return
	}
	c.batch = max(c.batch/2, 1)
	if len(uids) > 1 {
		return
	}
	f := c.fails[uids[0]]
	if f.since.IsZero() {
		f.since = c.e.now()
	}
	f.times++
	c.fails[uids[0]] = f
	c.log.Warn("a message could not be fetched", "uid", uids[0], "times", f.times, "err", err)
	if f.times >= maxFetchFails && !refused(err) && c.e.now().Sub(f.since) < fetchPatience {
		f.times = maxFetchFails - 1
		c.fails[uids[0]] = f
	}
}

// fetchFails is how often a message alone could not be fetched, and since when.
type fetchFails struct {
	times int
	since time.Time
}

// largestWanted is the largest message that any trigger takes.
func (c *collector) largestWanted() (most int64) {
	for _, f := range c.feeds {
		most = max(most, int64(f.rule.cfg.MaxSize))
	}
	return most
}

// readHeaders judges large messages by their headers, and returns those whose
// bodies are wanted.
func (c *collector) readHeaders(ctx context.Context, mb *connection.Mailbox, uids []uint32, out map[uint32]*mail, most int64) (wanted []uint32, err error) {
	err = mb.FetchHeaders(ctx, uids, nil, func(uid uint32, raw []byte) error {
		if m := out[uid]; m != nil {
			m.header, m.hash = raw, identityHash(raw, m.info.Size)
		}
		return nil
	})
	if err != nil {
		c.fetchFailed(ctx, uids, err)
		return nil, err
	}
	for _, uid := range uids {
		m := out[uid]
		if m.header == nil {
			delete(out, uid) // expunged meanwhile
			continue
		}
		if m.info.Size > most {
			continue
		}
		for _, f := range m.wantedBy {
			if f.rule.mayPlan(c.judge(f, m).Truth) {
				wanted = append(wanted, uid)
				clear(m.decoded)
				break
			}
		}
	}
	return wanted, nil
}
