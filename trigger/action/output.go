package action

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"mailtrigger/connection/setting"
)

// outputHalf is how many bytes are kept of the beginning of what a command prints,
// and as many of the end.
const outputHalf = 32 << 10

// An output keeps the beginning and the end of what is written to it, whatever
// its length, and never fails. It is safe for concurrent use, for a command that
// cannot be ended may still print.
type output struct {
	mu         sync.Mutex
	head, tail []byte
	at         int // where the ring tail begins, once it is full
	skipped    int64
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	if room := outputHalf - len(o.head); room > 0 {
		k := min(room, len(p))
		o.head = append(o.head, p[:k]...)
		p = p[k:]
	}
	if over := len(p) - outputHalf; over > 0 { // only the last bytes can stay
		o.skipped += int64(len(o.tail)) + int64(over)
		o.tail, o.at = append(o.tail[:0], p[over:]...), 0
		return n, nil
	}
	if room := outputHalf - len(o.tail); room > 0 {
		k := min(room, len(p))
		o.tail = append(o.tail, p[:k]...)
		p = p[k:]
	}
	for len(p) > 0 {
		k := copy(o.tail[o.at:], p)
		o.at = (o.at + k) % outputHalf
		o.skipped += int64(k)
		p = p[k:]
	}
	return n, nil
}

// Bytes returns what was kept, with a line that says how much was left out.
func (o *output) Bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b bytes.Buffer
	b.Write(o.head)
	if o.skipped > 0 {
		fmt.Fprintf(&b, "\n[... %d bytes left out ...]\n", o.skipped)
	}
	b.Write(o.tail[o.at:])
	b.Write(o.tail[:o.at])
	return b.Bytes()
}

// redact removes secrets from what a program or a server said.
func redact(out []byte, secrets []setting.Secret) []byte {
	if len(secrets) == 0 {
		return out
	}
	return []byte(setting.Redact(string(out), secrets...))
}

// lastLine returns the last line that says something, shortened: it tends to be why.
func lastLine(out []byte) string {
	s := strings.TrimSpace(string(out))
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[i+1:]
	}
	return strings.TrimSpace(s)
}

var secretName = regexp.MustCompile(`(?i)auth|key|token|secret|passw|cookie|credential|session|signature|^(sig|code|pwd|pw)$`)

// sensitive reports whether what goes by this name is likely a secret.
func sensitive(name string) bool { return secretName.MatchString(name) }
