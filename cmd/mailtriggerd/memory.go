package main

import (
	"context"
	"os"
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

// gcPercent is how much may be allocated, of what is in use, before it is collected; the
// runtime's own default is 100. What is left in between by a burst leaves holes among
// what stays: with 60 ten thousand sessions take 2 KiB less each, and start as fast.
const gcPercent = 60

// tuneMemory sets the collector, unless the environment does.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// giveBackMemory gives memory back to the system once a burst is over: ten thousand
// logins, a backlog, one very large mail. Left to itself the Go runtime collects again
// only when as much has been allocated as is in use, or after two minutes, and then
// keeps the room: a daemon that mostly waits would stay twice as large as it needs to be.
func giveBackMemory(ctx context.Context) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	ticker := time.NewTicker(memoryLook)
	defer ticker.Stop()
	for last := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(samples)
		allocated, live, objects, free := samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()
		busy := allocated-last > memoryBusy
		last = allocated
		if idle := objects - min(live, objects) + free; !busy && idle > max(memorySlack, live/10) {
			debug.FreeOSMemory()
		}
	}
}
