package trigger

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/journal"
)

// patience is how long a test waits for what must come, on a busy machine too.
const patience = time.Minute

// A recorder is an action that notes what it was given. do decides how an
// attempt ends; nil is well.
type recorder struct {
	action.Common
	mu   sync.Mutex
	runs []action.Run
	do   func(r *action.Run) action.Result
	ran  chan struct{} // a token for each attempt that has ended
}

func newRecorder(name string) *recorder {
	r := &recorder{ran: make(chan struct{}, 100000)}
	r.Name, r.Type, r.When = name, "record", action.OnMatch
	return r
}

func (r *recorder) SetDefaults()                         {}
func (r *recorder) Validate() []setting.Problem          { return nil }
func (r *recorder) Describe(*action.Run) (string, error) { return "record", nil }
func (r *recorder) Run(_ context.Context, run *action.Run) (res action.Result) {
	if r.do != nil {
		res = r.do(run)
	}
	r.mu.Lock()
	r.runs = append(r.runs, *run)
	r.mu.Unlock()
	r.ran <- struct{}{}
	return res
}

// subjects returns the subjects of the messages it was run for, in order.
func (r *recorder) subjects() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []string{}
	for _, run := range r.runs {
		out = append(out, run.Event.Message.Subject)
	}
	return out
}

// wait waits until it has run n more times.
func (r *recorder) wait(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		select {
		case <-r.ran:
		case <-time.After(patience):
			got := r.subjects()
			t.Fatalf("action %s ran %d more times, not %d: %d in all, the last %q", r.Name, i, n, len(got), got[max(len(got)-5, 0):])
		}
	}
}

// A world is a mail server, a state directory and an engine that can be stopped
// and started.
type world struct {
	t        *testing.T
	srv      *connectiontest.Server
	dir      string
	triggers []*Config
	conn     *connection.Config
	more     []*connection.Config // other connections
	log      *slog.Logger
	trace    *Trace
	prepare  func(*Engine) // called before the engine runs
	now      func() time.Time
	floor    int64 // of free disk space; 0: the journal's own
	disk     *action.Disk

	store  *journal.Journal
	dialer *connection.Dialer
	engine *Engine
	stop   func()
}

const alice = "alice"

func newWorld(t *testing.T, triggers ...*Config) *world {
	t.Helper()
	return newWorldOn(t, connectiontest.Options{}, triggers...)
}

func newWorldOn(t *testing.T, o connectiontest.Options, triggers ...*Config) *world {
	t.Helper()
	srv, err := connectiontest.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	srv.AddUser(alice, "pw")
	w := &world{t: t, srv: srv, dir: t.TempDir(), triggers: triggers, log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	w.conn = srv.Config(alice)
	w.conn.Session.RecheckInterval = setting.Duration(time.Second)
	return w
}

// importedWorld is a world with a trigger that has fired on "one". Then its engine was
// stopped, and the mailbox has other UIDs and more mail than is believed to be new.
func importedWorld(t *testing.T) (w *world, rec *recorder, imported []string) {
	t.Helper()
	rec = newRecorder("rec")
	w = newWorld(t, newTrigger("t", rec))
	w.start()
	w.append("one")
	rec.wait(t, 1)
	w.quiet()
	w.stop()
	w.srv.ResetUIDs(alice, "INBOX")
	imported = numbered("imported", holdAbove+1)
	w.append(imported...)
	return w, rec, imported
}

// start starts the engine and waits until it watches every mailbox.
func (w *world) start() {
	w.t.Helper()
	var err error
	if w.store, err = journal.Open(w.dir, journal.Options{Log: w.log, FreeFloor: w.floor}); err != nil {
		w.t.Fatal(err)
	}
	if w.dialer, err = connection.NewDialer(connection.DialerOptions{Log: w.log, MaxBackoff: 100 * time.Millisecond}); err != nil {
		w.t.Fatal(err)
	}
	w.engine, err = New(w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	if w.prepare != nil {
		w.prepare(w.engine)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		w.dialer.Close()
		if err := w.store.Close(); err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(w.stop)
	w.until("every mailbox is watched", func() bool {
		watches := w.engine.Watches()
		return len(watches) == len(w.engine.watchedMailboxes()) && !slices.ContainsFunc(watches, func(s connection.Status) bool { return s.State != connection.StateParked })
	})
}

func (w *world) options() Options {
	return Options{
		Connections: append([]*connection.Config{w.conn}, w.more...), Triggers: w.triggers, Watcher: w.dialer, Store: w.store,
		StateDir: w.dir, Log: w.log, Trace: w.trace, Now: w.now, Env: action.Env{TempDir: w.t.TempDir(), Disk: w.disk},
	}
}

// reload goes over to other triggers while the engine runs.
func (w *world) reload(triggers ...*Config) {
	w.t.Helper()
	w.triggers = triggers
	if err := w.engine.Reload(w.options()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// until polls for a condition that no channel tells of.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			w.t.Fatalf("not so after %s: %s", patience, what)
		}
	}
}

// letter waits for the one dead letter.
func (w *world) letter() journal.DeadLetter {
	w.t.Helper()
	var letters []journal.DeadLetter
	w.until("there is a dead letter", func() bool {
		var err error
		if letters, err = w.engine.DeadLetters(); err != nil {
			w.t.Fatal(err)
		}
		return len(letters) == 1
	})
	return letters[0]
}

// quiet waits until nothing is queued any more.
func (w *world) quiet() {
	w.t.Helper()
	w.until("all queues are empty", func() bool {
		for _, s := range w.engine.Triggers() {
			if s.Queue > 0 {
				return false
			}
		}
		return true
	})
}

func mailText(subject string) []byte {
	return fmt.Appendf(nil, "From: Bob <bob@example.com>\r\nTo: alice@example.com\r\nSubject: %s\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@example.com>\r\n\r\nThis is %s.\r\n",
		subject, strings.ReplaceAll(subject, " ", "."), subject)
}

func (w *world) append(subjects ...string) {
	for _, s := range subjects {
		w.srv.Append(alice, "INBOX", mailText(s), nil, time.Now())
	}
}

func newTrigger(name string, actions ...action.Definition) *Config {
	c := &Config{Name: name, Connection: []string{"test"}, Actions: actions}
	c.Retry.First, c.Retry.Max = setting.Duration(time.Millisecond), setting.Duration(5*time.Millisecond)
	c.SetDefaults()
	return c
}

func define[T action.Definition](d T, name, kind string) T {
	b := d.Base()
	b.Name, b.Type = name, kind
	d.SetDefaults()
	return d
}

func numbered(prefix string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s %04d", prefix, i))
	}
	return names
}

func (w *world) mailbox(name string) (subjects []string) {
	for _, m := range w.srv.Messages(alice, name) {
		subjects = append(subjects, rawField(m.Raw, "Subject"))
	}
	return subjects
}
