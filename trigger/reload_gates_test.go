package trigger

import (
	"testing"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/gate"
)

// What gates remember stays through a reload, also where the gates change; a trigger
// that others ask from now on answers for what comes from now on.
func TestReloadKeepsWhatGatesRemember(t *testing.T) {
	rec, after := newRecorder("rec"), newRecorder("after")
	trigger := func(change func(*Config)) *Config {
		c := newTrigger("t", rec)
		c.Every, c.Dedupe.By, c.Dedupe.Window = 3, "message-id", setting.Duration(time.Hour)
		if change != nil {
			change(c)
		}
		c.SetDefaults()
		return c
	}
	w := newWorld(t, trigger(nil))
	held := newTally(w)
	w.start()
	w.append("1", "2")
	held.wait(w, "t", gate.Every, 2)
	w.reload(trigger(nil)) // unchanged
	w.append("3")
	rec.wait(t, 1)
	asking := newTrigger("asking", after)
	asking.After, asking.AfterWindow = []string{"t"}, setting.Duration(time.Hour)
	w.reload(trigger(func(c *Config) { c.Retry.Attempts = 7 }), asking)
	w.append("3", "4", "5", "6") // the first is a duplicate
	rec.wait(t, 1)
	w.quiet()
	equal(t, "fired", rec.subjects(), []string{"3", "6"})
	w.append("7")
	after.wait(t, 1)
}

// A trigger that expects mail from a reload on tells of its absence, by the
// definition that is in force then.
func TestReloadBeginsToExpect(t *testing.T) {
	rec, silence := newRecorder("rec"), newTeller("silence", action.OnSilence)
	clock := &wallClock{}
	w := newWorld(t, newTrigger("t", rec))
	w.now = clock.now
	w.start()
	expecting := func(every time.Duration) *Config {
		c := newTrigger("t", rec, silence)
		c.Expect.Every = setting.Duration(every)
		return c
	}
	w.reload(expecting(24 * time.Hour))
	clock.check(w, 2*time.Hour)
	if got := silence.events(); len(got) > 0 {
		t.Fatalf("silence: %q", got)
	}
	w.reload(expecting(time.Hour))
	silence.wait(t, 1)
	w.reload(newTrigger("t", rec))
	clock.check(w, 48*time.Hour)
	w.quiet()
	if s := w.status("t"); s.Silent != "" || !s.ExpectedBy.IsZero() {
		t.Errorf("after it expects nothing any more: %+v", s)
	}
	equal(t, "silences", silence.events(), []string{"silence not_arrived"})
}
