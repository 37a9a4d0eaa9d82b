package main

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtrigger/trigger/crashpoint"
)

// The proof of the promise in README.md: no message is lost, an action is
// repeated only if the daemon died between its start and its record, and then
// under the same event id.
//
// A run takes one scenario: a mail server that keeps the ledger of truth, the
// daemon in a process of its own with a real config and state directory, and mail
// that keeps coming while the daemon is killed (SIGKILL) and started again: with
// the build tag "crashpoints" at numbered points, chosen by the seed, on both sides of
// each durable step and each action; without it at random times. In the end the
// daemon is left alone until it is quiet, and the ledger is read.
//
//	go test -tags crashpoints ./cmd/mailtriggerd -run TestCrash -crashes 10000 -seed 1 -v
var (
	crashFlag   = flag.Int("crashes", 0, "TestCrash: how often to kill the daemon; 0: a few times")
	seedFlag    = flag.Uint64("seed", 0, "TestCrash, TestChaos: the seed of all that is chosen; 0: 1")
	workersFlag = flag.Int("workers", 0, "TestCrash: runs at once; 0: as many as there are processors")
	onlyFlag    = flag.String("scenarios", "", "TestCrash: the scenarios to run, separated by commas; empty: all")
	dirFlag     = flag.String("statedir", "", "TestCrash, TestChaos: where state directories are made; empty: the directory for temporary files")
)

// crashesPerRun is how often the daemon is killed in one state directory.
const crashesPerRun = 25

func TestCrash(t *testing.T) {
	total, seed := *crashFlag, cmp.Or(*seedFlag, 1)
	list := chosenScenarios(t)
	if total == 0 {
		total = len(list)
		if raceEnabled || testing.Short() {
			total = len(list) / 6
		}
	}
	workers := cmp.Or(*workersFlag, runtime.GOMAXPROCS(0))
	hooks := newHookServer(t)
	tally := newTally()
	start := time.Now()
	work := make(chan plannedRun)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for p := range work {
				tally.add(p.scenario.name, runScenario(t, p, hooks))
			}
		})
	}
	for _, p := range planRuns(list, total, seed) {
		work <- p
	}
	close(work)
	wg.Wait()
	tally.print(t, list, time.Since(start))
	lost, repeated, newID, other := tally.sums()
	if lost+repeated+newID+other > 0 {
		t.Errorf("the promise was broken: %d lost, %d repeated outside the window, %d under a new id, %d other", lost, repeated, newID, other)
	}
	fmt.Printf("crashes=%d lost=%d repeated_outside=%d new_id=%d seed=%d\n", tally.crashes(), lost, repeated, newID, seed)
}

// TestCrashEverywhere kills the daemon once at each hit of a few scenarios, one
// after the other, and lets it go on.
func TestCrashEverywhere(t *testing.T) {
	if !crashpoint.Enabled {
		t.Skip("built without crash points: add -tags crashpoints")
	}
	if testing.Short() || raceEnabled {
		t.Skip("takes a while")
	}
	hooks := newHookServer(t)
	work := make(chan plannedRun)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for p := range work {
				if v := runScenario(t, p, hooks); v.lost+v.repeated+v.newID+v.other > 0 {
					t.Errorf("%s, killed at %s: the promise was broken", p.scenario.name, p.scenario.points(nil))
				}
			}
		})
	}
	for _, s := range scenarios() {
		if !slices.Contains([]string{"two-movers", "own-move", "move-chain"}, s.name) {
			continue
		}
		for hit := range 36 {
			once := *s
			once.points = func(*trial) string { return fmt.Sprintf("#%d", hit+12) } // before it is the start
			once.wave = func(r *trial) { r.post("INBOX", "mail", 0) }
			work <- plannedRun{scenario: &once, number: 1000 + hit, crashes: 2, seed: uint64(hit)}
		}
	}
	close(work)
	wg.Wait()
}

func chosenScenarios(t *testing.T) []*scenario {
	list := scenarios()
	if *onlyFlag == "" {
		return list
	}
	names := strings.Split(*onlyFlag, ",")
	list = slices.DeleteFunc(list, func(s *scenario) bool { return !slices.Contains(names, s.name) })
	if len(list) != len(names) {
		t.Fatalf("-scenarios %s: %d of them exist", *onlyFlag, len(list))
	}
	return list
}

// A plannedRun is one scenario in one state directory.
type plannedRun struct {
	scenario *scenario
	number   int
	crashes  int
	seed     uint64
}

// planRuns spreads the crashes over the scenarios: all have their turn before any
// has its second. The order of the list is that of a short run; which scenarios
// those are that a very short one has is the seed's.
func planRuns(list []*scenario, crashes int, seed uint64) []plannedRun {
	var runs []plannedRun
	order := slices.Clone(list)
	rng := rand.New(rand.NewPCG(seed, 0))
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	each := min(max(crashes/len(order), 1), crashesPerRun)
	for i := 0; crashes > 0; i++ {
		n := min(each, crashes)
		runs = append(runs, plannedRun{order[i%len(order)], i, n, rng.Uint64()})
		crashes -= n
	}
	return runs
}

// A tally adds up what the runs found.
type tally struct {
	mu     sync.Mutex
	byName map[string]*verdict
	deaths map[string]int // by crash point
}

func newTally() *tally {
	return &tally{byName: make(map[string]*verdict), deaths: make(map[string]int)}
}

func (y *tally) add(name string, v *verdict) {
	y.mu.Lock()
	defer y.mu.Unlock()
	sum := y.byName[name]
	if sum == nil {
		sum = &verdict{}
		y.byName[name] = sum
	}
	sum.runs++
	sum.crashes += v.crashes
	sum.lives += v.lives
	sum.mails += v.mails
	sum.actions += v.actions
	sum.inWindow += v.inWindow
	sum.lost += v.lost
	sum.repeated += v.repeated
	sum.newID += v.newID
	sum.other += v.other
	for point, n := range v.deaths {
		y.deaths[point] += n
	}
}

func (y *tally) crashes() (n int) {
	for _, v := range y.byName {
		n += v.crashes
	}
	return n
}

func (y *tally) sums() (lost, repeated, newID, other int) {
	for _, v := range y.byName {
		lost, repeated, newID, other = lost+v.lost, repeated+v.repeated, newID+v.newID, other+v.other
	}
	return
}

// print writes a line for each scenario, and where the daemon died.
func (y *tally) print(t *testing.T, list []*scenario, took time.Duration) {
	if !testing.Verbose() {
		return
	}
	for _, s := range list {
		if v := y.byName[s.name]; v != nil {
			fmt.Printf("%-22s runs=%d crashes=%d messages=%d actions=%d repeated_in_window=%d lost=%d repeated_outside=%d new_id=%d\n",
				s.name, v.runs, v.crashes, v.mails, v.actions, v.inWindow, v.lost, v.repeated, v.newID)
		}
	}
	for _, point := range append(crashpoint.Names(), aNumber, onTheWire, atRandom) {
		fmt.Printf("died at %-28s %d times\n", point, y.deaths[point])
	}
	fmt.Printf("%d scenarios, %.0f s, %.1f crashes a second\n", len(y.byName), took.Seconds(), float64(y.crashes())/took.Seconds())
}
