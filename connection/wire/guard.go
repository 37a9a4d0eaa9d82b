package wire

import (
	"bytes"
	"fmt"
	"time"
)

// step takes one event of the scanner and turns it into what the client gets.
func (c *lent) step() error {
	l := c.link
	s := &l.scan
	rest, ev, err := s.next(l.in)
	l.in = rest
	if err != nil {
		return err
	}
	switch ev {
	case content:
		if c.stream {
			c.out = append(c.out, s.data...)
			c.stream = s.left > 0
		}
	case body:
		if !c.mute {
			wanted, err := c.part(s.left)
			c.stream = wanted && s.left > 0
			return err
		}
	case line:
		if c.mute {
			c.mute = false
			return nil
		}
		if s.tail {
			_, err := c.part(-1)
			return err
		}
		return c.response(s.head())
	}
	return nil
}

// response passes a whole response on to the client, or drops it.
func (c *lent) response(h head) error {
	l := c.link
	s := &l.scan
	if !c.greeted.Load() {
		if !h.kind.isState() {
			return errNotIMAP(s.piece)
		}
		c.greeted.Store(true)
	}
	if h.kind != kindTagged && h.kind != kindFetch {
		c.chatter += headMax // short ones cost time, too
		if h.kind != kindSearch {
			c.chatter += s.size // its numbers are counted elsewhere
		}
		if c.chatter > s.limits.Chatter {
			return &LimitError{"untagged responses without end", s.limits.Chatter}
		}
	}
	l.count(h)
	if isNews(h.kind) && !c.explains(h.kind) {
		l.news(h.kind)
	}
	if l.roll != nil && !s.over && (h.kind == kindStatus || h.kind == kindList && !c.explains(kindList)) {
		l.roll.hear(h, s.piece, time.Now(), working)
	}
	switch {
	case h.kind == kindTagged:
		c.tagged(h)
	case h.kind.isState():
		st := parseStatus(h.typ, s.piece[h.rest:])
		l.report(st)
		c.out = append(append(c.out, "* "...), st.Type...)
		c.out = st.appendText(c.out)
	case h.kind == kindContinue:
		c.continuation(s.piece[h.rest:])
	case h.kind == kindSearch:
		c.search = true
	case h.kind == kindFetch:
		_, err := c.part(-1)
		return err
	case h.kind == kindEmpty:
	case h.kind == kindUnknown:
		l.dropped("unknown response", h)
	case s.over:
		l.dropped("too long", h)
	default:
		p := parser{b: s.piece, i: h.rest, depth: s.limits.Depth}
		out, ok := rewrite(c.out, h, &p)
		if p.deep {
			return &LimitError{"parentheses nested too deeply", int64(s.limits.Depth)}
		}
		if c.out = out; !ok {
			l.dropped("malformed", h)
		}
	}
	return nil
}

func errNotIMAP(b []byte) error {
	return fmt.Errorf("this is not an IMAP server: it begins with %q", clean(b, 80))
}

// part rewrites a piece of a FETCH, up to a body literal of size bytes or to its
// end (size -1). It reports whether the client wants the literal.
func (c *lent) part(size int64) (wanted bool, err error) {
	l := c.link
	s := &l.scan
	p := parser{b: s.piece, depth: s.limits.Depth}
	if !c.greeted.Load() {
		return false, errNotIMAP(s.piece)
	}
	if !s.tail {
		h := s.head()
		p.i = h.rest
		c.fetch = fetch{seq: h.number, dead: h.number == 0}
		if c.fetches++; c.fetches > s.limits.Fetches {
			return false, &LimitError{"too many FETCH responses", int64(s.limits.Fetches)}
		}
		if !c.explains(kindFetch) {
			l.news(kindFetch)
			if c.chatter += s.size; c.chatter > s.limits.Chatter {
				return false, &LimitError{"untagged responses without end", s.limits.Chatter}
			}
		}
	}
	if s.over {
		c.fetch.dead = true
	}
	if c.fetch.dead && !s.tail {
		l.dropped("malformed", head{typ: []byte("FETCH")})
	}
	c.out, wanted = c.fetch.piece(c.out, &p, size)
	if p.deep {
		return false, &LimitError{"parentheses nested too deeply", int64(s.limits.Depth)}
	}
	return wanted, nil
}

// tagged passes on the end of a command, if the client waits for it.
func (c *lent) tagged(h head) {
	l := c.link
	st := parseStatus(h.typ, l.scan.piece[h.rest:])
	if st.Type != "OK" && st.Type != "NO" {
		st.Type = "BAD"
	}
	if st.Tagged = true; st.Code == "ALERT" {
		l.report(st)
	}
	c.mu.Lock()
	known := c.sent.done(h.tag)
	if len(c.sent.commands) == 0 && c.idle != nil {
		defer func(idle chan struct{}) { close(idle) }(c.idle)
		c.idle = nil
	}
	c.mu.Unlock()
	if !known {
		l.dropped("tag of no command", h)
		return
	}
	c.chatter, c.fetches = 0, 0
	out := append(bytes.Clone(h.tag), ' ')
	out = append(out, st.Type...)
	c.reply(st.appendText(out))
}

// continuation passes on a "+" that the client waits for.
func (c *lent) continuation(text []byte) {
	c.mu.Lock()
	due := c.sent.takePlus()
	c.mu.Unlock()
	if !due {
		c.link.dropped("continuation of no command", head{typ: []byte("+")})
		return
	}
	c.out = append(c.out, "+ "...)
	c.out = append(c.out, clean(text, c.link.lim.Line)...)
	c.out = append(c.out, "\r\n"...)
}

func (c *lent) explains(k kind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent.explains(k)
}

// isNews reports whether a response may mean that the mailbox has changed. What
// is not understood may mean anything.
func isNews(k kind) bool {
	return k == kindExists || k == kindExpunge || k == kindFetch || k == kindUnknown
}
