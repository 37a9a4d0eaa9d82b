package trigger

import (
	"testing"

	"mailtrigger/trigger/action"
)

// The status says how much of the mail from before is still to be read.
func TestBacklogStatus(t *testing.T) {
	rec := newRecorder("rec")
	release := make(chan struct{})
	rec.do = func(*action.Run) action.Result { <-release; return action.Result{} }
	cfg := newTrigger("t", rec)
	cfg.Start = "all"
	w := newWorld(t, cfg)
	names := numbered("old", maxJobs+200)
	w.append(names...)
	w.start()
	w.until("the queue is full, and 200 are left", func() bool {
		s := w.engine.Triggers()[0]
		return s.Queue == maxJobs && s.Backlog == 200
	})
	close(release)
	rec.wait(t, len(names))
	w.until("nothing is left", func() bool { return w.engine.Triggers()[0].Backlog == 0 })
	w.quiet()
}
