package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
	"mailtrigger/trigger/crashpoint"
)

// A scenario is what happens in a run.
type scenario struct {
	name     string
	triggers string // the config's tables of triggers
	timeout  string // the connection's; "": 20s
	session  string // more keys of the connection's session
	options  connectiontest.Options
	parallel map[string]int // triggers' concurrency, where it is not 1

	setup  func(r *trial)                    // before the first start
	wave   func(r *trial)                    // mail comes, the server changes; nil: a few mails
	expect func(r *trial, m *mail)           // what is to be done with a mail
	answer func(r *trial, h *hook) int       // how a webhook is answered; nil: 200
	points func(r *trial) string             // where the next life is to die; nil or "": chosen among all points
	finish func(r *trial)                    // at the end, the daemon still running
	places func(r *trial, m *mail) []placing // where a mail must be on the server, from then on
	copies []string                          // mailboxes into which mail is copied or moved: that counts as an action
	check  func(r *trial) []string           // what else is wrong as long as it says so
	relief func(r *trial)                    // called as long as not all is done
	leave  func(r *trial)                    // after the end

	twins   bool     // each mail has two attachments of the same name and bytes
	ordered bool     // the first attempts of each trigger start in the order of the UIDs
	also    []string // rare crash points, which have their turn more often
	orderly bool     // half of the ends are by SIGTERM
	patient bool     // not all is done in the first life
}

// A mail is a message of a run. Its name is its subject.
type mail struct {
	name, text string
	raw        []byte
	mailbox    string
	uid        uint32
	gone       bool // taken away by the test: what is done with it is up to the daemon
}

// A placing is how often a mail must be in a mailbox.
type placing struct {
	mailbox     string
	least, most int
}

// A trial is a scenario being played in one state directory.
type trial struct {
	*plannedRun
	t       *testing.T
	name    string
	dir     string
	state   string // the state directory
	disk    string // a small disk that it is on, if any
	rng     *rand.Rand
	ending  bool              // SIGTERM was sent
	port    int               // of a relay; 0: the server's own
	rewrite *strings.Replacer // of the config; nil: as the scenario has it
	srv     *connectiontest.Server
	hooks   *hookServer
	ledger  *ledger
	log     *os.File

	lives   map[int]*life
	died    map[int]time.Time
	alive   *life // nil: the daemon is down
	process atomic.Pointer[os.Process]
	current atomic.Int64 // the number of the life that was started last
	seen    []string     // the crash points of the first life
	arrived map[string]map[uint32]bool

	mu         sync.Mutex
	mails      map[string]*mail
	sums       map[string]string // of the mails' bytes
	order      []*mail
	must       []firing // to be done
	may        map[firing]bool
	buried     map[string]bool // mails that become dead letters
	complaints []string
	signal     chan struct{} // something was done
	values     map[string]int
	wireLeft   atomic.Int64 // pieces on the wire until the daemon is killed; below 0: it is not
	v          verdict
}

// A verdict is what a run, or many, came to.
type verdict struct {
	runs, crashes, lives, mails, actions, inWindow int
	lost, repeated, newID, other                   int
	deaths                                         map[string]int
}

const (
	crashUser = "alice"
	atRandom  = "(a random time)"
	aNumber   = "(a numbered hit)"
	onTheWire = "(on the wire)"
	patience  = 60 * time.Second // how long the daemon may take until it is quiet
)

func newTrial(t *testing.T, p plannedRun, hooks *hookServer) *trial {
	r := &trial{
		plannedRun: &p, t: t, name: fmt.Sprintf("%s-%d", p.scenario.name, p.number), rng: rand.New(rand.NewPCG(p.seed, 1)),
		hooks: hooks, ledger: newLedger(), lives: make(map[int]*life), died: make(map[int]time.Time), arrived: make(map[string]map[uint32]bool),
		mails: make(map[string]*mail), sums: make(map[string]string), may: make(map[firing]bool), buried: make(map[string]bool),
		signal: make(chan struct{}, 1), values: make(map[string]int), v: verdict{deaths: make(map[string]int)},
	}
	var err error
	if r.dir, err = os.MkdirTemp(*dirFlag, "crash-"); err != nil {
		t.Fatal(err)
	}
	options := p.scenario.options
	if options.Mode != "explicit" {
		options.Wire = r.wire
	}
	if r.srv, err = connectiontest.NewServer(options); err != nil {
		t.Fatal(err)
	}
	if r.log, err = os.Create(filepath.Join(r.dir, "log")); err != nil {
		t.Fatal(err)
	}
	r.srv.AddUser(crashUser, "pw")
	r.state = filepath.Join(r.dir, "state")
	hooks.join(r)
	return r
}

