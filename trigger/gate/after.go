package gate

import (
	"fmt"
	"strings"
	"time"
)

// after lets a match through if each of some other triggers has fired not long ago.
type after struct {
	others []string
	window time.Duration
}

func (*after) reason() string { return After }

func (a *after) pass(_ *State, m *Match, _ *Verdict) bool {
	for _, name := range a.others {
		if !m.Fired(name, m.Now.Add(-a.window), m.Now) {
			return false
		}
	}
	return true
}

func (a *after) describe() string {
	return fmt.Sprintf("after: if %s fired within %s", strings.Join(a.others, " and "), a.window)
}
