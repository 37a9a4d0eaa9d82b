//go:build crashpoints

package crashpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Enabled says whether this build has crash points.
const Enabled = true

// Variable is the environment variable that says where to end.
const Variable = "MAILTRIGGERD_CRASHPOINT"

var state struct {
	sync.Mutex
	read bool
	plan plan
	all  int            // hits of any point
	hits map[string]int // hits by name
}

// plan is the variable, read.
type plan struct {
	name string // the point that ends the process; "" is none
	nth  int    // its hit, from 1
	any  int    // the hit of any point that ends the process; 0 is none
	log  string // the file that hits are numbered in; "" is none
}

// Hit ends the process if the environment says that it ends here.
func Hit(name string) {
	state.Lock()
	defer state.Unlock()
	if !state.read {
		p, err := parse(os.Getenv(Variable))
		if err != nil {
			panic(err) // a test that is set up wrongly
		}
		state.plan, state.read, state.hits = p, true, map[string]int{}
	}
	state.all++
	state.hits[name]++
	p := state.plan
	if p.log != "" {
		record(p.log, state.all, name)
	}
	if p.any == state.all || p.name == name && p.nth == state.hits[name] {
		die()
	}
}

// parse reads the variable's value.
func parse(s string) (plan, error) {
	if s == "" {
		return plan{}, nil
	}
	if file, ok := strings.CutPrefix(s, "log:"); ok && file != "" {
		return plan{log: file}, nil
	}
	if k, ok := strings.CutPrefix(s, "#"); ok {
		n, err := strconv.Atoi(k)
		if err != nil || n < 1 {
			return plan{}, fmt.Errorf("%s=%q: the number after # must be 1 or more", Variable, s)
		}
		return plan{any: n}, nil
	}
	name, nth, ok := strings.Cut(s, ":")
	if !ok {
		return plan{name: name, nth: 1}, nil
	}
	n, err := strconv.Atoi(nth)
	if err != nil || n < 1 {
		return plan{}, fmt.Errorf("%s=%q: the number after the colon must be 1 or more", Variable, s)
	}
	return plan{name: name, nth: n}, nil
}

// record appends one line with one write.
func record(file string, k int, name string) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%d %s\n", k, name); err != nil {
		panic(err)
	}
}

// die ends the process as kill -9 does, and returns never.
func die() {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {} // the signal is on its way
}
