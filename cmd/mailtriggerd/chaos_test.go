package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
)

var chaosFlag = flag.Duration("chaos", 0, "TestChaos: for how long; 0: a few seconds")

// TestChaos lets one daemon live through what networks and servers do: lines that
// are cut, slow or swallow what is sent, a server that restarts, hangs or refuses,
// commands and webhooks that hang. Nothing may be lost, nothing done twice, and
// memory, descriptors and goroutines stay what they were.
//
//	go test ./cmd/mailtriggerd -run TestChaos -chaos 10m -seed 1 -v
func TestChaos(t *testing.T) {
	length, seed := cmp.Or(*chaosFlag, 3*time.Second), cmp.Or(*seedFlag, 1)
	boxes := []string{"INBOX", "Archive", "Trash"}
	s := &scenario{
		name: "chaos", timeout: "2s", session: "idle_refresh = \"1s\"\nmax_connections = 12",
		options: connectiontest.Options{},
		triggers: aTrigger("one", "concurrency = 8\nmailboxes = [\"INBOX\", \"Archive\", \"Trash\"]", aHook("hook", "")) +
			aTrigger("two", "concurrency = 8", anAction("exec", "exec", `command = ["@SELF@"]
stdin = "raw"
timeout = "4s"
env = {`+crashMode+` = "`+modeCommand+`", CRASH_HANG = "1"}
pass_env = ["CRASH_LIFE", "CRASH_LEDGER"]`), anAction("move", "move", "mailbox = \"Done\"\ncreate = true")),
		copies:   []string{"Done"},
		parallel: map[string]int{"one": 8, "two": 8},
		expect: func(r *trial, m *mail) {
			r.want(m, "one", "hook")
			if m.mailbox == "INBOX" {
				r.want(m, "two", "exec")
			}
		},
		places: func(r *trial, m *mail) []placing {
			if m.mailbox == "INBOX" {
				return []placing{nowhere("INBOX"), {"Done", 1, 1}}
			}
			return []placing{{m.mailbox, 1, 1}}
		},
		answer: func(r *trial, h *hook) int {
			if h.before == 0 && lengthOf(h.mail, 20) == 0 {
				select { // hangs, for longer than anybody waits
				case <-h.stopped:
				case <-time.After(patience):
				}
				return 503
			}
			return 200
		},
	}
	s.triggers = strings.Replace(s.triggers, `timeout = "20s"`, `timeout = "4s"`, 1)
	r := newTrial(t, plannedRun{scenario: s, seed: seed}, newHookServer(t))
	relay := newRelay(t, r.srv.Addr(), seed)
	r.port = relay.port
	r.writeConfig()
	r.start("", "CRASH_MAX_BACKOFF=1s", gaugeVariable+"="+filepath.Join(r.dir, "gauge"))
	start := time.Now()
	var before, after usage
	faults := 0
	defer func() {
		r.end()
		if testing.Verbose() {
			fmt.Printf("chaos=%.0fs messages=%d actions=%d faults=%d lost=%d repeated_outside=%d new_id=%d half_way=[%v] at_the_end=[%v] seed=%d\n", time.Since(start).Seconds(),
				r.v.mails, r.v.actions, faults, r.v.lost, r.v.repeated, r.v.newID, before, after, seed)
		}
	}()
	if !r.until("the first look", r.parked) {
		return
	}
	r.burst("INBOX", "first", 5)
	if !r.until("the first mails are done", r.satisfied) || !r.until("the daemon is quiet", r.quiet) {
		return
	}
	for half := range 2 {
		for end := start.Add(length * time.Duration(half+1) / 2); time.Now().Before(end); {
			r.burst(boxes[r.rng.IntN(3)], "mail", 4)
			faults += r.disturb(relay)
			select {
			case <-r.alive.ended:
				r.buryLife()
				r.complain("the daemon ended")
				r.v.other++
				return
			case <-time.After(time.Duration(r.rng.Int64N(int64(300 * time.Millisecond)))):
			}
		}
		relay.calm()
		r.srv.Thaw()
		if !r.until("all is done", r.satisfied) || !r.until("the daemon is quiet", r.quiet) {
			return
		}
		before, after = after, r.usage()
	}
	r.lettersLeft()
	if !r.terminate() {
		return
	}
	if after.descriptors > before.descriptors+8 || after.goroutines > before.goroutines+10 || after.memory > before.memory*5/4+(32<<20) {
		r.complain("not flat: half way %v, at the end %v", before, after)
		r.v.other++
	}
}

// disturb makes something go wrong. It returns 1, or 0 if all stays well.
func (r *trial) disturb(relay *relay) int {
	switch r.rng.IntN(14) {
	case 0:
		relay.cut()
	case 1:
		relay.set(0, 20*time.Millisecond)
	case 2:
		relay.set(400, 0) // each line is cut after some hundred bytes
	case 3:
		relay.swallow()
	case 4:
		r.srv.Stop()
		r.burst("INBOX", "down", 3)
		r.startServer()
	case 5:
		r.srv.Freeze()
		time.AfterFunc(time.Duration(r.rng.Int64N(int64(3*time.Second))), r.srv.Thaw)
	case 6:
		command := []string{"SELECT", "FETCH", "SEARCH", "STORE", "COPY", "MOVE"}[r.rng.IntN(6)]
		r.srv.Fail(command, "NO [UNAVAILABLE] not now", 1+r.rng.IntN(2))
	default:
		relay.calm()
		return 0
	}
	return 1
}

// usage is what a process has.
type usage struct{ memory, descriptors, goroutines int }

func (u usage) String() string {
	return fmt.Sprintf("%d MiB, %d descriptors, %d goroutines", u.memory>>20, u.descriptors, u.goroutines)
}

// usage reads /proc, and what the daemon's process says of itself.
func (r *trial) usage() (u usage) {
	proc := fmt.Sprintf("/proc/%d/", r.alive.cmd.Process.Pid)
	if c, err := net.Dial("unix", filepath.Join(r.dir, "gauge")); err == nil {
		b, _ := io.ReadAll(c)
		c.Close()
		u.goroutines, _ = strconv.Atoi(string(b))
	}
	fds, _ := os.ReadDir(proc + "fd")
	u.descriptors = len(fds)
	status, _ := os.ReadFile(proc + "status")
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			u.memory = kb << 10
		}
	}
	return u
}

// newRelay relays connections to addr, until told otherwise as it should.
func newRelay(t *testing.T, addr string, seed uint64) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{to: addr, port: l.Addr().(*net.TCPAddr).Port, pairs: make(map[*pair]bool), rng: rand.New(rand.NewPCG(seed, 2))}
	t.Cleanup(func() { l.Close(); r.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}
