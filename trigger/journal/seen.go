package journal

// The identity set of a mailbox: a UID and an 8-byte hash each, in the order in
// which the messages came.
//
// Bound: MaxSeen entries a mailbox (12.4 MiB), plus less than one chunk; beyond
// it the oldest chunk goes. Entries are not made unique: the caller adds a message once.

// addSeen plans an update of a set. j.mu is held.
func (j *Journal) addSeen(o *op, u SeenUpdate) {
	if len(u.Seen) == 0 && !u.Reset {
		return
	}
	m := j.mailboxOf(o, u.Mailbox)
	m.seen.append(o, chunkWrite{bucket: bucketSeen, list: be(m.id), entries: u.Seen, reset: u.Reset})
	m.seen.drop(o, bucketSeen, be(m.id), (m.seen.len()-MaxSeen)/chunkLen)
}

// Seen returns a mailbox's identity set, as last accepted, in the order it was added.
func (j *Journal) Seen(key MailboxKey) ([]Seen, error) {
	j.mu.Lock() // as in State
	defer j.mu.Unlock()
	m := j.mailboxes[key]
	if m == nil {
		return nil, nil
	}
	return j.entries(&m.seen, bucketSeen, be(m.id))
}
