package action

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withSpawner makes commands start by a new spawner until the test ends.
func withSpawner(t testing.TB) *spawner {
	t.Helper()
	manyAre(t, 0)
	s, err := newSpawner(ownTable)
	if err != nil {
		t.Fatal(err)
	}
	saved := commandSpawner
	commandSpawner = func() *spawner { return s }
	t.Cleanup(func() { commandSpawner = saved; s.close() })
	return s
}

// manyAre sets how many descriptors are many until the test ends; none have been seen yet.
func manyAre(t testing.TB, n int) {
	saved := manyDescriptors
	manyDescriptors = n
	manySeen.Store(false)
	t.Cleanup(func() { manyDescriptors = saved; manySeen.Store(false) })
}

// inThread runs f in the spawner's thread.
func (s *spawner) inThread(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.call(f)
}

// table returns what is in the thread's table, without 0, 1 and 2.
func (s *spawner) table(t *testing.T) (table []string) {
	t.Helper()
	var thread int
	s.inThread(func() { thread = unix.Gettid() })
	dir := fmt.Sprintf("/proc/self/task/%d/fd/", thread)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "0" && name != "1" && name != "2" {
			to, err := os.Readlink(dir + name)
			if err != nil {
				t.Fatal(err)
			}
			to, _, _ = strings.Cut(to, ":[") // socket:[number]
			table = append(table, to)
		}
	}
	slices.Sort(table)
	return table
}

// wantTable fails the test unless the thread has what it needs, and nothing else.
func wantTable(t *testing.T, s *spawner) {
	t.Helper()
	if got := s.table(t); !slices.Equal(slices.Compact(got), []string{"anon_inode", "socket"}) || strings.Count(strings.Join(got, " "), "socket") != 1 {
		t.Errorf("the thread's table holds %v", got)
	}
}

// What the daemon closes is closed, though it was open when the spawner was made.
func TestSpawnerKeepsNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	path := filepath.Join(t.TempDir(), "lock")
	lock := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Errorf("lock: %v", err)
		}
		return f
	}
	locked := lock()

	wantTable(t, withSpawner(t))
	ours.Close()
	peer.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the peer of a closed connection reads %v; want EOF", err)
	}
	locked.Close()
	lock().Close()
}

// Starts at once, some of which fail, leave nothing open in either table.
func TestSpawnerAtOnce(t *testing.T) {
	s := withSpawner(t)
	dir := t.TempDir()
	orphan := filepath.Join(dir, "orphan")
	if err := os.WriteFile(orphan, []byte("#!/nonexistent/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := openDescriptors()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			r := newRun(t)
			r.Event.Raw = fmt.Appendf(nil, "mail %d", i)
			switch i % 4 {
			case 0:
				wantFailure(t, ready(t, &Exec{Command: []string{orphan}, Stdin: "raw"}).Run(t.Context(), r), Retry, "the interpreter in its first line")
			case 1:
				wantFailure(t, ready(t, &Exec{Command: []string{"true"}, Directory: dir + "/none"}).Run(t.Context(), r), Retry, "cannot be entered")
			default:
				got := ready(t, &Exec{Command: []string{"cat"}, Stdin: "raw"}).Run(t.Context(), r)
				wantDone(t, got)
				if string(got.Output) != string(r.Event.Raw) {
					t.Errorf("command %d printed %q", i, got.Output)
				}
			}
		})
	}
	wg.Wait()
	wantTable(t, s)
	if after := openDescriptors(); after > before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

