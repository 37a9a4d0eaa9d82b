package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestMemoryIsGivenBack(t *testing.T) {
	const mib = 1 << 20
	last := heap{allocated: 1000 * mib}
	for what, c := range map[string]struct {
		now  heap
		want bool
	}{
		"a burst goes on":            {heap{allocated: 1100 * mib, live: 10 * mib, objects: 100 * mib, free: 100 * mib}, false},
		"it is over":                 {heap{allocated: 1001 * mib, live: 10 * mib, objects: 100 * mib}, true},
		"what was free stays so":     {heap{allocated: 1001 * mib, live: 10 * mib, objects: 11 * mib, free: 90 * mib}, true},
		"too little to care":         {heap{allocated: 1001 * mib, live: 10 * mib, objects: 12 * mib, free: 5 * mib}, false},
		"too little of a large heap": {heap{allocated: 1001 * mib, live: 500 * mib, objects: 520 * mib, free: 20 * mib}, false},
		"more is live than there is": {heap{allocated: 1001 * mib, live: 100 * mib, objects: 50 * mib}, false},
	} {
		if got := c.now.idle(last); got != c.want {
			t.Errorf("%s: %t", what, got)
		}
	}
	if h := readHeap(); h.allocated == 0 || h.objects == 0 {
		t.Errorf("the runtime says %+v", h)
	}
}

// With little in use there is room for a burst; with much, what is between collections stays small.
func TestPercentFor(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 600}, {3 << 20, 600}, {8 << 20, 300}, {24 << 20, 100}, {40 << 20, 80}, {1 << 30, 80}} {
		if got := percentFor(c.live); got != c.want {
			t.Errorf("percentFor(%d MiB) = %d, want %d", c.live>>20, got, c.want)
		}
	}
}

// The collector is set anew when a collection has found that more, or less, is in use.
func TestCollectorIsFollowed(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	percent := func() int {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return int(sample[0].Value.Uint64())
	}
	until := func(what string, ok func(int) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(percent()); runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("%s: the collector is set to %d percent", what, percent())
			}
		}
	}
	followCollector(0)
	held := make([]byte, 200<<20)
	until("much in use", func(p int) bool { return p == gcPercent })
	runtime.KeepAlive(held)
	until("little in use", func(p int) bool { return p > gcPercent })
}
