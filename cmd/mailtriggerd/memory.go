package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// When memory is given back.
const (
	memoryLook  = 10 * time.Second // how often it is looked
	memoryBusy  = 32 << 20         // bytes allocated in between: the burst goes on
	memorySlack = 8 << 20          // bytes that may lie idle, or a tenth of what is in use
)

// How much may be allocated before it is collected: gcPercent of what is in use (the
// runtime's own default is 100), but gcRoom at least, in bytes.
//
// What is left in between by a burst leaves holes among what stays: with 100 percent ten
// thousand sessions take 2 KiB more each, with 60 they start a twentieth slower. With one
// session little is in use, and a backlog of mail would be collected 60 times in a second:
// a quarter of its time.
const (
	gcPercent = 80
	gcRoom    = 24 << 20
)

// paceCollector keeps the collector to that, unless the environment sets it otherwise.
func paceCollector() {
	if os.Getenv("GOGC") == "" {
		followCollector(0)
	}
}

// followCollector sets the collector by what is in use, and again after each collection:
// an object that nobody holds is collected then, which is how one hears of it.
func followCollector(percent int) {
	if now := percentFor(readHeap().live); now != percent {
		debug.SetGCPercent(now)
		percent = now
	}
	runtime.AddCleanup(&struct{ unheld *int }{}, followCollector, percent)
}

// percentFor returns how much may be allocated, in percent of the bytes in use.
func percentFor(live uint64) int {
	const least = 4 << 20 // the runtime collects nothing before that times percent
	percent := max(gcPercent, gcRoom*100/max(live, least))
	return int(percent - percent%20) // each change stops the world for a moment
}

// giveBackMemory gives memory back to the system once a burst is over: ten thousand
// logins, a backlog, one very large mail. Left to itself the Go runtime collects again
// only when as much has been allocated as is in use, or after two minutes, and then
// keeps the room: a daemon that mostly waits would stay twice as large as it needs to be.
func giveBackMemory(ctx context.Context) {
	ticker := time.NewTicker(memoryLook)
	defer ticker.Stop()
	for last := readHeap(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := readHeap()
		if now.idle(last) {
			debug.FreeOSMemory()
		}
		last = now
	}
}

// A heap is what the runtime says of it, in bytes.
type heap struct {
	allocated uint64 // since the start
	live      uint64 // when it was last collected
	objects   uint64 // live, or not yet collected
	free      uint64 // kept for objects to come
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	return heap{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()}
}

// idle reports whether no burst goes on since the last look, and enough lies idle to be
// worth a collection.
func (h heap) idle(last heap) bool {
	if h.allocated-last.allocated > memoryBusy {
		return false
	}
	return h.objects-min(h.live, h.objects)+h.free > max(memorySlack, h.live/10)
}