func runScenario(t *testing.T, p plannedRun, hooks *hookServer) *verdict {
	r := newTrial(t, p, hooks)
	r.play()
	r.end()
	return &r.v
}

// end judges, and tidies up.
func (r *trial) end() {
	r.hooks.leave(r)
	r.srv.Close()
	r.judge()
	r.log.Close()
	if f := r.scenario.leave; f != nil {
		f(r)
	}
	if v := &r.v; v.lost+v.repeated+v.newID+v.other > 0 {
		keep := r.dir + "-failed"
		_ = os.Rename(r.dir, keep)
		r.t.Errorf("%s, seed %d: %s\n%s", r.name, r.seed, keep, strings.Join(r.complaints[:min(len(r.complaints), 20)], "\n"))
	} else {
		os.RemoveAll(r.dir)
	}
}

// play is the run: the first life tells the crash points, then the daemon is
// killed until it has been often enough, then it is left alone.
func (r *trial) play() {
	if s := r.scenario.setup; s != nil {
		s(r)
	}
	r.writeConfig()
	if crashpoint.Enabled && r.crashes > 3 && r.rng.IntN(3) == 0 {
		for _, point := range []string{"journal.create.written", "journal.create.named"} {
			r.start(point + ":1")
			if !r.until("the daemon dies at its first start", func() bool { return false }) {
				return
			}
		}
	}
	hitFile := filepath.Join(r.dir, "hits")
	r.start("log:" + hitFile)
	if !r.until("the first look", r.parked) {
		return
	}
	r.doWave()
	if !r.scenario.patient && !r.until("the first mails are done", r.satisfied) {
		return
	}
	r.seen = hits(hitFile)
	r.kill()
	for r.v.crashes < r.crashes {
		if !r.oneLife() {
			return
		}
	}
	r.start("")
	if !r.until("all is done", r.satisfied) || !r.until("the daemon is quiet", r.quiet) {
		return
	}
	if f := r.scenario.finish; f != nil {
		f(r)
		if !r.until("all is done", r.satisfied) || !r.until("the daemon is quiet", r.quiet) {
			return
		}
	}
	r.lettersLeft()
	r.terminate()
}

// oneLife starts the daemon and gives it mail until it dies. It reports whether
// all went as it should.
func (r *trial) oneLife() bool {
	if r.rng.IntN(2) == 0 {
		r.doWave()
	}
	point := r.choose()
	r.start(point)
	var atTime <-chan time.Time
	if point == "" {
		atTime = time.After(time.Duration(r.rng.Int64N(int64(120 * time.Millisecond))))
	}
	if r.scenario.orderly && r.rng.IntN(2) == 0 {
		r.doWave()
		select {
		case <-r.alive.ended:
			r.buryLife()
			return true
		case <-time.After(time.Duration(r.rng.Int64N(int64(60 * time.Millisecond)))):
			return r.terminate()
		}
	}
	for range 3 {
		died, ok := r.drive(atTime)
		if !ok || died {
			return ok
		}
		r.doWave()
	}
	if r.rng.IntN(8) == 0 || r.scenario.orderly && r.rng.IntN(2) == 0 {
		return r.terminate()
	}
	r.kill()
	return true
}

// choose says where the next life is to end: at the nth hit of any point, at a
// point chosen by name, so that rare ones have their turn, or ("") some time.
func (r *trial) choose() string {
	if p := r.scenario.points; p != nil {
		switch s := p(r); s {
		case "":
		case atRandom:
			return ""
		default:
			if crashpoint.Enabled {
				return s
			}
		}
	}
	if r.rng.IntN(6) == 0 && r.scenario.options.Mode != "explicit" {
		return fmt.Sprintf("%s:%d", onTheWire, r.rng.IntN(60)+1)
	}
	if !crashpoint.Enabled || len(r.seen) == 0 || r.rng.IntN(10) == 0 {
		return ""
	}
	if also := r.scenario.also; len(also) > 0 && r.rng.IntN(5) == 0 {
		return also[r.rng.IntN(len(also))] + ":1"
	}
	k := r.rng.IntN(len(r.seen))
	if r.rng.IntN(2) == 0 {
		return fmt.Sprintf("#%d", k+1)
	}
	names := crashpoint.Names()
	for range 20 {
		name := names[r.rng.IntN(len(names))]
		if strings.HasPrefix(name, "journal.create.") {
			continue // never again
		}
		n := 0
		for _, s := range r.seen {
			if s == name {
				n++
			}
		}
		if n > 0 {
			return fmt.Sprintf("%s:%d", name, r.rng.IntN(min(n, 8))+1)
		}
	}
	return fmt.Sprintf("#%d", k+1)
}

