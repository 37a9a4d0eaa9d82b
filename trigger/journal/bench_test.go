package journal

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// benchJob is a job of ordinary size.
func benchJob(uid uint32) *Job {
	j := testJob(uid, "book", "tell", "move")
	j.EventID = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
	j.Finish = FinishWaiting
	return j
}

func BenchmarkCodec(b *testing.B) {
	job := benchJob(1)
	v := encodeJob(job, bodyRef{})
	text, err := json.Marshal(job)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			encodeJob(job, bodyRef{})
		}
		b.ReportMetric(float64(len(v)), "bytes")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			decodeJob(1, v, nil)
		}
	})
	b.Run("json-encode", func(b *testing.B) {
		for b.Loop() {
			json.Marshal(job)
		}
		b.ReportMetric(float64(len(text)), "bytes")
	})
	b.Run("json-decode", func(b *testing.B) {
		for b.Loop() {
			json.Unmarshal(text, new(Job))
		}
	})
}

// p50 runs fn n times and returns the median.
func p50(n int, fn func()) time.Duration {
	times := make([]time.Duration, n)
	for i := range times {
		start := time.Now()
		fn()
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[n/2]
}

// acceptN is one J1 of n messages.
func acceptN(b *testing.B, j *Journal, uid *uint32, n int, body []byte) []*Job {
	b.Helper()
	batch := &Batch{Cursors: []CursorUpdate{{Mailbox: inbox, Trigger: "invoices", Cursor: Cursor{UIDValidity: 7, UID: *uid + uint32(n)}}}}
	seen := SeenUpdate{Mailbox: inbox}
	for range n {
		*uid++
		batch.Jobs, batch.Bodies = append(batch.Jobs, benchJob(*uid)), append(batch.Bodies, bytes.Clone(body))
		seen.Seen = append(seen.Seen, Seen{UID: *uid, Hash: uint64(*uid) * 0x9E3779B97F4A7C15})
	}
	batch.Seen = []SeenUpdate{seen}
	if err := j.Accept(batch).Wait(bg); err != nil {
		b.Fatal(err)
	}
	return batch.Jobs
}

// finishAll reports three results a job and removes it.
func finishAll(j *Journal, jobs []*Job) (last *Commit) {
	for _, job := range jobs {
		for a := range job.Actions {
			j.Result(job.Seq, a, Result{State: Done})
		}
		last = j.Remove(job.Seq, nil)
	}
	return last
}

// One lone J1: the time from Accept to Done.
func BenchmarkAcceptOne(b *testing.B) {
	j, uid, body := mustOpen(b, b.TempDir()), uint32(0), make([]byte, 5000)
	var times []time.Duration
	for b.Loop() {
		start := time.Now()
		jobs := acceptN(b, j, &uid, 1, body)
		times = append(times, time.Since(start))
		finishAll(j, jobs)
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
}

// Result alone: what an action waits for before the next one starts.
func BenchmarkResult(b *testing.B) {
	j, uid := mustOpen(b, b.TempDir()), uint32(0)
	jobs := acceptN(b, j, &uid, 100, make([]byte, 5000))
	var times []time.Duration
	i := 0
	for b.Loop() {
		job := jobs[i/3%100]
		start := time.Now()
		j.Result(job.Seq, i%3, Result{State: Done})
		times = append(times, time.Since(start))
		i++
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000, "p50-µs")
}

// Whole lives, a hundred messages a J1.
func BenchmarkThroughput(b *testing.B) {
	j, uid, body := mustOpen(b, b.TempDir()), uint32(0), make([]byte, 5000)
	var last *Commit
	var times []time.Duration
	for b.Loop() {
		start := time.Now()
		jobs := acceptN(b, j, &uid, batchJobs, body)
		times = append(times, time.Since(start))
		last = finishAll(j, jobs)
	}
	if err := last.Wait(bg); err != nil {
		b.Fatal(err)
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "J1-p50-µs")
	b.ReportMetric(float64(b.N)*batchJobs/b.Elapsed().Seconds(), "jobs/s")
}

// bareSync is what the disk takes for one page, at the moment: other programs' work is in it
// as it is in the commits.
func bareSync(b *testing.B) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "page"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	return p50(1000, func() {
		if _, err := f.WriteAt(make([]byte, 4096), 0); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	})
}

// The commit latency does not depend on how much was done before: a J1 at the
// start and after a million jobs. Run it with -benchtime 1x; it takes a minute or two.
func BenchmarkMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("a million jobs take a while")
	}
	for b.Loop() {
		j, uid, body := mustOpen(b, b.TempDir()), uint32(0), make([]byte, 500)
		one := func() { finishAll(j, acceptN(b, j, &uid, 1, body)) }
		p50(100, one) // to warm up
		before, first := bareSync(b), p50(1000, one)
		for uid < 1_000_000 {
			finishAll(j, acceptN(b, j, &uid, batchJobs, body))
		}
		if err := j.Sync(bg); err != nil {
			b.Fatal(err)
		}
		after, last := bareSync(b), p50(1000, one)
		b.ReportMetric(float64(first.Microseconds()), "p50-at-0-µs")
		b.ReportMetric(float64(last.Microseconds()), "p50-at-1M-µs")
		b.ReportMetric(float64(first)/float64(before), "syncs-at-0")
		b.ReportMetric(float64(last)/float64(after), "syncs-at-1M")
		start := time.Now()
		j = reopened(b, j)
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "reopen-ms")
	}
}

// batchJobs is how many jobs the engine gives at once.
const batchJobs = 100
