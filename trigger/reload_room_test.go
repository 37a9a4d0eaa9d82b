package trigger

import (
	"errors"
	"strings"
	"testing"

	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

// A trigger that cannot be enabled for want of room says so, soon, and is as it was.
func TestEnableWithoutRoom(t *testing.T) {
	rec := newRecorder("rec")
	rec.do = func(*action.Run) action.Result {
		return action.Result{Outcome: action.Retry, Err: errors.New("down")}
	}
	cfg, disabled, no := newTrigger("t", rec), newTrigger("t", rec), false
	cfg.Retry.First, cfg.Retry.Max = cfg.Retry.First*1e6, cfg.Retry.Max*1e6
	disabled.Enabled = &no
	other := newTrigger("other", newRecorder("rec"))
	w := newWorld(t, cfg, other)
	w.start()
	w.append("m")
	rec.wait(t, 1)
	w.stop()
	w.floor, w.triggers = noRoom, []*Config{disabled, other}
	w.start()
	w.store.Accept(&journal.Batch{State: map[string][]byte{"something": []byte("new")}})
	w.until("the journal has no room", func() bool { return errors.Is(w.store.Health(), journal.ErrNoSpace) })
	w.triggers = []*Config{cfg, other}
	err := w.engine.Reload(w.options())
	if !errors.Is(err, journal.ErrNoSpace) || !strings.Contains(err.Error(), "what waits for trigger t cannot be read") {
		t.Errorf("reloaded: %v", err)
	}
}