// drive waits until the daemon has died, or has done all that is to be done.
func (r *trial) drive(atTime <-chan time.Time) (died, ok bool) {
	end := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-r.alive.ended:
			r.buryLife()
			return true, true
		case <-atTime:
			r.kill()
			return true, true
		case <-r.signal:
		case <-tick.C:
		}
		if atTime == nil && r.satisfied() {
			return false, true
		}
		if n%100 == 99 {
			r.nudge()
		}
		if time.Now().After(end) {
			r.stuck("life %d is neither dead nor done", r.alive.number)
			return false, false
		}
	}
}

// until waits for a condition, or for the end of the daemon.
func (r *trial) until(what string, ok func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(patience)
	for n := 0; !ok(); n++ {
		select {
		case <-r.alive.ended:
			planned := r.alive.point != "" && !strings.HasPrefix(r.alive.point, "log:")
			r.buryLife()
			if !planned {
				r.complain("the daemon ended by itself before %s", what)
				r.v.other++
			}
			return planned
		case <-r.signal:
		case <-tick.C:
		}
		if n%100 == 99 {
			r.nudge()
		}
		if time.Now().After(end) {
			r.stuck("it is not so that %s", what)
			return false
		}
	}
	return true
}

// stuck notes that the run cannot go on; judge says what was lost by it.
func (r *trial) stuck(format string, args ...any) {
	r.complain("after %v: %s", patience, fmt.Sprintf(format, args...))
	r.v.other++
	if r.alive != nil {
		_ = r.alive.cmd.Process.Signal(syscall.SIGQUIT) // where it hangs goes into its log
		<-r.alive.ended
		r.buryLife()
	}
}

func (r *trial) start(point string, env ...string) {
	n := len(r.lives) + 1
	r.current.Store(int64(n))
	r.wireLeft.Store(-1)
	if _, left, ok := strings.Cut(point, onTheWire+":"); ok {
		var n int64
		fmt.Sscan(left, &n)
		r.wireLeft.Store(n)
	}
	r.alive = startLife(r.t, n, filepath.Join(r.dir, "config.toml"), point, r.log,
		append(env, "CRASH_URL="+r.hooks.url(r, n), "CRASH_LEDGER="+filepath.Join(r.dir, "commands"))...)
	r.process.Store(r.alive.cmd.Process)
	r.lives[n] = r.alive
	r.v.lives++
}

// wire kills the daemon between two pieces of what it and the server say: the
// server has done what it was told, and nobody hears of it.
func (r *trial) wire(bool, []byte) {
	if r.wireLeft.Load() > 0 && r.wireLeft.Add(-1) == 0 {
		if p := r.process.Load(); p != nil {
			_ = p.Kill()
		}
	}
}

// kill ends the daemon with SIGKILL.
func (r *trial) kill() {
	r.alive.kill()
	r.buryLife()
}

// terminate ends the daemon in order.
func (r *trial) terminate() bool {
	r.ending = true
	defer func() { r.ending = false }()
	_ = r.alive.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.alive.ended:
	case <-time.After(patience):
		r.stuck("the daemon has not ended after SIGTERM")
		return false
	}
	r.buryLife()
	return true
}

// buryLife notes how the daemon's process has ended.
func (r *trial) buryLife() {
	l := r.alive
	r.alive = nil
	r.died[l.number] = time.Now()
	switch {
	case l.crashed:
		r.v.crashes++
		r.v.deaths[r.placeOfDeath(l)]++
	case l.code == -1 && !l.crashed && r.ending: // before it could listen to the signal
	case l.code == exitFailed && r.disk != "": // the disk was full at the start
	case l.code != 0:
		r.complain("life %d ended with exit code %d", l.number, l.code)
		r.v.other++
	}
	r.lookAround()
}

// placeOfDeath is the crash point at which a life has ended.
func (r *trial) placeOfDeath(l *life) string {
	name, _, _ := strings.Cut(l.point, ":")
	switch {
	case name != onTheWire && l.killed || name == "":
		return atRandom
	case strings.HasPrefix(name, "#"):
		return aNumber
	}
	return name
}

func (r *trial) complain(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints = append(r.complaints, fmt.Sprintf(format, args...))
}

// changed says that something was done.
func (r *trial) changed() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
