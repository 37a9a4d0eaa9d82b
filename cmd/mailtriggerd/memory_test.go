package main

import "testing"

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
