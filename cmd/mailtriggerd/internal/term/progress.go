package term

import (
	"fmt"
	"sync"
	"time"
)

// A Progress is a line that says how far long work is. It is written over as the
// work goes on and leaves nothing behind. Without a terminal it is silent. It is
// safe for concurrent use.
type Progress struct {
	t    *Terminal
	mu   sync.Mutex
	at   time.Time // when it was last written
	line string    // what stands there; "" if nothing
}

// pace is how often a line is written over at most: a fast loop does not wait for
// its terminal.
const pace = 100 * time.Millisecond

// NewProgress begins a line of progress.
func (t *Terminal) NewProgress() *Progress { return &Progress{t: t} }

// Say shows how far the work is.
func (p *Progress) Say(format string, args ...any) {
	if !p.t.live {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.at) >= pace {
		p.at = now
		p.put(Cut(Clean(fmt.Sprintf(format, args...)), p.t.columns-1))
	}
}

// Clear takes the line away, so that something else can be written.
func (p *Progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line != "" {
		p.put("")
		p.at = time.Time{}
	}
}

// put writes the line over: carriage return, the text, erase to the end of the
// line (EL, ECMA-48).
func (p *Progress) put(line string) {
	_, _ = fmt.Fprintf(p.t.w, "\r%s\x1b[K", p.t.Paint(Soft, line))
	p.line = line
}
