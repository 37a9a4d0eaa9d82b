package trigger

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailtrigger/trigger/action"
)

// atWork returns how many jobs of a trigger are at work, and how many of them wait for a seat.
func (w *world) atWork(trigger string) (jobs, back int) {
	r := w.engine.runnerOf(trigger)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running, len(r.back)
}

// settling is blocking for an action that waits for the disk.
func settling(r *recorder) (began chan string, release func()) {
	began, release = blocking(r)
	held := r.do
	var mu sync.Mutex
	r.do = func(run *action.Run) action.Result {
		mu.Lock()
		run.Begun()
		run.Settling()
		mu.Unlock()
		return held(run)
	}
	return began, release
}

// Actions that wait for the disk are not counted, those after them are.
func TestSettlingLeavesTheSeat(t *testing.T) {
	save, command := newRecorder("save"), newRecorder("command")
	began, release := settling(save)
	var now, most atomic.Int64
	started, goOn := make(chan struct{}, 10), make(chan struct{})
	command.do = func(*action.Run) action.Result {
		most.Store(max(most.Load(), now.Add(1)))
		started <- struct{}{}
		<-goOn
		now.Add(-1)
		return action.Result{}
	}
	cfg := newTrigger("t", save, command)
	cfg.Concurrency = 2
	w := newWorld(t, cfg)
	w.start()
	w.append(numbered("m", 10)...)
	for range 10 {
		<-began
	}
	release()
	<-started
	<-started
	w.until("the others wait for a seat", func() bool { _, back := w.atWork("t"); return back == 8 })
	close(goOn)
	command.wait(t, 10)
	w.quiet()
	if most.Load() != 2 {
		t.Errorf("%d commands ran at once", most.Load())
	}
	equal(t, "commands", sorted(command.subjects()), numbered("m", 10))
}

// One after another is what a concurrency of 1 says.
func TestTheOnlySeatIsKept(t *testing.T) {
	save := newRecorder("save")
	began, release := settling(save)
	w := newWorld(t, newTrigger("t", save))
	w.start()
	w.append(numbered("m", 5)...)
	<-began
	w.until("all are queued", func() bool { return w.engine.Triggers()[0].Queue == 5 })
	if jobs, _ := w.atWork("t"); jobs != 1 {
		t.Errorf("%d are at work", jobs)
	}
	release()
	save.wait(t, 5)
	w.quiet()
	equal(t, "saved", save.subjects(), numbered("m", 5))
}

// What waits for the disk without a seat has a limit.
func TestSettlingIsLimited(t *testing.T) {
	save := newRecorder("save")
	began, release := settling(save)
	cfg := newTrigger("t", save)
	cfg.Concurrency = 2
	w := newWorld(t, cfg)
	w.prepare = func(e *Engine) { e.settling.most = 3 * leastSettling }
	w.start()
	w.append(numbered("m", 20)...)
	for range 5 {
		<-began
	}
	w.until("all are queued", func() bool { return w.engine.Triggers()[0].Queue == 20 })
	if jobs, _ := w.atWork("t"); jobs != 5 {
		t.Errorf("%d are at work; want those on 2 seats and 3 that left theirs", jobs)
	}
	release()
	save.wait(t, 20)
	w.quiet()
	if used := w.engine.settling.used.Load(); used != 0 {
		t.Errorf("%d bytes are counted in the end", used)
	}
}

// A reload, or a stop, while saves wait for the disk loses nothing and repeats nothing.
func TestChangesWhileSavesWait(t *testing.T) {
	for name, change := range map[string]func(w *world, save *action.Save, rec *recorder, release func()){
		"reload": func(w *world, save *action.Save, rec *recorder, release func()) {
			cfg := newTrigger("t", save, rec)
			cfg.Concurrency = 3
			w.reload(cfg)
			release()
		},
		"stop": func(w *world, _ *action.Save, _ *recorder, release func()) {
			stopped := make(chan struct{})
			go func() { w.stop(); close(stopped) }()
			<-w.engine.stopping.Done()
			release()
			<-stopped
			w.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, rec := t.TempDir(), newRecorder("rec")
			save := &action.Save{Place: action.Place{Directory: dir}}
			save.Type = "save"
			save.SetDefaults()
			if problems := save.Validate(); len(problems) > 0 {
				t.Fatal(problems)
			}
			held := make(chan struct{})
			release := sync.OnceFunc(func() { close(held) })
			t.Cleanup(release)
			wait := func(f *os.File) error {
				if f.Name() != filepath.Dir(dir) { // the directory's own entry is synced before
					<-held
				}
				return nil
			}
			cfg := newTrigger("t", save, rec)
			cfg.Concurrency = 4
			w := newWorld(t, cfg)
			w.disk = &action.Disk{SyncFile: wait, SyncWhole: wait}
			var saved atomic.Int64
			w.trace = &Trace{Action: func(_, _, kind, result string, _ time.Duration) {
				if kind == "save" && result == "ok" {
					saved.Add(1)
				}
			}}
			w.start()
			w.append(numbered("m", 20)...)
			w.until("all are at work", func() bool { jobs, _ := w.atWork("t"); return jobs == 20 })
			change(w, save, rec, release)
			rec.wait(t, 20)
			w.quiet()
			equal(t, "fired", sorted(rec.subjects()), numbered("m", 20))
			files, err := os.ReadDir(dir)
			if err != nil || len(files) != 20 || saved.Load() != 20 {
				t.Errorf("%d files, %d saves, %v", len(files), saved.Load(), err)
			}
			var ids []string
			for _, r := range rec.runs {
				ids = append(ids, r.Event.Saved...)
			}
			slices.Sort(ids)
			if len(slices.Compact(ids)) != 20 {
				t.Errorf("saved %q", ids)
			}
		})
	}
}
