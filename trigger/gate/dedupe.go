package gate

import (
	"fmt"

	"mailtrigger/connection/setting"
)

// dedupe holds back a message that came before. Who came first is remembered as
// soon as it gets here, whatever the later gates say: a message is judged once.
type dedupe struct{ window setting.Duration }

func (*dedupe) reason() string { return Dedupes }

func (d *dedupe) pass(_ *State, m *Match, v *Verdict) bool {
	if m.ID == 0 {
		return true
	}
	if m.Claimed(m.ID) {
		return false
	}
	v.Claims = true
	return true
}

func (d *dedupe) describe() string {
	return fmt.Sprintf("dedupe: the same message once in %s", d.window)
}