// A message that was not taken is no later command's.
func TestSpawnerMessageLeft(t *testing.T) {
	s := withSpawner(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	s.mu.Lock()
	for _, files := range [][]*os.File{{null}, {null, null, null}, {null, null, null, null, null}} {
		if err := s.hand(files); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Unlock()
	got := ready(t, &Exec{Command: []string{"cat"}, Stdin: "raw"}).Run(t.Context(), newRun(t))
	wantDone(t, got)
	if want := newRun(t).Event.Raw; string(got.Output) != string(want) {
		t.Errorf("the command read %q; want %q", got.Output, want)
	}
	wantTable(t, s)
}

// Where the thread gets no descriptors, or there is no thread, commands start nevertheless.
func TestSpawnerRefused(t *testing.T) {
	before := openDescriptors()
	if _, err := newSpawner(func(int) error { return unix.EPERM }); !errors.Is(err, unix.EPERM) {
		t.Errorf("error %v", err)
	}
	if after := openDescriptors(); after > before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
	s := withSpawner(t)
	s.inThread(func() { unix.Close(s.receive) })
	got := sh(t, "echo started").Run(t.Context(), newRun(t))
	wantDone(t, got)
	if string(got.Output) != "started\n" {
		t.Errorf("output %q", got.Output)
	}
}

// The spawner is used once many descriptors are open, and from there on.
func TestSpawnerChosen(t *testing.T) {
	s := withSpawner(t)
	files := make([]*os.File, 20)
	manyAre(t, lowest(t)+len(files)/2)
	run := func(want uint64) {
		t.Helper()
		wantDone(t, sh(t, "exit 0").Run(t.Context(), newRun(t)))
		if s.count != want {
			t.Errorf("%d commands were started by the spawner; want %d", s.count, want)
		}
	}
	run(0)
	for i := range files {
		var err error
		if files[i], err = os.Open(os.DevNull); err != nil {
			t.Fatal(err)
		}
	}
	run(1)
	for _, f := range files {
		f.Close()
	}
	run(2)
}

// lowest returns the lowest number that is free for a descriptor.
func lowest(t *testing.T) int {
	t.Helper()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return int(f.Fd())
}

// The runtime's own work in the thread finds the poller, and no other thread gets the
// thread's table.
func TestSpawnerRuntime(t *testing.T) {
	s := withSpawner(t)
	later, err := os.Open(os.DevNull) // is not in the thread's table
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	var wg sync.WaitGroup
	s.inThread(func() {
		for range 20 {
			runtime.GC()
			<-time.After(time.Microsecond)
		}
		release := make(chan struct{})
		var arrived sync.WaitGroup
		arrived.Add(30)
		for range 30 { // each takes a thread
			wg.Go(func() {
				runtime.LockOSThread()
				if _, err := unix.FcntlInt(later.Fd(), unix.F_GETFD, 0); err != nil {
					t.Errorf("a thread has not the daemon's table: %v", err)
				}
				arrived.Done()
				<-release
			})
		}
		arrived.Wait()
		close(release)
	})
	wg.Wait()
}

// firstThread is the variable by which the test's program, started again, is told to make
// a spawner where nothing but the first thread runs.
const firstThread = "ACTION_TEST_FIRST_THREAD"

func init() { roles[firstThread] = beFirstThread }

func beFirstThread(string) {
	s, err := newSpawner(ownTable)
	if err != nil {
		panic(err)
	}
	s.inThread(func() { fmt.Print(unix.Gettid() != unix.Getpid()) })
}

// The first thread is left alone even if the spawner's goroutine comes to run there.
func TestSpawnerFirstThread(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), firstThread+"=1", "GOMAXPROCS=1")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "true" {
		t.Errorf("%s, %v", out, err)
	}
}

// BenchmarkRun measures a command with few and with many connections open, as it is started
// then and by a fork of the daemon's table. x-few is how many times as long it takes as with few.
func BenchmarkRun(b *testing.B) {
	for _, way := range []string{"start", "fork"} {
		var few time.Duration
		for _, connections := range []int{10, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", way, connections), func(b *testing.B) {
				manyAre(b, manyDescriptors)
				if way == "fork" {
					withoutSpawner(b)
				}
				openSockets(b, connections)
				a, r := ready(b, &Exec{Command: []string{"true"}}), newRun(b)
				for b.Loop() {
					if got := a.Run(b.Context(), r); got.Outcome != Done {
						b.Fatal(got.Err)
					}
				}
				each := b.Elapsed() / time.Duration(b.N)
				if few == 0 {
					few = each
				}
				b.ReportMetric(float64(each)/float64(few), "x-few")
			})
		}
	}
}

func openSockets(b *testing.B, n int) {
	for range n / 2 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			b.Skipf("%d sockets are not allowed here: %v", n, err)
		}
		b.Cleanup(func() { closeAll(pair[:]) })
	}
}
