package trigger

import (
	"errors"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
)

// failing lets each attempt fail by err, and the next one come in an hour.
func failing(name string, err error) *recorder {
	r := newRecorder(name)
	r.do = func(*action.Run) action.Result {
		return action.Result{Outcome: action.Retry, Err: err, RetryAfter: time.Hour}
	}
	return r
}

// slowly is a trigger whose retries do not come while a test lasts.
func slowly(d action.Definition) *Config {
	c := newTrigger("t", d)
	c.Retry.Max = c.Retry.GiveUpAfter
	return c
}

var wrongPassword = &connection.Error{SMTP: "out", Stage: "login", Text: "no", AuthRequired: true}

func TestRetryMended(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want int // attempts after somebody has been there
	}{
		{"a wrong password", wrongPassword, 1},
		{"a server that is away", &connection.Error{SMTP: "out", Stage: "connect", Text: "refused"}, 0},
		{"anything else", errors.New("no"), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec, other := failing("rec", test.err), failing("other", errors.New("no"))
			more := slowly(other)
			more.Name = "more"
			w := newWorld(t, slowly(rec), more)
			w.start()
			w.append("m")
			rec.wait(t, 1)
			other.wait(t, 1)
			w.until("it waits", func() bool { return w.engine.runnerOf("t").waiting() == 1 && w.engine.runnerOf("more").waiting() == 1 })
			w.engine.RetryMended()
			rec.wait(t, test.want)
			w.until("it waits again", func() bool { return w.engine.runnerOf("t").waiting() == 1 })
			if len(rec.ran) > 0 || len(other.ran) > 0 {
				t.Error("tried once more than that")
			}
		})
	}
}

// waiting returns how many jobs wait for their time.
func (r *runner) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.later)
}

// Who restarts the daemon may have mended it as well.
func TestRestartRetriesMended(t *testing.T) {
	rec := failing("rec", wrongPassword)
	w := newWorld(t, slowly(rec))
	w.start()
	w.append("m")
	rec.wait(t, 1)
	w.until("it waits", func() bool { return w.engine.runnerOf("t").waiting() == 1 })
	w.restart()
	rec.wait(t, 1)
	w.until("it waits again", func() bool { return w.engine.runnerOf("t").waiting() == 1 })
	if len(rec.ran) > 0 {
		t.Error("tried once more than that")
	}
}

// An action that was changed is tried at once, and waits where something else was changed.
func TestReloadRetriesWhatWasChanged(t *testing.T) {
	bad := failing("rec", errors.New("no"))
	w := newWorld(t, slowly(bad))
	w.start()
	w.append("m")
	bad.wait(t, 1)
	waits := func() bool { return w.engine.runnerOf("t").waiting() == 1 }
	w.until("it waits", waits)

	same := newRecorder("rec")
	other := slowly(same)
	other.MaxSize = 1000
	w.reload(other)
	w.until("it waits by the new definition", waits)

	good := newRecorder("rec")
	good.Timeout = setting.Duration(time.Minute)
	w.reload(slowly(good))
	good.wait(t, 1)
	w.quiet()
	if len(same.ran) > 0 {
		t.Error("tried again though it was not changed")
	}
}
